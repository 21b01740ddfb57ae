"""Waves as arrays: resampling and levels. Files are read in artifacts.audio_decode."""

import math

import numpy as np
import soxr
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def amplitude(level_dbfs: float) -> float:
    """The sample value at a level: 0 dBFS is 1.0, -20 dBFS is 0.1."""
    return float(10.0 ** (level_dbfs / 20.0))


def dbfs(value: float) -> float:
    """The level of a sample value, minus infinity for 0."""
    return 20.0 * math.log10(value) if value > 0 else -math.inf


def resample(wave: Wave, rate_in: int, rate_out: int) -> Wave:
    """The wave at another sample rate, by soxr at quality HQ.

    Args:
        wave: (T,) float32 at rate_in.
    Returns:
        (T',) float32, T' = T * rate_out / rate_in to the nearest whole, a half rounded up;
        the wave itself if the rates are equal.
    """
    if rate_in == rate_out:
        return wave
    resampled: Wave = soxr.resample(wave, rate_in, rate_out, quality="HQ")
    return resampled


def true_peak(wave: Wave) -> float:
    """The highest absolute value between and on the samples, from 4x oversampling.

    Args:
        wave: (T,) float32; an empty wave has peak 0.
    Source: ITU-R BS.1770-4, annex 2, with soxr's VHQ filter in place of its 48-tap one.
    """
    if wave.shape[0] == 0:
        return 0.0
    between = soxr.resample(wave, 1, 4, quality="VHQ")
    return float(max(np.abs(between).max(initial=0.0), np.abs(wave).max()))


def level_to_true_peak(wave: Wave, limit_dbfs: float = -1.0) -> Wave:
    """The wave, turned down by one gain where its true peak is above the limit, else unchanged."""
    peak, limit = true_peak(wave), amplitude(limit_dbfs)
    return wave * np.float32(limit / peak) if peak > limit else wave


def rms_dbfs(wave: Wave) -> float:
    """The root mean square of a (T,) wave: -3.01 for a full-scale sine, -inf for silence."""
    if wave.shape[0] == 0:
        return -math.inf
    return dbfs(math.sqrt(float(np.square(wave, dtype=np.float64).mean())))
