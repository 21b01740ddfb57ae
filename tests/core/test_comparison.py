"""Distances in closed form, and who wins."""

import math

import pytest
import torch
from torch import Tensor

from core.comparison import Distance, distance, mean_distance
from core.config import MelConfig

MEL = MelConfig()


def noise(samples: int) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(0))


def test_sound_is_at_no_distance_from_itself() -> None:
    assert distance(noise(8192), noise(8192), MEL) == Distance(0.0, 0.0)


def test_distance_to_a_sound_at_half_the_level_has_a_closed_form() -> None:
    # Log mels differ by log 2; spectral convergence is 1/2, log magnitudes differ by log 2.
    found = distance(noise(8192) / 2, noise(8192), MEL)
    assert found.log_mel_l1 == pytest.approx(math.log(2), abs=1e-3)
    assert found.mr_stft == pytest.approx(0.5 + math.log(2), abs=1e-3)


@pytest.mark.parametrize("samples", [1, 512, 2047])
def test_tiny_sounds_are_compared_with_silence_after_them(samples: int) -> None:
    padded = torch.nn.functional.pad(noise(samples), (0, 2048 - samples))
    assert distance(noise(samples) / 2, noise(samples), MEL) == distance(padded / 2, padded, MEL)


def test_every_sound_counts_the_same_in_the_mean() -> None:
    assert mean_distance([Distance(1, 5), Distance(2, 1)]) == Distance(1.5, 3)
