"""Playing BigVGAN-v2: in windows of bounded memory, and as fast as the hardware allows."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.bigvgan import BigvganGenerator, generator_from_checkpoint, reach_frames
from core.bigvgan_config import BigvganConfig, check_mel
from core.bigvgan_layers import Weights
from core.config import AnyVocoderName, MelConfig
from core.snake import AliasFreeSnake
from core.vocoder import Vocoder

WINDOW_FRAMES = 448  # 5.2 s at a time at most
LEAST_FAST_CHANNELS = 96  # narrower layers gain little time from bfloat16 and lose more


def fast_type(device: torch.device) -> torch.dtype:
    """The short numbers that a device multiplies faster than float32, or float32."""
    if device.type == "cuda":
        return torch.float16
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)  # not every torch can tell
    if device.type == "cpu" and has_amx is not None and has_amx():
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
        self.numbers = fast_type(device) if fast else torch.float32  # that wide layers multiply
        _arrange(generator, device, self.numbers)

    @torch.no_grad()
    def wave(self, log_mel: Tensor, *_: object) -> Tensor:
        frames, hop, reach = len(log_mel), self.mel.hop_samples, self.reach_frames
        whole = torch.empty(frames * hop)
        size, starts = windows(frames, reach)
        for start in starts:
            window = log_mel[start : start + size].T[None].to(self.device)
            wave = self.generator.unclipped(window)[0]
            first = reach if start else 0  # what lies before it heard the window's edge
            whole[(start + first) * hop : (start + size) * hop] = wave[first * hop :]
        return whole


def windows(frames: int, reach: int) -> tuple[int, list[int]]:
    """The size and the starts of equal windows that overlap by `reach` frames twice or more.

    Equal, so that memory freed by one is what the next one needs.

    >>> windows(300, 21), windows(1000, 21)
    ((300, [0]), (362, [0, 319, 638]))
    """
    count = max(1, math.ceil((frames - 2 * reach) / (WINDOW_FRAMES - 2 * reach)))
    size = math.ceil((frames + 2 * reach * (count - 1)) / count)
    return size, [number * (frames - size) // max(1, count - 1) for number in range(count)]


def _arrange(generator: BigvganGenerator, device: torch.device, number_type: torch.dtype) -> None:
    """Casts weights where that pays, and on a CPU lays them out in the order they are read in.

    The first and the last convolution stay float32, as do the upsamplings: what is rounded
    there goes through all that follows (3 dB), and they take a tenth of the time.
    """
    on_cpu = device.type == "cpu"
    least = LEAST_FAST_CHANNELS if on_cpu else 1
    inner = set(generator.resblocks.modules())
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
