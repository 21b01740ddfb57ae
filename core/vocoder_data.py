"""What a vocoder learns from: mels as it will meet them, beside the waves they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

# A rule of thumb, not measured: HiFi-GAN's authors had 24 hours of speech.
ENOUGH_FOR_HIFIGAN_SECONDS = 600.0


def too_little_for_hifigan(seconds_of_audio: float) -> str | None:
    """What to say before HiFi-GAN is trained on so little, whatever the number of sounds, or None.

    >>> too_little_for_hifigan(3600.0) is None
    True
    """
    if seconds_of_audio >= ENOUGH_FOR_HIFIGAN_SECONDS:
        return None
    minutes = seconds_of_audio / 60
    length = f"{minutes:.1f} minutes" if minutes >= 1 else f"{seconds_of_audio:.0f} s"
    return (
        f"{length} of sound are little for HiFi-GAN, which wants "
        f"{ENOUGH_FOR_HIFIGAN_SECONDS / 60:.0f} minutes or more; add sounds, or leave it out with "
        "--set hifigan.train=false: FreeV does with less"
    )


@dataclass(frozen=True, eq=False)
class WavePair:
    """One sound: frame f of the mel stands for samples [f * hop, (f + 1) * hop) of the wave."""

    log_mel: np.ndarray  # (F, M) float32, as the frozen VAE gives it back
    wave: np.ndarray  # (F * hop,) float32, the real sound; may be memory-mapped


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly from the whole sequence.

    >>> spread(range(10), 3)
    [0, 3, 6]
    """
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def segment(
    pair: WavePair, start: int, frames: int, hop: int, silence: float
) -> tuple[Tensor, Tensor]:
    """`frames` frames of one pair from frame `start`, padded at the end where it is too short.

    Returns:
        log_mel (M, frames) padded with `silence`, wave (frames * hop,) padded with 0; copies.
    """
    assert pair.wave.shape[0] == pair.log_mel.shape[0] * hop
    mel = np.full((pair.log_mel.shape[1], frames), silence, np.float32)
    wave = np.zeros(frames * hop, np.float32)
    part = pair.log_mel[start : start + frames]
    mel[:, : len(part)] = part.T
    wave[: len(part) * hop] = pair.wave[start * hop : (start + len(part)) * hop]
    return torch.from_numpy(mel), torch.from_numpy(wave)


def drawn_pairs(
    pairs: Sequence[WavePair], count: int, segment_frames: int, generator: torch.Generator
) -> list[int]:
    """Which pairs the segments of the next batch are from, longer ones more often."""
    lengths = [max(len(pair.log_mel), segment_frames) for pair in pairs]
    weights = torch.tensor(lengths, dtype=torch.float64)
    return torch.multinomial(weights, count, True, generator=generator).tolist()


def draw_segments(
    pairs: Sequence[WavePair],
    count: int,
    segment_frames: int,
    hop: int,
    silence: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """A random batch: pairs in proportion to their length, starts uniform within them.

    A pair shorter than a segment counts as one segment long and is padded.

    Args:
        silence: the log mel of silence (core.mel.silence).
        generator: on the CPU; the batch is a pure function of its state.
    Returns:
        log_mel (B, M, F), wave (B, F * hop), on the CPU; B = count, F = segment_frames.
    """
    mels, waves = [], []
    for index in drawn_pairs(pairs, count, segment_frames, generator):
        room = max(0, len(pairs[index].log_mel) - segment_frames)
        start = int(torch.randint(room + 1, (), generator=generator))
        mel, wave = segment(pairs[index], start, segment_frames, hop, silence)
        mels.append(mel)
        waves.append(wave)
    return torch.stack(mels), torch.stack(waves)
