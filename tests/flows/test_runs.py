"""What becomes of the runs of dead processes; a Prefect server is not needed for it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import ConnectError

from artifacts.locks import locked


class Api:
    """Prefect's client, as far as closing runs goes: every run and its one task are alike."""

    def __init__(self, final: bool = False, error: Exception | None = None):
        self.state = SimpleNamespace(is_final=lambda: final)
        self.error = error
        self.closed: dict[UUID, str] = {}

    def read_flow_run(self, _run: UUID) -> Any:
        if self.error:
            raise self.error
        return SimpleNamespace(state=self.state)

    def read_task_runs(self, flow_run_filter: Any) -> list[Any]:
        return [SimpleNamespace(id=flow_run_filter.id.any_[0], state=self.state)]

    def set_task_run_state(self, task: UUID, _state: Any, force: bool) -> None:
        assert force
        assert task not in self.closed, "tasks are closed before their run"

    def set_flow_run_state(self, run: UUID, state: Any, force: bool) -> None:
        assert force
        self.closed[run] = state.name


@pytest.fixture
def runs(prefect_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """flows.runs, which loads Prefect."""
    monkeypatch.setenv("PREFECT_HOME", str(prefect_home))
    from flows import runs

    monkeypatch.setattr(runs, "stop_orphaned_server", lambda _pid: None)
    return runs


def left_behind(folder: Path, content: object) -> Path:
    path = folder / f"{uuid4()}.json"
    path.write_text(json.dumps(content))
    return path


def closed(runs: Any, api: Api, paths: list[Path], patch: pytest.MonkeyPatch) -> list[str]:
    """The names of the states that runs were put into."""

    @contextlib.contextmanager
    def client(sync_client: bool) -> Iterator[Api]:
        assert sync_client
        yield api

    patch.setattr(runs, "get_client", client)
    runs._close_dead(paths)
    return list(api.closed.values())


def test_the_run_of_a_dead_process_is_closed_and_forgotten(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(tmp_path, {**runs._here(), "server": 0})
    assert closed(runs, Api(), [path], monkeypatch) == ["Crashed"]
    assert not path.exists()


def test_a_run_that_came_to_its_end_keeps_its_state(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(tmp_path, {**runs._here(), "server": 0})
    assert closed(runs, Api(final=True), [path], monkeypatch) == []
    assert not path.exists()


def test_a_living_run_is_left_alone(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_behind(tmp_path, {**runs._here(), "server": 0})
    with locked(path, lambda: None):
        assert closed(runs, Api(), [path], monkeypatch) == []
    assert path.exists()


@pytest.mark.parametrize(
    "changed", [{"machine": "other-0123"}, {"api": "http://elsewhere/api"}, {"machine": None}]
)
def test_runs_of_others_are_left_alone(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    path = left_behind(tmp_path, {**runs._here(), "server": 0, **changed})
    assert closed(runs, Api(), [path], monkeypatch) == []
    assert path.exists()


def test_a_note_cut_off_by_a_power_cut_is_left_alone(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{uuid4()}.json"
    path.write_text('{"machine": "th')
    assert closed(runs, Api(), [path], monkeypatch) == []


def test_an_api_that_fails_does_not_stop_the_new_run(
    runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = left_behind(tmp_path, {**runs._here(), "server": 0})
    assert closed(runs, Api(error=ConnectError("refused")), [path], monkeypatch) == []
    assert "cannot be marked as crashed in Prefect (refused)" in capsys.readouterr().err
    assert path.exists(), "the next run tries again"
