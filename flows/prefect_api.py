"""Which Prefect a command talks to: a running API if there is one, else an embedded one."""

import contextlib
import os
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

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
    """
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
        yield
