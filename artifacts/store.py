"""The store: where everything a build makes lies on disk.

    blobs/ab/abcd...        content, named by its sha256, never changed once there
    memos/STEP/KEY.json     "this step with these inputs gave that ref", and its checksum
    results/                what Prefect keeps of task results (refs only)
    checkpoints/KEY/        of trainings under way
    locks/KEY.lock          one training of a key at a time
    runs/ID.json            flow runs under way, locked by their processes
    models/NAME.distill     finished models by name
    reports/NAME.html       their reports

Every write goes to a temporary file, is fsynced and renamed. Every blob can be
verified by its name; one that fails is treated as absent and made again.
"""

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs

from artifacts.refs import Kind, Ref
from core.errors import StoreError

CHUNK_BYTES = 1 << 20
FOLDERS = ("blobs", "memos", "results", "checkpoints", "locks", "runs", "models", "reports")


def default_folder() -> Path:
    """DISTILL_STORE, or the platform's user data folder."""
    named = os.environ.get("DISTILL_STORE")
    return Path(named) if named else Path(platformdirs.user_data_dir("distill", appauthor=False))


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


class Store:
    """One folder that holds blobs, memos and all the rest.

    Raises:
        StoreError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path):
        self.folder = folder.expanduser().absolute()
        try:
            for name in FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store {self.folder} cannot be written ({error.strerror}); "
                "choose another with --store"
            ) from error

    # --- blobs

    def path(self, digest: str) -> Path:
        """Where the blob of this digest lies, whether it is there or not."""
        return self.folder / "blobs" / digest[:2] / digest

    def holds(self, digest: str) -> bool:
        """Whether the blob is there and its bytes are still its own."""
        path = self.path(digest)
        try:
            return path.is_file() and sha256_of(path) == digest
        except OSError:
            return False

    def holds_all(self, ref: Ref) -> bool:
        return all(self.holds(digest) for digest in ref.digests())

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; returns their digest."""
        with self.new_file() as path:
            path.write_bytes(data)
            return self.put_file(path)

    def put_file(self, path: Path) -> str:
        """Move a finished file (from `new_file`) into the store; returns its digest."""
        digest = sha256_of(path)
        target = self.path(digest)
        target.parent.mkdir(exist_ok=True)
        flush(path)
        path.replace(target)
        flush_folder(target.parent)
        return digest

    @contextlib.contextmanager
    def new_file(self, suffix: str = "") -> Iterator[Path]:
        """A path on the store's own disk to write to; removed unless it was put."""
        path = self.folder / "blobs" / f"new-{uuid.uuid4().hex}{suffix}"
        path.touch(exist_ok=False)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put_json(self, kind: Kind, data: object) -> Ref:
        return Ref(kind, self.put_bytes(json_bytes(data)))

    def read_bytes(self, digest: str) -> bytes:
        """The blob's bytes.

        Raises:
            StoreError: it is missing or its bytes are not its own any more.
        """
        try:
            data = self.path(digest).read_bytes()
        except OSError as error:
            raise StoreError(
                f"blob {digest[:12]} is missing from the store ({error.strerror}); "
                "run the same build again, it makes it anew"
            ) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(
                f"blob {digest[:12]} was altered on disk; run the same build again, "
                "it makes it anew"
            )
        return data

    def read_json(self, digest: str) -> object:
        data: object = json.loads(self.read_bytes(digest))
        return data

    # --- memos

    def memo_path(self, step: str, key: str) -> Path:
        return self.folder / "memos" / step / f"{key}.json"

    def recall(self, step: str, key: str) -> Ref | None:
        """What the step gave for this key, if every byte of it is still there."""
        ref = read_memo(self.memo_path(step, key))
        return ref if ref is not None and self.holds_all(ref) else None

    def remember(self, step: str, key: str, ref: Ref) -> None:
        write_atomically(self.memo_path(step, key), memo_bytes(ref))


def memo_bytes(ref: Ref) -> bytes:
    """A memo's content: the ref and a sha256 of it, since no name vouches for a memo."""
    data = ref.to_json()
    return json_bytes({**data, "sha256": hashlib.sha256(json_bytes(data)).hexdigest()})


def read_memo(path: Path) -> Ref | None:
    """The ref that a memo holds, if it is there and as it was written, every byte."""
    try:
        content = path.read_bytes()
        ref = Ref.from_json(json.loads(content))
        return ref if content == memo_bytes(ref) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def disk_is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: nothing to do with what was written."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_fails(error: OSError) -> bool:
    """Whether a read or write failed for the disk's own reasons."""
    return error.errno in (errno.EIO, errno.EROFS, errno.ESTALE)


def json_bytes(data: object) -> bytes:
    """Canonical JSON: the same data gives the same bytes. Refuses NaN, which JSON has not."""
    return json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content at once: readers see the old bytes or the new ones."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file, to write and read, that takes the path's place once the block has ended well.

    Raises:
        OSError: the disk refuses; the path is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")  # not mkstemp's: its files are the owner's
    try:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        flush_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """fsync a file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_folder(path: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut (not possible on Windows)."""
    if os.name == "posix":
        flush(path)
