"""Fuzzed files, each judged in another process that this one watches.

A crash, a hang or hoarded memory is then one file's verdict, not the end of the
test. Files are damaged here, from a seed each; what reads them runs over there.
"""

import faulthandler
import multiprocessing
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from fault_table import Tally
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

MOST_SECONDS = 5.0  # a file
MOST_BYTES = 1 << 30  # of memory, beyond what the process holds before the first file
GLANCE_SECONDS = 0.02  # how often the process is looked at while it works
START_SECONDS = 120.0

Check = Callable[[Path], str]  # says what came of a file; raises where that is not to be borne
Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    seed: int
    damage: str
    suffix: str
    content: bytes


@dataclass(frozen=True)
class Verdict:
    said: str  # what came of the file, where it was borne
    fault: str  # why it was not, "" where it was
    seconds: float
    grown_bytes: int  # peak memory beyond that at the start


def drawn(strategy: SearchStrategy[Drawn], dice: random.Random) -> Drawn:
    """A value of a hypothesis strategy that follows from `dice` alone."""
    found: list[Drawn] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def keep(value: Drawn) -> None:
        found.append(value)

    while not found:  # some bytes describe no value
        keep.hypothesis.fuzz_one_input(dice.randbytes(8192))
    return found[0]


def bear(tally: Tally, watched: "Watched", cases: Iterable[Case]) -> None:
    """Have every case judged and count; a file that is not borne is kept.

    Raises:
        AssertionError: some were not borne; names the first few by seed and path.
    """
    came: Counter[str] = Counter()
    faults: list[str] = []
    slowest, largest = (0.0, 0), (0, 0)
    for case in cases:
        path = watched.folder / f"{case.seed}{case.suffix}"
        path.write_bytes(case.content)
        verdict = watched.judge(path)
        tally.add(not verdict.fault)
        slowest = max(slowest, (verdict.seconds, case.seed))
        largest = max(largest, (verdict.grown_bytes, case.seed))
        if verdict.fault:
            faults.append(f"seed {case.seed}, {case.damage}, {path}:\n{verdict.fault}")
        else:
            came[verdict.said] += 1
            path.unlink()
    tally.notes.append(", ".join(f"{number} {said}" for said, number in sorted(came.items())))
    tally.notes.append(f"slowest {slowest[0]:.2f} s (seed {slowest[1]})")
    tally.notes.append(f"most memory +{largest[0] / 2**20:.0f} MiB (seed {largest[1]})")
    assert tally.tried == tally.borne, f"{len(faults)} not borne\n\n" + "\n\n".join(faults[:5])


class Watched:
    """A process that checks one file after another; a new one follows when it dies.

    Args:
        start: called once over there with `folder`; returns the check. Its module must be
            importable by name, so not a test's.
        folder: where the files lie, and the process's stderr.
    """

    def __init__(self, start: Callable[[Path], Check], folder: Path):
        self.folder, self._start = folder, start
        self._process: multiprocessing.process.BaseProcess | None = None
        self._resting_bytes = 0

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def judge(self, path: Path) -> Verdict:
        """Have one file checked, within 5 s and 1 GiB."""
        process = self._process or self._begin()
        began = time.monotonic()
        self._pipe.send(path)
        while not self._pipe.poll(GLANCE_SECONDS):
            seconds, grown = time.monotonic() - began, resident_bytes(process) - self._resting_bytes
            if seconds > MOST_SECONDS or grown > MOST_BYTES:
                self._stop()
                fault = f"stopped after {seconds:.1f} s at {grown / 2**20:.0f} MiB more"
                return Verdict("", fault, seconds, grown)
        seconds = time.monotonic() - began
        try:
            said, fault, peak = self._pipe.recv()
        except EOFError:
            return Verdict("", self._obituary(process), seconds, 0)
        grown = peak - self._resting_bytes
        if grown > MOST_BYTES:
            self._stop()  # it may hold it still
            fault = fault or f"took {grown / 2**20:.0f} MiB"
        return Verdict(said, fault, seconds, grown)

    def _begin(self) -> multiprocessing.process.BaseProcess:
        spawned = multiprocessing.get_context("spawn")
        self._pipe, there = spawned.Pipe()
        arguments = (self._start, self.folder, there)
        self._process = process = spawned.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        there.close()
        assert self._pipe.poll(START_SECONDS), "the process does not start"
        try:
            self._resting_bytes = self._pipe.recv()
        except EOFError:
            raise AssertionError(self._obituary(process)) from None
        return process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = None

    def _obituary(self, process: multiprocessing.process.BaseProcess) -> str:
        process.join()
        self._process = None
        last_words = (self.folder / "stderr").read_text(errors="replace")[-2000:]
        return f"died with exit code {process.exitcode}: {last_words}"


def _serve(start: Callable[[Path], Check], folder: Path, pipe: Connection) -> None:
    """Over there: one (said, fault, peak bytes) for each path."""
    sys.dont_write_bytecode = True
    with (folder / "stderr").open("w") as stderr:
        os.dup2(stderr.fileno(), 2)  # for C code too
        faulthandler.enable(stderr)
        check = start(folder)
        pipe.send(peak_bytes())
        for path in _received(pipe):
            forget_peak()
            said = fault = ""
            try:
                said = check(path)
            except BaseException:  # noqa: BLE001  # whatever it is, it is the verdict
                fault = traceback.format_exc()
            pipe.send((said, fault, peak_bytes()))


def _received(pipe: Connection) -> Iterator[Path]:
    with suppress(EOFError):
        while True:
            yield pipe.recv()


def resident_bytes(process: multiprocessing.process.BaseProcess) -> int:
    """What another process holds now; 0 where there is no /proc."""
    with suppress(OSError, IndexError):
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def peak_bytes() -> int:
    """The most that this process held; on Linux since `forget_peak`."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> None:
    """Let `peak_bytes` start again from what is held now; Linux only."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
