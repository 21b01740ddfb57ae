"""Phases from magnitudes alone, without a search: phase gradient heap integration.

Under a window that is nearly a Gaussian, how fast a spectrum's phase turns from frame to frame
can be read off the slope of its log magnitude from bin to bin, and the other way round. The
slopes are added up along the ridges: a held tone keeps its pitch, a stroke stays a stroke.

    bins   . c . .       a is known: its neighbours b, c and d follow from it and are known
           b a d .       too; then those of the loudest known bin whose neighbours are not
           . e . .
             frames

One tone, or one stroke, bends the log magnitude by a fixed amount, tones across bins and
strokes across frames. The mel of a hiss is an average and bends less; integrated, its phases
make a train of pulses, one in every frame. There phases are left open.

Source: Průša, Balazs & Søndergaard 2017, arXiv:1609.00291; of the bend, the Cauchy-Riemann
equations that their eq. 10 and 11 are.
"""

import heapq

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter1d
from torch import Tensor

from core.compiled import compiled
from core.config import MelConfig

GAUSSIAN = 0.25645  # times a Hann window's length squared: the Gaussian nearest to it (ibid.)
# Open is what bends less than this share of a single tone's or stroke's, and so do the two bins
# on either side. With 0.2 the mel of a hiss still gave pulses (its squared wave was alike four
# frames later by .16; with 0.3 by .08, as Griffin-Lim's), with 0.4 tones were rougher.
LEAST_BEND, BEND_BINS = 0.3, 5

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@compiled
def _integrate(turn: Doubles, slope: Doubles, level: Doubles, known: Flags, phase: Doubles) -> None:
    """Fill in the phases that are not known, of which one at least is.

    Args:
        turn, slope: (F, K) how much more the next frame's, and the next bin's, phase is.
        level: (F, K) the louder, the earlier.
        known: (F, K); all are in the end.
        phase: (F, K), changed in place.
    """
    frames, bins = level.shape
    heap = [(0.0, 0, 0)]  # tells numba what is in it
    heap.pop()
    for t in range(frames):
        for k in range(bins):
            if known[t, k]:
                heapq.heappush(heap, (-level[t, k], t, k))
    while heap:
        _, t, k = heapq.heappop(heap)
        for dt, dk in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            u, j = t + dt, k + dk
            if 0 <= u < frames and 0 <= j < bins and not known[u, j]:
                along_t = dt * (turn[t, k] + turn[u, j]) / 2
                along_k = dk * (slope[t, k] + slope[u, j]) / 2
                phase[u, j], known[u, j] = phase[t, k] + along_t + along_k, True
                heapq.heappush(heap, (-level[u, j], u, j))


def phases_of(log_magnitude: Tensor, mel: MelConfig, known: Tensor | None = None) -> Tensor:
    """Phases with which a magnitude is nearly the spectrum of a wave.

    Args:
        log_magnitude: (F, bins) on the CPU, natural log, framed as core.spectral frames.
        known: (F', bins), F' <= F, phases of the first frames; NaN where they are not known.
    Returns:
        (F, bins) float32 in radians; NaN where they are open.
    """
    if not log_magnitude.isfinite().all():  # a damaged model's
        return torch.full_like(log_magnitude, torch.nan)
    level = np.ascontiguousarray(log_magnitude.double().numpy())
    frames, bins = level.shape
    hop, fft = mel.hop_samples, mel.fft_samples
    aspect = hop * fft / (GAUSSIAN * fft**2)  # of a frame to a bin, in the Gaussian's own measure
    # A real wave's spectrum is mirrored about its first and its last bin.
    padded = np.pad(np.pad(level, ((1, 1), (0, 0)), mode="edge"), ((0, 0), (1, 1)), mode="reflect")
    below, above = padded[1:-1, :-2], padded[1:-1, 2:]
    before, after = padded[:-2, 1:-1], padded[2:, 1:-1]
    own = 2 * np.pi * (hop * np.arange(bins) % fft) / fft  # what a bin's own pitch turns by
    turn = own + aspect * (above - below) / 2
    slope = -np.pi - (after - before) / 2 / aspect  # a stroke in the middle of the window: -pi
    phase = np.full((frames, bins), np.nan)
    if known is not None:
        phase[: len(known)] = known.double().numpy()
    begun = np.isfinite(phase)
    if not begun.any():
        loudest = level.argmax()
        phase.flat[loudest], begun.flat[loudest] = 0.0, True
    _integrate(turn, slope, level, begun, phase)
    bend = aspect * (2 * level - above - below) + (2 * level - after - before) / aspect
    bend /= 2 * np.pi * hop / fft
    phase[maximum_filter1d(bend, BEND_BINS, axis=1) < LEAST_BEND] = np.nan
    return torch.from_numpy(np.remainder(phase, 2 * np.pi)).float()
