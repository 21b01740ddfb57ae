"""One process at a time trains a given thing, on one machine and over a shared store.

On one machine the kernel keeps the lock (flock) and frees that of a dead process at
once. Between machines that share a folder a claim decides: a file created atomically
beside the lock, its date renewed every few seconds while its holder lives. A claim
that stands still is taken over. Should two machines ever train the same thing, that
costs time only: both make the same bytes, and every write is atomic.
"""

import contextlib
import errno
import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

POLL_SECONDS = 0.1
BEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 60.0  # a claim that stood still for so long has lost its holder
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # some network folders


def this_machine() -> str:
    """A name that stays the same over a restart and differs from other machines'.

    Without a network card it changes: dead claims of this machine are then waited for like
    those of others, and its dead runs are not closed.
    """
    return f"{socket.gethostname()}-{uuid.getnode():012x}"


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `path` alone.

    Args:
        waiting: called again and again while another process holds it; may raise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while (ours := flocked(handle)) is False:
            waiting()
            time.sleep(POLL_SECONDS)
        with _claimed(path.with_name(f"{path.name}.claim"), ours is True, waiting):
            yield
    finally:
        os.close(handle)


def flocked(handle: int) -> bool | None:
    """Whether the open file (writable: NFS asks for that) is ours now.

    None where the file system has no locks and nobody can say.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
        return None
    return True


@contextlib.contextmanager
def _claimed(claim: Path, alone: bool, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the claim, which says to other machines that the lock is taken.

    Args:
        alone: no other process of this machine holds the lock.
    """
    token = f"{this_machine()} {uuid.uuid4().hex}"
    while not _created(claim, token):
        _wait_for_its_end(claim, alone, waiting)
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(claim, token, done), daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()
        if _read(claim) == token:
            claim.unlink(missing_ok=True)


def _created(claim: Path, token: str) -> bool:
    try:
        with claim.open("x") as file:
            file.write(token)
    except FileExistsError:
        return False
    return True


def _wait_for_its_end(claim: Path, alone: bool, waiting: Callable[[], None]) -> None:
    """Until the claim is gone; it is removed if its holder is dead."""
    seen, since = _beats(claim), time.monotonic()
    while seen is not None:
        # Alone with this machine's lock, a claim of this machine is a dead process's.
        if alone and _read(claim).startswith(f"{this_machine()} "):
            break
        if time.monotonic() - since > DEAD_AFTER_SECONDS:
            break
        waiting()
        time.sleep(POLL_SECONDS)
        now = _beats(claim)
        if now != seen:
            seen, since = now, time.monotonic()
    claim.unlink(missing_ok=True)


def _beats(claim: Path) -> int | None:
    """When the claim was renewed last; None when there is none."""
    try:
        return claim.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError:  # it cannot be read at the moment
        return 0


def _read(claim: Path) -> str:
    try:
        return claim.read_text()
    except OSError:
        return ""


def _beat(claim: Path, token: str, done: threading.Event) -> None:
    """Renew the claim until done; one that another machine took over is left alone."""
    while not done.wait(BEAT_SECONDS):
        if _read(claim) not in ("", token):
            return
        with contextlib.suppress(OSError):
            os.utime(claim)
