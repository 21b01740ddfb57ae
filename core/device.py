"""Where tensors live and how they are multiplied: never part of a model's identity."""

from contextlib import AbstractContextManager, nullcontext

import torch

from core.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """The torch device behind `auto|cpu|cuda|mps`.

    Raises:
        ConfigError: the name is unknown, or that device is not on this machine.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    if name not in available:
        raise ConfigError(f"device {name!r} is unknown; use auto, cpu, cuda or mps")
    if not available[name]:
        raise ConfigError(f"this machine has no {name} device; use --device auto")
    return torch.device(name)


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 matrix products where the hardware has units for them, else no change.

    On CPUs that means AMX: there it halves a step, elsewhere it is slower than float32.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()
