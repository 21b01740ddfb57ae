"""The mel contract: log-mel spectrograms exactly as BigVGAN-v2 computes them.

The inverse direction (a magnitude spectrum that fits a mel) lies in core.griffinlim,
the mel of older models in core.legacy_mel.
"""

from functools import lru_cache

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import MelConfig
from core.errors import AudioError
from core.spectral import hann, power_spectrum, reflected


def silence(config: MelConfig) -> float:
    """The log mel of digital silence, log(floor) = -11.5129 by default."""
    return float(np.log(config.floor))


@lru_cache(maxsize=8)
def filterbank(config: MelConfig) -> Tensor:
    """(M, fft / 2 + 1) Slaney-normalised mel filters from librosa, float32 on the CPU."""
    return torch.from_numpy(
        librosa.filters.mel(
            sr=config.sample_rate,
            n_fft=config.fft_samples,
            n_mels=config.mel_bands,
            fmin=config.lowest_hz,
            fmax=config.highest_hz,
        )
    )


@lru_cache(maxsize=8)
def band_centres_hz(config: MelConfig) -> Tensor:
    """(M,) the frequency where each mel filter is greatest, in Hz."""
    edges = librosa.mel_frequencies(
        n_mels=config.mel_bands + 2, fmin=config.lowest_hz, fmax=config.highest_hz
    )
    return torch.from_numpy(edges[1:-1])


def magnitude(squares: Tensor) -> Tensor:
    """Magnitude of a power spectrum with BigVGAN's 1e-9 under the root."""
    return torch.sqrt(squares + 1e-9)


def log_mel(wave: Tensor, config: MelConfig) -> Tensor:
    """Log-mel spectrogram as BigVGAN-v2 expects it.

    Args:
        wave: (B, T) float in [-1, 1] at config.sample_rate.
    Returns:
        (B, M, F) natural log of mel magnitude, floored at log(1e-5); F = T // hop_samples.
    Raises:
        AudioError: wave is shorter than the reflection needs.
    Source: BigVGAN-v2 44 kHz 128-band 512x; librosa's Slaney filterbank, frames not centred.
    """
    padding = (config.fft_samples - config.hop_samples) // 2
    if wave.shape[-1] <= padding:
        raise AudioError(
            f"a wave of {wave.shape[-1]} samples has no mel; pad it to {padding + 1} or more"
        )
    padded = reflected(wave, padding)
    squares = power_spectrum(padded, hann(config.fft_samples, wave.device), config.hop_samples)
    mel = magnitude(squares) @ filterbank(config).to(wave.device).T  # (B, F, M)
    return torch.log(mel.clamp_min(config.floor)).transpose(1, 2)


def log_mel_in_chunks(wave: np.ndarray, config: MelConfig, chunk_frames: int = 8192) -> np.ndarray:
    """`log_mel` of one long (or memory-mapped) wave, with the memory of one chunk.

    Args:
        wave: (T,) float32, at least 50 ms.
    Returns:
        (F, M) float32, equal to `log_mel` of the whole.
    """
    hop, padding = config.hop_samples, (config.fft_samples - config.hop_samples) // 2
    frames = wave.shape[0] // hop
    if frames <= chunk_frames:
        return log_mel(torch.from_numpy(np.array(wave))[None], config)[0].T.contiguous().numpy()
    margin = -(-padding // hop)  # whole frames that cover the padding
    pieces = []
    for start in range(0, frames, chunk_frames):
        stop = min(start + chunk_frames, frames)
        first, last = max(0, start - margin), min(frames, stop + margin)
        samples = wave.shape[0] if last == frames else last * hop
        part = log_mel(torch.from_numpy(np.array(wave[first * hop : samples]))[None], config)[0].T
        pieces.append(part[start - first : start - first + stop - start].numpy())
    return np.concatenate(pieces)


def pad_frames(mel: Tensor, frames: int, config: MelConfig) -> Tensor:
    """(..., F, M) -> (..., frames, M), padded at the end with silence, never with 0."""
    missing = frames - mel.shape[-2]
    return F.pad(mel, (0, 0, 0, missing), value=silence(config)) if missing > 0 else mel
