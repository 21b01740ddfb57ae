"""HiFi-GAN's generator: a log mel upsampled to a wave by transposed convolutions.

Modules are named as in the reference checkpoints, so those load as they are.
The discriminators and the training lie in their own files.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from core.config import HifiganConfig, MelConfig, VocoderName
from core.errors import ConfigError
from core.vocoder import Vocoder

SLOPE = 0.1  # of every leaky ReLU but the last, whose slope is torch's 0.01


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


class ResBlock(nn.Module):
    """(B, C, T) -> (B, C, T): a residual pair of convolutions per dilation (type "1")."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2)
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
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
        self.resblocks = nn.ModuleList(
            ResBlock(width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in shapes
        )
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3)
        self.blocks_per_stage = len(shapes)
        if weight_norm:
            self._add_weight_norm()

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, M, F) natural-log mel -> (B, F * hop) wave in [-1, 1]."""
        x = self.conv_pre(log_mel)  # (B, C, F)
        for stage, upsample in enumerate(self.ups):
            x = upsample(F.leaky_relu(x, SLOPE))  # (B, C / 2, F * rate)
            first = stage * self.blocks_per_stage
            blocks = self.resblocks[first : first + self.blocks_per_stage]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        wave: Tensor = torch.tanh(self.conv_post(F.leaky_relu(x)))  # (B, 1, T)
        return wave[:, 0]

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
