"""Server, pool, worker and deployments as the README starts them. Slow: it waits for a worker."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PREFECT = [sys.executable, "-m", "prefect"]

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def asked(api: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{api}/{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@contextlib.contextmanager
def running(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """A process that is stopped at the end, its children too."""
    with log.open("w") as out:
        process = subprocess.Popen(
            arguments, env=environment, stdout=out, stderr=out, cwd=ROOT, start_new_session=True
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(what: str, ready: Any, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            found = ready()
            if found:
                return found
        time.sleep(1)
    raise AssertionError(f"waited {seconds} s for {what}")


def healthy(api: str) -> bool:
    with urllib.request.urlopen(f"{api}/health", timeout=5) as answer:
        return bool(answer.status == 200)


def test_deployed_build_completes_and_nightly_is_scheduled(sounds: Path, tmp_path: Path) -> None:
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "DISTILL_STORE": str(tmp_path / "store"),
    }

    def prefect(*arguments: str) -> None:
        done = subprocess.run(
            [*PREFECT, "--no-prompt", *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    server = [*PREFECT, "server", "start", "--port", str(port)]
    with running(server, environment, tmp_path / "server.log"):
        wait_for("the server", lambda: healthy(api), 120)
        prefect("work-pool", "create", "distill", "--type", "process")
        prefect("deploy", "--all")
        worker = [*PREFECT, "worker", "start", "--pool", "distill"]
        with running(worker, environment, tmp_path / "worker.log"):
            prefect(
                "deployment", "run", "build-model/default",
                "-p", f"audio_dir={sounds}", "-p", "name=kit2", "-p", "preset=tiny",
            )  # fmt: skip

            def finished() -> str:
                runs = asked(
                    api, "flow_runs/filter", {"flows": {"name": {"any_": ["build-model"]}}}
                )
                state = runs[0]["state_type"] if runs else ""
                return state if state in ("COMPLETED", "FAILED", "CRASHED") else ""

            assert wait_for("the build", finished, 240) == "COMPLETED", (
                tmp_path / "worker.log"
            ).read_text()
        assert (tmp_path / "store" / "models" / "kit2.distill").is_file()
        tasks = {one["name"].split("-")[0] for one in asked(api, "task_runs/filter", {})}
        assert tasks >= {"ingest", "mels", "rvqvae", "codes", "prior", "freev", "validate"}
        kinds = {one["type"] for one in asked(api, "artifacts/filter", {})}
        assert kinds >= {"table", "progress", "markdown"}

        def scheduled() -> Any:
            return asked(
                api,
                "flow_runs/filter",
                {
                    "flows": {"name": {"any_": ["regenerate"]}},
                    "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
                },
            )

        assert wait_for("the nightly runs", scheduled, 90)
