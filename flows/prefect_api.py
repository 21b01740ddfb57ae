"""Which Prefect a command talks to: a running API if there is one, else an embedded one."""

import contextlib
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

from tasks.interrupt import asked_to_stop
from tasks.progress import say

LOCAL_API = "http://127.0.0.1:4200/api"


def reachable_api() -> str | None:
    """The API in PREFECT_API_URL, or on this machine's usual port, if it answers.

    Prefect itself is not imported for this: `distill generate` starts at once.
    """
    url = os.environ.get("PREFECT_API_URL") or LOCAL_API
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=1.0) as answer:
            return url if answer.read(5).strip() == b"true" else None  # others use this port too
    except (OSError, ValueError, HTTPException):
        return None


@contextlib.contextmanager
def prefect_session(verbose: bool) -> Iterator[None]:
    """Prefect's settings for one command.

    With no running API, Prefect starts its own for as long as the command takes.

    Raises:
        KeyboardInterrupt: the flow run was cancelled.
    """
    from httpx import HTTPError
    from prefect.exceptions import CancelledRun, TerminationSignal
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    api, asked = reachable_api(), os.environ.get("PREFECT_API_URL")
    if api is None and asked:
        say(f"no Prefect API answers at {asked}: this run is not recorded there")
    settings = {
        PREFECT_API_URL: api,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # its thread delays the end by a second
        PREFECT_LOGGING_TO_API_ENABLED: verbose,
    }
    with temporary_settings(settings):
        if api is None:
            _start_embedded_server()
        try:
            yield
        except (CancelledRun, TerminationSignal):
            raise KeyboardInterrupt from None
        except HTTPError:
            if asked_to_stop():  # the signal reached the server too
                raise KeyboardInterrupt from None
            raise


def _start_embedded_server() -> None:
    """Start it out of Ctrl-C's reach: a terminal sends that to every process of the command.

    The server must live on, or the run could not be marked as cancelled.
    """
    from prefect.client.orchestration import get_client

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the server inherits it
    try:
        with get_client(sync_client=True) as client:
            client.api_healthcheck()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def embedded_server() -> int:
    """The process number of the server that this process started; 0 if there is none."""
    own = os.getpid()
    return next((pid for pid, parent in _servers().items() if parent == own), 0)


def stop_orphaned_server(pid: int) -> None:
    """End the embedded server of a process that was killed: nobody else would."""
    if pid in _servers():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)


def _servers() -> dict[int, int]:
    """Process number -> parent's, of all Prefect servers on this machine."""
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # a bare container has no ps
        return {}
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return {
        int(row[0]): int(row[1])
        for row in rows
        if len(row) == 3 and "prefect.server.api.server:create_app" in row[2]
    }
