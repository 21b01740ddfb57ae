"""How near a vocoder brings a sound: the distances of the held-out A/B."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import MelConfig
from core.losses import MrStft, mel_l1

SHORTEST_SAMPLES = 2048  # MR-STFT's longest window


@dataclass(frozen=True)
class Distance:
    """How far a vocoded sound is from the real one."""

    log_mel_l1: float  # nats
    mr_stft: float


@torch.no_grad()
def distance(fake: Tensor, real: Tensor, mel: MelConfig) -> Distance:
    """Both (T,); sounds shorter than 46 ms are padded with silence alike."""
    missing = max(0, SHORTEST_SAMPLES - len(real))
    pair = [torch.nn.functional.pad(wave, (0, missing))[None] for wave in (fake, real)]
    return Distance(float(mel_l1(pair[0], pair[1], mel)), float(MrStft()(pair[0], pair[1])))


def mean_distance(distances: Sequence[Distance]) -> Distance:
    """The mean over sounds, each counting the same."""
    count = len(distances)
    return Distance(
        sum(one.log_mel_l1 for one in distances) / count,
        sum(one.mr_stft for one in distances) / count,
    )
