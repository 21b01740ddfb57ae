"""What a sound file promises about itself, read before libsndfile opens it.

libsndfile quietly shortens a WAV or AIFF that was cut off, and its MP3 decoder
writes to stderr when given something else; so what a file is, and whether all of
it is there, is settled here.
"""

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

from core.errors import AudioError

Kind = Literal["wav", "aiff", "flac", "ogg", "mp3"]

# Sizes that a writer leaves behind when it could not go back to its header (pipes, ffmpeg,
# SoX, arecord): they promise nothing.
UNFINISHED = {
    *(0, 0x7FFFF000, 0x7FFFFFFF - 36, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, 0xFFFFFFFF),
    0xFFFFFFFFFFFFFFFF,
}
MOST_CHUNKS = 10_000  # a damaged file may hold millions of "chunks" of 8 bytes
MOST_TAGS = 8  # ID3 tags one after another
OGG_PAGE_BYTES = 27 + 255 + 255 * 255
JUNK_BYTES = 65_536  # zeros that may stand before the first MP3 frame


@dataclass(frozen=True)
class Header:
    kind: Kind
    counted: bool  # the file says exactly how many frames it has; otherwise it is an estimate


def read_header(file: BinaryIO) -> Header:
    """What the file is, once all the bytes that its container promises are seen to be there.

    Args:
        file: opened for reading bytes; its position is moved.
    Raises:
        AudioError: empty, not a known sound format, or cut off. The file's name is left out.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise AudioError("is empty; export it again or remove it")
    start = _after_tags(file)
    head = _read(file, start, 12)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
        _check_chunk(file, size, b"data", "<" if head[:4] != b"RIFX" else ">")
        return Header("wav", counted=True)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        _check_chunk(file, size, b"SSND", ">")
        return Header("aiff", counted=True)
    if head[:4] == b"fLaC":
        return Header("flac", counted=True)
    if head[:4] == b"OggS":
        _check_last_page(file, size)
        return Header("ogg", counted=True)
    if _is_mpeg_frame(head):
        return Header("mp3", counted=_has_frame_count(_read(file, start, 256)))
    raise AudioError("is not a WAV, FLAC, OGG, MP3 or AIFF sound; convert or remove it")


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _after_tags(file: BinaryIO) -> int:
    """Where the sound starts: behind ID3v2 tags and zeros, which only MP3 and FLAC have."""
    position = 0
    for _ in range(MOST_TAGS):
        tag = _read(file, position, 10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        length = sum(
            (byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)
        )
        position += 10 + length + (10 if tag[5] & 0x10 else 0)  # the flag announces a footer
    junk = _read(file, position, JUNK_BYTES)
    return position + len(junk) - len(junk.lstrip(b"\0"))


def _check_chunk(file: BinaryIO, size: int, wanted: bytes, order: Literal["<", ">"]) -> None:
    """Complain if the chunk that holds the sound is longer than what is left of the file."""
    position, long_length = 12, 0
    for _ in range(MOST_CHUNKS):
        chunk = _read(file, position, 8)
        if len(chunk) < 8:
            return  # no such chunk: libsndfile will refuse the file
        name, length = struct.unpack(f"{order}4sI", chunk)
        position += 8
        if name == b"ds64":  # RF64: RIFF size, then data size, of 64 bits each
            long_length = int.from_bytes(_read(file, position + 8, 8), "little")
        if name == wanted:
            promised = long_length if length == 0xFFFFFFFF and long_length else length
            if promised > size - position and promised not in UNFINISHED:
                raise AudioError(
                    f"is cut off: its header promises {promised} bytes of sound, "
                    f"{size - position} are there; copy or export it again"
                )
            return
        position += length + length % 2


def _check_last_page(file: BinaryIO, size: int) -> None:
    """Complain if the last Ogg page is not whole."""
    tail = _read(file, max(0, size - OGG_PAGE_BYTES), OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[26] if len(page) > 26 else 0
    promised = 27 + segments + sum(page[27 : 27 + segments])
    if page[:4] == b"OggS" and promised > len(page):
        raise AudioError("is cut off in the middle of an Ogg page; copy or export it again")


def _is_mpeg_frame(head: bytes) -> bool:
    """Eleven set bits, then a layer, a bit rate and a sample rate that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer != 0 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3


def _has_frame_count(frame: bytes) -> bool:
    """Whether the first MP3 frame is a Xing, Info or VBRI one that counts the others."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name)
        if at >= 0:
            return frame[at + 7 : at + 8] != b"" and bool(frame[at + 7] & 1)
    return b"VBRI" in frame
