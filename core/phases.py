"""Phases from magnitudes alone, without a search: phase gradient heap integration.

Under a window that is nearly a Gaussian, how fast a spectrum's phase turns from frame to frame
can be read off the slope of its log magnitude from bin to bin, and the other way round. The
slopes are added up along a path that goes from the loudest bin to its loudest neighbour, and so
on: a partial keeps its pitch from frame to frame, and a stroke stays a stroke.

    bins   . . . .       the phase of X is known; of all neighbours of known bins the
           . 2 1 .       loudest is the next, from X to 1 across bins and from there
           . X o .       to 2 across frames
             frames

Quiet bins are left open: their magnitude is what windows and filters smear, or hiss, and
phases that fit it are no better than chance.

Source: Průša, Balazs & Søndergaard 2017, arXiv:1609.00291.
"""

import heapq
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.compiled import compiled
from core.config import MelConfig

GAUSSIAN = 0.25645  # times a Hann window's length squared: the Gaussian nearest to it (ibid.)
QUIET = math.log(1e-3)  # a bin 60 dB below the loudest

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@compiled
def _integrate(turn: Doubles, slope: Doubles, level: Doubles, phase: Doubles, open_: Flags) -> None:
    """Fill in the phase of every open bin; all but `phase` and `open_` stay as they are.

    Args:
        turn, slope: (F, K) phase's change from one frame, and from one bin, to the next.
        level: (F, K) what goes first.
        phase: (F, K) known where a bin is neither open nor to be left alone.
        open_: (F, K) where the phase is to be found.
    """
    frames, bins = level.shape
    heap = [(0.0, 0, 0)]
    heap.pop()
    for t in range(frames):
        for k in range(bins):
            if math.isfinite(phase[t, k]):
                heapq.heappush(heap, (-level[t, k], t, k))
    for first in np.argsort(-level.ravel()):
        if not heap:
            t, k = first // bins, first % bins
            if open_[t, k]:  # the loudest that nothing leads to: it may begin anywhere
                phase[t, k], open_[t, k] = 0.0, False
                heapq.heappush(heap, (-level[t, k], t, k))
        while heap:
            _, t, k = heapq.heappop(heap)
            for dt, dk in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                u, j = t + dt, k + dk
                if 0 <= u < frames and 0 <= j < bins and open_[u, j]:
                    along_t = dt * (turn[t, k] + turn[u, j]) / 2
                    along_k = dk * (slope[t, k] + slope[u, j]) / 2
                    phase[u, j] = phase[t, k] + along_t + along_k
                    open_[u, j] = False
                    heapq.heappush(heap, (-level[u, j], u, j))


def phases_of(log_magnitude: Tensor, mel: MelConfig, known: Tensor | None = None) -> Tensor:
    """Phases with which a magnitude is nearly the spectrum of a wave.

    Args:
        log_magnitude: (F, bins) on the CPU, natural log, framed as core.spectral frames.
        known: (F', bins), F' <= F, phases of the first frames; NaN where they are open too.
    Returns:
        (F, bins) float32 in radians; NaN where the magnitude is 60 dB below the loudest.
    """
    level = log_magnitude.double().numpy()
    frames, bins = level.shape
    hop, fft = mel.hop_samples, mel.fft_samples
    stretch = hop * fft / (GAUSSIAN * fft**2)
    padded = np.pad(level, 1, mode="edge")
    across_bins = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    across_frames = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    own = 2 * np.pi * (hop * np.arange(bins) % fft) / fft  # what a bin's own pitch turns by
    turn, slope = stretch * across_bins + own, -across_frames / stretch - np.pi
    phase = np.full((frames, bins), np.nan)
    open_ = level > level.max() + QUIET
    if known is not None:
        phase[: len(known)] = np.where(open_[: len(known)], known.double().numpy(), np.nan)
        open_ &= ~np.isfinite(phase)
    _integrate(turn, slope, level, phase, open_)
    return torch.from_numpy(np.remainder(phase, 2 * np.pi)).float()
