"""Waves as arrays: resampling, levels, offsets. Files are read in artifacts.audio_decode."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

Wave = NDArray[np.float32]

LOUDEST_DBFS = -1.0005  # the true peak of whatever is to be played: rounded to 16 bits below -1
MOST_MATCHING = 10.0  # a copy further off than 20 dB is no copy, and its noise is left low
BLOCK = 1 << 18  # samples of a long wave that are looked at at once


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
    out: Wave = soxr.resample(wave, rate_in, rate_out, quality="HQ")
    return out


def resampled(pieces: Iterable[Wave], rate_in: int, rate_out: int) -> Iterator[Wave]:
    """The pieces of a wave at another rate, as many samples and the same as of `resample`."""
    if rate_in == rate_out:
        yield from pieces
        return
    stream = soxr.ResampleStream(rate_in, rate_out, 1, "float32", quality="HQ")
    for piece in pieces:
        yield stream.resample_chunk(piece)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def true_peak(wave: Wave) -> float:
    """The highest absolute value between and on the samples, from 4x oversampling.

    Args:
        wave: (T,) float32; an empty wave has peak 0.
    Source: ITU-R BS.1770-4, annex 2, with soxr's VHQ filter in place of its 48-tap one.
    """
    return peak_of(wave[start : start + BLOCK] for start in range(0, len(wave), BLOCK))


def peak_of(blocks: Iterable[Wave]) -> float:
    """The true peak of a wave in blocks: four times a long one is much memory."""
    peak = 0.0
    stream = soxr.ResampleStream(1, 4, 1, "float32", quality="VHQ")
    for block in blocks:
        between = stream.resample_chunk(block)
        peak = max(peak, *(float(np.abs(one).max(initial=0.0)) for one in (block, between)))
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    return max(peak, float(np.abs(rest).max(initial=0.0)))


def rms_dbfs(wave: Wave) -> float:
    """The root mean square of a (T,) wave: -3.01 for a full-scale sine, -inf for silence."""
    return dbfs(_rms(wave))


def equally_loud(waves: Sequence[Wave]) -> list[Wave]:
    """All waves at the RMS level of the first, so that loudness sways no listener.

    Where one's true peak would be above -1 dBFS, all are turned down alike. No gain
    beyond 20 dB; silence stays silence.
    """
    levels = [_rms(wave) for wave in waves]
    matched = []
    for wave, level in zip(waves, levels, strict=True):
        gain = levels[0] / level if level > 0 else 1.0
        matched.append(wave * np.float32(min(max(gain, 1 / MOST_MATCHING), MOST_MATCHING)))
    peak = max(true_peak(wave) for wave in matched)
    common = np.float32(min(1.0, amplitude(LOUDEST_DBFS) / max(peak, 1e-9)))
    return [wave * common for wave in matched]


def energy(wave: Wave) -> float:
    """The sum of the squares of a (T,) wave, without a float64 copy of it."""
    return float(np.einsum("i,i", wave, wave, dtype=np.float64))


def _rms(wave: Wave) -> float:
    return math.sqrt(energy(wave) / max(1, len(wave)))
