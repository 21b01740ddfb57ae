"""Takes out of freshly written sound files what differs between two equal runs.

libsndfile puts the time of day into the PEAK chunk of a float WAV and a random
serial number into every page of an Ogg stream. Nothing else of what it writes as
WAV, FLAC, Ogg Vorbis or MP3 changes from run to run.
"""

import zlib
from typing import BinaryIO

_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def clear_peak_time(file: BinaryIO) -> None:
    """Set the time stamp of a float WAV's PEAK chunk to 0.

    Args:
        file: a WAV opened for reading and writing; without a PEAK chunk it stays as it is.
    """
    file.seek(0)
    at = file.read(256).find(b"PEAK")
    if at >= 0:
        file.seek(at + 12)  # behind name, size and version
        file.write(bytes(4))


def set_ogg_serial(file: BinaryIO, serial: int) -> None:
    """Give every page of an Ogg stream this serial number, and the checksum that follows from it.

    Args:
        file: a whole Ogg file of one stream, opened for reading and writing.
    """
    position = 0
    while True:
        file.seek(position)
        header = file.read(27)
        if not header:
            return
        assert header[:4] == b"OggS", "not at the start of an Ogg page"
        lacing = file.read(header[26])
        rest = lacing + file.read(sum(lacing))
        start = header[:14] + serial.to_bytes(4, "little") + header[18:22]
        checksum = ogg_checksum(start + bytes(4) + header[26:] + rest)
        file.seek(position)
        file.write(start + checksum.to_bytes(4, "little"))
        position += len(header) + len(rest)


def ogg_checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial, but highest bit first, starting from 0 and not inverted.

    >>> hex(ogg_checksum(b"123456789"))  # CRC-32/CKSUM's check value 0x765e7680, inverted
    '0x89a1897f'
    """
    reflected = zlib.crc32(page.translate(_BITS_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
