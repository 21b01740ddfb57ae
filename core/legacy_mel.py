"""The mel of older models, "htk_log1p", and the way from it to the mel contract.

It differs from the contract in everything: 48 kHz and frames that are centred; the power
spectrum, not the magnitude; HTK filters without a norm; log1p in place of a floored log.
So it is led back to a linear spectrum, and that is analysed again (`from_legacy_mel`).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import librosa
import torch
from torch import Tensor

from core.config import MelConfig
from core.errors import AudioError
from core.griffinlim import non_negative_inverse
from core.mel import filterbank, magnitude
from core.spectral import hann, power_spectrum, reflected

UPDATES = 25  # 10 are as near to the true mel, 50 and 200 no nearer
LEAST_POWER = 1e-30  # the power of a magnitude at the mel contract's floor is 1e-10


@dataclass(frozen=True)
class LegacyMelConfig:
    sample_rate: int = 48_000
    fft_samples: int = 2048  # window length too
    hop_samples: int = 512
    mel_bands: int = 128
    lowest_hz: float = 0.0
    highest_hz: float = 24_000.0


@lru_cache(maxsize=8)
def legacy_filterbank(config: LegacyMelConfig) -> Tensor:
    """(M, fft / 2 + 1) HTK mel filters of height 1, from librosa, float32 on the CPU."""
    return torch.from_numpy(
        librosa.filters.mel(
            sr=config.sample_rate,
            n_fft=config.fft_samples,
            n_mels=config.mel_bands,
            fmin=config.lowest_hz,
            fmax=config.highest_hz,
            htk=True,
            norm=None,
        )
    )


def legacy_mel(wave: Tensor, config: LegacyMelConfig) -> Tensor:
    """The mel that older models were trained on.

    Args:
        wave: (B, T) float in [-1, 1] at config.sample_rate.
    Returns:
        (B, M, F) log1p of mel power; F = 1 + T // hop_samples.
    Raises:
        AudioError: wave is shorter than the reflection needs.
    Source: torchaudio's MelSpectrogram (HTK, no norm, centred, power 2).
    """
    half = config.fft_samples // 2
    if wave.shape[-1] <= half:
        raise AudioError(
            f"a wave of {wave.shape[-1]} samples has no legacy mel; pad it to {half + 1} or more"
        )
    window = hann(config.fft_samples, wave.device)
    squares = power_spectrum(reflected(wave, half), window, config.hop_samples)
    return torch.log1p(squares @ legacy_filterbank(config).to(wave.device).T).transpose(1, 2)


def log_from_log1p(log1p_mel: Tensor, floor: float) -> Tensor:
    """log1p(x) -> log(x), floored at log(floor); any shape.

    This undoes the compression alone. It does not make a legacy mel one of the mel
    contract: that is of a magnitude, by other filters, at another rate and elsewhere in
    time, and is 3.0 nats away on average (over 194 real sounds).
    """
    return torch.log(torch.expm1(log1p_mel).clamp_min(floor))


def log1p_from_log(log_mel: Tensor) -> Tensor:
    """log(x) -> log1p(x), the inverse of `log_from_log1p` above its floor."""
    return torch.log1p(log_mel.exp())


def from_legacy_mel(log1p_mel: Tensor, legacy: LegacyMelConfig, mel: MelConfig) -> Tensor:
    """A legacy mel as the mel contract would have it, of the same duration.

    The linear spectrum whose mel power is the given one is read off where the contract's
    frames and bins lie. A window of as many samples gives a sine the same magnitude at
    either rate, so levels need no change.

    What a mel has lost does not come back: over 194 real sounds the result is 0.18 nats
    from the true log mel on average. Power within a band is taken to lie evenly, so noise
    comes out 0.1 nats (1 dB) louder than it was and a lone tone where bands are wide more:
    0.5 nats at 4 kHz, 0.9 at 10 kHz.

    Args:
        log1p_mel: (F', M) log1p of mel power; frame f lies at f * hop / sample_rate seconds.
    Returns:
        (F, M) log mel; frames 0 to F - 1 cover the time of frames 0 to F' - 1.
    Raises:
        AudioError: the mel has another number of bands.
    """
    if log1p_mel.shape[-1] != legacy.mel_bands:
        raise AudioError(
            f"a legacy mel has {legacy.mel_bands} bands, not {log1p_mel.shape[-1]}; "
            "give the mel as the model made it"
        )
    power = torch.expm1(log1p_mel).clamp_min(0.0)  # a model's mel may lie below silence
    filters = legacy_filterbank(legacy).to(power.device)
    linear = non_negative_inverse(power, filters, UPDATES, LEAST_POWER).sqrt()  # (F', bins)

    hops = mel.hop_samples / mel.sample_rate * legacy.sample_rate / legacy.hop_samples
    frames = max(1, math.ceil((len(log1p_mel) - 1) / hops))
    # The contract's frames are not centred: frame f looks at the middle of its hop.
    linear = read_between(linear, (torch.arange(frames, dtype=torch.float64) + 0.5) * hops)
    bins = mel.sample_rate / mel.fft_samples * legacy.fft_samples / legacy.sample_rate
    places = torch.arange(mel.fft_samples // 2 + 1, dtype=torch.float64) * bins
    linear = read_between(linear.T, places).T  # (F, bins)
    heard = magnitude(linear.square()) @ filterbank(mel).to(linear.device).T
    return torch.log(heard.clamp_min(mel.floor))


def read_between(rows: Tensor, places: Tensor) -> Tensor:
    """Rows at fractional places, linear between two; beyond the ends the first or last row.

    Args:
        rows: (N, X).
        places: (P,) in rows.
    Returns:
        (P, X).
    """
    last = len(rows) - 1
    places = places.clamp(0, last)
    before = places.long()
    share = (places - before).to(rows)[:, None]
    return torch.lerp(rows[before], rows[(before + 1).clamp_max(last)], share)
