"""A flow run's end in Prefect's eyes, also when it is interrupted or its process is killed.

While a flow runs, a locked file `runs/ID.json` in the store says so. The kernel frees
the lock of a dead process; the next flow finds the file free and closes that run.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import State
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_HOME
from prefect.states import Cancelled, Crashed

from artifacts.locks import flocked, this_machine
from artifacts.store import Store, json_bytes
from flows.prefect_api import embedded_server, stop_orphaned_server
from tasks.interrupt import stoppable
from tasks.progress import say

T = TypeVar("T")
INTERRUPTED = "Interrupted; the same command goes on from there."
KILLED = "Its process was killed; a later run went on from there."


def recorded(store: Store, body: Callable[[], T]) -> T:
    """What the body of a flow gives, which the flow has to return at once.

    When the body is interrupted, that is Prefect's state `Cancelled`: the run ends in it,
    and who called the flow gets Prefect's CancelledRun.
    """
    with stoppable(), _under_way(store.folder / "runs"):
        try:
            return body()
        except KeyboardInterrupt:
            return Cancelled(message=INTERRUPTED)  # type: ignore[return-value]


@contextlib.contextmanager
def _under_way(folder: Path) -> Iterator[None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield  # called without Prefect
        return
    path = folder / f"{context.flow_run.id}.json"
    new = path.with_suffix(".new")  # seen by others only once it is locked
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        flocked(handle)
        os.write(handle, json_bytes({**_here(), "server": embedded_server()}))
        new.replace(path)
        _close_dead([one for one in sorted(folder.glob("*.json")) if one != path])
        yield
    finally:
        new.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        os.close(handle)


def _here() -> dict[str, str]:
    """This machine, and where runs are recorded: an API, or the embedded one's folder."""
    return {
        "machine": this_machine(),
        "api": PREFECT_API_URL.value() or str(PREFECT_HOME.value()),
    }


def _close_dead(paths: list[Path]) -> None:
    """Mark the runs of this machine's dead processes as crashed."""
    with get_client(sync_client=True) as client:
        for path in paths:
            with contextlib.suppress(OSError), path.open("r+b") as file:
                if flocked(file.fileno()) is not True:
                    continue
                left = _read(file.read())
                if {name: left.get(name) for name in _here()} != _here():
                    continue  # another machine's, or recorded at an API that is not this one
                stop_orphaned_server(left.get("server", 0))
                if _close(client, UUID(path.stem)):
                    path.unlink(missing_ok=True)


def _read(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError:  # cut off by a power cut
        return {}
    return data if isinstance(data, dict) else {}


def _close(client: SyncPrefectClient, run: UUID) -> bool:
    """Whether nothing of the run is left to be closed."""
    end: State[None] = Crashed(message=KILLED)
    try:
        state = client.read_flow_run(run).state
        if state is not None and state.is_final():
            return True
        mine = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
        for task in client.read_task_runs(flow_run_filter=mine):
            if task.state is None or not task.state.is_final():
                client.set_task_run_state(task.id, end, force=True)
        client.set_flow_run_state(run, end, force=True)
        say("an earlier run was killed; it is marked as crashed in Prefect")
    except ObjectNotFound:
        pass  # it was deleted there
    except (PrefectException, HTTPError) as error:  # no reason to stop this run
        say(f"an earlier run was killed and cannot be marked as crashed in Prefect ({error})")
        return False
    return True
