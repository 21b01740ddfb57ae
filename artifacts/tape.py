"""A tape on disk, for sounds longer than memory is to hold."""

import tempfile
import weakref
from pathlib import Path

import numpy as np

from core.audio import Wave


class FileTape:
    """A wave in a nameless file, which goes with it, or with the process.

    Args:
        folder: on the disk that is to hold it.
    Raises:
        OSError: the disk refuses; `write` too.
    """

    def __init__(self, folder: Path) -> None:
        # Unbuffered: nothing is left to be written when it closes, where no one hears of it.
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # lives on
        self.bytes = 0
        weakref.finalize(self, self.file.close)

    def emptied(self) -> "FileTape":
        """This tape, with nothing on it."""
        self.file.truncate(0)
        self.bytes = 0
        return self

    def __len__(self) -> int:
        return self.bytes // 4

    def write(self, piece: Wave) -> None:
        self.file.seek(self.bytes)
        rest = memoryview(piece.astype(np.float32, copy=False).tobytes())
        while rest:
            taken = self.file.write(rest)
            self.bytes += taken
            rest = rest[taken:]

    def read(self, start: int, stop: int) -> Wave:
        assert 0 <= start <= stop <= len(self)
        self.file.seek(4 * start)
        held = bytearray(4 * (stop - start))
        rest = memoryview(held)
        while rest:
            found = self.file.readinto(rest)
            assert found
            rest = rest[found:]
        return np.frombuffer(held, np.float32)
