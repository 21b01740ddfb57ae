"""`distill generate --vocoder bigvgan`: played, fetched, kept, or done without and said so.

The small official generator stands in for the one that is offered: another pin, the same way.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from bigvgan_golden import pinned, placed, tiny_files
from broken_sounds import write_tones
from hub_server import HubServer
from in_process import Capture, answered, refused
from small_line import built

from artifacts import resumable
from artifacts.bigvgan import KeptBigvgan
from artifacts.pinned import BIGVGAN
from tasks import choose_vocoder

TABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # as oneDNN and torch read
pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model file; FreeV or Griffin-Lim is its best own vocoder."""
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder, 6)
    line = built(folder, tmp_path_factory.mktemp("store"), "cpu")
    path = tmp_path_factory.mktemp("models") / "kit.distill"
    path.write_bytes(line.store.read_bytes(line.package.digest))
    return str(path)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with the small generator, which is the pinned one; its client's cache is new."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for table in TABLES:
        monkeypatch.setenv(table, "")  # what was there is put back in the end
        monkeypatch.delenv(table)
    with HubServer(tiny_files(), {"bigvgan_generator.pt"}) as server:
        client = huggingface_hub.constants
        go_to(server, monkeypatch)
        monkeypatch.setattr(client, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(client, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(resumable, "WAIT_SECONDS", (0.01, 0.01))
        huggingface_hub.close_session()  # the client reads its proxies when it is made
        monkeypatch.setattr(choose_vocoder, "kept", KeptBigvgan(pinned(tiny_files())))
        yield server
        huggingface_hub.close_session()


def go_to(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does when the client is loaded."""
    client, where = huggingface_hub.constants, "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(client, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(client, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + where)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return placed(tmp_path / "bigvgan", tiny_files())


class Sound:
    """One that was generated: what the command answered, its sidecar, and what stderr said."""

    def __init__(self, answer: dict[str, Any], said: str):
        (self.answer,) = answer["sounds"]
        self.recipe = json.loads(Path(self.answer["sidecar"]).read_text())
        self.said = said.splitlines()


def sound(capsys: Capture, kit: str, out: str, *arguments: str) -> Sound:
    said: list[str] = []
    common = ["-n", "1", "--seconds", "0.3", "--seed", "5", "--device", "cpu", "--out", out]
    answer = answered(capsys, "generate", kit, *common, *arguments, said=said)
    return Sound(answer, "".join(said))


def test_bigvgan_plays_from_a_folder_and_is_named(
    kit: str, folder: Path, hub: HubServer, capsys: Capture
) -> None:
    with_it = sound(capsys, kit, "a", "--vocoder", "bigvgan", "--bigvgan-dir", str(folder))
    assert with_it.said == []
    assert hub.asked == []
    assert with_it.answer["vocoder"] == with_it.recipe["vocoder"] == "bigvgan"
    weights = pinned(tiny_files()).files[1].sha256
    assert with_it.recipe["bigvgan"]["sha256"] == weights
    assert with_it.recipe["wish"]["vocoder"] == "bigvgan"
    assert str(folder) not in json.dumps(with_it.recipe), "where they lay does not matter"
    without = sound(capsys, kit, "b", "--vocoder", "griffinlim")
    assert "bigvgan" not in without.recipe
    assert without.answer["sha256"] != with_it.answer["sha256"]


@pytest.mark.parametrize("vocoder", ["griffinlim", "bigvgan"])
def test_new_lengths_do_not_take_new_memory_for_ever(
    vocoder: str, kit: str, capsys: Capture
) -> None:
    sound(capsys, kit, "a", "--vocoder", vocoder)
    # fewer than the 66 to 80 shapes of one length, and each sound takes twice as long
    assert [os.environ[table] for table in TABLES] == ["150", "150"]


def test_it_is_fetched_once_visibly(
    kit: str, hub: HubServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sound(capsys, kit, "a", "--vocoder", "bigvgan")
    assert first.said[0] == "BigVGAN is fetched: 1 MB, this once"
    assert first.answer["vocoder"] == "bigvgan"
    hub.asked.clear()
    for fresh in (False, True):  # as it is kept, and as another process would find it
        if fresh:
            monkeypatch.setattr(choose_vocoder, "kept", KeptBigvgan(pinned(tiny_files())))
        again = sound(capsys, kit, "b", "--vocoder", "bigvgan")
        assert (again.said, hub.asked) == ([], [])
        assert again.answer["sha256"] == first.answer["sha256"]


def test_a_folder_and_the_hub_give_the_same_sound(
    kit: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = sound(capsys, kit, "a", "--vocoder", "bigvgan")
    monkeypatch.setattr(choose_vocoder, "kept", KeptBigvgan(pinned(tiny_files())))
    placed_ = sound(capsys, kit, "b", "--vocoder", "bigvgan", "--bigvgan-dir", str(folder))
    assert fetched.recipe == placed_.recipe


@pytest.mark.parametrize("why", ["offline", "no server", "broken folder", "not pinned"])
def test_without_bigvgan_the_best_own_vocoder_plays_and_one_line_says_so(
    why: str,
    kit: str,
    folder: Path,
    hub: HubServer,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = sound(capsys, kit, "own")
    arguments, reason = ["--vocoder", "bigvgan"], "cannot be reached"
    match why:
        case "offline":
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
            reason = "HF_HUB_OFFLINE is set"
        case "no server":
            dead = HubServer({}, set())
            with dead:
                go_to(dead, monkeypatch)
        case "broken folder":
            (folder / "bigvgan_generator.pt").write_bytes(b"")
            arguments += ["--bigvgan-dir", str(folder)]
            reason = f"in {folder} bigvgan_generator.pt has 0 bytes"
        case "not pinned":
            monkeypatch.setattr(choose_vocoder, "kept", KeptBigvgan(BIGVGAN))
            arguments += ["--bigvgan-dir", str(folder)]
            reason = "not 489041291"
    began = time.monotonic()
    instead = sound(capsys, kit, "out", *arguments)
    assert time.monotonic() - began < 10
    (line,) = instead.said
    winner = own.answer["vocoder"]
    assert line.startswith(f"{winner} plays in place of bigvgan: ")
    assert reason in line
    assert line.endswith("into one folder and name it with --bigvgan-dir")
    assert instead.answer["vocoder"] == instead.recipe["vocoder"] == winner
    assert instead.answer["sha256"] == own.answer["sha256"]
    assert "bigvgan" not in instead.recipe


def test_a_recipe_names_what_played_so_that_it_plays_again(
    kit: str, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    instead = sound(capsys, kit, "a", "--vocoder", "bigvgan")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    again = sound(capsys, kit, "b", "--vocoder", instead.recipe["wish"]["vocoder"])
    assert again.recipe == instead.recipe


def test_a_folder_for_bigvgan_without_bigvgan_is_refused(
    kit: str, folder: Path, capsys: Capture
) -> None:
    line = refused(capsys, "generate", kit, "--bigvgan-dir", str(folder))
    assert "add --vocoder bigvgan or leave it out" in line
