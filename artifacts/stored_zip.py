"""ZIP files whose bytes follow from their content alone, and a wary reader for them.

Knows entries, sizes and offsets; what the entries mean is artifacts.package's
business. Every error is a PackageError whose message continues "FILE ...".
"""

import contextlib
import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.errors import PackageError

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the oldest that ZIP can say
_UNIX = 3
_PERMISSIONS = 0o100644 << 16  # a plain file, rw-r--r--
_LOCAL_HEADER = b"PK\x03\x04"
_END_RECORD = struct.Struct("<4s4H2LH")  # signature, disks, counts, size, offset, comment
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_LONGEST_COMMENT = 0xFFFF
MOST_ENTRIES = 1000
_MOST_DIRECTORY_BYTES = 256 * MOST_ENTRIES

# what zipfile raises for one damaged byte or another
_DAMAGE = (
    BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    struct.error,
)


def zip_bytes(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """A ZIP of (name, content) in the order given: equal entries give equal bytes."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, content in entries:
            info = ZipInfo(name, _TIMESTAMP)
            info.create_system = _UNIX
            info.external_attr = _PERMISSIONS
            archive.writestr(info, content)
    return buffer.getvalue()


def read_directory(file: BinaryIO) -> list[ZipInfo]:
    """What the central directory lists, in its order; no entry is read.

    Raises:
        PackageError: not a ZIP, cut short, followed by other bytes, damaged, or its sizes
            add up to more than the file.
    """
    _check_end(file)
    with opened(file) as archive:
        infos = archive.infolist()
    claimed, file_bytes = sum(info.file_size for info in infos), file.seek(0, io.SEEK_END)
    if claimed > file_bytes:  # entries that lie on one another would fill the memory
        raise PackageError(
            f"claims {claimed} bytes of entries in a file of {file_bytes}; download it again"
        )
    return infos


@contextlib.contextmanager
def opened(file: Path | BinaryIO) -> Iterator[ZipFile]:
    """The ZIP, for as many entries as are wanted: opening reads its whole directory."""
    try:
        archive = ZipFile(file)
    except _DAMAGE as error:
        raise PackageError("has a damaged directory; copy or download it again") from error
    with archive:
        yield archive


def read_entry(archive: ZipFile, info: ZipInfo) -> bytes:
    """One stored entry's bytes, checked against the ZIP's CRC-32."""
    try:
        return archive.read(info)
    except _DAMAGE as error:
        raise PackageError(
            f"holds a damaged {info.filename!a}; copy or download it again"
        ) from error


def directory_problems(infos: Sequence[ZipInfo]) -> list[str]:
    """Doubled entries."""
    names = [info.filename for info in infos]
    return [
        f"holds {name!a} more than once; rebuild or download it again"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def storage_problem(info: ZipInfo) -> str | None:
    """What keeps this entry from being read as it lies, if anything does."""
    name = ascii(info.filename)
    if info.flag_bits & 1:
        return f"holds {name} encrypted; ask for the file as Distill wrote it"
    if info.compress_type != ZIP_STORED:
        return f"holds {name} compressed; ask for the file as Distill wrote it, only stored"
    if info.file_size != info.compress_size:
        return f"gives two sizes for {name}; copy or download it again"
    return None


def _check_end(file: BinaryIO) -> None:
    """The end record must close the file: nothing cut off, nothing added, nothing huge."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) not in (_LOCAL_HEADER, _END_SIGNATURE):
        raise PackageError("is not a .distill file; choose one that `distill build` has made")
    tail_bytes = min(size, _END_RECORD.size + _LONGEST_COMMENT)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    found = tail.rfind(_END_SIGNATURE)
    if found < 0 or len(tail) - found < _END_RECORD.size:
        raise PackageError("is cut short, its end is missing; copy or download it again")
    extra = len(tail) - found - _END_RECORD.size
    if extra:
        raise PackageError(f"has {extra} bytes after its end; copy or download it again")
    _, _, _, _, count, directory_bytes, offset, _ = _END_RECORD.unpack_from(tail, found)
    if count > MOST_ENTRIES:
        raise PackageError(
            f"lists {count} entries, at most {MOST_ENTRIES} are allowed; it is no Distill model"
        )
    locator = tail[max(0, found - 20) : found]
    honest = directory_bytes <= _MOST_DIRECTORY_BYTES and not locator.startswith(_ZIP64_LOCATOR)
    if not honest or offset + directory_bytes != size - _END_RECORD.size:
        raise PackageError("has a damaged directory; copy or download it again")
