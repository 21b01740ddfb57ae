"""Pool, worker and deployments as the README starts them. Slow: it waits for a worker."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from prefect_server import PREFECT, ROOT, asked, prefect_server, running, wait_for

pytestmark = pytest.mark.slow
BUILDS = {"flows": {"name": {"any_": ["build-model"]}}, "sort": "START_TIME_DESC"}


def test_deployed_builds_stop_and_complete_and_nightly_is_scheduled(
    sounds: Path, tmp_path: Path
) -> None:
    with prefect_server(tmp_path) as environment:
        environment["DISTILL_STORE"] = str(tmp_path / "store")
        api = environment["PREFECT_API_URL"]

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

        def build(*parameters: str) -> None:
            given = [f"audio_dir={sounds}", "name=kit2", "preset=tiny", *parameters]
            options = [option for one in given for option in ("-p", one)]
            prefect("deployment", "run", "build-model/default", *options)

        def newest(*states: str) -> Any:
            runs = asked(api, "flow_runs/filter", BUILDS)
            return runs[0] if runs and runs[0]["state_type"] in states else None

        prefect("work-pool", "create", "distill", "--type", "process")
        prefect("deploy", "--all")
        worker = [*PREFECT, "worker", "start", "--pool", "distill"]
        log = tmp_path / "worker.log"
        with running(worker, environment, log):
            build('settings=["rvqvae.vae_steps=100000"]')
            checkpoints = tmp_path / "store" / "checkpoints"
            wait_for("a checkpoint", lambda: list(checkpoints.glob("*/vae/*")), 240)
            stopped = newest("RUNNING")
            cancel = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            asked(api, f"flow_runs/{stopped['id']}/set_state", cancel)
            wait_for("the end of the cancelled run", lambda: newest("CANCELLED"), 120)
            assert "stopping after this step" in log.read_text()
            build()
            ended = wait_for("the build", lambda: newest("COMPLETED", "FAILED", "CRASHED"), 240)
            assert ended["state_type"] == "COMPLETED", log.read_text()
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
