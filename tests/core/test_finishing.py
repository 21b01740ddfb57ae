"""The last steps to a file: exact, safe, and the same in blocks as whole."""

import math
from typing import Any

import numpy as np
import pytest
import soxr

from core import finishing
from core.audio import resample, rms_dbfs, true_peak
from core.finishing import ShortTape, Sound


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    """Without an offset, which would be taken away."""
    wave = np.random.default_rng(0).standard_normal(samples)
    return (level * (wave - wave.mean())).astype(np.float32)


def sine(hz: float, samples: int) -> np.ndarray:
    """At 44.1 kHz."""
    return (0.5 * np.sin(2 * math.pi * hz / 44_100 * np.arange(samples))).astype(np.float32)


def sound(wave: np.ndarray, rate: int, seconds: float | None = None) -> Sound:
    return Sound([wave], 44_100, rate, seconds, ShortTape())


def finished(wave: np.ndarray, rate: int, seconds: float | None = None) -> np.ndarray:
    return sound(wave, rate, seconds).whole()


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("level", [0.01, 0.5, 20.0])
def test_true_peak_is_at_most_minus_one_dbfs(level: float, rate: int) -> None:
    wave = finished(noise(20_000, level), rate)
    assert true_peak(wave) <= 10 ** (-1 / 20) * (1 + 1e-5)


def test_loud_sound_is_turned_down_and_never_clipped() -> None:
    wave = noise(20_000, 3.0)
    out = finished(wave, 44_100)
    ratio = out[:-221] / wave[:-221]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert ratio[0] < 0.3


def test_soft_sound_changes_only_in_its_last_five_milliseconds() -> None:
    wave = noise(20_000, 0.01)
    before = wave.copy()
    out = finished(wave, 44_100)
    np.testing.assert_array_equal(wave, before)  # the given one is left alone
    np.testing.assert_array_equal(out[:-220], wave[:-220])
    gain = out[-220:] / wave[-220:]
    np.testing.assert_allclose(gain, np.linspace(1, 0, 220), atol=1e-5)


@pytest.mark.parametrize("samples", [2, 100, 20_000])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_sound_ends_at_zero(samples: int, rate: int) -> None:
    assert finished(np.full(samples, 0.5, np.float32), rate)[-1] == 0


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 384_000])
@pytest.mark.parametrize("samples", [1, 7, 9000])
def test_a_wave_in_pieces_is_finished_as_it_were_whole(samples: int, rate: int) -> None:
    wave = noise(9000, 3.0)[:samples]
    pieces = [wave[:1], wave[1:5], wave[5:5], wave[5:]]
    whole = finished(wave, rate)
    parts = Sound(pieces, 44_100, rate, None, ShortTape())
    np.testing.assert_array_equal(parts.whole(), whole)
    assert len(whole) == len(resample(wave, 44_100, rate))


def test_resampling_keeps_the_pitch() -> None:
    out = finished(sine(1000, 44_100), 48_000, 1.0)
    assert len(out) == 48_000
    assert np.abs(np.fft.rfft(out)).argmax() == 1000


@pytest.mark.parametrize(("rate", "times"), [(44_100, 0), (48_000, 1), (22_050, 1)])
def test_sound_is_resampled_once_at_most(
    rate: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    real = soxr.ResampleStream

    def counted(rate_in: int, rate_out: int, *rest: Any, **named: Any) -> soxr.ResampleStream:
        calls.append((rate_in, rate_out))
        return real(rate_in, rate_out, *rest, **named)

    monkeypatch.setattr(soxr, "ResampleStream", counted)
    monkeypatch.delattr(soxr, "resample")
    finished(noise(9000), rate)
    assert calls == [(44_100, rate)] * times + [(1, 4)]  # and where the peak is looked for


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_finished_sound_has_no_offset(rate: int) -> None:
    offset = noise(44_100) + np.float32(0.3)
    wave = finished(offset, rate)
    assert abs(wave.mean()) < 1e-4
    assert len(wave) == rate
    assert len(finished(offset, rate, 0.25)) == rate // 4
    assert wave[-1] == 0  # faded to the end
    np.testing.assert_array_equal(finished(offset, rate), wave)


# 20,000 is more than the moving averages reach, 6,618 to a side; the last block is short or one.
@pytest.mark.parametrize("samples", [20_001, 47_000, 80_000])
@pytest.mark.parametrize("seconds", [None, 0.4537])  # 8 samples into the second block
def test_a_sound_is_the_same_whatever_the_blocks(
    samples: int, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = 4 * sine(3, samples) + np.float32(0.25)  # slow enough to be taken away in part
    whole = sound(wave, 44_100, seconds)
    expected = whole.whole()
    assert whole.gain < 1
    monkeypatch.setattr(finishing, "BLOCK", 20_000)
    blocks = list(sound(wave, 44_100, seconds).blocks())
    assert [len(one) for one in blocks[:-1]] == [20_000] * ((len(whole) - 1) // 20_000)
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-6)
    assert sound(wave, 44_100, seconds).rms_dbfs == pytest.approx(rms_dbfs(expected))


def test_a_sound_is_read_as_often_as_wanted() -> None:
    one = sound(noise(20_000, 3.0), 48_000)
    np.testing.assert_array_equal(one.whole(), one.whole())


def test_nothing_is_finished_to_nothing() -> None:
    one = sound(np.zeros(0, np.float32), 44_100)
    assert len(one) == len(one.whole()) == 0
    assert one.rms_dbfs == -math.inf
