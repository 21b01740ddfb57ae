"""A disk that refuses any one of a build's writes: the next run ends as if it had not.

The build goes stage by stage, and of each stage there is a copy of the store as it was
before it. A write is made to fail in the stage it belongs to, from that copy; then the
same stage runs once more, undisturbed, on what the failure left. The stage gives what it
gave in a build that nothing disturbed, from the store it then had; so every later stage
does too, because it is given the same refs, and what they name is verified by digest.
"""

import dataclasses
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_line
from broken_sounds import write_few_sounds
from failing_writes import FailingWrites, Fault
from fault_table import Tally, count
from in_process import Capture, answered, refused

from artifacts.checkpoint import Checkpoints
from artifacts.library import Library
from artifacts.package import verify_package
from artifacts.refs import Ref
from artifacts.store import read_memo, sha256_of
from core.errors import DistillError
from tasks.step import Made, Run, Step

pytestmark = pytest.mark.slow

FINISHED = ("blobs", "memos", "models", "reports")  # the rest is of work under way


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of the undisturbed build."""

    name: str
    make: Callable[[Run], object]  # gives what identifies its result
    before: Path  # the store as it was
    made: object
    after: dict[str, str]  # the store's files when it was done
    writes: list[str]


@dataclasses.dataclass
class Recording:
    """Builds once, and keeps every stage with the store before it."""

    run: Run
    snapshots: Path
    disk: FailingWrites
    stages: list[Stage] = dataclasses.field(default_factory=list)

    def stage(self, name: str, make: Callable[[Run], object]) -> object:
        folder, first = Path(self.run.folder), len(self.disk.writes)
        before = self.snapshots / f"{len(self.stages):02}-{name}"
        linked(folder, before)
        made = make(self.run)
        writes = self.disk.writes[first:]
        self.stages.append(Stage(name, make, before, made, contents(folder), writes))
        return made


def linked(folder: Path, copy: Path) -> None:
    """A copy made of hard links: what replaces a file in one leaves the other alone."""
    if folder.exists():
        shutil.copytree(folder, copy, copy_function=os.link)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_few_sounds(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes what flows.cli.main changes of the process."""
    for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL"):
        monkeypatch.setenv(name, "CRITICAL")
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def stages(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Stage]:
    """Of one whole undisturbed build."""
    folder = tmp_path_factory.mktemp("stages")
    run = Run(str(folder / "store"), "cpu")
    with FailingWrites(folder / "store") as disk, pytest.MonkeyPatch.context() as patches:
        recording = Recording(run, folder, disk)
        real_ingest, real_step = small_line.ingest_folder, Step.direct
        real_labels = small_line.labels_of
        found = []

        def ingest(run: Run, *rest: object, **named: object) -> object:
            def make(run: Run) -> object:
                found[:] = [real_ingest(run, *rest, **named)]
                return [(name, ref.digests()) for name, ref in found[0].sounds]

            recording.stage("files", make)
            return found[0]

        def direct(step: Step, run: Run, *rest: object, **named: object) -> Made:
            ref = recording.stage(step.name, lambda run: real_step(step, run, *rest, **named).ref)
            assert isinstance(ref, Ref)
            return Made(ref, cached=False, seconds=0.0)

        def labels(_run: Run, *rest: object) -> object:
            return recording.stage("labels", lambda run: real_labels(run, *rest))

        patches.setattr(small_line, "ingest_folder", ingest)
        patches.setattr(small_line, "labels_of", labels)
        patches.setattr(Step, "direct", direct)
        line = small_line.built(sounds, folder / "store", "cpu")

        def shelve(run: Run) -> object:
            path = small_line.shelved(dataclasses.replace(line, run=run))
            return sha256_of(path), sha256_of(Library(run.store).report_path("kit"))

        recording.stage("library", shelve)
    assert sum(len(stage.writes) for stage in recording.stages) == len(disk.writes)
    return recording.stages


def contents(folder: Path) -> dict[str, str]:
    """Digests of all that is finished in a store, by path."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for name in FINISHED
        for path in (folder / name).rglob("*")
        if path.is_file() and not is_scratch(path)
    }


def is_scratch(path: Path) -> bool:
    """Whether a file is one that is under way, or was."""
    return path.name.startswith("new-") or path.suffix in (".part", ".partial")


def fault_of(folder: Path, failed: str) -> str:
    """What is unsound in a store after a failed write, "" if nothing is."""
    found = contents(folder)
    for path, digest in found.items():
        if path.startswith("blobs/") and Path(path).name != digest:
            return f"{path} is no blob of its name"
        if path.startswith("memos/"):
            ref = read_memo(folder / path)
            if ref is None or not {f"blobs/{one[:2]}/{one}" for one in ref.digests()} <= set(found):
                return f"{path} does not stand for anything"
        if path.endswith(".distill") and verify_package(folder / path):
            return f"{path} is damaged"
    for training in {path.parent for path in folder.glob("checkpoints/*/*/step-*")}:
        if Checkpoints(training).newest() is None:
            return f"{training} has no whole checkpoint"
    left = [path for path in folder.rglob("*") if is_scratch(path)]
    return f"{left[0]} is left" if left and not failed.startswith("unlink") else ""


def ends_well(stage: Stage, number: int, fault: Fault, folder: Path) -> str:
    """Why a stage one of whose writes failed does not end as it should, "" if it does.

    It stops with an error of the disk or of ours; where the write is one that nothing
    hangs on, as when checkpoints are cleared away, it may also end as ever.
    """
    linked(stage.before, folder)
    run = Run(str(folder), "cpu")
    with FailingWrites(folder, number, fault) as disk:
        try:
            if stage.make(run) != stage.made:
                return "it ended, with something else"
        except (OSError, DistillError):
            pass
    if not disk.failed:
        return "it did not fail"
    if unsound := fault_of(folder, disk.failed):
        return unsound
    if stage.make(run) != stage.made:
        return "the next run made something else"
    return "" if contents(folder) == stage.after else "the next run left another store"


@pytest.mark.parametrize("fault", ["full disk", "input/output error", "short write"])
def test_every_single_write_fails_in_turn(
    fault: Fault, stages: list[Stage], tally: Tally, tmp_path: Path
) -> None:
    """Failing every single write of a build"""
    every = [(stage, number) for stage in stages for number in range(1, len(stage.writes) + 1)]
    if fault == "short write":  # only data can be cut short
        every = [(stage, n) for stage, n in every if stage.writes[n - 1].startswith("write ")]
    tally.what = f"{tally.what}: {fault}"
    tally.notes.append(f"{len(every)} writes")
    most = count(12, len(every))
    faults = []
    for turn in range(most):
        stage, number = every[(2 * turn + 1) * len(every) // (2 * most)]
        folder = tmp_path / "store"
        try:
            found = ends_well(stage, number, fault, folder)
        except Exception as error:  # noqa: BLE001  # anything but a plain error is a finding
            found = repr(error)
        tally.add(not found)
        if found:
            faults.append(f"{stage.name} {number}, {stage.writes[number - 1]}: {found}")
        shutil.rmtree(folder, ignore_errors=True)
    assert faults == []


def test_a_full_disk_stops_a_command_with_one_line(
    sounds: Path, tally: Tally, tmp_path: Path, capsys: Capture, quiet: None
) -> None:
    """Filling the disk under `distill plan`: one line, code 2"""
    folder = tmp_path / "store"
    command = ["plan", str(sounds), "--store", str(folder)]

    def planned() -> dict[str, object]:
        plan = answered(capsys, *command)
        return {name: part for name, part in plan.items() if name != "estimate_seconds"}

    with FailingWrites(folder) as disk:
        plan = planned()
    tally.notes.append(f"{len(disk.writes)} writes")
    most = count(12, len(disk.writes))
    for turn in range(most):
        shutil.rmtree(folder)
        with FailingWrites(folder, 1 + turn * len(disk.writes) // most) as disk:
            line = refused(capsys, *command)
        creating = "/" not in disk.failed  # one of the store's folders
        expected = (
            "cannot be written (No space left on device); choose another with --store"
            if creating
            else "the disk is full; make room and run the same command again"
        )
        tally.add(expected in line and planned() == plan)
    assert tally.borne == tally.tried
