"""The sound files in a folder, found and told apart by their bytes; none is decoded here.

Decoding is in artifacts.audio_decode, writing in artifacts.audio_export.
"""

import errno
import hashlib
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import AudioError

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".aifc"}


@dataclass(frozen=True)
class Rejected:
    file: str  # relative to the scanned folder
    reason: str


@dataclass(frozen=True)
class SourceFile:
    path: Path
    name: str  # relative to the scanned folder, printable
    digest: str  # sha256 of the file's bytes


def printable(name: str) -> str:
    r"""A file name that fits on one line of UTF-8; different names stay different.

    >>> printable("kick\n2.wav"), printable("caf\udce9.wav"), printable("Größe.wav")
    ('kick\\n2.wav', 'caf\\udce9.wav', 'Größe.wav')
    """
    return "".join(
        letter
        if letter.isprintable() and letter != "\\"
        else letter.encode("unicode_escape").decode()
        for letter in name
    )


def scan(folder: Path) -> tuple[list[SourceFile], list[Rejected]]:
    """The sound files in a folder and its subfolders, and those that cannot be opened.

    A candidate is whatever has a sound file's extension; hidden folders are not
    entered, links to folders are followed once. Only regular files are opened.

    Returns:
        Sources sorted by digest, then name; rejected ones sorted by name.
    Raises:
        AudioError: folder is missing, no folder or closed to us.
    """
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise AudioError(
            f"{printable(str(folder))} is not a folder that can be read ({error.strerror}); "
            "give the folder with your sounds"
        ) from None
    sources, rejected = [], []
    for path, problem in _candidates(folder):
        name = printable(path.relative_to(folder).as_posix())
        if problem is None:
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                problem = f"cannot be read ({error.strerror}); check its permissions"
            else:
                sources.append(SourceFile(path, name, digest))
        if problem is not None:
            rejected.append(Rejected(name, problem))
    sources.sort(key=lambda source: (source.digest, source.name))
    return sources, sorted(rejected, key=lambda one: one.file)


def _candidates(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Each candidate, and why it cannot be opened if so; links to folders come last."""
    folders, links, seen = deque([folder]), deque[Path](), set[tuple[int, int]]()
    while folders or links:
        here = folders.popleft() if folders else links.popleft()
        try:
            status = here.stat()
            entries = sorted(here.iterdir())
        except OSError as error:
            yield here, f"is a folder that cannot be read ({error.strerror}); check its permissions"
            continue
        if (status.st_dev, status.st_ino) in seen:
            yield here, "is a link to a folder that is scanned already; remove the link"
            continue
        seen.add((status.st_dev, status.st_ino))
        for path in entries:
            hidden = path.name.startswith(".")
            mode, problem = _file_mode(path)
            if stat.S_ISDIR(mode) and not hidden:
                (links if path.is_symlink() else folders).append(path)
            if path.suffix.lower() in SUFFIXES:
                hint = "is hidden (its name starts with a dot); rename it to use it"
                yield path, hint if hidden and problem is None else problem


def _file_mode(path: Path) -> tuple[int, str | None]:
    """The type bits of what the path leads to, and why it is no file to open if so."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return 0, "is a link that leads back to itself; remove it"
        if error.errno == errno.ENOENT:
            return 0, "is a link to a file that does not exist; mend or remove it"
        return 0, f"cannot be read ({error.strerror}); check its permissions"
    if stat.S_ISDIR(status.st_mode):
        return status.st_mode, "is a folder, not a sound file; rename it"
    if not stat.S_ISREG(status.st_mode):
        return status.st_mode, "is a pipe, socket or device, not a sound file; remove it"
    empty = status.st_size == 0
    return status.st_mode, "is empty; export it again or remove it" if empty else None
