"""The last steps to a file: one sample rate, no DC, exact length, a fade and a safe peak.

What the vocoder made is resampled onto a tape and read from there block by block, for its
offset, its peak, its level and the file: of a sound of any length one block is in memory.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from scipy.ndimage import uniform_filter1d

from core.audio import BLOCK, LOUDEST_DBFS, Wave, amplitude, dbfs, energy, peak_of, resampled

FADE_SECONDS = 0.005  # at the end, so that nothing clicks
OFFSET_SHARE = 0.003  # of the RMS: an offset 50 dB below the sound itself is left alone
OFFSET_SECONDS = 0.1  # of the moving average: 10 Hz and above pass, within 0.1 dB


class Tape(Protocol):
    """Keeps a wave of any length: written once, in order, and read in parts."""

    def __len__(self) -> int:
        """Samples on it."""

    def write(self, piece: Wave) -> None:
        """Go on with a (T,) piece."""

    def read(self, start: int, stop: int) -> Wave:
        """(stop - start,) samples of what is on it, 0 <= start <= stop <= its length."""


class ShortTape:
    """One in memory."""

    def __init__(self) -> None:
        self.held = bytearray()

    def __len__(self) -> int:
        return len(self.held) // 4

    def write(self, piece: Wave) -> None:
        self.held += piece.astype(np.float32, copy=False).tobytes()

    def read(self, start: int, stop: int) -> Wave:
        return np.frombuffer(self.held, np.float32, stop - start, 4 * start).copy()


def falling(samples: int, rate: int) -> Wave:
    """The gains at the end of a sound: of its last 5 ms, or of all of it."""
    return np.linspace(1, 0, min(samples, round(FADE_SECONDS * rate)), dtype=np.float32)


class Sound:
    """A finished sound: resampled once, no DC, of exact length, faded out.

    Its true peak is at most -1 dBFS, by one gain.

    Args:
        pieces: of one wave, in order.
        seconds: its length; None leaves it as long as it is.
        tape: an empty one, for this sound alone.
    """

    def __init__(
        self,
        pieces: Iterable[Wave],
        rate_in: int,
        rate_out: int,
        seconds: float | None,
        tape: Tape,
    ) -> None:
        for piece in resampled(pieces, rate_in, rate_out):
            tape.write(piece)
        self.tape = tape
        self.samples = len(tape)
        if seconds is not None:
            self.samples = min(self.samples, max(1, round(seconds * rate_out)))
        self.fade = falling(self.samples, rate_out)
        self.width = round(OFFSET_SECONDS * rate_out)
        self.has_offset = self._has_offset()
        self.gain = np.float32(1)
        peak, limit = peak_of(self.blocks()), amplitude(LOUDEST_DBFS)
        if peak > limit:
            self.gain = np.float32(limit / peak)

    def __len__(self) -> int:
        """Samples."""
        return self.samples

    def blocks(self) -> Iterator[Wave]:
        """The sound in order; each time anew."""
        fading = self.samples - len(self.fade)
        for start in range(0, self.samples, BLOCK):
            stop = min(self.samples, start + BLOCK)
            block = self.tape.read(start, stop) * self.gain
            if self.has_offset:
                block -= self._slow(start, stop) * self.gain
            faded = block[max(0, fading - start) :]
            faded *= self.fade[max(0, start - fading) :][: len(faded)]
            yield block

    def whole(self) -> Wave:
        """(T,) float32."""
        return np.concatenate([np.zeros(0, np.float32), *self.blocks()])

    @property
    def rms_dbfs(self) -> float:
        """Its level, as core.audio.rms_dbfs has it."""
        total = sum(energy(one) for one in self.blocks())
        return dbfs(math.sqrt(total / max(1, self.samples)))

    def _has_offset(self) -> bool:
        """Whether what lies on the tape has DC.

        A mel says nothing of 0 Hz, so what a vocoder puts there is its own doing. Taking the
        mean away would move the silence around a sound off zero; so the mean is only the
        sign, and what goes is all that is slower than 10 Hz, without a shift of phase.
        """
        total = squares = 0.0
        for start in range(0, len(self.tape), BLOCK):
            block = self.tape.read(start, min(len(self.tape), start + BLOCK))
            total += float(block.sum(dtype=np.float64))
            squares += energy(block)
        return abs(total) > OFFSET_SHARE * math.sqrt(squares * len(self.tape))

    def _slow(self, start: int, stop: int) -> Wave:
        """What is slower than 10 Hz in a part of the tape."""
        reach = 3 * (self.width // 2 + 1)
        low = max(0, start - reach)
        slow = self.tape.read(low, min(len(self.tape), stop + reach))
        for _ in range(3):  # thrice: the side lobes of one pass are at -13 dB
            slow = uniform_filter1d(slow, self.width, mode="reflect")
        return slow[start - low : stop - low]
