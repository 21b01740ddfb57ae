"""A disk that refuses a write, in this process and under one folder.

Everything through which Distill changes its store is wrapped and counted: opening to
write, each write that leaves Python's buffers, fsync, rename, mkdir, unlink, rmdir.
Arrow writes from C++ and is given a file opened here in the place of a path, without a
buffer, since it has its own. libsndfile writes through a file that is opened by
artifacts.store. What would change nothing (to make a folder that is there, to remove a
file that is not) is not counted: no disk refuses it. So counted, a build's writes are
the system calls that strace shows of it, kind by kind.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# A full disk stays full, an error comes once.
Fault = Literal["full disk", "input/output error", "short write"]
Where = str | bytes | os.PathLike[str] | int

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NEEDS_ROOM = {"open", "write", "mkdir"}


class FailingWrites:
    """While it is entered, write number `at` under `folder` fails (none does if `at` is 0).

    Attributes:
        writes: every write so far as "WHAT PATH", the one that failed too.
        failed: the write that failed first, "" until then.
    """

    def __init__(self, folder: Path, at: int = 0, fault: Fault = "full disk"):
        self.folder = folder
        self.at = at
        self.fault = fault
        self.writes: list[str] = []
        self.failed = ""
        self.opened: dict[int, Path] = {}  # descriptors of files under the folder
        self._patches = pytest.MonkeyPatch()

    def __enter__(self) -> "FailingWrites":
        put = self._patches.setattr
        put(io, "open", self._open(io.open))
        put(builtins, "open", io.open)
        put(os, "open", self._os_open(os.open))
        put(os, "close", self._os_close(os.close))
        put(os, "write", self._os_write(os.write))
        put(os, "fsync", self._wrapped("fsync", os.fsync))
        for name in ("replace", "rename"):
            put(os, name, self._wrapped("rename", getattr(os, name)))
        for name in ("unlink", "remove"):
            put(os, name, self._wrapped("unlink", getattr(os, name)))
        put(os, "rmdir", self._wrapped("rmdir", os.rmdir))
        put(os, "mkdir", self._wrapped("mkdir", os.mkdir))
        put(pa, "OSFile", self._arrow_file(pa.OSFile))
        put(pq.ParquetWriter, "__init__", self._parquet(pq.ParquetWriter.__init__))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.undo()

    def write(self, what: str, path: Path, half: Callable[[], object] | None = None) -> None:
        """Count one write.

        Args:
            half: writes half of the data, where there are data.
        Raises:
            OSError: this one fails, or an earlier one filled the disk.
        """
        self.writes.append(f"{what} {path.relative_to(self.folder).as_posix()}")
        first = len(self.writes) == self.at
        if first:
            self.failed = self.writes[-1]
            if half is not None and self.fault == "short write":
                half()
        lasting = self.fault != "input/output error" and what in NEEDS_ROOM
        if first or (self.failed and lasting):
            code = errno.EIO if self.fault == "input/output error" else errno.ENOSPC
            raise OSError(code, os.strerror(code))

    def under(self, where: Where, dir_fd: int | None = None) -> Path | None:
        """The path, if it lies under the folder."""
        if isinstance(where, int):
            return self.opened.get(where)
        path = Path(os.fsdecode(where))
        if dir_fd is not None:
            path = self.opened.get(dir_fd, Path()) / path
        return path if path.is_relative_to(self.folder) else None

    def _wrapped(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Counts a call on a path or a descriptor, unless it would change nothing."""

        def call(where: Where, *rest: Any, **named: Any) -> Any:
            path = self.under(where, named.get("dir_fd"))
            nothing = path is not None and what in ("mkdir", "unlink")
            nothing = nothing and os.path.lexists(path or "") == (what == "mkdir")
            if path is not None and not nothing:
                self.write(what, path)
            return real(where, *rest, **named)

        return call

    def _open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
            path = None if isinstance(file, int) else self.under(file)
            if path is None or not set(mode) & set("wxa+"):
                return real(file, mode, buffering, *rest, **named)
            raw = _File(self, path, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            both = "+" in mode
            buffered = io.BufferedRandom(raw) if both else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)

        return call

    def _os_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(where: Where, flags: int, *rest: Any, **named: Any) -> int:
            path = self.under(where, named.get("dir_fd"))
            if path is not None and flags & CHANGES:
                self.write("open", path)
            handle = real(where, flags, *rest, **named)
            if path is not None:
                self.opened[handle] = path
            return handle

        return call

    def _os_close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(handle: int) -> None:
            self.opened.pop(handle, None)
            real(handle)

        return call

    def _os_write(self, real: Callable[[int, bytes], int]) -> Callable[[int, bytes], int]:
        def call(handle: int, data: bytes) -> int:
            if handle in self.opened:
                half = data[: len(data) // 2]
                self.write("write", self.opened[handle], lambda: real(handle, half))
            return real(handle, data)

        return call

    def _arrow_file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(where: str, mode: str = "r", *rest: Any) -> Any:
            if "w" in mode and self.under(where) is not None:
                return io.open(where, "wb", buffering=0)  # noqa: UP020  # Arrow closes it
            return real(where, mode, *rest)

        return call

    def _parquet(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(writer: Any, where: Any, *rest: Any, **named: Any) -> None:
            by_path = isinstance(where, str | os.PathLike) and self.under(where) is not None
            if not by_path:
                real(writer, where, *rest, **named)
                return
            file = io.open(where, "wb", buffering=0)  # noqa: SIM115, UP020
            real(writer, file, *rest, **named)
            writer.file_handle = file  # closed with the writer

        return call


class _File(io.FileIO):
    """A file whose every write is counted."""

    def __init__(self, disk: FailingWrites, path: Path, mode: str):
        disk.write("open", path)
        super().__init__(path, mode)
        self.disk, self.path = disk, path
        disk.opened[self.fileno()] = path

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            half = view[: view.nbytes // 2]
            self.disk.write("write", self.path, lambda: super(_File, self).write(half))
            return super().write(view)

    def close(self) -> None:
        if not self.closed and hasattr(self, "disk"):
            self.disk.opened.pop(self.fileno(), None)
        super().close()
