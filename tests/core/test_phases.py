"""Phases from magnitudes: tones keep their pitch, strokes their place."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import MelConfig
from core.phases import phases_of
from core.spectral import spectrum, wave_from_spectrum

MEL = MelConfig()
RATE = MEL.sample_rate


def tone(hertz: float, frames: int = 60) -> Tensor:
    return 0.3 * torch.sin(2 * math.pi * hertz * torch.arange(frames * 512) / RATE)


def frames_of(wave: Tensor) -> Tensor:
    return spectrum(wave[None], 2048, 512)[0]


def level(wave: Tensor) -> Tensor:
    """(F, bins) what phases are read off."""
    return frames_of(wave).abs().clamp_min(1e-6).log()


def again(wave: Tensor) -> Tensor:
    """From its magnitude alone."""
    phases = phases_of(level(wave), MEL)
    frames = torch.polar(frames_of(wave).abs(), phases.nan_to_num())
    return wave_from_spectrum(frames[None], 2048, 512)[0]


@pytest.mark.parametrize("hertz", [100.0, 440.0, 1234.5, 5000.0])
def test_a_tone_keeps_its_pitch_and_its_level(hertz: float) -> None:
    found = again(tone(hertz))[5_120:-5_120]  # within its ends
    time = np.arange(len(found)) / RATE
    turned = found.numpy() * np.exp(-2j * np.pi * hertz * time)
    # What turns with the tone stands still: half its amplitude, whichever phase it began at.
    pieces = turned[: len(turned) // 2048 * 2048].reshape(-1, 2048).mean(1)
    assert np.abs(pieces) == pytest.approx(0.15, rel=0.05)
    assert np.abs(np.diff(np.angle(pieces / pieces[0]))).max() < 0.2  # 0.7 Hz


def test_a_stroke_stays_a_stroke() -> None:
    wave = torch.zeros(40 * 512)
    wave[10_000] = 1.0
    found = again(wave)
    middle = int(found.abs().argmax())
    assert abs(middle - 10_000) < 256  # to half a frame
    energy = found.square()
    assert float(energy[middle - 16 : middle + 17].sum() / energy.sum()) > 0.8


@pytest.mark.parametrize("sharpness", [0.5, 2.0])
def test_what_bends_as_little_as_hiss_is_left_open(sharpness: float) -> None:
    # A tone's own magnitude to a power bends in proportion: a half and twice are a tone's yet,
    # a tenth of either is not.
    log_magnitude = sharpness * level(tone(1000.0))
    middle = round(1000 * 2048 / RATE)
    ridge = slice(middle - 1, middle + 2)
    assert phases_of(log_magnitude, MEL)[5:-5, ridge].isfinite().all()
    assert phases_of(0.1 * log_magnitude, MEL)[5:-5, ridge].isnan().all()
    assert phases_of(torch.zeros(9, 1025), MEL).isnan().all()


def test_phases_are_told_as_angles_from_0_on() -> None:
    phases = phases_of(level(tone(440.0)), MEL)
    known = phases[phases.isfinite()]
    assert float(known.min()) >= 0
    assert float(known.max()) <= 2 * math.pi + 1e-6


def test_a_fading_tone_keeps_its_pitch_far_below_its_attack() -> None:
    wave = tone(700.0, 200)
    wave *= 10 ** (-torch.arange(len(wave)) / len(wave) * 80 / 20)  # by 80 dB
    found = again(wave)[-40 * 512 : -5 * 512]
    power = torch.fft.rfft(found * torch.hann_window(len(found))).abs().square()
    hertz = torch.arange(len(power)) * RATE / len(found)
    assert float(power[(hertz - 700).abs() < 20].sum() / power.sum()) > 0.9


def test_what_is_known_stays_and_leads_on() -> None:
    wave = tone(440.0) + tone(3000.0)
    truth, log_magnitude = frames_of(wave).angle(), level(wave)
    known = truth[:20].clone()
    known[:3] = torch.nan
    phases = phases_of(log_magnitude, MEL, known)
    loud = log_magnitude[20:30] > log_magnitude.max() - 3

    def off(found: Tensor) -> Tensor:
        return torch.polar(torch.ones(10, 1025), (found - truth)[20:30])[loud].angle().abs()

    given = known.isfinite() & phases[:20].isfinite()
    apart = torch.polar(torch.ones(20, 1025), phases[:20] - known)[given].angle()
    assert float(apart.abs().max()) < 1e-5
    assert float(off(phases).max()) < 0.5
    assert float(off(phases_of(log_magnitude, MEL)).max()) > 0.5  # else it would show nothing


@pytest.mark.parametrize("frames", [1, 2])
def test_the_shortest_sounds_have_phases(frames: int) -> None:
    found = phases_of(level(tone(440.0))[10 : 10 + frames], MEL)
    assert found.shape == (frames, 1025)
    assert found[:, round(440 * 2048 / RATE)].isfinite().all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bins", [1, 1025])
def test_a_magnitude_that_is_no_number_has_no_phases(wrong: float, bins: int) -> None:
    log_magnitude = level(tone(440.0))
    log_magnitude[30, :bins] = wrong
    assert phases_of(log_magnitude, MEL).isnan().all()
