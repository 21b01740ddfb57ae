"""Other people's PyTorch checkpoints, read without running what may be in them."""

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from core.errors import HubError


def generator_weights(path: Path) -> dict[str, Tensor]:
    """The tensors under "generator" of a checkpoint, on the CPU.

    Those of a checkpoint that is a ZIP, as all since torch 1.6 are, lie in the file until
    they are read: half a gigabyte less to hold beside a model made of them.

    Raises:
        HubError: it holds code, is damaged, or holds no generator.
    """
    try:
        loaded: object = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise HubError(
            f"{path} is a pickle with more than tensors in it, which could run code and is "
            "never opened; get the official file"
        ) from error
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError) as error:
        raise HubError(f"{path} is no whole PyTorch checkpoint; download it again") from error
    weights = loaded.get("generator") if isinstance(loaded, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise HubError(f"{path} holds no generator; get the official file")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise HubError(f"{path} holds {name!r}, which is no tensor; get the official file")
    return weights
