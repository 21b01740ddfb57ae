"""What the official BigVGAN made: a small generator's checkpoint, a mel and its sound."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.bigvgan_config import BigvganConfig, bigvgan_config

GOLDEN = Path(__file__).parent / "golden"


def official_json(name: str) -> dict[str, Any]:
    """`bigvgan_NAME.json`, as a dictionary."""
    values: dict[str, Any] = json.loads((GOLDEN / f"bigvgan_{name}.json").read_text())
    return values


def tiny_config() -> BigvganConfig:
    """64 channels, else like the model that is offered."""
    return bigvgan_config(official_json("tiny_config"))


def tiny_weights() -> dict[str, Tensor]:
    """The official state dict, with weight norm."""
    checkpoint = torch.load(GOLDEN / "bigvgan_tiny_generator.pt", weights_only=True)
    weights: dict[str, Tensor] = checkpoint["generator"]
    return weights


def tiny_sound() -> tuple[Tensor, Tensor]:
    """(128, 24) log mel and the (12288,) sound that the official generator made of it."""
    with np.load(GOLDEN / "bigvgan_tiny_io.npz") as arrays:
        return torch.from_numpy(arrays["log_mel"]), torch.from_numpy(arrays["audio"])
