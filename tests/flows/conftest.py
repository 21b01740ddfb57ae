"""What the whole-build tests share: an environment, the command, a small set of sounds."""

import os
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, Answer, Distill, write_demo


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
