"""Which parts of the sounds are held out: by source, deterministic, duplicates on one side.

From `few_files` on, whole files are held out. Below that a by-file split is too
noisy to judge a model by (fold deviation 25 to 30 %), so the last part of every
sound is held out instead, and whoever reports a figure says so.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import SplitConfig
from core.errors import AudioError

SplitKind = Literal["files", "tails"]
SHORTEST_TAIL = 4  # frames; a sound too short for such a tail is trained on whole


@dataclass(frozen=True)
class Split:
    """What is held out of a set; equal for all settings that come to the same."""

    kind: SplitKind
    held_out: tuple[str, ...] = ()  # digests of held-out sounds; none when tails are held out
    tail_fraction: float = 0.0  # of each sound's frames; 0 when whole sounds are held out


@dataclass(frozen=True)
class Part:
    """Frames [first, last) of one sound."""

    sound: int  # its place in the set
    first: int
    last: int
    ends: bool = True  # the sound ends here

    @property
    def frames(self) -> int:
        return self.last - self.first


def split_sounds(digests: Sequence[str], config: SplitConfig) -> Split:
    """Split distinct sounds by a hash of their samples' digests.

    The order of a sound depends on its own samples alone, so adding or renaming
    files does not reshuffle the others.

    Args:
        digests: one for each distinct sound (exact duplicates share one).
    """
    distinct = sorted(set(digests), key=lambda d: hashlib.sha256(f"split/{d}".encode()).digest())
    if len(distinct) < config.few_files:
        return Split("tails", tail_fraction=config.tail_fraction)
    count = max(2, round(len(distinct) * config.held_out_fraction))
    return Split("files", tuple(sorted(distinct[:count])))


def divide(
    digests: Sequence[str], frames: Sequence[int], split: Split
) -> tuple[list[Part], list[Part]]:
    """The training parts and the held-out parts of sounds with these numbers of mel frames.

    Tails begin on an even frame, so that code frames (two mel frames) do not straddle.

    Raises:
        AudioError: nothing would be left to train on or to judge by.

    >>> divide(["a", "b"], [100, 6], Split("tails", tail_fraction=0.15))[1]
    [Part(sound=0, first=86, last=100, ends=True)]
    """
    train: list[Part] = []
    judged: list[Part] = []
    held_out = set(split.held_out)
    for sound, (digest, count) in enumerate(zip(digests, frames, strict=True)):
        tail = round(count * split.tail_fraction)
        if split.kind == "files":
            (judged if digest in held_out else train).append(Part(sound, 0, count))
        elif tail < SHORTEST_TAIL:
            train.append(Part(sound, 0, count))
        else:
            cut = (count - tail + 1) // 2 * 2
            train.append(Part(sound, 0, cut, ends=False))
            judged.append(Part(sound, cut, count))
    if not judged:  # a few very short sounds: none has a tail to spare, so one is held out
        if len(train) < 2:
            raise AudioError(
                "one very short sound is too little for a model; add sounds, five or more"
            )
        judged, train = train[:1], train[1:]
    if not train:
        raise AudioError("no sound is left to train on; lower split.held_out_fraction")
    return train, judged
