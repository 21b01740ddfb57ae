import numpy as np
import pytest
import soxr

from core import audio
from core.audio import (
    amplitude,
    dbfs,
    equally_loud,
    resample,
    rms_dbfs,
    true_peak,
)


def sine(hz: float, rate: int, samples: int, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(samples) / rate + phase).astype(np.float32)


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (44_101, 44_100)]
)
@pytest.mark.parametrize("samples", [0, 1, 2, 40, 1001, 12_347])  # 40 at 8 kHz: 220.5
def test_resampled_length_is_the_rounded_ratio(rate_in: int, rate_out: int, samples: int) -> None:
    wave = np.zeros(samples, np.float32)
    assert resample(wave, rate_in, rate_out).shape == (
        (2 * samples * rate_out + rate_in) // (2 * rate_in),
    )


def test_resampling_a_sine_gives_the_sine_at_the_new_rate() -> None:
    resampled = resample(sine(1000, 48_000, 48_000), 48_000, 44_100)
    inner = slice(2000, -2000)  # away from the ends, where the filter sees silence
    np.testing.assert_allclose(resampled[inner], sine(1000, 44_100, 44_100)[inner], atol=1e-4)


def test_equal_rates_leave_a_wave_alone() -> None:
    wave = sine(440, 44_100, 100)
    assert resample(wave, 44_100, 44_100) is wave


def test_true_peak_finds_the_crest_between_samples() -> None:
    # A sine at a quarter of the rate, 45 degrees on: samples at 0.7071, crests at 1.
    wave = sine(11_025, 44_100, 4410, phase=np.pi / 4)
    assert np.abs(wave).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak(wave[500:-500]) == pytest.approx(1.0, abs=0.02)


def test_true_peak_is_never_below_the_highest_sample() -> None:
    impulse = np.zeros(99, np.float32)
    impulse[50] = -2.0
    assert true_peak(impulse) >= 2.0


@pytest.mark.parametrize("samples", [99, 100, 101, 200, 250])
def test_the_peak_is_that_of_the_whole_wave_whatever_the_blocks(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    wave[98:102] = 4.0  # highest between samples, over a block's edge where there is one
    whole = soxr.resample(wave, 1, 4, quality="VHQ")
    monkeypatch.setattr(audio, "BLOCK", 100)
    assert true_peak(wave) == max(np.abs(whole).max(), np.abs(wave).max())


def test_true_peak_of_nothing_is_0() -> None:
    assert true_peak(np.zeros(0, np.float32)) == 0.0


def test_rms_of_a_full_scale_sine_is_3_db_down() -> None:
    assert rms_dbfs(sine(441, 44_100, 44_100)) == pytest.approx(-3.0103, abs=1e-3)


def test_silence_is_infinitely_low() -> None:
    assert rms_dbfs(np.zeros(10, np.float32)) == rms_dbfs(np.zeros(0, np.float32)) == -np.inf


def test_levels_and_amplitudes_are_inverse() -> None:
    assert amplitude(-20.0) == pytest.approx(0.1)
    assert dbfs(amplitude(-37.5)) == pytest.approx(-37.5)


def test_waves_are_made_as_loud_as_the_first() -> None:
    waves = [0.1 * sine(440, 44_100, 5000), 0.02 * sine(900, 44_100, 5000), sine(50, 44_100, 999)]
    matched = equally_loud(waves)
    assert [rms_dbfs(one) for one in matched] == pytest.approx([rms_dbfs(waves[0])] * 3, abs=1e-4)
    np.testing.assert_array_equal(matched[0], waves[0])


def test_all_are_turned_down_where_one_would_be_too_loud() -> None:
    click = np.zeros(44_100, np.float32)
    click[20_000] = 0.5
    steady, sharp = equally_loud([0.5 * sine(440, 44_100, 44_100), click])
    assert rms_dbfs(sharp) < rms_dbfs(steady)  # 20 dB are the most it is turned up
    assert max(true_peak(steady), true_peak(sharp)) == pytest.approx(10 ** (-1 / 20), rel=1e-4)
    assert sharp.max() / steady.max() == pytest.approx(10, rel=0.01)


def test_silence_is_not_turned_up() -> None:
    wave = 0.1 * sine(440, 44_100, 5000)
    assert not equally_loud([wave, np.zeros(5000, np.float32)])[1].any()
    assert rms_dbfs(equally_loud([np.zeros(5000, np.float32), wave])[1]) < rms_dbfs(wave)
