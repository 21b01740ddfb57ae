"""What the official BigVGAN made: a small generator's checkpoint, a mel and its sound.

And the same checkpoint as if it were the model that Distill offers: files, and their pin.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hub_server import REVISION
from torch import Tensor

from artifacts.pinned import HubFile, HubModel
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


def tiny_files() -> dict[str, bytes]:
    """The two official files, of the small generator."""
    return {
        "config.json": (GOLDEN / "bigvgan_tiny_config.json").read_bytes(),
        "bigvgan_generator.pt": (GOLDEN / "bigvgan_tiny_generator.pt").read_bytes(),
    }


def pinned(files: dict[str, bytes]) -> HubModel:
    """Files as the model that Distill offers."""
    return HubModel(
        "someone/model",
        REVISION,
        tuple(
            HubFile(name, len(data), hashlib.sha256(data).hexdigest(), name.endswith(".pt"))
            for name, data in files.items()
        ),
        "--bigvgan-dir",
    )


def placed(folder: Path, files: dict[str, bytes]) -> Path:
    """A new folder with the files, placed by hand."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
