"""Looking after a store: how big it is, whether it is whole, what in it nobody needs."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from artifacts.checkpoint import readable
from artifacts.library import Library
from artifacts.locks import flocked
from artifacts.package import verify_package
from artifacts.store import FOLDERS, Store, read_memo
from core.errors import PackageError, StoreError

SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Size:
    files: int
    bytes: int


def sizes(store: Store) -> dict[str, Size]:
    """Of each folder of the store."""
    return {name: total_size(_files(store.folder / name)) for name in FOLDERS}


def problems(store: Store) -> list[str]:
    """Every file that is not as it was written, a sentence each with what mends it."""
    return [*_blob_problems(store), *_memo_problems(store), *_other_problems(store)]


def _blob_problems(store: Store) -> Iterator[str]:
    for path in _blobs(store):
        if not store.holds(path.name) and path.exists():
            yield f"blob {path.name} was altered; run the build that made it again"


def _memo_problems(store: Store) -> Iterator[str]:
    for path in _files(store.folder / "memos"):
        ref = read_memo(path)
        label = f"memo {path.parent.name}/{path.name}"
        if ref is None:
            yield f"{label} is no memo; its step is made again when it is asked for"
        elif gone := [one for one in ref.digests() if not store.path(one).is_file()]:
            yield f"{label} names blob {gone[0]}, which is missing; its step is made again"


def _other_problems(store: Store) -> Iterator[str]:
    for path in (store.folder / "checkpoints").rglob("step-*.safetensors"):
        if not readable(path):
            yield f"checkpoint {path.name} is damaged; training goes on from the one before"
    library = Library(store)
    for name in library.names():
        try:
            for problem in verify_package(library.path(name)):
                yield f"{problem}; run its build again"
        except PackageError as error:  # it went away meanwhile
            yield str(error)


def unneeded(store: Store, days: float) -> list[Path]:
    """Files that no named model needs and that nothing touched for `days`.

    A model needs all that its build made: with it, a rebuild is still cached and the
    comparison page can be written again. What is younger may be of an unfinished build.

    Raises:
        StoreError: a build is under way in this store.
    """
    _check_idle(store)
    needed = _needed(store)
    keys: set[str] = set()
    found = [path for path in _blobs(store) if path.name not in needed]
    for path in _files(store.folder / "memos"):
        ref = read_memo(path)
        if ref is not None and needed.issuperset(ref.digests()):
            keys.add(path.stem)
        else:
            found.append(path)
    results = _files(store.folder / "results")
    found += [path for path in results if path.stem.rpartition("-")[2] not in keys]
    found += _files(store.folder / "checkpoints")
    found += (store.folder / "blobs").glob("new-*")
    found += _files(store.folder / "runs")  # of killed processes
    every = (path for name in FOLDERS for path in _files(store.folder / name))
    found += (path for path in every if path.name.startswith(".") and path.suffix == ".part")
    oldest = time.time() - days * SECONDS_A_DAY
    return sorted({path for path in found if _modified(path) <= oldest})


def remove(store: Store, paths: list[Path]) -> Size:
    """Delete these files of the store and the folders that they leave empty.

    Memos go before what they name, so that a prune that is stopped leaves a sound store.

    Raises:
        StoreError: a build is under way in this store.
    """
    _check_idle(store)
    freed = total_size(paths)
    memos = store.folder / "memos"
    for path in sorted(paths, key=lambda one: not one.is_relative_to(memos)):
        path.unlink(missing_ok=True)
    for name in ("blobs", "checkpoints"):
        inner = [Path(path) for path, _, _ in os.walk(store.folder / name)][1:]
        for path in sorted(inner, reverse=True):
            with contextlib.suppress(OSError):  # it is not empty
                path.rmdir()
    return freed


def _check_idle(store: Store) -> None:
    if any(_is_locked(path) for path in (store.folder / "runs").glob("*.json")):
        raise StoreError(f"{store.folder} is in use by a run; prune when it has ended or stop it")


def _needed(store: Store) -> set[str]:
    """Digests of all blobs that the named models' builds made."""
    library = Library(store)
    digests: set[str] = set()
    for name in library.names():
        digests.update(digest for ref in library.refs(name) for digest in ref.digests())
    return digests


def _blobs(store: Store) -> list[Path]:
    return [path for path in _files(store.folder / "blobs") if path.parent.name == path.name[:2]]


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            return flocked(file.fileno()) is not True
    except FileNotFoundError:
        return False  # it has just ended
    except OSError:
        return True


def _files(folder: Path) -> list[Path]:
    return sorted(Path(path, name) for path, _, names in os.walk(folder) for name in names)


def total_size(paths: Sequence[Path]) -> Size:
    """Of these files together."""
    sizes = []
    for path in paths:
        with contextlib.suppress(OSError):  # gone meanwhile
            sizes.append(path.stat().st_size)
    return Size(len(sizes), sum(sizes))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone meanwhile
        return float("inf")
