"""What the fast commands answer, to a script and to a person."""

import errno
import json
import os
from pathlib import Path

import pytest
import soundfile
from in_process import ENTRIES, Capture, answered, code_of, refused

from artifacts.library import Library
from artifacts.package import write_package
from flows import commands
from flows.cli import main

pytestmark = pytest.mark.usefixtures("alone")


def test_a_plan_has_the_contracts_keys(few_sounds: str, own_store: str, capsys: Capture) -> None:
    Path(few_sounds, "empty.wav").write_bytes(b"")
    plan = answered(capsys, "plan", few_sounds, "--store", own_store)
    assert plan["usable"] == 3
    assert [one["file"] for one in plan["rejected"]] == ["empty.wav"]
    assert plan["rejected"][0]["reason"].startswith("is empty;")
    assert plan["seconds_of_audio"] == pytest.approx(1.5)
    assert plan["sizes"].keys() >= {"codebook_size", "levels"}
    estimate = plan["estimate_seconds"]
    before, after = ["ingest", "mels", "rvqvae", "codes"], ["vocoder", "validate", "package"]
    stages = [*before, "texture", "prior", "judge", *after]
    assert list(estimate) == [*stages, "total"]
    assert estimate["total"] == pytest.approx(sum(estimate[stage] for stage in stages))
    assert list(Path(own_store, "models").iterdir()) == []
    assert plan["warnings"] == []


def test_a_plan_for_a_person_names_what_is_left_out(
    few_sounds: str, own_store: str, capsys: Capture
) -> None:
    Path(few_sounds, "empty.wav").write_bytes(b"")
    assert main(["plan", few_sounds, "--store", own_store, "--preset", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "3 usable sounds, 1.5 s in all; 1 left out" in out
    assert "left out: empty.wav is empty" in out


def test_a_plan_warns_of_too_little_sound_only_where_hifigan_is_trained(
    few_sounds: str, own_store: str, capsys: Capture
) -> None:
    arguments = ["plan", few_sounds, "--store", own_store, "--preset", "tiny"]
    (warning,) = answered(capsys, *arguments)["warnings"]
    assert warning.startswith("1 s of sound are little for HiFi-GAN")
    assert main(arguments) == 0
    assert warning in capsys.readouterr().out.splitlines()
    assert answered(capsys, *arguments, "--set", "hifigan.train=false")["warnings"] == []


def test_a_setting_changes_the_plan(few_sounds: str, own_store: str, capsys: Capture) -> None:
    arguments = ["plan", few_sounds, "--store", own_store]
    changed = ["--set", "rvqvae.codebook_size=32", "--set", "rvqvae.most_levels=5"]
    sizes = answered(capsys, *arguments, *changed)["sizes"]
    assert (sizes["codebook_size"], sizes["levels"]) == (32, 5)


def test_demo_sounds_are_45_different_files(tmp_path: Path, capsys: Capture) -> None:
    made = answered(capsys, "demo-sounds", str(tmp_path / "new" / "demo"))
    paths = sorted((tmp_path / "new" / "demo").iterdir())
    assert sorted(made["sounds"]) == [str(path) for path in paths]
    assert len(paths) == 45
    infos = [soundfile.info(path) for path in paths]
    assert {(one.samplerate, one.channels, one.subtype) for one in infos} == {(44_100, 1, "PCM_16")}
    assert len({path.read_bytes() for path in paths}) == 45


def test_a_whole_package_is_verified_by_path_and_by_name(
    package: Path, own_store: str, capsys: Capture
) -> None:
    library = Library.at(own_store)
    library.path("mine").write_bytes(package.read_bytes())
    for model in (str(package), "mine"):
        answer = answered(capsys, "verify", model, "--store", own_store)
        assert answer == {"ok": True, "problems": []}


def test_a_damaged_package_is_not_ok_and_exits_2(
    package: Path, own_store: str, capsys: Capture
) -> None:
    whole = package.read_bytes()
    at = whole.index(b"# kit\n")
    package.write_bytes(whole[:at] + b"#" + whole[at + 1 :].replace(b" kit\n", b" KIT\n", 1))
    assert code_of(["verify", str(package), "--store", own_store, "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert any("card.md" in problem for problem in answer["problems"])


def test_a_package_that_says_little_is_inspected(
    package: Path, own_store: str, capsys: Capture
) -> None:
    answer = answered(capsys, "inspect", str(package), "--store", own_store)
    assert (answer["format"], answer["version"], answer["name"]) == ("distill_model", 2, "kit")
    assert main(["inspect", str(package), "--store", own_store]) == 0
    assert capsys.readouterr().out.startswith("kit: ")


def test_labels_are_listed_where_there_are_labels(
    package: Path, tmp_path: Path, own_store: str, capsys: Capture
) -> None:
    write_package(tmp_path / "a.distill", {"labels": ["kick", "snare\x1b[2J"]}, ENTRIES)
    assert main(["inspect", str(tmp_path / "a.distill"), "--store", own_store]) == 0
    assert "labels: kick, snare\\x1b[2J" in capsys.readouterr().out.splitlines()
    assert main(["inspect", str(package), "--store", own_store]) == 0
    assert "labels" not in capsys.readouterr().out


def test_what_a_package_says_cannot_steer_the_terminal(
    tmp_path: Path, own_store: str, capsys: Capture
) -> None:
    gates = {"a": {"value": 1.0, "limit": 2.0, "passed": True, "text": "\x1b[2J\rgone"}}
    write_package(tmp_path / "a.distill", {"name": "\x1b]0;x\x07", "gates": gates}, ENTRIES)
    assert main(["inspect", str(tmp_path / "a.distill"), "--store", own_store]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "\\x1b" in out


def test_a_foreign_model_of_the_same_name_is_not_compared(
    package: Path, own_store: str, tmp_path: Path, capsys: Capture
) -> None:
    library = Library.at(own_store)
    own = tmp_path / "own.distill"
    write_package(own, {"name": "kit", "seed": 1}, ENTRIES)
    library.path("kit").write_bytes(own.read_bytes())
    record = {"validation": {"kind": "validation", "digest": "d", "parts": {}}, "names": {}}
    (library.store.folder / "models" / "kit.json").write_text(json.dumps(record))
    line = refused(capsys, "compare", str(package), "--store", own_store)
    assert "is not the kit that was built in this store" in line


def test_the_store_is_counted_verified_and_pruned(own_store: str, capsys: Capture) -> None:
    store = Library.at(own_store).store
    digest = store.put_bytes(b"nobody needs this")
    info = answered(capsys, "cache", "info", "--store", own_store)
    assert (info["store"], info["bytes"], info["models"]) == (own_store, 17, [])
    assert info["folders"]["blobs"] == {"files": 1, "bytes": 17}
    assert answered(capsys, "cache", "verify", "--store", own_store) == {"ok": True, "problems": []}
    prune = ["cache", "prune", "--days", "0", "--store", own_store]
    listed = answered(capsys, *prune)
    assert listed == {"deleted": False, "files": [f"blobs/{digest[:2]}/{digest}"], "bytes": 17}
    assert store.holds(digest), "without --yes nothing is deleted"
    assert answered(capsys, *prune, "--yes") == {**listed, "deleted": True}
    assert not store.holds(digest)


def test_a_damaged_store_fails_its_verification(own_store: str, capsys: Capture) -> None:
    store = Library.at(own_store).store
    store.path(store.put_bytes(b"as written")).write_bytes(b"altered")
    assert code_of(["cache", "verify", "--store", own_store]) == 2
    assert "was altered; run the build that made it again" in capsys.readouterr().out


def test_days_below_zero_are_refused(own_store: str, capsys: Capture) -> None:
    assert "--days cannot be -1" in refused(
        capsys, "cache", "prune", "--days", "-1", "--store", own_store
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full; make room and run the same command again"),
        (errno.EIO, "the disk fails; check it and run the same command again"),
        (errno.EROFS, "the disk fails; check it and run the same command again"),
    ],
)
def test_a_disk_that_refuses_is_one_line(
    own_store: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refusing(_asked: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setitem(commands.COMMANDS, "inspect", refusing)
    line = refused(capsys, "inspect", "kit", "--store", own_store)
    assert said in line
    assert os.strerror(number) in line


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_asked: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setitem(commands.COMMANDS, "inspect", wrong)
    with pytest.raises(FileNotFoundError):
        main(["inspect", "kit"])
