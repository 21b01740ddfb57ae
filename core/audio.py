"""Waves as arrays: resampling, levels, offsets. Files are read in artifacts.audio_decode."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Wave = NDArray[np.float32]

LOUDEST_DBFS = -1.0005  # the true peak of whatever is to be played: rounded to 16 bits below -1
MOST_MATCHING = 10.0  # a copy further off than 20 dB is no copy, and its noise is left low
BLOCK = 1 << 18  # samples of a long wave that are looked at at once
OFFSET_SHARE = 0.003  # of the RMS: an offset 50 dB below the sound itself is left alone
OFFSET_SECONDS = 0.1  # of the moving average: 10 Hz and above pass, within 0.1 dB


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


def joined(pieces: Iterable[Wave]) -> Wave:
    """One new (T,) float32, grown in place: it never stands beside its own pieces."""
    whole = bytearray()
    for piece in pieces:
        whole += piece.astype(np.float32, copy=False).tobytes()
    return np.frombuffer(whole, np.float32)


def true_peak(wave: Wave) -> float:
    """The highest absolute value between and on the samples, from 4x oversampling.

    Args:
        wave: (T,) float32; an empty wave has peak 0.
    Source: ITU-R BS.1770-4, annex 2, with soxr's VHQ filter in place of its 48-tap one.
    """
    peak = 0.0
    stream = soxr.ResampleStream(1, 4, 1, "float32", quality="VHQ")
    for start in range(0, len(wave), BLOCK):  # four times a long wave is much memory
        block = wave[start : start + BLOCK]
        between = stream.resample_chunk(block, last=start + BLOCK >= len(wave))
        peak = max(peak, *(float(np.abs(one).max(initial=0.0)) for one in (block, between)))
    return peak


def turn_down(wave: Wave, limit_dbfs: float = LOUDEST_DBFS) -> None:
    """Change a wave whose true peak is above the limit, by one gain."""
    peak, limit = true_peak(wave), amplitude(limit_dbfs)
    if peak > limit:
        wave *= np.float32(limit / peak)


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


def take_offset_away(wave: Wave, rate: int) -> None:
    """Change a wave that has DC to one that has none.

    A mel says nothing of 0 Hz, so what a vocoder puts there is its own doing. Taking the
    mean away would move the silence around a sound off zero; so the mean is only the sign,
    and what goes is all that is slower than 10 Hz, without a shift of phase.
    """
    if len(wave) == 0 or abs(float(wave.mean(dtype=np.float64))) <= OFFSET_SHARE * _rms(wave):
        return
    width = round(OFFSET_SECONDS * rate)
    reach = 3 * (width // 2 + 1)
    before = wave[:0]  # as it was, where the last block has been changed already
    for start in range(0, len(wave), BLOCK):
        end = min(len(wave), start + BLOCK)
        slow = heard = np.concatenate([before, wave[start : end + reach]])
        for _ in range(3):  # thrice: the side lobes of one pass are at -13 dB
            slow = uniform_filter1d(slow, width, mode="reflect")
        inner = slice(len(before), len(before) + end - start)
        before = heard[max(0, inner.stop - reach) : inner.stop].copy()
        wave[start:end] -= slow[inner]


def _rms(wave: Wave) -> float:
    energy = float(np.einsum("i,i", wave, wave, dtype=np.float64))  # without a float64 copy
    return math.sqrt(energy / max(1, len(wave)))
