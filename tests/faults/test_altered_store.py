"""A finished store one of whose files is altered or gone: the next build makes it again.

It makes what the file held and nothing else, and the store is whole again, byte for byte.
Lock files are empty, so there is nothing in them to alter; what Prefect keeps is tried in
a flow of its own.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from broken_sounds import write_few_sounds
from fault_table import Tally, count
from small_line import Line, built, shelved

from artifacts.refs import Ref

pytestmark = pytest.mark.slow

Damage = Literal["flip", "delete"]


@dataclass(frozen=True)
class Finished:
    """A store with one model in it."""

    sounds: Path
    folder: Path
    line: Line
    whole: dict[str, bytes]  # every file by path

    def rebuilt(self) -> list[str]:
        """Build again; which steps made something, the decoding of single files as `files`."""
        line = built(self.sounds, self.folder, "cpu")
        shelved(line)
        decoded = ["files"] if line.files.decoded_now else []
        return decoded + [step for step, made in line.made.items() if not made.cached]

    def makers(self, path: str) -> list[str]:
        """Which steps have to make what the file holds: the first that gives it, alone."""
        top, folder, *rest = path.split("/")
        if top not in ("blobs", "memos"):
            return []  # written at the end of every build
        refs = [*(("files", ref) for ref in self.line.files.outcomes)]
        refs += [(step, made.ref) for step, made in self.line.made.items()]
        if top == "blobs":
            return [step for step, ref in refs if rest[0] in ref.digests()][:1]
        memo = Ref.from_json(json.loads(self.whole[path]))
        return ["files"] if memo.kind == "sound" else [folder]

    def mend(self) -> None:
        """Put every file back, so that one fault does not show twice."""
        shutil.rmtree(self.folder)
        for path, content in self.whole.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Of a few sounds."""
    sounds = write_few_sounds(tmp_path_factory.mktemp("tones"))
    folder = tmp_path_factory.mktemp("store")
    line = built(sounds, folder, "cpu")
    shelved(line)
    return Finished(sounds, folder, line, contents(folder))


def flip(path: Path, seed: int) -> None:
    """Change one byte."""
    dice = random.Random(f"{path.name} {seed}")
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= dice.randrange(1, 256)
    path.write_bytes(data)


def ends_well(finished: Finished, path: str) -> str:
    """Why a build on a damaged store does not end as it should, "" if it does."""
    made, expected = finished.rebuilt(), finished.makers(path)
    if made != expected:
        return f"made {made}, not {expected}"
    return "" if contents(finished.folder) == finished.whole else "the store is another"


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_every_single_file_is_altered_in_turn(
    damage: Damage, finished: Finished, tally: Tally
) -> None:
    """Altering every single file of a finished store"""
    tally.what = f"{tally.what}: {damage}"
    tally.notes.append(f"{len(finished.whole)} files")
    faults = []
    for path in finished.whole:
        for seed in range(count(1, 5) if damage == "flip" else 1):
            if damage == "flip":
                flip(finished.folder / path, seed)
            else:
                (finished.folder / path).unlink()
            try:
                found = ends_well(finished, path)
            except Exception as error:  # noqa: BLE001  # no build may fail for it
                found = repr(error)
            tally.add(not found)
            if found:
                faults.append(f"{path}: {found}")
                finished.mend()
    assert faults == []


def test_what_prefect_keeps_of_a_result_decides_nothing(tally: Tally, tmp_path: Path) -> None:
    """Altering the bytes of a result that Prefect keeps"""
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",  # whatever runs on this machine
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    }
    script = Path(__file__).parents[1] / "altered_results.py"
    command = [sys.executable, str(script), str(tmp_path / "store"), str(count(20, 10_000))]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, timeout=900, check=True
    )
    answer = json.loads(done.stdout)
    for number in range(answer["tried"]):
        tally.add(number >= len(answer["faults"]))
    assert answer["faults"] == []
