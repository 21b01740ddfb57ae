"""Which parts of the sounds are held out: by source, deterministic, duplicates on one side.

From `few_files` on, whole files are held out. Below that a by-file split is too
noisy to judge a model by (fold deviation 25 to 30 %), so the last part of every
sound is held out instead, and whoever reports a figure says so.

A model that goes on from another holds out what that one did, and of what it trained on
nothing: held-out figures of both are then of sounds that neither has heard.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import SplitConfig
from core.errors import AudioError

SplitKind = Literal["files", "tails"]
SHORTEST_TAIL = 4  # frames; a sound too short for such a tail is trained on whole
KNOWN_DIGITS = 16  # of a sound's digest, by which a model knows it again
NEW_FOR_ONE = 5  # new sounds for each of them that is held out, at least


@dataclass(frozen=True)
class Split:
    """What is held out of a set; equal for all settings that come to the same."""

    kind: SplitKind
    held_out: tuple[str, ...] = ()  # digests of held-out sounds
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


@dataclass(frozen=True)
class Heard:
    """What a model's sounds were to it, by the first KNOWN_DIGITS of their digests."""

    trained: frozenset[str]  # on, but for the tails that were held out
    held_out: frozenset[str]  # from beginning to end
    tail_fraction: float = 0.0  # of the frames of those trained on; 0 when none was held out

    def to_json(self) -> dict[str, list[str] | float]:
        return {
            "trained": sorted(self.trained),
            "held_out": sorted(self.held_out),
            "tail_fraction": self.tail_fraction,
        }

    def knows(self, digest: str) -> bool:
        short = digest[:KNOWN_DIGITS]
        return short in self.trained or short in self.held_out

    def kept_out(self, digests: Sequence[str]) -> list[str]:
        """Those of these sounds that were held out whole."""
        return [digest for digest in digests if digest[:KNOWN_DIGITS] in self.held_out]


def split_sounds(digests: Sequence[str], config: SplitConfig) -> Split:
    """Split distinct sounds by a hash of their samples' digests.

    The order of a sound depends on its own samples alone, so adding or renaming
    files does not reshuffle the others.

    Args:
        digests: one for each distinct sound (exact duplicates share one).
    """
    distinct = _in_order(digests)
    if len(distinct) < config.few_files:
        return Split("tails", tail_fraction=config.tail_fraction)
    return Split("files", tuple(sorted(distinct[: _wanted(distinct, config)])))


def split_more(digests: Sequence[str], config: SplitConfig, heard: Heard) -> Split:
    """Split the sounds of a model that goes on from one that has heard some of them.

    What was held out stays so. Of the new sounds as many are held out as the whole set
    wants, at least one, and at most one of every NEW_FOR_ONE. Where tails were held out,
    they are until the set is no longer small and new sounds enough can be.

    Raises:
        AudioError: nothing can be held out.
    """
    distinct = _in_order(digests)
    wanted = _wanted(distinct, config)
    kept_out = heard.kept_out(distinct)
    new = [digest for digest in distinct if not heard.knows(digest)]
    most = len(new) // NEW_FOR_ONE
    if heard.tail_fraction and (len(distinct) < config.few_files or most < wanted):
        return Split("tails", tuple(sorted(kept_out)), heard.tail_fraction)
    held_out = kept_out + new[: min(most, max(1, wanted - len(kept_out)))]
    if not held_out:
        raise AudioError(
            "none of the sounds that the model to go on from held out is here, and "
            f"{len(new)} new ones are too few to judge by; add some, or build without --from"
        )
    return Split("files", tuple(sorted(held_out)))


def _in_order(digests: Sequence[str]) -> list[str]:
    """The distinct sounds, those first that are held out first."""
    return sorted(set(digests), key=lambda d: hashlib.sha256(f"split/{d}".encode()).digest())


def _wanted(distinct: Sequence[str], config: SplitConfig) -> int:
    """How many of the sounds to hold out."""
    return max(2, round(len(distinct) * config.held_out_fraction))


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
    held_out = set(split.held_out)
    parts = [
        _cut(sound, count, digest in held_out, split.tail_fraction)
        for sound, (digest, count) in enumerate(zip(digests, frames, strict=True))
    ]
    train = [first for first, _ in parts if first]
    judged = [last for _, last in parts if last]
    if not judged:  # a few very short sounds: none has a tail to spare, so one is held out
        if len(train) < 2:
            raise AudioError(
                "one very short sound is too little for a model; add sounds, five or more"
            )
        judged, train = train[:1], train[1:]
    if not train:
        raise AudioError("no sound is left to train on; lower split.held_out_fraction")
    return train, judged


def kept_out_parts(digests: Sequence[str], frames: Sequence[int], heard: Heard) -> list[Part]:
    """What a model held out of these sounds."""
    kept_out = set(heard.kept_out(digests))
    return [
        judged
        for sound, (digest, count) in enumerate(zip(digests, frames, strict=True))
        if heard.knows(digest)
        and (judged := _cut(sound, count, digest in kept_out, heard.tail_fraction)[1])
    ]


def _cut(
    sound: int, frames: int, held_out: bool, tail_fraction: float
) -> tuple[Part | None, Part | None]:
    """What of a sound is trained on, and what is held out."""
    tail = round(frames * tail_fraction)
    if held_out:
        return None, Part(sound, 0, frames)
    if tail < SHORTEST_TAIL:
        return Part(sound, 0, frames), None
    cut = (frames - tail + 1) // 2 * 2
    return Part(sound, 0, cut, ends=False), Part(sound, cut, frames)
