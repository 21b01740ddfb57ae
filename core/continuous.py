"""A long mel to a wave, with the memory of one stretch and no seams.

    mel      |-------- stretch --------|-------- stretch --------|---
    vocoded  |-------- stretch --------|reach|
                                 |reach|-------- stretch --------|reach|

Every stretch is vocoded with some frames of its neighbours, which are cut off again. A
network that reaches no further than those hears no edge: the result is that of the whole
mel. A vocoder that makes up phases is told what was played of its first frames, and where
that leads to other samples the stretches are blended.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from core.audio import Wave
from core.config import MelConfig
from core.memory import trim_heap
from core.vocoder import Seam, Vocoder

STRETCH_FRAMES = 256  # 3.0 s
BLEND_FRAMES = 16  # 0.19 s


class Frames(Protocol):
    """A log mel, or what makes one where it is looked at."""

    def __len__(self) -> int:
        """Frames."""

    def __getitem__(self, frames: slice, /) -> Tensor:
        """(F, M) of frames in a row."""


def wave_pieces(vocoder: Vocoder, log_mel: Frames, mel: MelConfig, seed: int = 0) -> Iterator[Wave]:
    """(F, M) log mel of any length -> pieces in order, F * hop float32 samples together.

    They are to be left as they are: the next one goes on from them.

    Args:
        seed: of what the vocoder draws.
    """
    frames, hop = len(log_mel), mel.hop_samples
    half = 0 if vocoder.seam == "same" else BLEND_FRAMES // 2
    reach = max(vocoder.reach_frames, half)
    curve = rising(2 * half * hop, vocoder.seam)
    count = -(-frames // STRETCH_FRAMES)
    edges = [number * frames // count for number in range(count + 1)]
    wave, low = np.zeros(0, np.float32), 0  # of the stretch before, from frame `low` on
    for first, last in pairwise(edges):
        start, stop = max(0, first - reach), min(frames, last + reach)
        begin, end = max(0, first - half), frames if last == frames else last - half
        heard = wave[(start - low) * hop : (first + half - low) * hop]
        before = torch.from_numpy(heard) if first else None
        wave = vocoder.wave(log_mel[start:stop], start, seed, before).numpy().astype(np.float32)
        low = start
        if first:
            blended = wave[(begin - low) * hop :][: len(curve)]
            blended *= curve
            blended += heard[len(heard) - len(curve) :] * curve[::-1]
            trim_heap()  # else the holes between stretches of unlike sizes add up
        yield wave[(begin - low) * hop : (end - low) * hop]


def rising(samples: int, seam: Seam) -> Wave:
    """The rising half of a blend of two waves, of equal power where their phases differ."""
    quarter = np.sin(0.5 * np.pi * (np.arange(samples) + 0.5) / max(1, samples))
    return (quarter**2 if seam == "alike" else quarter).astype(np.float32)
