"""HiFi-GAN's critics: multi-period and multi-scale, at a fraction of the reference's width.

Their losses are in core.losses. Every critic takes (B, T) and returns its score
and the feature maps on the way to it, as feature matching needs them.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from core.config import HifiganConfig
from core.device import mixed_precision
from core.errors import ConfigError

SLOPE = 0.1  # of every leaky ReLU
NARROWEST = 32  # channels of the reference's narrowest layer

Norm = Callable[[nn.Module], nn.Module]
Judgement = tuple[Tensor, list[Tensor]]  # score (B, N), feature maps


class Discriminators(nn.Module):
    """All critics: one per period in config order, then one per scale.

    Raises:
        ConfigError: the divisor is no power of two from 1 to 32.
    Source: Kong et al. 2020, arXiv:2010.05646, section 2.3; divisor 1 and 3 scales are theirs.
    """

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__()
        divisor = config.discriminator_divisor
        if divisor < 1 or NARROWEST % divisor:
            raise ConfigError(
                f"hifigan.discriminator_divisor is {divisor}; use a power of two from 1 to 32"
            )
        self.periods = nn.ModuleList(
            PeriodDiscriminator(period, divisor) for period in config.discriminator_periods
        )
        self.scales = nn.ModuleList(
            ScaleDiscriminator(divisor, norm=weight_norm if scale else spectral_norm)
            for scale in range(config.discriminator_scales)
        )

    def forward(self, wave: Tensor) -> list[Judgement]:
        """(B, T) -> one (score (B, N), feature maps) per critic; maps may be bfloat16."""
        with parametrize.cached():
            self._norm_weights()
            with mixed_precision(wave.device):
                return self._judgements(wave)

    def _norm_weights(self) -> None:
        """Weights normed once, in float32: autocast on CUDA would mix types in spectral norm."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _ = module.weight

    def _judgements(self, wave: Tensor) -> list[Judgement]:
        judgements = [period(wave) for period in self.periods]
        for number, scale in enumerate(self.scales):
            if number:  # each scale hears the one before at half the rate
                wave = F.avg_pool1d(wave[:, None], 4, stride=2, padding=2)[:, 0]
            judgements.append(scale(wave))
        return judgements


class PeriodDiscriminator(nn.Module):
    """Hears every period-th sample by itself: `period` interleaved waves, one shared network.

    The reference's (k, 1) convolutions over a (T / period, period) image never
    mix columns, so here the columns are entries of the batch.
    """

    def __init__(self, period: int, divisor: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, *(width // divisor for width in (32, 128, 512, 1024, 1024))]
        strides = (3, 3, 3, 3, 1)
        self.convs = nn.ModuleList(
            weight_norm(convolution(narrow, wide, 5, stride))
            for (narrow, wide), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.conv_post = weight_norm(convolution(widths[-1], 1, 3))

    def forward(self, wave: Tensor) -> Judgement:
        """(B, T) -> score (B, period * N), feature maps (B * period, C, 1, N)."""
        batch = wave.shape[0]
        missing = -wave.shape[-1] % self.period
        wave = F.pad(wave[:, None], (0, missing), mode="reflect")[:, 0]
        columns = wave.reshape(batch, -1, self.period).transpose(1, 2)  # (B, period, T / period)
        return judged(
            columns.reshape(batch * self.period, 1, -1), self.convs, self.conv_post, batch
        )


class ScaleDiscriminator(nn.Module):
    """Hears the wave as a whole through strided, grouped convolutions.

    Groups are divided along with the channels, so a group keeps its width.
    """

    def __init__(self, divisor: int, norm: Norm) -> None:
        super().__init__()
        widths = [1, *(width // divisor for width in (128, 128, 256, 512, 1024, 1024, 1024))]
        kernels = (15, 41, 41, 41, 41, 41, 5)
        strides = (1, 2, 2, 4, 4, 1, 1)
        groups = [max(1, count // divisor) for count in (1, 4, 16, 16, 16, 16, 1)]
        self.convs = nn.ModuleList(
            norm(convolution(narrow, wide, kernel, stride, count))
            for (narrow, wide), kernel, stride, count in zip(
                pairwise(widths), kernels, strides, groups, strict=True
            )
        )
        self.conv_post = norm(convolution(widths[-1], 1, 3))

    def forward(self, wave: Tensor) -> Judgement:
        """(B, T) -> score (B, N), feature maps (B, C, 1, N)."""
        return judged(wave[:, None], self.convs, self.conv_post, wave.shape[0])


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Along the last axis of (B, C, 1, T)."""
    return nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2), groups=groups)


def judged(x: Tensor, convs: nn.ModuleList, conv_post: nn.Module, batch: int) -> Judgement:
    """(B * P, 1, T) through the layers -> score (B, P * N) and every layer's output.

    In memory channels come last, as the matrix units read them; 1-D convolutions cannot
    have that. The cut critics take .26 s a step where they took .30.
    """
    x, features = x[:, :, None], []
    for conv in convs:
        x = F.leaky_relu(conv(x.contiguous(memory_format=torch.channels_last)), SLOPE)
        features.append(x)
    score = conv_post(x)  # (B * P, 1, 1, N)
    return score.reshape(batch, -1).float(), [*features, score]
