"""The command line in this process: fast commands, and everything that is refused."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import soundfile
import torch
from broken_sounds import tone, write_broken_sounds

from artifacts.library import Library
from artifacts.package import write_package
from core.errors import AudioError
from flows.cli import main
from flows.commands import COMMANDS

WEIGHTS = safetensors.torch.save({"w": torch.zeros(2, 3)})
ENTRIES = {"rvqvae.safetensors": WEIGHTS, "prior.safetensors": WEIGHTS, "card.md": b"# kit\n"}
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine is used, and main's changes of the process are undone."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("DISTILL_STORE", str(tmp_path / "default-store"))
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def sounds(tmp_path: Path) -> str:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", tone(0.5, 44_100, 200 + 90 * number), 44_100)
    return str(folder)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "kit.distill"
    write_package(path, {"name": "kit"}, ENTRIES)
    return path


def code_of(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as end:  # of the option parser, and of verify
        assert isinstance(end.code, int)
        return end.code


def refused(capsys: Capture, *arguments: str) -> str:
    """What is said of wrong input: exit code 2, one line on stderr, nothing on stdout."""
    capsys.readouterr()
    assert code_of(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert err.startswith("distill: error: ")
    assert "; " in err, "it says what to do"
    return err


def answered(capsys: Capture, *arguments: str) -> dict:
    """The one JSON object that is all of stdout."""
    capsys.readouterr()
    assert code_of([*arguments, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    answer = json.loads(out)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("command", [["plan"], ["build", "--name", "kit"]])
def test_a_folder_without_sounds_is_refused(
    command: list[str], tmp_path: Path, store: str, capsys: Capture
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.wav").write_bytes(b"")
    for folder, told in (
        ("missing", "No such file or directory"),
        ("empty", "holds no sound files"),
        ("file.wav", "Not a directory"),
    ):
        line = refused(capsys, *command, str(tmp_path / folder), "--store", store)
        assert folder in line
        assert told in line


def test_a_folder_of_broken_sounds_is_refused(tmp_path: Path, store: str, capsys: Capture) -> None:
    write_broken_sounds(tmp_path / "broken")
    line = refused(capsys, "plan", str(tmp_path / "broken"), "--store", store)
    assert "none of the 20 sound files" in line


@pytest.mark.parametrize("command", [["plan"], ["build", "--name", "kit"]])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--preset", "huge"], "preset 'huge' is unknown; use tiny, quick, standard, high"),
        (["--device", "tpu"], "device 'tpu' is unknown; use auto, cpu, cuda or mps"),
        (["--set", "freev.steps"], "no setting 'freev.steps'; give SECTION.FIELD=VALUE"),
        (["--set", "freev.speed=2"], "no setting 'freev.speed=2'"),
        (["--set", "frev.steps=2"], "no setting 'frev.steps=2'"),
        (["--set", "freev=2"], "no setting 'freev=2'"),
        (["--set", "freev.steps=many"], "cannot be 'many'; it is now"),
        (["--set", "freev.steps=1.5"], "cannot be '1.5'; it is now"),
        (["--set", "freev.train=1"], "cannot be '1'; it is now True"),
        (["--seed", "first"], "argument --seed: invalid int value: 'first'; see"),
        (["--colour", "red"], "unrecognized arguments: --colour red; see"),
    ],
)
def test_a_wrong_recipe_is_refused(
    command: list[str], wrong: list[str], told: str, sounds: str, store: str, capsys: Capture
) -> None:
    assert told in refused(capsys, *command, sounds, "--store", store, *wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(sounds: str, store: str, capsys: Capture) -> None:
    line = refused(capsys, "plan", sounds, "--store", store, "--device", "cuda")
    assert "no cuda device; use --device auto" in line


@pytest.mark.parametrize("name", ["", "a/b", "../kit", ".kit", "my kit", "k" * 65])
def test_a_bad_name_is_refused(name: str, sounds: str, store: str, capsys: Capture) -> None:
    line = refused(capsys, "build", sounds, f"--name={name}", "--store", store)
    assert "cannot name a model" in line


@pytest.mark.parametrize("command", ["generate", "inspect", "verify", "compare"])
def test_an_unknown_model_is_refused(command: str, store: str, capsys: Capture) -> None:
    line = refused(capsys, command, "nothing", "--store", store)
    assert "no model file or library name 'nothing'" in line


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--creativity", "0"], "creativity 0.0 is out of range; give 0.05 to 3"),
        (["--creativity", "3.1"], "creativity 3.1"),
        (["--creativity", "nan"], "creativity nan"),
        (["--focus", "-1"], "focus -1 is negative"),
        (["--diversity", "0"], "diversity 0.0 is out of range"),
        (["--diversity", "1.1"], "diversity 1.1"),
        (["--seconds", "0"], "a sound of 0.0 s cannot be made"),
        (["--seconds", "601"], "a sound of 601.0 s"),
        (["--seconds", "nan"], "a sound of nan s"),
        (["--seconds", "long"], "--seconds cannot be 'long'; give auto or a number"),
        (["--rate", "100"], "a sample rate of 100 Hz cannot be written"),
        (["--rate", "400000"], "a sample rate of 400000 Hz"),
        (["--seed", "-1"], "seed -1 is out of range"),
        (["-n", "0"], "0 sounds cannot be made"),
        (["--format", "aiff"], "invalid choice: 'aiff'"),
    ],
)
def test_a_wrong_wish_is_refused(
    wrong: list[str], told: str, package: Path, store: str, capsys: Capture
) -> None:
    assert told in refused(capsys, "generate", str(package), "--store", store, *wrong)


@pytest.mark.parametrize("arguments", [[], ["dance"], ["build"], ["generate"], ["plan"]])
def test_half_a_command_is_refused(arguments: list[str], capsys: Capture) -> None:
    assert "see distill --help" in refused(capsys, *arguments)


def test_a_store_that_cannot_be_is_refused(sounds: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_bytes(b"")
    line = refused(capsys, "plan", sounds, "--store", str(tmp_path / "file"))
    assert "choose another with --store" in line


def test_results_are_not_written_where_a_file_lies(
    package: Path, sounds: str, store: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    below = str(tmp_path / "file" / "below")
    for arguments in (
        ["demo-sounds", str(tmp_path / "file")],
        ["demo-sounds", below],
        ["build", sounds, "--name", "kit", "--out", f"{below}/kit.distill", "--store", store],
    ):
        assert "cannot be written" in refused(capsys, *arguments)
    line = refused(
        capsys, "build", sounds, "--name", "kit", "--out", str(tmp_path), "--store", store
    )
    assert "is a folder; give a file name" in line
    assert (tmp_path / "file").read_bytes() == b"mine"


class Trap:
    """Unpickling it would write a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize("command", ["generate", "inspect", "compare"])
def test_a_version_1_pickle_is_refused_and_not_opened(
    command: str, tmp_path: Path, store: str, capsys: Capture
) -> None:
    old = tmp_path / "old.distill"
    old.write_bytes(pickle.dumps({"format": "distill_model", "version": 1, "x": Trap()}))
    line = refused(capsys, command, str(old), "--store", store)
    assert "old.distill is a version 1 model" in line
    assert "rebuild it from its sounds with `distill build`" in line
    assert not Path("trapped").exists()
    pickle.loads(old.read_bytes())  # the trap works
    assert Path("trapped").exists()


def test_an_error_of_several_lines_is_said_in_one(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_asked: object) -> None:
        raise AudioError("a\n  b\tc; do d")

    monkeypatch.setitem(COMMANDS, "plan", fail)
    assert refused(capsys, "plan", "sounds") == "distill: error: a b c; do d\n"


def test_an_interruption_is_130_and_says_that_work_is_kept(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_asked: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    monkeypatch.setitem(COMMANDS, "plan", interrupted)
    assert main(["plan", "sounds"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "the same command goes on from there" in err


def test_our_own_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "plan", lambda _asked: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["plan", "sounds"])


def test_a_plan_has_the_contracts_keys(sounds: str, store: str, capsys: Capture) -> None:
    Path(sounds, "empty.wav").write_bytes(b"")
    plan = answered(capsys, "plan", sounds, "--store", store)
    assert plan["usable"] == 3
    assert [one["file"] for one in plan["rejected"]] == ["empty.wav"]
    assert plan["rejected"][0]["reason"].startswith("is empty;")
    assert plan["seconds_of_audio"] == pytest.approx(1.5)
    assert plan["sizes"].keys() >= {"codebook_size", "levels"}
    estimate = plan["estimate_seconds"]
    stages = ["ingest", "mels", "rvqvae", "codes", "prior", "vocoder", "validate", "package"]
    assert list(estimate) == [*stages, "total"]
    assert estimate["total"] == pytest.approx(sum(estimate[stage] for stage in stages))
    assert list(Path(store, "models").iterdir()) == []


def test_a_plan_for_a_person_names_what_is_left_out(
    sounds: str, store: str, capsys: Capture
) -> None:
    Path(sounds, "empty.wav").write_bytes(b"")
    assert main(["plan", sounds, "--store", store, "--preset", "tiny"]) == 0
    out = capsys.readouterr().out
    assert "3 usable sounds, 1.5 s in all; 1 left out" in out
    assert "left out: empty.wav is empty" in out


def test_a_setting_changes_the_plan(sounds: str, store: str, capsys: Capture) -> None:
    arguments = ["plan", sounds, "--store", store]
    changed = ["--set", "rvqvae.codebook_size=32", "--set", "rvqvae.most_levels=5"]
    sizes = answered(capsys, *arguments, *changed)["sizes"]
    assert (sizes["codebook_size"], sizes["levels"]) == (32, 5)


def test_demo_sounds_are_24_files(tmp_path: Path, capsys: Capture) -> None:
    made = answered(capsys, "demo-sounds", str(tmp_path / "new" / "demo"))
    paths = sorted((tmp_path / "new" / "demo").iterdir())
    assert sorted(made["sounds"]) == [str(path) for path in paths]
    assert len(paths) == 24
    infos = [soundfile.info(path) for path in paths]
    assert {(one.samplerate, one.channels, one.subtype) for one in infos} == {(44_100, 1, "PCM_16")}
    assert len({path.read_bytes() for path in paths}) == 24


def test_a_whole_package_is_verified_by_path_and_by_name(
    package: Path, store: str, capsys: Capture
) -> None:
    library = Library.at(store)
    library.path("mine").write_bytes(package.read_bytes())
    for model in (str(package), "mine"):
        answer = answered(capsys, "verify", model, "--store", store)
        assert answer == {"ok": True, "problems": []}


def test_a_damaged_package_is_not_ok_and_exits_1(
    package: Path, store: str, capsys: Capture
) -> None:
    whole = package.read_bytes()
    at = whole.index(b"# kit\n")
    package.write_bytes(whole[:at] + b"#" + whole[at + 1 :].replace(b" kit\n", b" KIT\n", 1))
    assert code_of(["verify", str(package), "--store", store, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert any("card.md" in problem for problem in answer["problems"])


def test_a_package_that_says_little_is_inspected(
    package: Path, store: str, capsys: Capture
) -> None:
    answer = answered(capsys, "inspect", str(package), "--store", store)
    assert (answer["format"], answer["version"], answer["name"]) == ("distill_model", 2, "kit")
    assert main(["inspect", str(package), "--store", store]) == 0
    assert capsys.readouterr().out.startswith("kit: ")


def test_what_a_package_says_cannot_steer_the_terminal(
    tmp_path: Path, store: str, capsys: Capture
) -> None:
    gates = {"a": {"value": 1.0, "limit": 2.0, "passed": True, "text": "\x1b[2J\rgone"}}
    write_package(tmp_path / "a.distill", {"name": "\x1b]0;x\x07", "gates": gates}, ENTRIES)
    assert main(["inspect", str(tmp_path / "a.distill"), "--store", store]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "\\x1b" in out


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a b", "", 7])
def test_a_package_whose_name_leads_elsewhere_makes_no_sounds(
    name: object, tmp_path: Path, store: str, capsys: Capture
) -> None:
    path = tmp_path / "gift.distill"
    write_package(path, {"name": name, "sizes": {"longest_code_frames": 9}}, ENTRIES)
    line = refused(capsys, "generate", str(path), "--store", store, "--out", "out")
    assert "gift.distill" in line
    assert not Path("out").exists()


def test_a_foreign_model_of_the_same_name_is_not_compared(
    package: Path, store: str, tmp_path: Path, capsys: Capture
) -> None:
    library = Library.at(store)
    own = tmp_path / "own.distill"
    write_package(own, {"name": "kit", "seed": 1}, ENTRIES)
    library.path("kit").write_bytes(own.read_bytes())
    record = {"validation": {"kind": "validation", "digest": "d", "parts": {}}, "names": {}}
    (library.store.folder / "models" / "kit.json").write_text(json.dumps(record))
    line = refused(capsys, "compare", str(package), "--store", store)
    assert "is not the kit that was built in this store" in line


def test_a_reader_that_goes_away_is_no_error(package: Path, store: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:
        command = "import sys; from flows.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", command, "inspect", str(package), "--store", store],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
