"""Checkpoints of others: tensors are read, anything else is refused and never run."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from artifacts.torch_checkpoint import generator_weights
from core.errors import HubError

GOLDEN = Path(__file__).parents[1] / "golden"


class Code:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_an_official_checkpoint_gives_its_generators_tensors() -> None:
    # Made by the reference generator, in the layout of the official checkpoints.
    weights = generator_weights(GOLDEN / "hifigan_tiny_generator.pt")
    assert weights["conv_pre.bias"].shape == (64,)
    assert all(value.device.type == "cpu" for value in weights.values())


@pytest.mark.parametrize("layout", ["zip", "before 1.6", "bare pickle"])
def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(layout: str, tmp_path: Path) -> None:
    path, traces = tmp_path / "weights.pt", tmp_path / "traces"
    content = {"generator": {"weight": torch.zeros(3), "more": Code(f"touch {traces}")}}
    if layout == "bare pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(HubError, match=r"weights\.pt is a pickle with more than tensors in it"):
        generator_weights(path)
    assert not traces.exists()


def test_refusal_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"generator": Code("true")}, path)
    with pytest.raises(HubError) as error:
        generator_weights(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0, 5, 1000, 100_000])
def test_a_checkpoint_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes((GOLDEN / "hifigan_tiny_generator.pt").read_bytes()[:kept])
    with pytest.raises(HubError, match=r"download it again|get the official file"):
        generator_weights(path)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="no whole PyTorch checkpoint"):
        generator_weights(tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([torch.zeros(1)], "holds no generator"),
        ({"discriminator": {"weight": torch.zeros(1)}}, "holds no generator"),
        ({"generator": {}}, "holds no generator"),
        ({"generator": {"step": 3}}, "holds 'step', which is no tensor"),
        ({"generator": {3: torch.zeros(1)}}, "holds 3, which is no tensor"),
    ],
)
def test_a_checkpoint_without_a_generators_tensors_is_refused(
    content: object, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(HubError, match=problem):
        generator_weights(path)
