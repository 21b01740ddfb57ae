import math
import os
from pathlib import Path

import pytest
import torch

from artifacts.checkpoint import Checkpoints
from core.training import TrainingState

TENSORS = {
    "best/weight": torch.arange(6.0).reshape(2, 3),
    "module/net/half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "module/net/mask": torch.tensor([True, False]),
    "optimizer/adamw/0/step": torch.tensor(7.0),  # no dimension, as Adam keeps it
    "nothing": torch.zeros(0, 4),
}
HISTORY = [{"step": 0, "held_out": 2.5}, {"step": 3, "held_out": 0.1 + 0.2}]


def state(step: int) -> TrainingState:
    return TrainingState(step, TENSORS, best_loss=0.1 + 0.2, best_step=3, history=HISTORY)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "key" / "prior")


def files(checkpoints: Checkpoints) -> list[Path]:
    return sorted(checkpoints.folder.iterdir())


def newest_step(checkpoints: Checkpoints) -> int | None:
    found = checkpoints.newest()
    return None if found is None else found.step


def test_a_state_is_read_back_bit_for_bit(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(10))
    found = checkpoints.newest()
    assert found is not None
    assert (found.step, found.best_loss, found.best_step) == (10, 0.1 + 0.2, 3)
    assert found.history == HISTORY
    assert found.tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)


def test_an_infinite_best_loss_is_kept(checkpoints: Checkpoints) -> None:
    checkpoints.save(TrainingState(1, TENSORS, math.inf, 0))
    found = checkpoints.newest()
    assert found is not None
    assert (found.best_loss, found.history) == (math.inf, [])


def test_shared_and_strided_tensors_are_saved_by_value(checkpoints: Checkpoints) -> None:
    grid = torch.arange(6.0).reshape(2, 3)
    checkpoints.save(TrainingState(1, {"a": grid, "b": grid, "c": grid.T}, 0.0, 0))
    found = checkpoints.newest()
    assert found is not None
    assert torch.equal(found.tensors["a"], grid)
    assert torch.equal(found.tensors["b"], grid)
    assert torch.equal(found.tensors["c"], grid.T)


def test_there_is_no_newest_before_the_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None


def test_the_last_two_are_kept(checkpoints: Checkpoints) -> None:
    for step in (5, 90, 100, 1000):
        checkpoints.save(state(step))
    assert newest_step(checkpoints) == 1000
    newest = files(checkpoints)[-1]
    assert len(files(checkpoints)) == 2
    newest.unlink()
    assert newest_step(checkpoints) == 100


@pytest.mark.parametrize("share", [0.0, 0.003, 0.5, 0.999])
def test_a_torn_newest_falls_back_to_the_one_before(checkpoints: Checkpoints, share: float) -> None:
    checkpoints.save(state(10))
    checkpoints.save(state(20))
    newest = files(checkpoints)[-1]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(share * len(whole))])
    assert newest_step(checkpoints) == 10


def test_every_altered_byte_is_noticed(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(10))
    path = files(checkpoints)[0]
    whole = path.read_bytes()
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1  # turns one digit into another
        path.write_bytes(altered)
        assert checkpoints.newest() is None, f"byte {position}: {whole[position : position + 20]!r}"


def test_a_save_that_fails_leaves_the_older_ones(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(state(10))
    checkpoints.save(state(20))

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(state(30))
    assert newest_step(checkpoints) == 20
    assert len(files(checkpoints)) == 2
