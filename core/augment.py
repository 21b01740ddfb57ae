"""Conservative augmentation on log mels: smooth equaliser, gain, speed.

A log mel plus a smooth curve over the bands is what an equaliser does; plus a
constant, what a gain does. Measured on 195 sounds: PCA and codebooks fitted on
such copies are 4 to 25 % better on held-out sounds, most on the smallest sets.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import AugmentConfig, MelConfig
from core.mel import silence


def equaliser_curves(
    count: int, bands: int, config: AugmentConfig, generator: torch.Generator
) -> Tensor:
    """(count, bands) random smooth curves in nats: cosine series plus a constant gain.

    The cosine terms fall off as 1 / order, so a curve's deviation is about
    config.equaliser_nats and its finest bend spans bands / equaliser_terms.
    """
    order = torch.arange(1, config.equaliser_terms + 1)
    position = (torch.arange(bands) + 0.5) / bands
    basis = torch.cos(torch.pi * order[:, None] * position) / order[:, None]  # (terms, bands)
    basis *= config.equaliser_nats / basis.square().mean(-1).sum().sqrt()
    weights = torch.randn(count, config.equaliser_terms, generator=generator)
    gains = config.gain_nats * torch.randn(count, 1, generator=generator)
    return weights @ basis + gains


def equalised(mel: Tensor, curves: Tensor, config: MelConfig) -> Tensor:
    """(..., F, M) log mels with (..., M) curves added, silence kept silent."""
    floor = silence(config)
    audible = mel > floor + 1e-3
    return torch.where(audible, (mel + curves[..., None, :]).clamp_min(floor), mel)


def equalised_in_chunks(
    mel: Tensor, mel_config: MelConfig, config: AugmentConfig, generator: torch.Generator
) -> Tensor:
    """(F, M) -> (F, M): every chunk of config.chunk_frames gets a curve of its own."""
    frames, bands = mel.shape
    chunks = -(-frames // config.chunk_frames)
    curves = equaliser_curves(chunks, bands, config, generator)
    padded = F.pad(mel, (0, 0, 0, chunks * config.chunk_frames - frames), value=silence(mel_config))
    changed = equalised(padded.view(chunks, config.chunk_frames, bands), curves, mel_config)
    return changed.reshape(-1, bands)[:frames]


def at_speed(mel: np.ndarray, speed: float) -> np.ndarray:
    """(F, M) log mel played `speed` times as fast, pitch kept: linear interpolation in time."""
    frames = mel.shape[0]
    count = max(1, round(frames / speed))
    position = np.linspace(0, frames - 1, count)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, frames - 1)
    share = (position - low)[:, None].astype(np.float32)
    mixed: np.ndarray = mel[low] * (1 - share) + mel[high] * share
    return mixed
