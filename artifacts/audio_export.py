"""Sounds going out: WAV, FLAC, OGG and MP3, equal bytes from equal samples."""

import itertools
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from artifacts.stable_bytes import clear_peak_time, set_ogg_serial
from artifacts.store import replacing, sha256_of
from core.errors import AudioError, ConfigError

Container = Literal["wav", "flac", "ogg", "mp3"]
BitDepth = Literal[16, 24, 32]  # 32 is float, in a WAV only

BLOCK_FRAMES = 65_536  # libsndfile's Vorbis encoder overflows its stack on long writes
COMPRESSION = {"ogg": 0.2, "mp3": 0.0}  # libsndfile's scale: Vorbis quality 8, LAME V0
MP3_RATES = {8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000}


def write_audio(
    path: Path,
    wave: NDArray[np.float32],
    sample_rate: int,
    container: Container = "wav",
    bit_depth: BitDepth = 24,
) -> None:
    """Write a sound file; it appears under its name only when it is whole.

    Equal samples give equal bytes in all four containers with the same libsndfile
    (its version, and for OGG and MP3 the processor, may change them).

    Args:
        wave: (T,) or (T, C) float32. Samples outside [-1, 1] are clipped, except in a
            float WAV; see core.finishing.Sound.
        bit_depth: of a WAV or FLAC; OGG and MP3 have none.
    Raises:
        AudioError: wave is empty or holds NaN or infinity.
        ConfigError: the container cannot hold this sample rate, bit depth or channel count.
        OSError: the disk refuses.
    """
    write_blocks(path, [wave], sample_rate, container, bit_depth)


def write_blocks(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    container: Container = "wav",
    bit_depth: BitDepth = 24,
) -> None:
    """`write_audio` of a wave in blocks, in order."""
    coming = iter(blocks)
    first = next(coming, np.zeros(0, np.float32))
    channels = 1 if first.ndim == 1 else first.shape[1]
    _check_fits(container, sample_rate, channels)
    sound = _sounding(itertools.chain([first], coming), path.name)
    with replacing(path) as file:
        encode(file, sound, sample_rate, channels, container, bit_depth)


def _sounding(blocks: Iterable[NDArray[np.float32]], name: str) -> Iterator[NDArray[np.float32]]:
    """The blocks cut anew, as libsndfile bears them: on that cut Vorbis' bytes hang.

    Raises AudioError: there is nothing, or what is no number.
    """
    samples, rest = 0, None
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"the sound for {name} contains NaN or infinity; it cannot be written")
        samples += block.size
        rest = block if rest is None else np.concatenate([rest, block])
        while len(rest) >= BLOCK_FRAMES:
            yield np.ascontiguousarray(rest[:BLOCK_FRAMES], np.float32)
            rest = rest[BLOCK_FRAMES:]
    if samples == 0:
        raise AudioError(f"the sound for {name} has no samples; it cannot be written")
    if rest is not None and len(rest):
        yield np.ascontiguousarray(rest, np.float32)


def placed(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    container: Container = "wav",
    bit_depth: BitDepth = 24,
) -> tuple[Path, str]:
    """Write a sound to the path, or near it where another file lies; where, and its sha256.

    Raises:
        as write_audio.
    """
    scratch = path.with_name(f".{path.name}")
    write_blocks(scratch, blocks, sample_rate, container, bit_depth)
    sha256 = sha256_of(scratch)
    path = free_path(path, sha256)
    scratch.replace(path)
    return path, sha256


def free_path(path: Path, sha256: str) -> Path:
    """The path itself if it is free or holds these very bytes, else one with a number."""
    candidate, number = path, 2
    while candidate.exists() and sha256_of(candidate) != sha256:
        candidate = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return candidate


def encode(
    file: BinaryIO,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    channels: int,
    container: Container,
    bit_depth: BitDepth,
) -> None:
    """Write the sound to a new file, open to write and to read.

    Args:
        blocks: each (T,) or (T, C), contiguous, at most BLOCK_FRAMES long.
    Raises:
        OSError: the disk refuses.
    """
    disk = _Disk(file)
    sound = soundfile.SoundFile(
        disk,
        "w",
        sample_rate,
        channels,
        _subtype(container, bit_depth),
        format=container.upper(),
        compression_level=COMPRESSION.get(container),
    )
    sign = 0
    try:
        with sound:
            for block in blocks:
                if disk.refusal is not None:
                    break
                sound.write(block)
                sign = zlib.crc32(block.data, sign)
    finally:
        if disk.refusal is not None:
            raise disk.refusal
    if container == "wav" and bit_depth == 32:
        clear_peak_time(file)
    if container == "ogg":
        set_ogg_serial(file, sign)


class _Disk:
    """A file for libsndfile, which does not say why a disk refuses.

    Where a FLAC, OGG or MP3 ends it does not even say that: a full disk left cut-off files
    behind. So it never hears of a refusal; that is kept, and what it writes from then on
    goes nowhere.

    Attributes:
        refusal: the first error, or whatever else broke in, as Ctrl-C does.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.refusal: BaseException | None = None
        self.place = 0  # where libsndfile believes it is, from the refusal on

    def write(self, data: bytes) -> int:
        if self.refusal is None:
            self.place = self.file.tell()
            try:
                self.file.write(data)
                self.file.flush()  # here, lest a seek do it
            except BaseException as error:  # noqa: BLE001  # a callback of C's may raise nothing
                self.refusal = error
        self.place += len(data)
        return len(data)

    def read(self, count: int) -> bytes:
        return self.file.read(count) if self.refusal is None else bytes(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        if self.refusal is None:
            return self.file.seek(offset, whence)
        self.place = offset if whence == 0 else self.place + offset
        return self.place

    def tell(self) -> int:
        return self.file.tell() if self.refusal is None else self.place


def _check_fits(container: Container, sample_rate: int, channels: int) -> None:
    """Refuse what the container cannot hold; libsndfile crashes on some of it."""
    match container:
        case "wav":
            fits, most_channels = sample_rate > 0, 1024
        case "flac":
            fits, most_channels = 0 < sample_rate <= 655_350, 8
        case "ogg":
            fits, most_channels = 2_000 <= sample_rate <= 192_000, 255
        case "mp3":
            fits, most_channels = sample_rate in MP3_RATES, 2
    if not fits:
        raise ConfigError(
            f"{container.upper()} cannot hold {sample_rate} Hz; choose 44100 or 48000 Hz, or WAV"
        )
    if not 1 <= channels <= most_channels:
        raise ConfigError(
            f"{container.upper()} holds 1 to {most_channels} channels, not {channels}; choose WAV"
        )


def _subtype(container: Container, bit_depth: BitDepth) -> str:
    match container:
        case "wav":
            return "FLOAT" if bit_depth == 32 else f"PCM_{bit_depth}"
        case "flac":
            if bit_depth == 32:
                raise ConfigError("FLAC holds 16 or 24 bits, not 32; choose 24 or WAV")
            return f"PCM_{bit_depth}"
        case "ogg":
            return "VORBIS"
        case "mp3":
            return "MPEG_LAYER_III"
