"""The snake, an activation that makes new harmonics, and the same without aliasing.

snake(x) = x + sin²(a x) / b bends a wave and so makes frequencies that the sample rate has
no room for; they would fold back. The alias-free one does it at twice the rate, between
two low-pass filters (Lee et al. 2023, BigVGAN, arXiv:2206.04658; filters after Karras et
al. 2021). Modules are named as in BigVGAN's checkpoints.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 12
CUTOFF = 0.25  # of the doubled rate: the original's Nyquist frequency
HALF_TRANSITION = 0.3
LEAST_DIVISOR = 1e-9
REACH_SAMPLES = 5  # on either side: 12 taps at twice the rate up, and again down


def low_pass() -> Tensor:
    """(12,) Kaiser-windowed sinc of sum 1, at half of Nyquist.

    Source: Kaiser's formulas for the window's shape from the attenuation in decibels.
    """
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 4 * HALF_TRANSITION + 7.95
    assert attenuation > 50, "below, Kaiser's formula is another"
    window = torch.kaiser_window(TAPS, periodic=False, beta=0.1102 * (attenuation - 8.7))
    time = torch.arange(TAPS) - (TAPS - 1) / 2
    filters = window * torch.sinc(2 * CUTOFF * time)
    return filters / filters.sum()


class LowPass(nn.Module):
    """Holds a filter, which is part of the checkpoints."""

    filter: Tensor  # (1, 1, 12)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", low_pass()[None, None])


class Snake(nn.Module):
    """x + sin²(a x) / b with logarithms of a and b learnt for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def frequency(self) -> Tensor:
        """(C,) a."""
        return self.alpha.exp()

    def size(self) -> Tensor:
        """(C,) 1 / b."""
        return 1 / (self.beta.exp() + LEAST_DIVISOR)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        angle = x * self.frequency()[:, None]
        return x + self.size()[:, None] * torch.sin(angle).square()


class AliasFreeSnake(nn.Module):
    """(B, C, T) -> (B, C, T): up to twice the rate, snake, and down again.

    Attributes:
        fused: compute on the CPU in one compiled pass, for inference only.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = Snake(channels)
        self.upsample = LowPass()
        self.downsample = nn.ModuleDict({"lowpass": LowPass()})
        self.fused = False

    def forward(self, x: Tensor, out_type: torch.dtype = torch.float32) -> Tensor:
        up, down = 2 * self.upsample.filter, self._down()
        if self.fused:
            # Numba takes most of a second to load: only where it is used.
            from core.snake_kernel import alias_free_snake

            frequency, size = self.act.frequency(), self.act.size()
            return alias_free_snake(x, out_type, frequency, size, up.flatten(), down.flatten())
        channels, half = x.shape[1], TAPS // 2
        x = F.pad(x.float(), (half - 1, half - 1), mode="replicate")
        up = up.expand(channels, 1, TAPS)
        x = F.conv_transpose1d(x, up, stride=2, padding=3 * half - 3, groups=channels)
        x = F.pad(self.act(x), (half - 1, half), mode="replicate")
        return F.conv1d(x, down.expand(channels, 1, TAPS), stride=2, groups=channels).to(out_type)

    def _down(self) -> Tensor:
        lowpass = self.downsample["lowpass"]
        assert isinstance(lowpass, LowPass)
        return lowpass.filter
