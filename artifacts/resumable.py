"""One file over HTTP, going on where an earlier attempt was cut off.

huggingface_hub does so within one download when the server hangs up. It begins again from
zero after a reset connection, an outage of some seconds or the end of its process (since
1.18, its issue 4196), which is too often for half a gigabyte.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
from huggingface_hub import get_session

from core.errors import HubError

Progress = Callable[[int, int], None]  # bytes here, bytes in all; called often, may raise

WAIT_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)  # after attempts that brought nothing
TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be another one soon


def bring(
    url: str, headers: dict[str, str], part: Path, size_bytes: int, progress: Progress
) -> None:
    """Let `part` grow to its size with the bytes of `url`; what it holds already is kept.

    Raises:
        HubError: the server refuses, or brought nothing for half a minute; `part` is kept.
        OSError: `part` cannot be written.
    """
    if bytes_in(part) > size_bytes:
        part.unlink()
    waits, most = iter(WAIT_SECONDS), 0
    while (held := bytes_in(part)) < size_bytes:
        progress(held, size_bytes)
        problem = _go_on(url, headers, part, size_bytes, progress)
        if bytes_in(part) > max(held, most):  # it moves, however slowly
            waits, most = iter(WAIT_SECONDS), bytes_in(part)
        if problem:
            _pause(waits, problem, lambda: progress(bytes_in(part), size_bytes))
    progress(size_bytes, size_bytes)


def bytes_in(path: Path) -> int:
    """The size of a file, 0 for none."""
    return path.stat().st_size if path.exists() else 0


def _go_on(
    url: str, headers: dict[str, str], part: Path, size_bytes: int, progress: Progress
) -> str:
    """One request for what is missing; says why it ended early, "" if it did not."""
    held = bytes_in(part)
    wanted = {**headers, "Accept-Encoding": "identity", "Range": f"bytes={held}-"}
    try:
        with get_session().stream(
            "GET", url, headers=wanted, timeout=TIMEOUT, follow_redirects=True
        ) as response:
            host, status = response.url.host, response.status_code
            if status in PASSING:
                return f"{host} answered {status}"
            if status not in (200, 206):
                raise HubError(f"{host} answered {status}")
            if status == 200:  # all of it: the server knows no ranges
                held = 0
            with part.open("ab" if held else "wb") as file:
                for piece in response.iter_raw():
                    file.write(piece[: size_bytes - held])
                    held += len(piece)
                    progress(min(held, size_bytes), size_bytes)
                    if held >= size_bytes:
                        return ""
    except httpx2.TransportError as error:
        return _said(error, url)
    return f"{host} sent {held} of {size_bytes} bytes"


def _said(error: httpx2.TransportError, url: str) -> str:
    host = httpx2.URL(url).host
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return f"{host} cannot be reached ({error})"
    if isinstance(error, httpx2.TimeoutException):
        return f"{host} does not answer"
    return f"the connection was cut ({error})"


def _pause(waits: Iterator[float], problem: str, tick: Callable[[], None]) -> None:
    """Wait for the next attempt, ticking, or raise what went wrong when there is none."""
    wait = next(waits, None)
    if wait is None:
        raise HubError(problem)
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        tick()
        time.sleep(min(left, 0.2))
