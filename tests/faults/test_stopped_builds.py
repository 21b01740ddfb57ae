"""Builds that are killed, interrupted or started together end as if nothing had happened."""

import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND, write_demo
from fault_table import Tally, count
from prefect_server import asked, prefect_server

from artifacts.store import sha256_of

pytestmark = pytest.mark.slow

TRAININGS = ["vae", "decoder", "joint", "texture", "prior", "prior-refit", "freev", "hifigan"]


@dataclass(frozen=True)
class Bench:
    """Sounds, a server that records the runs, and what an uninterrupted build gives."""

    sounds: Path
    environment: dict[str, str]
    seconds: float  # of the uninterrupted build
    digest: str

    def start(self, store: Path) -> "subprocess.Popen[str]":
        arguments = ["build", self.sounds, "--name", "kit", "--preset", "tiny", "--store", store]
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments), "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def is_right(self, store: Path, out: str) -> bool:
        """Whether a finished build made the very model that the uninterrupted one made."""
        answer = json.loads(out)
        model = sha256_of(store / "models" / "kit.distill")
        return answer["stages"]["package"]["digest"] == self.digest == model

    def newest_run(self) -> Any:
        body = {"sort": "EXPECTED_START_TIME_DESC", "limit": 1}
        return asked(self.environment["PREFECT_API_URL"], "flow_runs/filter", body)[0]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    sounds = write_demo(folder / "sounds", 12)
    with prefect_server(folder) as environment:
        first = Bench(sounds, environment, 0.0, "")
        began = time.monotonic()
        out, err = first.start(folder / "store").communicate(timeout=600)
        assert out, err
        digest = json.loads(out)["stages"]["package"]["digest"]
        yield Bench(sounds, environment, time.monotonic() - began, digest)


def checkpoints(store: Path) -> dict[str, int]:
    """The newest step that each training under way has kept."""
    newest: dict[str, int] = {}
    for path in (store / "checkpoints").glob("*/*/step-*.safetensors"):
        step = int(path.stem.removeprefix("step-"))
        newest[path.parent.name] = max(step, newest.get(path.parent.name, 0))
    return newest


def continued(err: str) -> dict[str, int]:
    """The step from which each training says that it goes on."""
    return {name: int(step) for name, step in re.findall(r"(\S+): continuing from step (\d+)", err)}


def finished(err: str, training: str) -> int:
    """How often a training says that it has come to its end."""
    return len(re.findall(rf"^{training}: \d+ steps, loss", err, re.MULTILINE))


def test_killed_builds_end_the_same(bench: Bench, tally: Tally, tmp_path: Path) -> None:
    """Builds killed (SIGKILL) at random moments."""
    kills = repeated = 0
    for number in range(count(3, 50)):
        dice, store = random.Random(f"kill {number}"), tmp_path / str(number)
        kept: dict[str, int] = {}
        borne, left = True, dice.randint(1, 3)
        while True:
            process = bench.start(store)
            if left:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(dice.uniform(1.0, bench.seconds))
            if left and process.poll() is None:
                process.send_signal(signal.SIGSTOP)
                at_kill = checkpoints(store)
                process.kill()
                _, err = process.communicate()
                kills, left = kills + 1, left - 1
            else:
                out, err = process.communicate(timeout=600)
                at_kill = {}
            for training, step in continued(err).items():
                repeated += step < kept[training]  # it went on from an older one
            kept = at_kill
            if process.returncode != -signal.SIGKILL:
                break
        borne = process.returncode == 0 and bench.is_right(store, out)
        tally.add(borne)
        shutil.rmtree(store)
    tally.notes.append(f"{kills} kills; {repeated} went on from another than the last checkpoint")
    assert repeated == 0
    assert tally.borne == tally.tried


def test_a_killed_run_is_closed_by_the_next_build(bench: Bench, tmp_path: Path) -> None:
    process = bench.start(tmp_path / "store")
    while not checkpoints(tmp_path / "store"):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    run = bench.newest_run()
    assert run["state_type"] == "RUNNING"  # nobody told Prefect
    out, err = bench.start(tmp_path / "store").communicate(timeout=600)
    assert bench.is_right(tmp_path / "store", out)
    assert "an earlier run was killed; it is marked as crashed in Prefect" in err
    api = bench.environment["PREFECT_API_URL"]
    again = asked(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})[0]
    assert again["state_type"] == "CRASHED"
    tasks = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    states = {one["state_type"] for one in asked(api, "task_runs/filter", tasks)}
    assert states <= {"COMPLETED", "CRASHED"}
    assert bench.newest_run()["state_type"] == "COMPLETED"
    assert list((tmp_path / "store" / "runs").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_interrupted_builds_lose_no_step(
    bench: Bench, tally: Tally, tmp_path: Path, number: signal.Signals
) -> None:
    """Builds interrupted (SIGTERM, Ctrl-C) at random moments."""
    for turn in range(count(2, 10)):
        dice, store = random.Random(f"{number.name} {turn}"), tmp_path / str(turn)
        latest = bench.seconds
        while True:
            process = bench.start(store)
            began = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(3.0, 0.8 * latest))
            if process.poll() is None:
                break
            process.communicate()  # it was faster than the first one: interrupt another, sooner
            latest = time.monotonic() - began
            shutil.rmtree(store)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        kept = checkpoints(store)
        run = bench.newest_run()
        stopped = process.returncode == 130 and "interrupted; what was done is kept" in err
        stopped |= process.returncode == 0  # the signal came when all was done
        process = bench.start(store)
        out, err = process.communicate(timeout=600)
        same = process.returncode == 0 and bench.is_right(store, out)
        went_on = continued(err) == kept
        recorded = run["state_type"] in ("CANCELLED", "COMPLETED")
        if not (stopped and same and went_on and recorded):
            tally.notes.append(
                f"{turn}: {stopped=} {same=} {went_on=} {run['state_type']} {kept} {err[-300:]}"
            )
        tally.add(stopped and same and went_on and recorded)
        shutil.rmtree(store)
    assert tally.borne == tally.tried, tally.notes


@pytest.mark.parametrize("builds", [2, 4])
def test_builds_started_together_train_once(
    bench: Bench, tally: Tally, tmp_path: Path, builds: int
) -> None:
    """Identical builds started together."""
    processes = [bench.start(tmp_path / "store") for _ in range(builds)]
    answers = [process.communicate(timeout=900) for process in processes]
    for process, (out, err) in zip(processes, answers, strict=True):
        tally.add(process.returncode == 0 and bench.is_right(tmp_path / "store", out))
        assert process.returncode == 0, err
    errors = [err for _, err in answers]
    trained = {name: sum(finished(err, name) for err in errors) for name in TRAININGS}
    waited = sum("another process is making this; waiting" in err for err in errors)
    tally.notes.append(f"{waited} of {builds} waited")
    assert trained == dict.fromkeys(TRAININGS, 1)
    assert waited >= builds - 1
    assert tally.borne == tally.tried
