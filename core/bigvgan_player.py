"""Playing BigVGAN-v2: in windows of bounded memory, and as fast as the hardware allows."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.bigvgan import BigvganGenerator, Weights, generator_from_checkpoint, reach_frames
from core.bigvgan_config import BigvganConfig, check_mel
from core.config import AnyVocoderName, MelConfig
from core.snake import AliasFreeSnake
from core.vocoder import Vocoder

WINDOW_FRAMES = 360  # 4.2 s at a time, and `reach_frames` more on either side
LEAST_FAST_CHANNELS = 96  # narrower layers gain little time from bfloat16 and lose more


def fast_type(device: torch.device) -> torch.dtype:
    """The short numbers that a device multiplies faster than float32, or float32."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


class Bigvgan(Vocoder):
    """A generator arranged for one device, whose own it is from then on.

    Args:
        fast: multiply in short numbers where the device has units for them; what is added
            up stays float32.
    """

    name: AnyVocoderName = "bigvgan"
    reach_frames: int

    def __init__(
        self, generator: BigvganGenerator, mel: MelConfig, device: torch.device, fast: bool = True
    ) -> None:
        check_mel(generator.config, mel)
        self.generator, self.mel, self.device = generator.to(device).eval(), mel, device
        self.reach_frames = reach_frames(generator.config)
        generator.fold_weight_norm()
        _arrange(generator, device, fast_type(device) if fast else torch.float32)

    @torch.no_grad()
    def wave(self, log_mel: Tensor) -> Tensor:
        hop, reach = self.mel.hop_samples, self.reach_frames
        whole = torch.empty(len(log_mel) * hop)
        for first in range(0, len(log_mel), WINDOW_FRAMES):
            last = min(len(log_mel), first + WINDOW_FRAMES)
            low, high = max(0, first - reach), min(len(log_mel), last + reach)
            wave = self.generator.unclipped(log_mel[low:high].T[None].to(self.device))[0]
            whole[first * hop : last * hop] = wave[(first - low) * hop : (last - low) * hop]
        return whole


def _arrange(generator: BigvganGenerator, device: torch.device, number_type: torch.dtype) -> None:
    """Casts weights where that pays, and on a CPU lays them out in the order they are read in.

    The first and the last convolution stay float32: they work on the mel and on the sound.
    """
    on_cpu = device.type == "cpu"
    least = LEAST_FAST_CHANNELS if on_cpu else 1
    inner = {*generator.ups.modules(), *generator.resblocks.modules()}
    for module in generator.modules():
        if isinstance(module, AliasFreeSnake):
            module.fused = on_cpu
        if isinstance(module, Weights):
            weight = module.weight.detach()
            if module in inner and min(weight.shape[:2]) >= least:
                weight = weight.to(number_type)
            if on_cpu:
                weight = weight.transpose(1, 2).contiguous().transpose(1, 2)
            module.weight = nn.Parameter(weight, requires_grad=False)


def bigvgan_from_checkpoint(
    config: BigvganConfig,
    weights: Mapping[str, Tensor],
    mel: MelConfig,
    device: torch.device,
    fast: bool = True,
) -> Bigvgan:
    """A BigVGAN ready to be used, from an official state dict, weight norm present or folded.

    Raises:
        VocoderError: the weights do not fit the config, or the config's mels are not `mel`.
    """
    check_mel(config, mel)
    return Bigvgan(generator_from_checkpoint(config, weights), mel, device, fast)
