"""Figures of copies in closed form, and images put there on purpose."""

import dataclasses
import math

import numpy as np
import pytest
import soxr
import torch
from torch import Tensor

from core.config import MelConfig
from core.fidelity import (
    Fidelity,
    fidelity,
    flat_tops,
    mean_fidelity,
    mirror_correlation,
    repetitions,
)
from core.spectral import framed_spectrum

MEL = MelConfig()
RATE = MEL.sample_rate


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) / 10


def sine(hz: float, samples: int = RATE) -> Tensor:
    return torch.sin(2 * math.pi * hz * torch.arange(samples, dtype=torch.float64) / RATE).float()


def test_sound_is_like_itself_in_every_figure() -> None:
    assert dataclasses.astuple(fidelity(noise(8192), noise(8192), MEL)) == (0,) * 8


def test_half_the_level_is_six_decibels_down_and_converges_to_a_half() -> None:
    found = fidelity(noise(8192) / 2, noise(8192), MEL)
    assert found.level_db == pytest.approx(20 * math.log10(0.5), abs=1e-3)
    assert found.spectral_convergence == pytest.approx(0.5, abs=1e-4)
    assert found.crest_db == pytest.approx(0, abs=1e-3)
    assert found.range_db == pytest.approx(0, abs=1e-3)


def test_silent_copy_has_finite_figures() -> None:
    found = fidelity(torch.zeros(8192), noise(8192), MEL)
    assert all(math.isfinite(value) for value in dataclasses.astuple(found))
    assert found.level_db < -90
    assert found.spectral_convergence == pytest.approx(1)


def test_crest_of_a_square_is_three_decibels_below_that_of_a_sine() -> None:
    assert fidelity(sine(441).sign(), sine(441), MEL).crest_db == pytest.approx(-3.01, abs=0.05)


def test_range_is_that_of_the_frames_levels() -> None:
    # One second loud and one second at a tenth: 20 dB; the copy is steady.
    falls = torch.cat([sine(1000), sine(1000) / 10])
    found = fidelity(torch.cat([sine(1000)] * 2), falls, MEL)
    assert found.range_db == pytest.approx(-20, abs=0.5)


def test_highs_are_counted_above_20_khz_alone() -> None:
    real = sine(1000) + 0.01 * sine(21_000)
    assert fidelity(sine(1000) + 0.1 * sine(21_000), real, MEL).above_20k_db == pytest.approx(
        20, abs=0.2
    )
    below = fidelity(real + 0.1 * sine(19_000), real, MEL).above_20k_db
    assert below == pytest.approx(0, abs=0.1)


def test_highs_that_nobody_hears_do_not_count() -> None:
    # -120 dB and -100 dB beside the original: both under the floor of -80 dB.
    found = fidelity(sine(1000) + 1e-5 * sine(21_000), sine(1000) + 1e-6 * sine(21_000), MEL)
    assert found.above_20k_db == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("samples", [1, 500, 2047])
def test_tiny_sounds_have_figures(samples: int) -> None:
    found = fidelity(noise(samples, 1), noise(samples), MEL)
    assert all(math.isfinite(value) for value in dataclasses.astuple(found))


def with_images(wave: Tensor, doublings: int, level_db: float) -> Tensor:
    """The wave and, at that level, what zero-stuffing its lower half (or quarter) leaves."""
    times = 2**doublings
    low = soxr.resample(wave.numpy(), times, 1, quality="VHQ")
    stuffed = np.zeros(len(low) * times, np.float32)
    stuffed[::times] = times * low
    images = stuffed - soxr.resample(low, 1, times, quality="VHQ")[: len(stuffed)]
    count = min(len(wave), len(images))
    return wave[:count] + 10 ** (level_db / 20) * torch.from_numpy(images[:count])


def dull(samples: int) -> Tensor:
    """Noise that falls by 6 dB an octave, as most sounds do."""
    falling = torch.fft.rfft(noise(samples)) / (1 + torch.arange(samples // 2 + 1) / 50)
    return torch.fft.irfft(falling)


@pytest.mark.parametrize("doublings", [1, 2])
def test_images_are_seen_against_the_sound_without_them(doublings: int) -> None:
    wave = dull(RATE)
    copy = with_images(wave, doublings, -20)
    assert fidelity(copy, wave[: len(copy)], MEL).mirrored > 0.15


def test_copy_with_other_phases_and_fluctuations_has_no_images() -> None:
    wave = dull(RATE)
    other = torch.fft.irfft(torch.fft.rfft(wave).abs() * torch.fft.rfft(noise(RATE, 1)).sgn())
    assert abs(fidelity(other, wave, MEL).mirrored) < 0.03


def test_mirror_image_of_everything_correlates_fully() -> None:
    # Every other sample zero: the spectrum is symmetric about half of Nyquist.
    wave = noise(RATE)
    wave[1::2] = 0
    found = framed_spectrum(wave[None], 2048, 512)[0].abs()
    assert mirror_correlation(found, 2) == pytest.approx(1, abs=0.1)


def test_buzz_at_the_frames_rate_is_no_image() -> None:
    # Clicks every 512 samples: a comb of 4 bins, symmetric about every tooth.
    wave = dull(RATE)
    buzzing = wave.clone()
    buzzing[::512] += 0.3 * wave.abs().max()
    assert abs(fidelity(buzzing, wave, MEL).mirrored) < 0.05


@pytest.mark.parametrize("limit", [0.2, 0.5, 0.9])
def test_share_of_flat_tops_is_that_of_the_samples_beyond_the_limit(limit: float) -> None:
    wave = sine(441)  # 100 samples a period: none in a run is missed at a limit this low
    clipped = wave.clamp(-limit, limit)
    beyond = 1 - 2 / math.pi * math.asin(limit)
    assert flat_tops(clipped) == pytest.approx(beyond, abs=0.02)


@pytest.mark.parametrize("hz", [20, 50, 997, 11_025])
def test_whole_sines_have_no_flat_tops(hz: float) -> None:
    assert flat_tops(0.7 * sine(hz)) == 0


def test_silence_and_tiny_sounds_have_no_flat_tops() -> None:
    assert flat_tops(torch.zeros(1000)) == 0
    assert flat_tops(torch.ones(2)) == 0


def test_silence_around_a_sound_is_no_flat_top() -> None:
    assert flat_tops(torch.cat([torch.zeros(5000), noise(5000)])) == 0


def test_every_sound_counts_the_same_in_the_mean() -> None:
    assert mean_fidelity([Fidelity(*[1.0] * 8), Fidelity(*[3.0] * 8)]) == Fidelity(*[2.0] * 8)


def hiss_with_the_same_frame(share: float, hops: int = 1) -> Tensor:
    """Noise of which that share of the power is the same after so many frames."""
    frame = noise(hops * 512, 1).repeat(-(-RATE // (hops * 512)))[:RATE]
    return share**0.5 * frame + (1 - share) ** 0.5 * noise(RATE)


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_buzz_is_the_share_of_the_power_that_repeats(share: float, hops: int) -> None:
    found = fidelity(hiss_with_the_same_frame(share, hops), noise(RATE, 2), MEL).buzz
    assert found == pytest.approx(share, abs=0.03)


def test_what_repeats_later_in_the_original_does_not_excuse_a_buzz() -> None:
    original = hiss_with_the_same_frame(1.0, 3)
    assert fidelity(hiss_with_the_same_frame(1.0), original, MEL).buzz == pytest.approx(1, abs=0.1)
    assert fidelity(original, original, MEL).buzz == 0


@pytest.mark.parametrize(("samples", "lags"), [(9 * 512 - 1, 0), (9 * 512, 1), (12 * 512, 4)])
def test_short_sounds_are_compared_with_what_there_is(samples: int, lags: int) -> None:
    found = repetitions(hiss_with_the_same_frame(1.0)[:samples], MEL)
    assert found == pytest.approx([1.0] * lags, abs=0.01)


def test_buzz_is_asked_of_the_highs_and_less_the_originals() -> None:
    low, high = (0.5 * sine(times * RATE / 512) for times in (5, 50))  # 431 Hz and 4.3 kHz
    hiss = 0.1 * noise(RATE)
    assert fidelity(low + hiss, hiss, MEL).buzz == pytest.approx(0, abs=0.03)
    assert fidelity(high, hiss, MEL).buzz == pytest.approx(1, abs=0.03)
    assert fidelity(high, high, MEL).buzz == 0


def test_soft_ends_do_not_tell_of_a_buzz() -> None:
    soft = 1e-4 * hiss_with_the_same_frame(1.0)
    assert fidelity(torch.cat([noise(RATE), soft]), noise(2 * RATE), MEL).buzz < 0.1


def test_what_nobody_hears_does_not_buzz() -> None:
    loud = 0.5 * sine(200)
    assert fidelity(loud + 1e-6 * hiss_with_the_same_frame(1.0), loud, MEL).buzz == 0


def test_hiss_in_the_place_of_a_pitch_does_not_make_up_for_a_buzz() -> None:
    partials = 0.5 * sine(50 * RATE / 512)
    assert fidelity(noise(RATE), partials, MEL).buzz == 0
