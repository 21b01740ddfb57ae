"""Stopping when asked: Ctrl-C or SIGTERM ends the work at the next safe place.

The first signal only asks. Whoever works in steps looks here between two of them
(a progress bar does, at every update) and `Interrupted` leaves from there, so that a
training can write its checkpoint. A second signal stops at once.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASKED = b"\ndistill: stopping after this step; once more stops at once\n"

_asked = threading.Event()  # signals are the process's, so is this


class Interrupted(KeyboardInterrupt):
    """Raised between two steps, never within one."""


def asked_to_stop() -> bool:
    return _asked.is_set()


def stop_if_asked() -> None:
    """Raises Interrupted after a first signal."""
    if _asked.is_set():
        raise Interrupted


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Signals ask instead of stopping at once; does nothing outside of the main thread.

    May be entered again within itself, as Prefect puts its own handlers in between.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, _ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if _ask not in before.values():
            _asked.clear()


def _ask(_number: int, _frame: object) -> None:
    if _asked.is_set():
        raise KeyboardInterrupt
    _asked.set()
    with contextlib.suppress(OSError):
        os.write(2, ASKED)  # not through the console: the signal may have come while it drew
