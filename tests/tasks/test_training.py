"""What a training says while it runs."""

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from core.training import Trainer
from tasks.step import Run
from tasks.training import train


class Talkative(Trainer):
    """Learns nothing, and remarks on every evaluation but the one before the first step."""

    packaged = "net"

    def __init__(self) -> None:
        self.modules = {"net": nn.Linear(1, 1)}
        self.optimizers = {}

    def step(self, number: int) -> dict[str, Tensor]:
        return {"loss": torch.tensor(float(number))}

    def held_out_loss(self) -> float:
        return 1.0

    def remark(self, history: Sequence[Mapping[str, float]]) -> str | None:
        return f"{len(history)} evaluations" if len(history) > 2 else None


def test_the_first_remark_is_said_and_no_other(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run, "net", Talkative(), 8, 2, [])
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "evaluations" in line] == ["net: step 4: 3 evaluations"]
