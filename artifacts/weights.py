"""Weights as safetensors bytes: the same tensors give the same bytes."""

from collections.abc import Mapping

from safetensors.torch import load, save
from torch import Tensor

from artifacts.store import Store
from core.errors import TrainingError


def weights_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Safetensors without metadata (whose order the format leaves open).

    Raises:
        TrainingError: a weight is NaN or infinite.
    """
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            raise TrainingError(
                f"{name} holds NaN or infinity after training; "
                "try another --seed or a lower learning rate"
            )
    data: bytes = save({name: value.cpu().contiguous().clone() for name, value in weights.items()})
    return data


def load_weights(store: Store, digest: str) -> dict[str, Tensor]:
    """The tensors of a stored blob, checked against its digest."""
    weights: dict[str, Tensor] = load(store.read_bytes(digest))
    return weights
