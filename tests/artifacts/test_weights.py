from itertools import permutations
from pathlib import Path

import pytest
import safetensors.torch
import torch

from artifacts.store import Store
from artifacts.weights import load_weights, weights_bytes
from core.errors import StoreError, TrainingError

GRID = torch.arange(6.0).reshape(2, 3)
WEIGHTS = {"b.weight": GRID, "a": torch.tensor(1.5), "c": torch.tensor([1, 2], dtype=torch.int64)}


def test_the_same_tensors_give_the_same_bytes_in_any_order() -> None:
    all_orders = {weights_bytes(dict(order)) for order in permutations(WEIGHTS.items())}
    assert len(all_orders) == 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_not_kept(value: float) -> None:
    with pytest.raises(TrainingError, match=r"^b.weight holds NaN or infinity"):
        weights_bytes({**WEIGHTS, "b.weight": GRID.where(GRID != 3, value)})


def test_other_tensors_give_other_bytes() -> None:
    assert weights_bytes(WEIGHTS) != weights_bytes({**WEIGHTS, "a": torch.tensor(1.25)})


def test_strided_and_shared_tensors_are_written_by_value() -> None:
    column = GRID.T
    read = safetensors.torch.load(weights_bytes({"x": column, "y": column, "z": GRID}))
    assert torch.equal(read["x"], column)
    assert torch.equal(read["y"], column)
    assert torch.equal(read["z"], GRID)


def test_weights_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    read = load_weights(store, store.put_bytes(weights_bytes(WEIGHTS)))
    assert read.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value)


def test_altered_weights_are_not_loaded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = store.put_bytes(weights_bytes(WEIGHTS))
    whole = store.path(digest).read_bytes()
    store.path(digest).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match="was altered on disk"):
        load_weights(store, digest)
