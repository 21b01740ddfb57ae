"""A folder of ten times as many files takes no more memory, and ten times the time at most."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_table import Tally, count

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9/api"  # so Prefect's embedded server is used

# Ingests a folder as a build does, within a flow, and prints what that took.
INGEST = """
import json, resource, sys, time
from pathlib import Path
from flows.prefect_api import prefect_session
from prefect import flow
from core.config import IngestConfig
from tasks.ingest import gather_sounds, ingest_folder
from tasks.step import Run

@flow
def ingest():
    began, run = time.monotonic(), Run(sys.argv[2], "cpu")
    found = ingest_folder(run, Path(sys.argv[1]), IngestConfig(), as_tasks=True)
    files = sorted((ref for _, ref in found.sounds), key=lambda ref: ref.digest)
    gather_sounds(run, files, IngestConfig())
    return len(files), time.monotonic() - began

with prefect_session(verbose=False):
    files, seconds = ingest()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"files": files, "seconds": seconds, "peak": peak}))
"""


def write_sounds(folder: Path, files: int) -> Path:
    """Different sounds of 60 ms."""
    folder.mkdir()
    time = np.arange(2646) / 44_100
    for number in range(files):
        wave = 0.3 * np.sin(2 * np.pi * (100 + 0.3 * number) * time)
        soundfile.write(folder / f"{number:05d}.wav", wave, 44_100, "PCM_16")
    return folder


def ingested(folder: Path, store: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(folder), str(store)],
        env={**os.environ, "PREFECT_HOME": f"{store}-prefect", "PREFECT_API_URL": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    answer: dict = json.loads(done.stdout)
    return answer


def test_memory_is_flat_and_time_linear(tally: Tally, tmp_path: Path) -> None:
    """Files ingested, ten times as many beside a tenth."""
    many = count(1000, 10_000)
    few = ingested(write_sounds(tmp_path / "few", many // 10), tmp_path / "few-store")
    all_of_them = ingested(write_sounds(tmp_path / "many", many), tmp_path / "many-store")
    memory = all_of_them["peak"] / few["peak"]
    seconds = all_of_them["seconds"] / few["seconds"]
    tally.notes.append(f"{memory:.2f} x the memory, {seconds:.1f} x the time")
    for _ in range(many):
        tally.add(all_of_them["files"] == many)
    assert (few["files"], all_of_them["files"]) == (many // 10, many)
    assert memory <= 1.2
    assert seconds <= 12
