"""From seeds to finished waves: prior, RVQ-VAE and vocoder in a row."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.audio import Wave, level_to_true_peak, resample, rms_dbfs
from core.config import MelConfig
from core.prior import Prior
from core.rvqvae import RvqVae
from core.sampling import Sampling, sample_codes
from core.training import step_seed
from core.vocoder import Vocoder

SILENT_DBFS = -50.0  # a drawn sound quieter than this is drawn again
MOST_DRAWS = 8
FADE_SECONDS = 0.005  # at the end, so that nothing clicks


@dataclass(frozen=True)
class Instrument:
    """The trained models that make a sound together."""

    mel: MelConfig
    rvqvae: RvqVae
    prior: Prior
    vocoder: Vocoder
    longest_frames: int  # code frames after which a sound that does not end is cut


@torch.no_grad()
def mel_from_codes(rvqvae: RvqVae, codes: Tensor) -> Tensor:
    """(F', L) codes -> (F' * S, M) log mel."""
    return rvqvae.decode(rvqvae.vectors(codes[None]))[0]


def drawn_waves(
    instrument: Instrument, seeds: Sequence[int], sampling: Sampling, seconds: float | None
) -> Iterator[Wave]:
    """(T,) float32 at the mel's rate for each seed, in order.

    A sound quieter than -50 dBFS is drawn again, up to 8 times, from seeds that follow
    from its own; if all are, the last one is returned.

    Args:
        seconds: every sound's length; None lets each end by itself.
    """
    mel = instrument.mel
    code_samples = mel.hop_samples * instrument.rvqvae.config.stack_frames
    frames = None
    if seconds is not None:
        frames = max(1, math.ceil(seconds * mel.sample_rate / code_samples))
    drawn = sample_codes(instrument.prior, seeds, sampling, instrument.longest_frames, frames)
    for seed, codes in zip(seeds, drawn, strict=True):
        wave = _vocoded(instrument, codes)
        for attempt in range(1, MOST_DRAWS):
            if rms_dbfs(wave) > SILENT_DBFS:
                break
            other = [step_seed(seed, attempt, "redraw")]
            codes = sample_codes(
                instrument.prior, other, sampling, instrument.longest_frames, frames
            )[0]
            wave = _vocoded(instrument, codes)
        yield wave


def _vocoded(instrument: Instrument, codes: Tensor) -> Wave:
    log_mel = mel_from_codes(instrument.rvqvae, codes.to(instrument.rvqvae.codebooks.device))
    return instrument.vocoder.wave(log_mel).numpy().astype(np.float32)


def finished(wave: Wave, rate_in: int, rate_out: int, seconds: float | None) -> Wave:
    """Resampled once, of exact length, faded out, its true peak at most -1 dBFS by gain."""
    out = resample(wave, rate_in, rate_out)
    if seconds is not None:
        out = out[: max(1, round(seconds * rate_out))]
    fade = min(len(out), round(FADE_SECONDS * rate_out))
    out = out.copy()
    out[len(out) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return level_to_true_peak(out)
