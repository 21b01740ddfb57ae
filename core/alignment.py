"""By how many mel bands a copy is too high or too low, and whether mels fit their waves.

A band is 3.3 % of frequency above 1 kHz and 31 Hz below. What is played at a wrong
sample rate is 2.7 bands off (48 kHz for 44.1), a filterbank off by one, 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from core.config import MelConfig
from core.mel import log_mel

MOST_BANDS = 4  # up and down
SHIFTS = tuple(range(-MOST_BANDS, MOST_BANDS + 1))
MARGIN_FRAMES = 3  # so far a frame looks ahead


def misfits(copy: Tensor, original: Tensor) -> Tensor:
    """How badly a copy fits its original when moved by each of SHIFTS bands.

    Compared are the mean log mels, so that the lengths may differ, and their forms, so that
    the levels may. Whole bands only: a mel between bands is smoother and fits too well.

    Args:
        copy: (F, M) log mel.
        original: (F', M) log mel.
    Returns:
        (9,) mean absolute deviations, their mean 1, so that every sound counts the same.
    """
    ours, theirs = copy.mean(0), original.mean(0)
    inner = slice(MOST_BANDS, len(theirs) - MOST_BANDS)
    found = []
    for shift in SHIFTS:
        apart = (ours.roll(-shift) - theirs)[inner]
        found.append((apart - apart.median()).abs().mean())
    errors = torch.stack(found).double()
    return errors / errors.mean().clamp_min(1e-9)


def bands_off(found: Sequence[Tensor]) -> int:
    """By how many bands the copies are too high, from the misfits of all of them."""
    errors = torch.stack(list(found)).mean(0)
    best = [shift for shift, error in zip(SHIFTS, errors.tolist(), strict=True)
            if error <= float(errors.min()) + 1e-9]  # fmt: skip
    return min(best, key=abs)


def wave_mel(wave: Tensor, mel: MelConfig) -> Tensor:
    """(T,) -> (F, M) log mel; a sound of less than one window is padded with silence."""
    return log_mel(pad(wave, (0, max(0, mel.fft_samples - len(wave))))[None], mel)[0].T


def mel_error(stored: Tensor, wave: Tensor, mel: MelConfig) -> float:
    """Mean absolute difference in nats of a stored mel and the analysis of its wave.

    Args:
        stored: (F, M), the beginning of a sound.
        wave: (T,) the same from its beginning, to its end or MARGIN_FRAMES beyond the mel.
    """
    return float((stored - wave_mel(wave, mel)[: len(stored)]).abs().mean())
