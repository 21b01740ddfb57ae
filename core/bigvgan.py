"""BigVGAN-v2's generator: HiFi-GAN's shape with alias-free snakes, 122 million parameters.

Lee et al. 2023, arXiv:2206.04658. Modules are named as in NVIDIA's checkpoints, which
load as they are, with weight norm or with it multiplied out. How it is played, and how
fast, lies in core.bigvgan_player.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.bigvgan_config import OFFERED, BigvganConfig
from core.bigvgan_layers import Convolution, Upsampling, Weights
from core.errors import VocoderError
from core.snake import REACH_SAMPLES, AliasFreeSnake

EDGE_KERNEL = 7  # of the first and the last convolution


class AmpBlock(nn.Module):
    """(B, C, T) -> (B, C, T): a residual pair of convolutions for each dilation."""

    def __init__(
        self, channels: int, kernel: int, dilations: tuple[int, ...], weight_norm: bool
    ) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            Convolution(channels, channels, kernel, weight_norm, dilation) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(
            Convolution(channels, channels, kernel, weight_norm) for _ in dilations
        )
        self.activations = nn.ModuleList(AliasFreeSnake(channels) for _ in 2 * dilations)

    def forward(self, x: Tensor) -> Tensor:
        firsts, seconds = self.activations[::2], self.activations[1::2]
        for conv1, conv2, act1, act2 in zip(self.convs1, self.convs2, firsts, seconds, strict=True):
            inner = conv1(act1(x, conv1.number_type))
            x = x + conv2(act2(inner, conv2.number_type))
        return x


class BigvganGenerator(nn.Module):
    """The generator, with random weights until a checkpoint is loaded.

    Args:
        weight_norm: hold the weights as the official checkpoints do; False as
            `fold_weight_norm` leaves them.
    """

    def __init__(self, config: BigvganConfig, weight_norm: bool = True) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels // 2**stage for stage in range(len(config.upsample_rates) + 1)]
        self.conv_pre = Convolution(config.mel_bands, widths[0], EDGE_KERNEL, weight_norm)
        self.ups = nn.ModuleList(
            nn.Sequential(Upsampling(wide, narrow, rate, weight_norm))
            for (wide, narrow), rate in zip(pairwise(widths), config.upsample_rates, strict=True)
        )
        shapes = list(zip(config.resblock_kernels, config.resblock_dilations, strict=True))
        self.resblocks = nn.ModuleList(
            AmpBlock(width, kernel, dilations, weight_norm)
            for width in widths[1:]
            for kernel, dilations in shapes
        )
        self.activation_post = AliasFreeSnake(widths[-1])
        self.conv_post = Convolution(
            widths[-1], 1, EDGE_KERNEL, weight_norm, bias=config.bias_at_end
        )

    def unclipped(self, log_mel: Tensor) -> Tensor:
        """(B, M, F) natural-log mel -> (B, F * hop) wave at the mel's own level."""
        x = self.conv_pre(log_mel)  # (B, C, F)
        count = len(self.config.resblock_kernels)
        for stage, upsampling in enumerate(self.ups):
            x = upsampling(x)  # (B, C / 2, F * rate)
            total = self.resblocks[stage * count](x)
            for block in self.resblocks[stage * count + 1 : (stage + 1) * count]:
                total += block(x)
            x = total / count
        wave: Tensor = self.conv_post(self.activation_post(x))[:, 0]
        return torch.tanh(wave) if self.config.tanh_at_end else wave

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, M, F) natural-log mel -> (B, F * hop) wave in [-1, 1], as the reference gives it."""
        return self.unclipped(log_mel).clamp(-1, 1)

    def fold_weight_norm(self) -> None:
        """Multiplies weight norm out, for inference; the wave stays the same."""
        for module in self.modules():
            if isinstance(module, Weights):
                module.fold()


def generator_from_checkpoint(
    config: BigvganConfig, weights: Mapping[str, Tensor]
) -> BigvganGenerator:
    """A generator without weight norm from an official state dict, with it or without.

    Raises:
        VocoderError: the names, shapes or values of the weights are not the config's.
    """
    weight_norm = any(name.endswith(".weight_g") for name in weights)
    with torch.device("meta"):  # takes no memory, whatever a foreign config asks for
        generator = BigvganGenerator(config, weight_norm)
    faults = _faults_of_weights(generator.state_dict(), weights)
    if faults:
        more = f" and {len(faults) - 1} more faults" if len(faults) > 1 else ""
        raise VocoderError(
            f"BigVGAN's weights do not fit its config.json ({faults[0]}{more}); "
            f"get both files of {OFFERED} again"
        )
    generator.to_empty(device="cpu").load_state_dict(weights)
    generator.fold_weight_norm()
    return generator.requires_grad_(False).eval()


def _faults_of_weights(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """What is wrong with weights, by their names, shapes and values."""
    faults = [f"{name} is missing" for name in wanted if name not in weights]
    for name, value in weights.items():
        if name not in wanted:
            faults.append(f"{name} is not known")
        elif value.shape != wanted[name].shape:
            shapes = f"{tuple(value.shape)}, not {tuple(wanted[name].shape)}"
            faults.append(f"{name} has shape {shapes}")
        elif not value.is_floating_point() or not value.is_contiguous():
            faults.append(f"{name} holds no plain numbers")
        elif not bool(value.isfinite().all()):
            faults.append(f"{name} holds NaN or infinity")
    return faults


def reach_frames(config: BigvganConfig) -> int:
    """How many mel frames away a sample can still depend on: 21 for the model that is offered.

    Counted backwards, from one frame's samples to all that they depend on.
    """
    shapes = zip(config.resblock_kernels, config.resblock_dilations, strict=True)
    block = max(
        sum((dilation + 1) * (kernel // 2) + 2 * REACH_SAMPLES for dilation in dilations)
        for kernel, dilations in shapes
    )
    ends = EDGE_KERNEL // 2
    first, last = -REACH_SAMPLES - ends, config.hop_samples - 1 + REACH_SAMPLES + ends
    for rate in reversed(config.upsample_rates):  # a transposed kernel covers two samples
        first = (first - block + rate // 2) // rate - 1
        last = (last + block + rate // 2) // rate
    return max(ends - first, last + ends)
