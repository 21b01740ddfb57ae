"""Checkpoints of trainings under way: one safetensors file each, the last two kept.

The numbers beside the tensors (step, best loss, history) and a sha256 of both stand
in the safetensors header's metadata, so a checkpoint is one file, whole or absent.
A torn or altered one is passed over for the one before.
"""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from artifacts.store import json_bytes, write_atomically
from core.training import TrainingState

KEPT = 2


class Checkpoints:
    """The checkpoints of one training, in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, state: TrainingState) -> None:
        """Write atomically, then drop all but the last two."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        metadata = {
            "step": str(state.step),
            "best_loss": json.dumps(state.best_loss),
            "best_step": str(state.best_step),
            "history": json.dumps(state.history),
        }
        metadata["sha256"] = state_sha256(tensors, metadata)
        write_atomically(self._path(state.step), save(unshared(tensors), metadata))
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def newest(self) -> TrainingState | None:
        """The newest checkpoint that is whole, or None."""
        for path in self._newest_first():
            state = _read(path)
            if state is not None:
                return state
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)


def readable(path: Path) -> bool:
    """Whether a checkpoint is whole."""
    return _read(path) is not None


def _read(path: Path) -> TrainingState | None:
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.pop("sha256", "") != state_sha256(tensors, metadata):
            return None
        return TrainingState(
            step=int(metadata["step"]),
            tensors=tensors,
            best_loss=float(json.loads(metadata["best_loss"])),
            best_step=int(metadata["best_step"]),
            history=json.loads(metadata["history"]),
        )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies where two names share memory, which safetensors refuses."""
    seen: set[int] = set()
    out = {}
    for name, value in tensors.items():
        out[name] = value.clone() if value.data_ptr() in seen and value.numel() else value
        seen.add(value.data_ptr())
    return out


def state_sha256(tensors: dict[str, Tensor], numbers: dict[str, str]) -> str:
    """One digest over the numbers and the tensors' names, shapes, types and bytes."""
    digest = hashlib.sha256(json_bytes(numbers))
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
