"""One sound file to mono float32 on disk, with the memory of one block.

What the file's header promises is checked first, in artifacts.sound_header.
"""

import contextlib
import hashlib
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from artifacts.audio_files import printable
from artifacts.sound_header import Header, read_header
from core.audio import Wave, amplitude, dbfs
from core.config import IngestConfig
from core.errors import AudioError

LOWEST_RATE, HIGHEST_RATE = 2_000, 768_000
MOST_CHANNELS = 64
LOUDEST_DBFS = 60.0  # a float file above this holds integers or rubbish
BLOCK_SAMPLES = 131_072  # decoded at a time, over all channels
OGG_SLACK_FRAMES = 8192  # the longest Vorbis block; an Ogg may start or end within one
MP3_SLACK_FRAMES = 2 * 1152
MP3_TAIL_BYTES = 4096  # tags behind the last MP3 frame


class ReadError(OSError):
    """The sound's disk refuses to read it: no fault of its bytes, nor of where they go."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Tells errors of reading a sound from those of writing what it decodes to."""
    try:
        yield
    except OSError as error:
        raise ReadError(error.errno, error.strerror) from error


@dataclass(frozen=True)
class Decoded:
    samples: int
    peak: float  # highest absolute sample of the mono float32, not bounded by 1
    rms: float
    source_rate: int
    channels: int
    sha256: str  # of the float32 bytes


def decode(source: Path, target: Path, config: IngestConfig) -> Decoded:
    """Write a sound file to target as mono, little-endian float32 at config.sample_rate.

    It is the channels' mean, resampled by soxr at quality HQ: what core.audio.resample
    makes of the whole. After an error there is no target.

    Raises:
        AudioError: the file is not a whole, audible sound. The message says what is
            wrong and what to do; its subject, the file's name, is left to the caller.
        ReadError: it cannot be read, this time at least.
        OSError: the target cannot be written.
    """
    with reading():
        regular = source.is_file()
    if not regular:
        raise AudioError("is not a regular file; remove it")
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise AudioError(f"cannot be read ({error.strerror}); check its permissions") from None
    try:
        with file, target.open("wb") as out:
            return _decode(file, out, config)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def decoded_wave(source: Path, config: IngestConfig) -> NDArray[np.float32]:
    """(T,) one sound file's samples, as `decode` writes them.

    Raises:
        AudioError: the file is not a whole, audible sound, or cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "wave"
        try:
            decode(source, target, config)
        except AudioError as error:
            raise AudioError(f"{printable(source.name)} {error}") from None
        except ReadError as error:
            raise AudioError(
                f"{printable(source.name)} cannot be read ({error.strerror}); check it"
            ) from error
        return np.fromfile(target, np.dtype("<f4"))


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file read from front to back.

    soundfile seeks to where it already is after each block it reads. That makes an
    MP3's samples wrong, and the end of a FLAC of unknown length an error.
    """

    def seekable(self) -> bool:
        return False


class _Extremes:
    """The highest and lowest sample of each channel, gathered block by block."""

    def __init__(self, channels: int) -> None:
        self.high = np.full(channels, -np.inf)
        self.low = np.full(channels, np.inf)

    def add(self, block: NDArray[np.float32]) -> None:
        """Take in (T, C) samples."""
        self.high = np.maximum(self.high, block.max(axis=0))
        self.low = np.minimum(self.low, block.min(axis=0))

    @property
    def peak(self) -> float:
        return float(np.maximum(self.high, -self.low).max())

    @property
    def swing(self) -> float:
        """Half a channel's range: what its peak would be without any constant offset."""
        return float((self.high - self.low).max() / 2)


class _Converter:
    """Resamples mono blocks into a file and keeps count."""

    def __init__(self, out: BinaryIO, rate_in: int, rate_out: int) -> None:
        self._out = out
        self._stream = None
        if rate_in != rate_out:
            self._stream = soxr.ResampleStream(rate_in, rate_out, 1, "float32", quality="HQ")
        self._hash = hashlib.sha256()
        self.samples, self.peak, self.energy = 0, 0.0, 0.0

    def add(self, mono: Wave, last: bool = False) -> None:
        """Take in (T,) samples."""
        wave = mono if self._stream is None else self._stream.resample_chunk(mono, last=last)
        if wave.shape[0] == 0:
            return
        data = wave.astype("<f4").tobytes()
        self._out.write(data)
        self._hash.update(data)
        self.samples += wave.shape[0]
        self.peak = max(self.peak, float(np.abs(wave).max()))
        self.energy += float(np.square(wave, dtype=np.float64).sum())

    def finish(self, source_rate: int, channels: int) -> Decoded:
        """The summary, once the resampler is empty."""
        self.add(np.zeros(0, np.float32), last=True)
        rms = math.sqrt(self.energy / max(1, self.samples))
        digest = self._hash.hexdigest()
        return Decoded(self.samples, self.peak, rms, source_rate, channels, digest)


def _decode(file: BinaryIO, out: BinaryIO, config: IngestConfig) -> Decoded:
    with reading():
        header = read_header(file)
        file.seek(0)
    try:
        sound = _Stream(file.fileno(), closefd=False)
    except RuntimeError:  # libsndfile's own texts name the wrong cause
        raise AudioError(
            f"has a damaged header or an encoding unknown in {header.kind.upper()} files; "
            "export it again as WAV"
        ) from None
    with sound:
        rate, channels = sound.samplerate, sound.channels
        _check_claims(rate, channels)
        converter = _Converter(out, rate, config.sample_rate)
        heard, mixed, frames = _Extremes(channels), _Extremes(1), 0
        for block in _blocks(sound):
            if not np.isfinite(block).all():
                raise AudioError(
                    f"contains NaN or infinity in the block at {frames / rate:.2f} s; "
                    "export it again"
                )
            heard.add(block)
            mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
            mixed.add(mono[:, None])
            converter.add(mono)
            frames += block.shape[0]
        _check_whole(header, frames, sound.frames, rate)
        _check_read_on(file, header)
    if frames / rate < config.shortest_seconds:
        raise AudioError(
            f"is {frames / rate:.3f} s long; the shortest usable sound is "
            f"{config.shortest_seconds:g} s; lengthen or remove it"
        )
    _check_levels(heard, mixed, config.silence_dbfs)
    decoded = converter.finish(rate, channels)
    if decoded.peak < amplitude(config.silence_dbfs):
        raise AudioError(
            f"is silent below {min(rate, config.sample_rate) // 2} Hz, the highest frequency "
            "that is kept; lower its pitch or remove it"
        )
    return decoded


def _check_claims(rate: int, channels: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            f"has a sample rate of {rate} Hz; {LOWEST_RATE} to {HIGHEST_RATE} Hz can be used; "
            "export it again at 44100 Hz"
        )
    if channels > MOST_CHANNELS:
        raise AudioError(
            f"has {channels} channels; at most {MOST_CHANNELS} can be used; mix it down"
        )


def _blocks(sound: _Stream) -> Iterator[NDArray[np.float32]]:
    """(T, C) samples at a time; each block is overwritten by the next."""
    buffer = np.empty((max(1, BLOCK_SAMPLES // sound.channels), sound.channels), np.float32)
    frames = 0
    while True:
        try:
            block = sound.read(out=buffer)
        except RuntimeError:
            raise AudioError(
                f"is damaged or cut off: it cannot be decoded past {frames / sound.samplerate:.2f} "
                "s; copy or export it again"
            ) from None
        if block.shape[0] == 0:
            return
        yield block
        frames += block.shape[0]


def _check_whole(header: Header, frames: int, promised: int, rate: int) -> None:
    """Compare what was decoded with what libsndfile announced, where that is no estimate."""
    if frames == 0:
        raise AudioError("holds no samples; export it again or remove it")
    slack = {"ogg": OGG_SLACK_FRAMES, "mp3": MP3_SLACK_FRAMES}.get(header.kind, 0)
    known = header.counted and promised < np.iinfo(np.int64).max  # as a FLAC from a pipe is not
    if known and frames < promised - slack:
        raise AudioError(
            f"is damaged or cut off: it promises {promised / rate:.2f} s and holds "
            f"{frames / rate:.2f} s; copy or export it again"
        )


def _check_read_on(file: BinaryIO, header: Header) -> None:
    """libsndfile guesses the length of an MP3 that states none and stops there."""
    with reading():
        size, position = os.fstat(file.fileno()).st_size, file.tell()
    if not header.counted and size - position > MP3_TAIL_BYTES + size // 50:
        raise AudioError(
            f"is an MP3 that does not state its length: {size - position} bytes at its end "
            "were not reached; export it again"
        )


def _check_levels(heard: _Extremes, mixed: _Extremes, silence_dbfs: float) -> None:
    silence = amplitude(silence_dbfs)
    if heard.peak < silence:
        raise AudioError(
            f"is silent: it peaks at {dbfs(heard.peak):.1f} dBFS, under the limit of "
            f"{silence_dbfs:g}; make it louder or remove it"
        )
    if heard.peak > amplitude(LOUDEST_DBFS):
        raise AudioError(
            f"peaks at {dbfs(heard.peak):+.0f} dBFS; at most {LOUDEST_DBFS:+g} dBFS can be used; "
            "export it again with samples between -1 and 1"
        )
    if heard.swing < silence:
        raise AudioError("is silent: it is nothing but a constant offset; remove it")
    if mixed.swing < silence:
        raise AudioError(
            "is silent in mono: its channels cancel out; invert one of them or keep only one"
        )
