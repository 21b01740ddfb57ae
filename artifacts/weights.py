"""Weights as safetensors bytes: the same tensors give the same bytes."""

from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor

from artifacts.store import Store


def weights_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Safetensors without metadata (whose order the format leaves open)."""
    data: bytes = save({name: value.cpu().contiguous().clone() for name, value in weights.items()})
    return data


def load_weights(store: Store, digest: str) -> dict[str, Tensor]:
    """The tensors of a stored blob, checked against its digest."""
    weights: dict[str, Tensor] = load(store.read_bytes(digest))
    return weights
