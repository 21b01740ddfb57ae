"""What the command line refuses, and how it ends."""

import os
import pickle
import signal
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from broken_sounds import write_broken_sounds
from command_line import COMMAND
from in_process import Capture, refused

from core.controls import Controls
from core.errors import AudioError
from core.sampling import Sampling
from flows import commands
from flows.cli import main
from flows.commands import COMMANDS
from tasks.generate import Wish

pytestmark = pytest.mark.usefixtures("alone")


@pytest.mark.parametrize("command", [["plan"], ["build", "--name", "kit"]])
def test_a_folder_without_sounds_is_refused(
    command: list[str], tmp_path: Path, own_store: str, capsys: Capture
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.wav").write_bytes(b"")
    for folder, told in (
        ("missing", "No such file or directory"),
        ("empty", "holds no sound files"),
        ("file.wav", "Not a directory"),
    ):
        line = refused(capsys, *command, str(tmp_path / folder), "--store", own_store)
        assert folder in line
        assert told in line


def test_a_folder_of_broken_sounds_is_refused(
    tmp_path: Path, own_store: str, capsys: Capture
) -> None:
    write_broken_sounds(tmp_path / "broken")
    line = refused(capsys, "plan", str(tmp_path / "broken"), "--store", own_store)
    assert "none of the 20 sound files" in line


def test_a_model_that_cannot_be_gone_on_from_is_refused(
    few_sounds: str, own_store: str, package: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "noise.distill").write_bytes(b"noise")
    for parent, told in (
        ("nobody", "no model file or library name 'nobody'"),
        (str(tmp_path / "noise.distill"), "noise.distill"),
        (str(package), "kit.distill has another mel contract"),  # it has none
    ):
        line = refused(
            capsys, "build", few_sounds, "--name", "new", "--from", parent, "--store", own_store
        )
        assert told in line


def test_a_model_does_not_take_the_place_of_the_one_it_goes_on_from(
    few_sounds: str, own_store: str, package: Path, capsys: Capture
) -> None:
    Path(own_store, "models").mkdir(parents=True)
    package.rename(Path(own_store, "models", "kit.distill"))
    line = refused(
        capsys, "build", few_sounds, "--name", "kit", "--from", "kit", "--store", own_store
    )
    assert "give the new one another name" in line


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
    command: list[str],
    wrong: list[str],
    told: str,
    few_sounds: str,
    own_store: str,
    capsys: Capture,
) -> None:
    assert told in refused(capsys, *command, few_sounds, "--store", own_store, *wrong)


def failing(fault: Exception, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command end in the fault."""

    def fails(_asked: object) -> NoReturn:
        raise fault

    monkeypatch.setitem(COMMANDS, command, fails)


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("[...] can't allocate memory: [")])
def test_too_little_memory_is_said(
    fault: Exception, own_store: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(fault, "generate", monkeypatch)
    line = refused(capsys, "generate", "kit", "--store", own_store)
    assert "too little memory" in line


def test_a_fault_of_ours_is_not_taken_for_it(
    own_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(RuntimeError("shapes differ"), "generate", monkeypatch)
    with pytest.raises(RuntimeError, match="shapes differ"):
        main(["generate", "kit", "--store", own_store])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(
    few_sounds: str, own_store: str, capsys: Capture
) -> None:
    line = refused(capsys, "plan", few_sounds, "--store", own_store, "--device", "cuda")
    assert "no cuda device; use --device auto" in line


@pytest.mark.parametrize("name", ["", "a/b", "../kit", ".kit", "my kit", "k" * 65])
def test_a_bad_name_is_refused(name: str, few_sounds: str, own_store: str, capsys: Capture) -> None:
    line = refused(capsys, "build", few_sounds, f"--name={name}", "--store", own_store)
    assert "cannot name a model" in line


@pytest.mark.parametrize("command", ["generate", "inspect", "verify", "compare"])
def test_an_unknown_model_is_refused(command: str, own_store: str, capsys: Capture) -> None:
    line = refused(capsys, command, "nothing", "--store", own_store)
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
        (["--creativity", "1,4"], "creativity 4.0 is out of range"),
        (["--creativity", "wild"], "--creativity cannot be 'wild'; give a number, or one for each"),
        (["--creativity", "1,"], "--creativity cannot be '1,'"),
        (["--creativity", "0,9"], "creativity 0.0 is out of range"),
        (["--focus", "1.5"], "--focus cannot be '1.5'; give a number"),
        (["--focus", "0,-1"], "focus -1 is negative"),
        (["--diversity", "1;0.9"], "--diversity cannot be '1;0.9'"),
        (["--diversity", "1,0"], "diversity 0.0 is out of range"),
        (["--bright", "1.1"], "brightness 1.1 is out of range; give 0 (the least of these sounds)"),
        (["--loud", "-0.1"], "loudness -0.1 is out of range"),
        (["--noisy", "nan"], "noisiness nan is out of range"),
        (["--attack", "inf"], "attack inf is out of range"),
        (["--attack", "hard"], "argument --attack: invalid float value: 'hard'"),
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
    wrong: list[str], told: str, package: Path, own_store: str, capsys: Capture
) -> None:
    assert told in refused(capsys, "generate", str(package), "--store", own_store, *wrong)


def wish_of(monkeypatch: pytest.MonkeyPatch, *options: str) -> Wish:
    """What `distill generate kit OPTIONS` asks for; nothing is generated."""
    heard: list[Wish] = []

    def hear(_name: str, wish: Wish, *_: object) -> dict[str, object]:
        heard.append(wish)
        return {"sounds": [], "seconds": 0.0}

    monkeypatch.setattr(commands, "generated", hear)
    assert main(["generate", "kit", *options]) == 0
    return heard[0]


def test_without_options_eight_natural_sounds_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert wish_of(monkeypatch, "--seed", "1") == Wish(count=8, seed=1)


def test_one_number_is_for_all_levels_and_several_for_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = wish_of(monkeypatch, "--creativity", "0.9", "--focus", "5", "--diversity", "0.8")
    assert one.sampling == Sampling((0.9,), (5,), (0.8,))
    each = wish_of(
        monkeypatch, "--creativity", "1.2,1,0.8", "--focus", "0,5", "--diversity", "1,.9"
    )
    assert each.sampling == Sampling((1.2, 1.0, 0.8), (0, 5), (1.0, 0.9))


@pytest.mark.parametrize(
    ("option", "name"),
    [("bright", "brightness"), ("loud", "loudness"), ("noisy", "noisiness"), ("attack", "attack")],
)
def test_each_control_is_asked_for_by_itself(
    monkeypatch: pytest.MonkeyPatch, option: str, name: str
) -> None:
    assert wish_of(monkeypatch, f"--{option}", "0.25").controls == Controls(**{name: 0.25})


def test_a_label_and_a_prompt_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wish = wish_of(monkeypatch, "--like", "kick", "--prompt", "hit.wav")
    assert wish.like == "kick"
    assert wish.prompt == str(tmp_path / "hit.wav")  # wherever the flow runs


@pytest.mark.parametrize("arguments", [[], ["dance"], ["build"], ["generate"], ["plan"]])
def test_half_a_command_is_refused(arguments: list[str], capsys: Capture) -> None:
    assert "see distill --help" in refused(capsys, *arguments)


def test_a_store_that_cannot_be_is_refused(
    few_sounds: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    line = refused(capsys, "plan", few_sounds, "--store", str(tmp_path / "file"))
    assert "choose another with --store" in line


def test_results_are_not_written_where_a_file_lies(
    package: Path, few_sounds: str, own_store: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    below = str(tmp_path / "file" / "below")
    for arguments in (
        ["demo-sounds", str(tmp_path / "file")],
        ["demo-sounds", below],
        [
            "build",
            few_sounds,
            "--name",
            "kit",
            "--out",
            f"{below}/kit.distill",
            "--store",
            own_store,
        ],
    ):
        assert "cannot be written" in refused(capsys, *arguments)
    line = refused(
        capsys, "build", few_sounds, "--name", "kit", "--out", str(tmp_path), "--store", own_store
    )
    assert "is a folder; give a file name" in line
    assert (tmp_path / "file").read_bytes() == b"mine"


class Trap:
    """Unpickling it would write a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize("command", ["generate", "inspect", "compare"])
def test_a_version_1_pickle_is_refused_and_not_opened(
    command: str, tmp_path: Path, own_store: str, capsys: Capture
) -> None:
    old = tmp_path / "old.distill"
    old.write_bytes(pickle.dumps({"format": "distill_model", "version": 1, "x": Trap()}))
    line = refused(capsys, command, str(old), "--store", own_store)
    assert "old.distill is a version 1 model" in line
    assert "rebuild it from its sounds with `distill build`" in line
    assert not Path("trapped").exists()
    pickle.loads(old.read_bytes())  # the trap works
    assert Path("trapped").exists()


def test_an_error_of_several_lines_is_said_in_one(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(AudioError("a\n  b\tc; do d"), "plan", monkeypatch)
    assert refused(capsys, "plan", "sounds") == "distill: error: a b c; do d\n"


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        ("build --name kit", "is kept, the same command goes on from there\n"),
        ("generate", "is kept\n"),
    ],
)
def test_an_interruption_is_130_and_says_that_work_is_kept(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str, ending: str
) -> None:
    def interrupted(_asked: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    monkeypatch.setitem(COMMANDS, command.split()[0], interrupted)
    assert main([*command.split(), "sounds"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"interrupted; what was done {ending}")


def test_our_own_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "plan", lambda _asked: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["plan", "sounds"])


def test_a_reader_that_goes_away_is_no_error(package: Path, own_store: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, "inspect", str(package), "--store", own_store],
            stdout=writer,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
