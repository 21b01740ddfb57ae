"""What the cache is worth: the same `distill build` twice, as a user runs it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.ingest import write_demo
from benchmarks.timing import Row, seconds_once

COMMAND = [sys.executable, "-c", "import sys; from flows.cli import main; sys.exit(main())"]


def build(folder: Path) -> dict[str, Any]:
    """Build FOLDER/sounds into FOLDER/store; the command's JSON."""
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",  # no server: each starts its own
    }
    arguments = ["build", str(folder / "sounds"), "--name", "bench", "--preset", "tiny", "--json"]
    done = subprocess.run(
        [*COMMAND, *arguments, "--store", str(folder / "store")],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def rows() -> list[Row]:
    """The whole command and, of it, the flow itself; the rest is Python's and Prefect's start."""
    answers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_demo(folder / "sounds")
        whole = [seconds_once(lambda: answers.append(build(folder))) for _ in range(2)]
    found: list[Row] = []
    titles = ("tiny, first", "the same again")
    for what, seconds, answer in zip(titles, whole, answers, strict=True):
        stages = answer["stages"].values()
        cached = sum(stage["cached"] for stage in stages)
        beside = f"{answer['seconds']:.1f} s in the flow, {cached} of {len(stages)} stages cached"
        found.append(Row("" if found else "build", what, f"{seconds:.1f} s", beside))
    return found
