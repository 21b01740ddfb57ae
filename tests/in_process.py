"""Running `distill` in this process, for commands that answer at once."""

import json

import pytest
import safetensors.torch
import torch

from flows.cli import main

WEIGHTS = safetensors.torch.save({"w": torch.zeros(2, 3)})
ENTRIES = {
    "rvqvae.safetensors": WEIGHTS,
    "texture.safetensors": WEIGHTS,
    "prior.safetensors": WEIGHTS,
    "card.md": b"# kit\n",
}
Capture = pytest.CaptureFixture[str]


def code_of(arguments: list[str]) -> int:
    """The exit code, whether main returns it or leaves with it."""
    try:
        return main(arguments)
    except SystemExit as end:  # the option parser, and verify
        return -1 if end.code is None else int(end.code)


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


def answered(capsys: Capture, *arguments: str, said: list[str] | None = None) -> dict:
    """The one JSON object that is all of stdout; what is on stderr is added to `said`."""
    capsys.readouterr()
    assert code_of([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    if said is not None:
        said.append(err)
    assert out.count("\n") == 1
    answer = json.loads(out)
    assert isinstance(answer, dict)
    return answer
