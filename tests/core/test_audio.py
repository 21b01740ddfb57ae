import numpy as np
import pytest

from core.audio import amplitude, dbfs, level_to_true_peak, resample, rms_dbfs, true_peak


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


def test_true_peak_of_nothing_is_0() -> None:
    assert true_peak(np.zeros(0, np.float32)) == 0.0


def test_levelling_brings_a_loud_wave_to_the_limit() -> None:
    levelled = level_to_true_peak(4 * sine(997, 44_100, 8000), limit_dbfs=-1.0)
    assert true_peak(levelled) == pytest.approx(10 ** (-1 / 20), rel=1e-4)


def test_levelling_leaves_a_quiet_wave_alone() -> None:
    wave = 0.5 * sine(997, 44_100, 8000)
    assert level_to_true_peak(wave) is wave


def test_rms_of_a_full_scale_sine_is_3_db_down() -> None:
    assert rms_dbfs(sine(441, 44_100, 44_100)) == pytest.approx(-3.0103, abs=1e-3)


def test_silence_is_infinitely_low() -> None:
    assert rms_dbfs(np.zeros(10, np.float32)) == rms_dbfs(np.zeros(0, np.float32)) == -np.inf


def test_levels_and_amplitudes_are_inverse() -> None:
    assert amplitude(-20.0) == pytest.approx(0.1)
    assert dbfs(amplitude(-37.5)) == pytest.approx(-37.5)
