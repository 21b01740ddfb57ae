"""From codes to finished files: lengths to the sample, safe peaks, no silent sounds."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.audio import true_peak
from core.config import MelConfig, PriorConfig, RvqvaeConfig, VocoderName
from core.generation import Instrument, drawn_waves, finished, mel_from_codes
from core.prior import Prior
from core.rvqvae import LinearStart, RvqVae
from core.sampling import Sampling
from core.vocoder import Vocoder

MEL = MelConfig(mel_bands=4)


class Loudness(Vocoder):
    """Plays constant waves at the levels of a list, then at 1/2, and keeps the mels it got."""

    name: VocoderName = "griffinlim"

    def __init__(self, *levels: float):
        self.levels, self.mels = list(levels), list[Tensor]()

    def wave(self, log_mel: Tensor) -> Tensor:
        self.mels.append(log_mel)
        return torch.full((len(log_mel) * 512,), self.levels.pop(0) if self.levels else 0.5)


def instrument(vocoder: Vocoder) -> Instrument:
    torch.manual_seed(0)
    books = torch.randn(2, 8, 3)
    start = LinearStart(torch.full((4,), -5.0), torch.ones(()), torch.eye(8)[:, :3], books)
    config = RvqvaeConfig(latent_dim=3, hidden=8, blocks=1)
    rvqvae, prior = RvqVae(start, MEL, config).eval(), Prior(books, PriorConfig(hidden=8))
    return Instrument(MEL, rvqvae, prior, vocoder, longest_frames=6)


def waves(vocoder: Vocoder, seeds: list[int], seconds: float | None = 0.1) -> list[np.ndarray]:
    return list(drawn_waves(instrument(vocoder), seeds, Sampling(), seconds))


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def test_codes_become_two_mel_frames_each() -> None:
    rvqvae = instrument(Loudness()).rvqvae
    assert mel_from_codes(rvqvae, torch.zeros(5, 2, dtype=torch.long)).shape == (10, 4)


def test_loud_sounds_are_drawn_once() -> None:
    vocoder = Loudness()
    assert len(waves(vocoder, [1, 2, 3])) == len(vocoder.mels) == 3


def test_silent_sound_is_drawn_again_from_other_codes() -> None:
    vocoder = Loudness(0.5, 0.0, 0.003, 0.4)  # .003 is -50.5 dBFS
    first, second, third = waves(vocoder, [1, 2, 3])
    assert [wave.max() for wave in (first, second, third)] == pytest.approx([0.5, 0.4, 0.5])
    attempts = vocoder.mels[1:4]
    assert not torch.equal(attempts[0], attempts[1])
    assert not torch.equal(attempts[1], attempts[2])


def test_redrawn_sound_hangs_on_its_own_seed() -> None:
    among, alone = Loudness(0.5, 0.0), Loudness(0.0)
    waves(among, [1, 2])
    waves(alone, [2])
    assert torch.equal(among.mels[2], alone.mels[1])


def test_after_eight_silent_draws_the_last_one_is_given() -> None:
    vocoder = Loudness(*[0.0] * 8)
    (wave,) = waves(vocoder, [1])
    assert len(vocoder.mels) == 8
    assert not wave.any()


def test_without_a_length_sounds_are_as_long_as_the_prior_makes_them() -> None:
    vocoder = Loudness()
    for wave, mel in zip(waves(vocoder, [1, 2, 3], None), vocoder.mels, strict=True):
        assert len(wave) == len(mel) * 512 <= 6 * 1024


# 5.805 s are 250 code frames and half a sample: one code frame more is needed.
@pytest.mark.parametrize("seconds", [0.05, 1024 / 44_100, 5.805, 1.0])
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 384_000])
def test_given_length_is_exact_to_the_sample(seconds: float, rate: int) -> None:
    (wave,) = waves(Loudness(), [1], seconds)
    assert len(finished(wave, 44_100, rate, seconds)) == round(seconds * rate)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("level", [0.01, 0.5, 20.0])
def test_true_peak_is_at_most_minus_one_dbfs(level: float, rate: int) -> None:
    wave = finished(noise(20_000, level), 44_100, rate, None)
    assert true_peak(wave) <= 10 ** (-1 / 20) * (1 + 1e-5)


def test_loud_sound_is_turned_down_and_never_clipped() -> None:
    wave = noise(20_000, 3.0)
    out = finished(wave, 44_100, 44_100, None)
    ratio = out[:-221] / wave[:-221]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert ratio[0] < 0.3


def test_soft_sound_changes_only_in_its_last_five_milliseconds() -> None:
    wave = noise(20_000, 0.01)
    before = wave.copy()
    out = finished(wave, 44_100, 44_100, None)
    np.testing.assert_array_equal(wave, before)  # the given one is left alone
    np.testing.assert_array_equal(out[:-220], wave[:-220])
    gain = out[-220:] / wave[-220:]
    np.testing.assert_allclose(gain, np.linspace(1, 0, 220), atol=1e-5)


@pytest.mark.parametrize("samples", [2, 100, 20_000])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_sound_ends_at_zero(samples: int, rate: int) -> None:
    assert finished(np.full(samples, 0.5, np.float32), 44_100, rate, None)[-1] == 0


def test_resampling_keeps_the_pitch() -> None:
    sine = (0.5 * np.sin(2 * math.pi * 1000 / 44_100 * np.arange(44_100))).astype(np.float32)
    out = finished(sine, 44_100, 48_000, 1.0)
    assert len(out) == 48_000
    assert np.abs(np.fft.rfft(out)).argmax() == 1000
