"""Whole builds through the public command, preset tiny. Slow: each pays for Prefect's start."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken_sounds import write_broken_sounds, write_good_sounds
from command_line import COMMAND, Distill, write_demo

from artifacts.store import sha256_of

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"
STAGES = [
    "ingest", "mels", "rvqvae", "codes", "texture", "prior", "judge", "vocoder", "validate",
    "package",
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def built(distill: Distill, sounds: Path, store: Path) -> dict:
    return distill(
        "build", sounds, "--name", "kit", "--preset", "tiny", "--store", store, "--json"
    ).json


def remade(answer: dict) -> list[str]:
    return [stage for stage, one in answer["stages"].items() if not one["cached"]]


def test_first_build_makes_every_stage(built: dict) -> None:
    assert list(built["stages"]) == STAGES
    assert remade(built) == STAGES
    assert Path(built["model"]).is_file()
    assert Path(built["report"]).read_text().startswith("<!DOCTYPE html>")


def test_inspect_shows_every_key_of_the_contract(
    distill: Distill, built: dict, store: Path
) -> None:
    card = distill("inspect", "kit", "--store", store, "--json").json
    assert (card["format"], card["version"]) == ("distill_model", 2)
    assert card["mel"]["mel_type"] == "slaney_logclamp"
    assert set(card["health"]) >= {"utilisation", "perplexity"}
    assert len(card["health"]["utilisation"]) == card["sizes"]["levels"]
    metrics = card["metrics"]
    assert set(metrics["reconstruction"]) >= {"log_mel_l1", "vae_log_mel_l1"}
    assert set(metrics["prior"]) >= {
        "nats_per_frame",
        "unigram_nats_per_frame",
        "overlap_8gram",
        "overlap_8gram_real",
    }
    assert set(metrics["vocoders"]) == {"griffinlim", "freev", "hifigan"}
    assert card["vocoder"] in metrics["vocoders"]
    assert all(set(gate) >= {"value", "limit", "passed"} for gate in card["gates"].values())
    assert card["train"]["files"] == 16


def test_vocode_plays_a_legacy_mel(
    distill: Distill, built: dict, store: Path, tmp_path: Path
) -> None:
    with np.load(GOLDEN / "mel_torchaudio_htk_log1p_48k.npz") as arrays:
        np.save(tmp_path / "old.npy", arrays["mel_log1p"])
        seconds = arrays["audio"].size / 48_000
    out = tmp_path / "out"
    asked = ("--mel-type", "htk_log1p", "--format", "flac", "--out", out, "--store", store)
    answer = distill("vocode", "kit", tmp_path / "old.npy", *asked, "--json").json
    (sound,) = answer["sounds"]
    assert sound["path"] == str(out / "old.flac")
    assert sound["vocoder"] == distill("inspect", "kit", "--store", store, "--json").json["vocoder"]
    wave, rate = soundfile.read(sound["path"])
    assert rate == 48_000
    assert len(wave) / rate == pytest.approx(seconds, abs=0.03)
    assert wave.std() > 0.01


def test_rebuild_after_rename_and_touch_makes_nothing(
    distill: Distill, built: dict, sounds: Path, store: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(sounds, moved)
    for path in sorted(moved.iterdir()):
        os.utime(path, (1, 1))
    path.rename(moved / "another name.wav")
    again = distill(
        "build",
        moved,
        "--name",
        "kit",
        "--preset",
        "tiny",
        "--store",
        store,
        "--device",
        "cpu",
        "--json",
    ).json
    assert remade(again) == []
    assert sha256_of(Path(again["model"])) == built["stages"]["package"]["digest"]


def test_changed_vocoder_setting_remakes_what_hangs_on_it(
    distill: Distill, built: dict, sounds: Path, store: Path
) -> None:
    again = distill(
        "build",
        sounds,
        "--name",
        "kit2",
        "--preset",
        "tiny",
        "--store",
        store,
        "--set",
        "freev.steps=10",
        "--json",
    ).json
    assert remade(again) == ["vocoder", "validate", "package"]


def test_missing_blob_remakes_its_stage_alone(
    distill: Distill, built: dict, sounds: Path, store: Path
) -> None:
    digest = built["stages"]["codes"]["digest"]
    (store / "blobs" / digest[:2] / digest).unlink()
    again = distill(
        "build", sounds, "--name", "kit", "--preset", "tiny", "--store", store, "--json"
    ).json
    assert remade(again) == ["codes"]
    assert again["stages"]["package"]["digest"] == built["stages"]["package"]["digest"]


def test_added_sound_is_the_only_one_ingested(
    distill: Distill, built: dict, sounds: Path, store: Path, tmp_path: Path
) -> None:
    more = write_demo(tmp_path / "more", 17)
    again = distill(
        "build", more, "--name", "more", "--preset", "tiny", "--store", store, "--json"
    ).json
    assert again["ingested_now"] == 1
    assert again["stages"]["ingest"]["cached"] is False


def test_sounds_are_added_to_a_model(distill: Distill, sounds: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    # Half as many sounds more would ask for codebooks of 16, which do not go on from 8.
    options = [
        "--preset", "tiny", "--set", "rvqvae.codebook_size=8", "--store", store, "--json",
    ]  # fmt: skip
    built = distill("build", sounds, "--name", "kit", *options).json
    more = write_demo(tmp_path / "more", 24)
    arguments = ["build", more, "--name", "kit-more", "--from", "kit", *options]
    made = distill(*arguments)
    assert "rvqvae: goes on from kit" in made.err
    assert made.json["ingested_now"] == 8
    assert list(made.json["stages"]) == [*STAGES[:-1], "memory", "package"]
    card = distill("inspect", "kit-more", "--store", store, "--json").json
    assert card["parent"] == {
        "name": "kit", "sha256": sha256_of(Path(built["model"])), "begun_anew": {},
    }  # fmt: skip
    memory = card["metrics"]["memory"]
    assert (memory["old"]["sounds"], memory["new"]["sounds"]) == (2, 1)
    for group in memory.values():
        assert all(group[key] > 0 for key in group)
    gate = card["gates"]["forgetting"]
    lost = memory["old"]["log_mel_l1"] / memory["old"]["log_mel_l1_before"] - 1
    assert gate["value"] == pytest.approx(lost)
    assert gate["passed"] == (lost <= gate["limit"])
    assert "goes on from kit" in distill("inspect", "kit-more", "--store", store).out
    assert "forgetting" in Path(made.json["report"]).read_text()
    again = distill(*arguments).json
    assert remade(again) == []
    assert sha256_of(Path(again["model"])) == made.json["stages"]["package"]["digest"]


def test_generated_sounds_are_sound(
    distill: Distill, built: dict, store: Path, tmp_path: Path
) -> None:
    arguments = ["generate", "kit", "-n", 16, "--seed", 7, "--store", store, "--json"]
    made = distill(*arguments, "--out", tmp_path / "a").json["sounds"]
    again = distill(*arguments, "--out", tmp_path / "b").json["sounds"]
    assert [one["sha256"] for one in made] == [one["sha256"] for one in again]
    assert len({one["sha256"] for one in made}) == 16
    for one in made:
        wave, rate = soundfile.read(one["path"])
        assert rate == 48_000
        assert np.isfinite(wave).all()
        assert 20 * np.log10(np.sqrt(np.mean(wave**2))) > -50
        assert np.abs(wave).max() < 1.0
        recipe = json.loads(Path(one["sidecar"]).read_text())
        assert recipe["sha256"] == sha256_of(Path(one["path"]))


def test_given_seconds_are_exact(
    distill: Distill, built: dict, store: Path, tmp_path: Path
) -> None:
    made = distill(
        "generate", "kit", "-n", 2, "--seconds", "1.5", "--rate", 44_100, "--format", "flac",
        "--store", store, "--out", tmp_path, "--json",
    ).json["sounds"]  # fmt: skip
    assert [soundfile.info(one["path"]).frames for one in made] == [66_150, 66_150]


def test_compare_writes_a_page_and_its_clips(
    distill: Distill, built: dict, store: Path, tmp_path: Path
) -> None:
    made = distill("compare", "kit", "--store", store, "--out", tmp_path / "ab", "--json").json
    assert Path(made["report"]).is_file()
    assert {one["kind"] for one in made["clips"]} == {"original", "mel", "model"}
    assert all(Path(one["path"]).is_file() for one in made["clips"])


def test_broken_files_are_left_out_and_named(distill: Distill, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = write_good_sounds(folder)
    broken = write_broken_sounds(folder)
    answer = distill(
        "build", folder, "--name", "mixed", "--preset", "tiny", "--store", tmp_path / "store",
        "--json",
    ).json  # fmt: skip
    assert {one["file"] for one in answer["rejected"]} == set(broken)
    card = distill("inspect", answer["model"], "--json").json
    assert card["train"]["files"] == len(good) == 10
    assert card["train"]["held_out"] == "tails"


def test_folder_with_nothing_usable_is_one_line(distill: Distill, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    write_broken_sounds(folder)
    answer = distill("build", folder, "--name", "x", "--store", tmp_path / "store")
    assert answer.code == 2
    lines = [line for line in answer.err.splitlines() if line.startswith("distill: error: ")]
    assert len(lines) == 1
    assert "Traceback" not in answer.err


# Long enough that every training is met between two checkpoints.
LONGER = [
    "--set", "rvqvae.vae_steps=120", "--set", "rvqvae.decoder_steps=120",
    "--set", "rvqvae.joint_steps=120", "--set", "texture.steps=120", "--set", "prior.steps=120",
    "--set", "freev.steps=60", "--set", "hifigan.steps=24",
]  # fmt: skip


def test_killed_in_every_training_ends_as_if_it_never_was(
    distill: Distill, environment: dict[str, str], tmp_path: Path
) -> None:
    sounds = write_demo(tmp_path / "sounds", 10)  # few files: the prior is refitted too
    arguments = ["build", str(sounds), "--name", "kit", "--preset", "tiny", *LONGER]
    whole = distill(*arguments, "--store", tmp_path / "whole", "--json").json
    store = tmp_path / "killed"
    trainings = ("vae", "decoder", "joint", "texture", "prior", "prior-refit", "freev", "hifigan")
    for training in trainings:
        kill_after_checkpoint(arguments, store, training, environment)
    last = distill(*arguments, "--store", store, "--json")
    assert "hifigan: continuing from step" in last.err
    assert last.json["stages"]["package"]["digest"] == whole["stages"]["package"]["digest"]
    assert Path(last.json["model"]).read_bytes() == Path(whole["model"]).read_bytes()


def kill_after_checkpoint(
    arguments: list[str], store: Path, training: str, environment: dict[str, str]
) -> None:
    """SIGKILL the build as soon as this training has written a checkpoint."""
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--store", str(store)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list((store / "checkpoints").glob(f"*/{training}/step-*.safetensors")):
        assert process.poll() is None, f"the build ended before {training} had a checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
