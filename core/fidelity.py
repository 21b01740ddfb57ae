"""What sets a copy of a sound apart from its original, beside the distances of core.comparison.

Every figure compares a copy with its own original, so that what a sound is like by
itself cancels out: 0 is alike. None of them decides which vocoder wins, except that one which
buzzes does not.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from core.config import MelConfig
from core.spectral import framed_spectrum

QUIETEST_DB = -120.0  # levels below count as this one
HIGH_HZ = 20_000.0
HIGH_FLOOR = 1e-8  # of the original's energy: -80 dB, below which highs are not heard
RANGE_DB = 60.0  # frames further below the loudest are silence
FOLDS = (2, 4)  # the last two doublings of a vocoder mirror about 1/2 and 1/4 of Nyquist
HEARD = 1e-4  # of the loudest bin: images 80 dB below it are let be
FINE_BINS = 31  # a spectrum less its mean over as many bins is its fine structure
DECOY_BINS = (-8, -4, 4, 8)  # off the mirror's place, beyond the window's main lobe
FOLD_MARGIN = 16  # bins next to a fold, whose windows and decoys overlap
FLAT_SAMPLES = 4  # as many equal samples in a row are no crest
HISS_HZ = 2_000.0  # above it few sounds have a pitch, and hiss is heard
BUZZ_HOPS = 8  # compared with as many, some later
MOST_BUZZ = 0.3  # good copies have 0.1 at most; networks that know no chance 0.6 to 1


@dataclass(frozen=True)
class Fidelity:
    """A copy's figures less its original's; 0 is alike."""

    spectral_convergence: float  # norm of the magnitudes' difference over the original's norm
    level_db: float  # of the RMS
    crest_db: float  # of the peak over the RMS
    range_db: float  # between soft and loud frames
    above_20k_db: float  # of the energy above 20 kHz
    mirrored: float  # correlation of the fine structure with its mirror image
    flat_tops: float  # share of the copy's own samples that are cut flat, 0..1
    buzz: float  # share of the highs that repeats within four frames; not below 0


def fidelity(copy: Tensor, original: Tensor, mel: MelConfig) -> Fidelity:
    """Both (T,) at the mel's rate; sounds of less than one window are padded alike."""
    waves = [pad(one, (0, max(0, mel.fft_samples - len(one)))) for one in (copy, original)]
    ours, theirs = (
        framed_spectrum(one[None], mel.fft_samples, mel.hop_samples)[0].abs() for one in waves
    )
    levels = [_decibels(float(one.double().square().mean().sqrt())) for one in (copy, original)]
    peaks = [_decibels(float(one.abs().max())) for one in (copy, original)]
    high = round(HIGH_HZ * mel.fft_samples / mel.sample_rate)
    heard = theirs.double().square().sum().clamp_min(1e-12)
    highs = [float(one[:, high:].double().square().sum() / heard) for one in (ours, theirs)]
    return Fidelity(
        float((ours - theirs).norm() / theirs.norm().clamp_min(1e-6)),
        levels[0] - levels[1],
        (peaks[0] - levels[0]) - (peaks[1] - levels[1]),
        _range_db(ours) - _range_db(theirs),
        10 * math.log10((highs[0] + HIGH_FLOOR) / (highs[1] + HIGH_FLOOR)),
        max(_mirrored(ours, theirs, fold) for fold in FOLDS),
        flat_tops(copy),
        _buzz(copy, original, mel),
    )


def mean_fidelity(found: Sequence[Fidelity]) -> Fidelity:
    """The mean over sounds, each counting the same."""
    rows = torch.tensor([dataclasses.astuple(one) for one in found], dtype=torch.float64)
    return Fidelity(*rows.mean(0).tolist())


def mirror_correlation(magnitude: Tensor, fold: int) -> float:
    """How alike a spectrum's fine structure is to its mirror image about Nyquist / fold.

    An upsampler that filters too little leaves beside every partial and every chance
    fluctuation at f its image at 2 Nyquist / fold - f. Of two bands that know nothing of
    each other the fine structures do not correlate, whatever the sound. A comb does, as of
    a buzz at the frames' rate, but as well at other places than the image's: those decoys
    are taken away.

    Args:
        magnitude: (F, bins), all bins from 0 to Nyquist.
    Returns:
        correlation over the frames within 40 dB of the loudest, less that of the decoys.
    """
    middle = (magnitude.shape[1] - 1) // fold
    level = magnitude.square().sum(1).sqrt()
    loud = magnitude[level >= 0.01 * level.max()]
    log = loud.clamp_min(HEARD * float(magnitude.max()) + 1e-9).log()
    smooth = avg_pool1d(log[:, None], FINE_BINS, 1, FINE_BINS // 2, count_include_pad=False)
    fine = (log - smooth[:, 0]).double()
    bins = torch.arange(FOLD_MARGIN, middle - FOLD_MARGIN)

    def alike(places: Tensor) -> float:
        below, above = fine[:, bins], fine[:, places]
        norm = (below.square().sum() * above.square().sum()).sqrt()
        return float((below * above).sum() / norm.clamp_min(1e-9))

    decoys = [alike(2 * middle - bins + off) for off in DECOY_BINS]
    return alike(2 * middle - bins) - sum(decoys) / len(decoys)


def _mirrored(ours: Tensor, theirs: Tensor, fold: int) -> float:
    """The copy's less the original's, whose partials may lie as mirrored, or opposed, by chance."""
    return mirror_correlation(ours, fold) - max(0.0, mirror_correlation(theirs, fold))


def repetitions(wave: Tensor, mel: MelConfig) -> list[float]:
    """How alike a (T,) wave is to itself one frame later, two, three and four, above 2 kHz.

    Hiss is not. Where a vocoder gives every frame of it the same phases, or phases that come
    round again, it becomes a buzz at the frames' rate or a quarter of it, which no distance of
    magnitudes sees: it is as even as a mean.

    Returns:
        for every lag that leaves a stretch to compare, the mean correlation of stretches whose
        highs are within 60 dB of the loudest stretch; 0 for what has no such stretch.
    """
    hop, length = mel.hop_samples, BUZZ_HOPS * mel.hop_samples
    lags = range(hop, min(mel.fft_samples, len(wave) - length) + 1, hop)
    if not lags:
        return []
    spectrum = torch.fft.rfft(wave.double())
    hertz = torch.arange(len(spectrum)) * (mel.sample_rate / len(wave))
    rise = (2 * hertz / HISS_HZ - 1.5).clamp(0, 1)  # from 1.5 to 2.5 kHz: steeper would ring
    highs = torch.fft.irfft(spectrum * rise.square() * (3 - 2 * rise), len(wave))
    return [_alike(highs, wave, lag, length) for lag in lags]


def _buzz(copy: Tensor, original: Tensor, mel: MelConfig) -> float:
    """The copy's repetition less the original's, where that is most."""
    ours, theirs = repetitions(copy, mel), repetitions(original, mel)
    return max([0.0, *(one - max(0.0, other) for one, other in zip(ours, theirs, strict=False))])


def _alike(highs: Tensor, wave: Tensor, lag: int, length: int) -> float:
    """Mean correlation of stretches of a wave's highs with those `lag` samples later."""
    now, later = (one.unfold(0, length, length) for one in (highs[:-lag], highs[lag:]))
    energy = now.square().sum(1)
    loudest = wave[:-lag].double().unfold(0, length, length).square().sum(1).max()
    heard = energy > loudest * 10 ** (-RANGE_DB / 10)
    if not bool(heard.any()):
        return 0.0
    both = (energy * later.square().sum(1)).sqrt().clamp_min(1e-12)
    return float(((now * later).sum(1) / both)[heard].mean())


def flat_tops(wave: Tensor) -> float:
    """Share of a (T,) wave's samples in runs of 4 or more equal ones above half its peak.

    A float wave that was never clipped has none: near a crest of even 20 Hz samples
    differ by more than float32 resolves.
    """
    peak = wave.abs().max()
    still = (wave.diff().abs() <= 1e-6 * peak) & (wave[1:].abs() > 0.5 * peak)
    runs = still.float()
    if len(runs) < FLAT_SAMPLES - 1:
        return 0.0
    starts = runs.unfold(0, FLAT_SAMPLES - 1, 1).all(1)
    flat = torch.zeros(len(wave), dtype=torch.bool)
    for offset in range(FLAT_SAMPLES):
        flat[offset : offset + len(starts)] |= starts
    return float(flat.double().mean())


def _range_db(magnitude: Tensor) -> float:
    """Between the 10th and the 95th percentile of the frames' levels, silence left out."""
    level = 20 * magnitude.double().square().sum(1).clamp_min(1e-12).sqrt().log10()
    heard = level[level >= level.max() - RANGE_DB]
    low, high = heard.quantile(torch.tensor([0.1, 0.95], dtype=torch.float64))
    return float(high - low)


def _decibels(value: float) -> float:
    return max(QUIETEST_DB, 20 * math.log10(max(value, 1e-12)))
