"""The held-out A/B: how near each vocoder brings a sound, and which one won."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import MelConfig, VocoderName
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


def winner(from_model: Mapping[VocoderName, Distance]) -> VocoderName:
    """The vocoder with the least MR-STFT from the model's own mels.

    MR-STFT decides because Griffin-Lim minimises the mel mismatch itself, so L1
    flatters it.
    """
    return min(from_model, key=lambda name: (from_model[name].mr_stft, name))
