"""What the tests share: an environment, the command, small sets of sounds, a bare package."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import soundfile
from broken_sounds import tone
from command_line import COMMAND, Answer, Distill, write_demo
from in_process import ENTRIES

from artifacts.package import write_package
from flows import commands


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect-home")


@pytest.fixture(scope="session")
def environment(prefect_home: Path) -> dict[str, str]:
    """No running API is found, whatever runs on this machine."""
    return {
        **os.environ,
        "PREFECT_HOME": str(prefect_home),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }


@pytest.fixture(scope="session")
def distill(environment: dict[str, str]) -> Distill:
    """Run `distill ARGUMENTS` as a process of its own."""

    def run(*arguments: object) -> Answer:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen demo sounds: enough for whole files to be held out."""
    return write_demo(tmp_path_factory.mktemp("demo") / "sounds", 16)


def no_prefect(verbose: bool) -> NoReturn:
    raise AssertionError(f"Prefect takes seconds to start, and nothing here needs it ({verbose=})")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine is used, and main's changes of the process are undone."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("DISTILL_STORE", str(tmp_path / "default-store"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "prefect_session", no_prefect)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def own_store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def few_sounds(tmp_path: Path) -> str:
    """Three sounds of half a second."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", tone(0.5, 44_100, 200 + 90 * number), 44_100)
    return str(folder)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that says nothing but its name."""
    path = tmp_path / "kit.distill"
    write_package(path, {"name": "kit"}, ENTRIES)
    return path
