"""Copies that are too high or too low, and mels that are not those of their waves."""

import numpy as np
import pytest
import soxr
import torch
from torch import Tensor

from core.alignment import bands_off, mel_error, misfits, wave_mel
from core.config import MelConfig
from core.mel import silence

MEL = MelConfig()


def partials(samples: int = 44_100) -> Tensor:
    """Decaying partials of 311 Hz with a little noise."""
    t = torch.arange(samples, dtype=torch.float64) / MEL.sample_rate
    tones = [torch.sin(2 * torch.pi * 311 * k * t) / k for k in range(1, 40)]
    rng = torch.Generator().manual_seed(0)
    noise = 0.003 * torch.randn(samples, generator=rng, dtype=torch.float64)
    return (0.2 * torch.stack(tones).sum(0) * torch.exp(-4 * t) + noise).float()


def moved(mel: Tensor, bands: int) -> Tensor:
    return torch.roll(mel, bands, dims=1)


@pytest.mark.parametrize("bands", [-3, -1, 0, 1, 2])
def test_mel_moved_by_bands_is_found_to_be(bands: int) -> None:
    mel = wave_mel(partials(), MEL)
    assert bands_off([misfits(moved(mel, bands), mel)]) == bands


def test_level_and_length_make_no_difference() -> None:
    mel = wave_mel(partials(), MEL)
    assert bands_off([misfits(moved(mel, 1)[:-9] - 3.0, mel)]) == 1


def test_what_44_khz_sound_is_as_48_khz_is_three_bands_too_high() -> None:
    # log2(48 / 44.1) octaves; above 1 kHz a band is 3.25 %: ln(1.088) / ln(1.0325) = 2.65.
    faster = soxr.resample(partials().numpy(), 48_000, 44_100)
    found = misfits(wave_mel(torch.from_numpy(faster), MEL), wave_mel(partials(), MEL))
    assert bands_off([found]) == 3


def test_every_sound_has_the_same_say() -> None:
    mel = wave_mel(partials(), MEL)
    quiet = misfits(moved(mel, 1), mel)
    contrasty = misfits(5 * mel, 5 * mel)
    assert float(quiet.mean()) == pytest.approx(1)
    assert float(contrasty.mean()) == pytest.approx(1)


def test_flat_spectra_say_nothing_and_are_taken_for_right() -> None:
    flat = torch.full((4, 128), silence(MEL))
    assert bands_off([misfits(flat, flat)]) == 0


def test_mel_of_its_own_wave_has_no_error() -> None:
    wave = partials()
    assert mel_error(wave_mel(wave, MEL), wave, MEL) == 0
    beginning = wave[: (20 + 3) * 512]
    assert mel_error(wave_mel(wave, MEL)[:20], beginning, MEL) == pytest.approx(0, abs=1e-5)


def test_mel_moved_by_a_band_has_an_error() -> None:
    wave = partials()
    assert mel_error(moved(wave_mel(wave, MEL), 1), wave, MEL) > 0.1


def test_mel_of_a_sound_shorter_than_a_window_is_padded_with_silence() -> None:
    short = np.zeros(2048, np.float32)
    short[:900] = partials()[:900]
    padded = wave_mel(torch.from_numpy(short), MEL)
    torch.testing.assert_close(wave_mel(partials()[:900], MEL), padded)
