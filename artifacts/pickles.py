"""Python pickles, told by their bytes and refused: loading one could run anything.

Distill's version 1 models were pickles, bare or in torch.save's ZIP.
"""

from typing import BinaryIO

from core.errors import PackageError

_STARTS = (b"\x80", b"}q", b"(d")  # protocols 2 and up, 1, 0
_ZIP_START = b"PK\x03\x04"
_ZIP_MEMBER = b"/data.pkl"  # torch.save's first entry
_VERSION_1 = b"distill_model"  # the value of its "format"
_PIECE_BYTES = 1_000_000
_MOST_SEARCHED_BYTES = 1_000_000_000


def refuse_pickle(file: BinaryIO) -> None:
    """Refuse a Python pickle, bare or in torch.save's ZIP, by its bytes alone."""
    file.seek(0)
    start = file.read(1024)
    first_name = start[30 : 30 + int.from_bytes(start[26:28], "little")]  # ZIP's local header
    torch_zip = start.startswith(_ZIP_START) and first_name.endswith(_ZIP_MEMBER)
    if not torch_zip and not start.startswith(_STARTS):
        return
    if _finds(file, _VERSION_1):
        raise PackageError(
            "is a version 1 model, a pickle that could run code and is never opened; "
            "rebuild it from its sounds with `distill build`"
        )
    raise PackageError(
        "is a Python pickle, which could run code and is never opened; choose a .distill file"
    )


def _finds(file: BinaryIO, wanted: bytes) -> bool:
    """Whether `wanted` stands in the first gigabyte, read a megabyte at a time."""
    file.seek(0)
    tail = b""
    for _ in range(0, _MOST_SEARCHED_BYTES, _PIECE_BYTES):
        piece = file.read(_PIECE_BYTES)
        if wanted in tail + piece:
            return True
        tail = piece[-len(wanted) :]
    return False
