"""Mels that another program wrote, as NumPy arrays in `.npy` files."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from artifacts.audio_files import printable
from core.config import MelConfig
from core.errors import AudioError
from core.legacy_mel import LegacyMelConfig, from_legacy_mel

LEGACY = "htk_log1p"
LARGEST = 20.0  # a full-scale sine has 5 as a log mel, 14 as a legacy mel
LONGEST_SECONDS = 600.0


def read_foreign_mel(path: Path, mel_type: str, mel: MelConfig) -> Tensor:
    """A mel from a file, as one of the mel contract.

    Args:
        path: an .npy of (M, F) floats as torchaudio, librosa and BigVGAN write them, low bands
            first; axes of 1 before them are dropped.
        mel_type: `mel.mel_type`, or "htk_log1p", which is led to it (core.legacy_mel).
    Returns:
        (F', M) float32 log mel.
    Raises:
        AudioError: the file is no such mel.
    """
    name, legacy = printable(path.name), LegacyMelConfig()
    hop, rate, bands = mel.hop_samples, mel.sample_rate, mel.mel_bands
    if mel_type == LEGACY:
        hop, rate, bands = legacy.hop_samples, legacy.sample_rate, legacy.mel_bands
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise AudioError(
            f"{name} cannot be read as a NumPy array ({printable(str(error))}); "
            "write the mel with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise AudioError(f"{name} holds several arrays; write each with numpy.save")
    most = round(LONGEST_SECONDS * rate / hop)
    frames = array.shape[-1] if array.ndim >= 2 else 0
    if not 1 <= frames <= most or array.size != bands * frames or array.shape[-2] != bands:
        raise AudioError(
            f"{name} has shape {array.shape}; a mel has {bands} bands by 1 to {most} frames"
        )
    if array.dtype.kind != "f":
        raise AudioError(f"{name} holds {array.dtype}; write the mel as floats")
    values = np.array(array, np.float32).reshape(bands, frames)
    if not np.isfinite(values).all() or values.max() > LARGEST:
        fault = f"{values.max():.1f}" if np.isfinite(values).all() else "NaN or infinity"
        raise AudioError(
            f"{name} holds {fault}, which no {mel_type} mel does; it is in natural log, "
            "not decibels: check how it was made"
        )
    found = torch.from_numpy(values.T.copy())
    return from_legacy_mel(found, legacy, mel) if mel_type == LEGACY else found
