"""HiFi-GAN's generator: a log mel upsampled to a wave by transposed convolutions.

Modules are named as in the reference checkpoints, so those load as they are.
The discriminators and the training lie in their own files.
"""

import math
import operator
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from core.config import HifiganConfig, MelConfig, VocoderName
from core.errors import ConfigError
from core.polyphase import PolyphaseConv1d, from_phases, to_phases
from core.vocoder import Vocoder

SLOPE = 0.1  # of every leaky ReLU but the last, whose slope is torch's 0.01
NARROW = 4  # channels at most, of what is computed in phases; at 8 nothing is gained
PHASED_CHANNELS = 32  # that phases make of few; 16 take as long, 64 longer
FARTHEST = 64  # samples to either side, of a kernel that is written as phases; the paper's: 25


def check_shape(config: HifiganConfig, mel: MelConfig) -> None:
    """Raises ConfigError unless the generator turns F mel frames into F * hop_samples samples."""
    faults = []
    rates, kernels = config.upsample_rates, config.upsample_kernels
    product = math.prod(rates)
    if product != mel.hop_samples:
        faults.append(
            f"hifigan.upsample_rates {rates} multiply to {product}, but one mel frame is "
            f"{mel.hop_samples} samples; choose rates whose product is {mel.hop_samples}"
        )
    if len(kernels) != len(rates):
        faults.append(
            f"hifigan.upsample_kernels has {len(kernels)} entries for {len(rates)} "
            "upsample_rates; give one kernel to each rate"
        )
    for rate, kernel in zip(rates, kernels, strict=False):
        if kernel < rate or (kernel - rate) % 2:
            faults.append(
                f"hifigan.upsample_kernels {kernel} does not stretch {rate} times exactly; "
                f"use {rate} plus an even number, best {2 * rate}"
            )
    if config.channels % 2 ** len(rates):
        faults.append(
            f"hifigan.channels {config.channels} cannot be halved {len(rates)} times; "
            f"use a multiple of {2 ** len(rates)}"
        )
    if len(config.resblock_kernels) != len(config.resblock_dilations):
        faults.append(
            f"hifigan.resblock_dilations has {len(config.resblock_dilations)} entries for "
            f"{len(config.resblock_kernels)} resblock_kernels; give one tuple to each kernel"
        )
    for kernel in config.resblock_kernels:
        if kernel % 2 == 0:
            faults.append(f"hifigan.resblock_kernels {kernel} is even; use an odd number")
    if config.mel_bands != mel.mel_bands:
        faults.append(
            f"hifigan.mel_bands is {config.mel_bands}, but mel.mel_bands is {mel.mel_bands}; "
            "make them equal"
        )
    if faults:
        raise ConfigError(". ".join(faults) + ".")


def phase_count(config: HifiganConfig, channels: int, samples: int) -> int:
    """In how many phases a stage computes: 1 where it is wide, or where its kernels are long.

    Args:
        samples: that the stage makes of a mel frame; the phases divide them.
    """
    reach = max(
        kernel // 2 * max(dilations)
        for kernel, dilations in zip(
            config.resblock_kernels, config.resblock_dilations, strict=True
        )
    )
    narrow = channels <= NARROW and reach <= FARTHEST
    return math.gcd(PHASED_CHANNELS // channels, samples) if narrow else 1


class ResBlock(nn.Module):
    """A residual pair of convolutions per dilation (type "1"); (B, C * P, T / P) in and out."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], phases: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            PolyphaseConv1d(channels, channels, kernel, dilation, phases) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(
            PolyphaseConv1d(channels, channels, kernel, 1, phases) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            inner = dilated(F.leaky_relu(x, SLOPE))
            x = x + plain(F.leaky_relu(inner, SLOPE))
        return x


class HifiganGenerator(nn.Module):
    """The HiFi-GAN generator.

    Args:
        weight_norm: train with it; False builds the shape that `fold_weight_norm` leaves,
            into which a folded state dict loads.
    Source: Kong et al. 2020, arXiv:2010.05646; module names as in its checkpoints.
    """

    def __init__(self, config: HifiganConfig, weight_norm: bool = True) -> None:
        super().__init__()
        widths = [config.channels // 2**stage for stage in range(len(config.upsample_rates) + 1)]
        self.conv_pre = nn.Conv1d(config.mel_bands, widths[0], 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(wide, narrow, kernel, rate, padding=(kernel - rate) // 2)
            for (wide, narrow), rate, kernel in zip(
                pairwise(widths), config.upsample_rates, config.upsample_kernels, strict=True
            )
        )
        shapes = list(zip(config.resblock_kernels, config.resblock_dilations, strict=True))
        self.phases = [
            phase_count(config, width, samples)
            for width, samples in zip(
                widths[1:], accumulate(config.upsample_rates, operator.mul), strict=True
            )
        ]
        self.resblocks = nn.ModuleList(
            ResBlock(width, kernel, dilations, phases)
            for width, phases in zip(widths[1:], self.phases, strict=True)
            for kernel, dilations in shapes
        )
        self.conv_post = PolyphaseConv1d(widths[-1], 1, 7, 1, self.phases[-1])
        self.blocks_per_stage = len(shapes)
        if weight_norm:
            self._add_weight_norm()

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, M, F) natural-log mel -> (B, F * hop) wave in [-1, 1].

        Under autocast the last stage stays in float32. With all in bfloat16 a training was lost
        between steps 1,400 and 2,400: silence became a constant 1.0. In silence rounding is
        noise, in a saturated tanh it is not heard, and no gradient leads back from there.
        """
        x = self.conv_pre(log_mel)  # (B, C, F)
        last = len(self.ups) - 1
        for stage in range(last):
            x = self._upsampled(x, stage)
        with torch.autocast(x.device.type, enabled=False):
            x = self._upsampled(x.to(log_mel.dtype), last)  # (B, C', F * hop)
            phases = self.phases[-1]
            x = self.conv_post(F.leaky_relu(to_phases(x, phases)))
            return torch.tanh(from_phases(x, phases))[:, 0]

    def _upsampled(self, x: Tensor, stage: int) -> Tensor:
        """(B, C, T) -> (B, C / 2, T * rate): one transposed convolution, then its blocks' mean."""
        phases, first = self.phases[stage], stage * self.blocks_per_stage
        x = to_phases(self.ups[stage](F.leaky_relu(x, SLOPE)), phases)
        blocks = self.resblocks[first : first + self.blocks_per_stage]
        return from_phases(torch.stack([block(x) for block in blocks]).mean(0), phases)

    def _convolutions(self) -> list[nn.Conv1d | nn.ConvTranspose1d]:
        kinds = (nn.Conv1d, nn.ConvTranspose1d)
        return [module for module in self.modules() if isinstance(module, kinds)]

    def _add_weight_norm(self) -> None:
        for conv in self._convolutions():
            weight_norm(conv)

    def fold_weight_norm(self) -> None:
        """Multiplies weight norm out, for inference; the wave stays the same."""
        for conv in self._convolutions():
            if parametrize.is_parametrized(conv, "weight"):
                parametrize.remove_parametrizations(conv, "weight")

    @torch.no_grad()
    def unfold(self, folded: "HifiganGenerator") -> None:
        """Take over a folded generator's weights, its weight norm factored out again."""
        for own, other in zip(self._convolutions(), folded._convolutions(), strict=True):
            assert own.bias is not None
            # The parametrisation factors it, on its own device.
            own.weight = other.weight.to(own.bias.device, copy=True)
            assert other.bias is not None
            own.bias.copy_(other.bias)


class Hifigan(Vocoder):
    """The trained generator, its weight norm folded."""

    name: VocoderName = "hifigan"

    reach_frames = 24

    def __init__(self, generator: HifiganGenerator, device: torch.device) -> None:
        self.generator, self.device = generator.to(device).eval(), device

    @torch.no_grad()
    def wave(self, log_mel: Tensor, *_: object) -> Tensor:
        sound: Tensor = self.generator(log_mel.T[None].to(self.device))[0].cpu()
        return sound
