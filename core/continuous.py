"""A long mel to a wave, with the memory of one stretch and no seams.

    mel      |-------- stretch --------|-------- stretch --------|---
    vocoded  |-------- stretch --------|reach|
                                 |reach|-------- stretch --------|reach|

Every stretch is vocoded with some frames of its neighbours, which are cut off again. A
network that reaches no further than those hears no edge: the result is that of the whole
mel. Griffin-Lim's phases reach everywhere, so its stretches are blended instead.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from torch import Tensor

from core.audio import Wave
from core.config import MelConfig
from core.memory import trim_heap
from core.vocoder import Vocoder

STRETCH_FRAMES = 256  # 3.0 s
BLEND_FRAMES = 16  # 0.19 s


def wave_pieces(vocoder: Vocoder, log_mel: Tensor, mel: MelConfig, seed: int = 0) -> Iterator[Wave]:
    """(F, M) log mel of any length -> pieces in order, F * hop float32 samples together.

    Args:
        seed: of what the vocoder draws.
    """
    frames, hop = len(log_mel), mel.hop_samples
    fading = np.zeros(0, np.float32)  # the end of a stretch, into which the next one is blended
    blend = BLEND_FRAMES if vocoder.reach_frames is None else 0
    reach = blend if vocoder.reach_frames is None else vocoder.reach_frames
    count = -(-frames // STRETCH_FRAMES)
    edges = [number * frames // count for number in range(count + 1)]
    for first, last in pairwise(edges):
        low, high = max(0, first - reach), min(frames, last + reach)
        wave = vocoder.wave(log_mel[low:high], low, seed).numpy().astype(np.float32)
        begin = (first - blend // 2) * hop if first else 0
        end = (last + blend // 2) * hop if last < frames else frames * hop
        piece = wave[begin - low * hop : end - low * hop]
        piece[: len(fading)] *= rising(len(fading))
        piece[: len(fading)] += fading
        ready = len(piece)
        if last < frames:
            ready -= blend * hop
            fading = piece[ready:] * rising(blend * hop)[::-1]
            trim_heap()  # else the holes between stretches of unlike sizes add up
        yield piece[:ready]


def rising(samples: int) -> Wave:
    """The rising half of an equal-power blend of two waves whose phases differ."""
    return np.sin(0.5 * np.pi * (np.arange(samples) + 0.5) / max(1, samples)).astype(np.float32)
