"""Code sequences as the prior meets them: windows of sounds, padded to batches.

A sequence is one sound's codes (or an augmented copy's). Windows begin before or
inside it; a sound's end is a frame whose level 0 is END and whose other levels
are not scored.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.descriptors import DESCRIPTORS
from core.prior import UNKNOWN, Conditions, Prior

EACH_TOLD = 0.85  # of the conditions, where any are: it must do with some of them, and without
STYLE_NOISE = 0.25  # deviation, so that no style stands for one training sound alone


@dataclass(frozen=True)
class CodeSequence:
    """One sound's codes."""

    codes: Tensor  # (F, L) int64
    before: Tensor | None = None  # (C, L) of a tail: all of its sound that comes before it
    ends: bool = True  # its last frame is the sound's last
    label: int = UNKNOWN
    ranks: tuple[float, ...] = (math.nan,) * len(DESCRIPTORS)
    sound: int = 0  # its place in the set

    @property
    def first(self) -> int:
        """Place of its first frame in the sound."""
        return 0 if self.before is None else len(self.before)

    def without_end(self) -> "CodeSequence":
        """The same, but for the end and, if it is not all there is, the frame it cuts short."""
        return dataclasses.replace(
            self, codes=self.codes[: max(1, len(self.codes) - 1)], ends=False
        )

    def targets(self, end: int) -> Tensor:
        """(F or F + 1, L): the codes, then END on every level if the sound ends here."""
        if not self.ends:
            return self.codes
        return torch.cat([self.codes, torch.full_like(self.codes[:1], end)])

    def left(self) -> Tensor:
        """(F or F + 1,) frames to come at each target, the end not counted; else UNKNOWN."""
        if not self.ends:
            return torch.full((len(self.codes),), UNKNOWN)
        return torch.arange(len(self.codes), -1, -1)


@dataclass(frozen=True)
class CodeWindow:
    """A run of one sound's frames."""

    targets: Tensor  # (F, L)
    before: Tensor  # (L,) the codes before them; anything at a sound's beginning
    first: int  # place of the first one in its sound
    left: Tensor  # (F,)
    label: int
    ranks: tuple[float, ...]
    style: Tensor  # (D,)
    sound: int = 0


@dataclass(frozen=True)
class CodeBatch:
    previous: Tensor  # (B, F, L)
    frame: Tensor  # (B, F) places in the sound, 0 at its beginning
    targets: Tensor  # (B, F, L)
    scored: Tensor  # (B, F, L) which targets count
    left: Tensor  # (B, F)
    conditions: Conditions
    sounds: tuple[int, ...]  # B places in the set

    def but_told(self, share: float, generator: torch.Generator) -> "CodeBatch":
        """The same; only this share of the windows is told anything, and most of it.

        Styles are told a little wrong.
        """
        count, told = len(self.targets), self.conditions
        kept = torch.rand(count, 3 + len(DESCRIPTORS), generator=generator) < EACH_TOLD
        kept &= torch.rand(count, 1, generator=generator) < share
        style = told.style + STYLE_NOISE * torch.randn(told.style.shape, generator=generator)
        return dataclasses.replace(
            self,
            left=self.left.masked_fill(~kept[:, :1], UNKNOWN),
            conditions=Conditions(
                told.label.masked_fill(~kept[:, 1], UNKNOWN),
                told.ranks.masked_fill(~kept[:, 3:], math.nan),
                style.masked_fill(~kept[:, 2:3], math.nan),
            ),
        )

    def to(self, device: torch.device) -> "CodeBatch":
        return CodeBatch(
            self.previous.to(device),
            self.frame.to(device),
            self.targets.to(device),
            self.scored.to(device),
            self.left.to(device),
            self.conditions.to(device),
            self.sounds,
        )


def collate(windows: Sequence[CodeWindow], end: int) -> CodeBatch:
    """Pad the windows to one length."""
    longest = max(len(one.targets) for one in windows)
    levels = windows[0].targets.shape[1]
    batch = len(windows)
    targets = torch.zeros(batch, longest, levels, dtype=torch.long)
    previous = torch.zeros_like(targets)
    frame = torch.ones(batch, longest, dtype=torch.long)
    scored = torch.zeros(batch, longest, levels, dtype=torch.bool)
    left = torch.full((batch, longest), UNKNOWN)
    for row, one in enumerate(windows):
        frames, window = len(one.targets), one.targets
        targets[row, :frames] = window
        previous[row, 0], previous[row, 1:frames] = one.before, window[:-1]
        frame[row, :frames] = torch.arange(one.first, one.first + frames)
        scored[row, :frames] = True
        scored[row, :frames, 1:] &= window[:, :1] != end  # after the end there is no sound
        left[row, :frames] = one.left
    conditions = Conditions(
        torch.tensor([one.label for one in windows]),
        torch.tensor([one.ranks for one in windows]),
        torch.stack([one.style for one in windows]),
    )
    sounds = tuple(one.sound for one in windows)
    return CodeBatch(previous, frame, targets, scored, left, conditions, sounds)


class CodeWindows:
    """Training windows of code sequences; every frame of every sequence is met equally often."""

    def __init__(self, sequences: Sequence[CodeSequence], prior: Prior):
        self.config, self.end = prior.config, prior.end
        self.sequences = list(sequences)
        self.styles = [prior.style(one.codes.to(prior.start.device)).cpu() for one in sequences]
        self.left = [one.left() for one in sequences]
        self.targets = [one.targets(self.end) for one in sequences]
        # A window begins anywhere from one frame's reach before a sound to its last frame,
        # and is clipped to it. So every frame, starts and ends too, is met equally often;
        # counted by length alone, ends were so rare that new sounds came out 4 times too long.
        reach = self.config.window_frames - 1
        self.weights = torch.tensor([float(len(one) + reach) for one in self.targets])

    def draw(self, generator: torch.Generator) -> CodeBatch:
        """Windows of at most config.window_frames, config.batch_frames in all."""
        windows: list[CodeWindow] = []
        frames, width = 0, self.config.window_frames
        while frames < self.config.batch_frames:
            index = int(torch.multinomial(self.weights, 1, generator=generator))
            one = self.targets[index]
            place = int(torch.randint(len(one) + width - 1, (), generator=generator)) - (width - 1)
            start = max(0, place)
            window = one[start : place + width]
            sound, left = self.sequences[index], self.left[index][start : place + width]
            known = one[:start] if start else sound.before
            before = torch.zeros_like(one[0]) if known is None else known[-1]
            windows.append(
                CodeWindow(
                    targets=window,
                    before=before,
                    first=sound.first + start,
                    left=left,
                    label=sound.label,
                    ranks=sound.ranks,
                    style=self.styles[index],
                    sound=sound.sound,
                )
            )
            frames += len(window)
        return collate(windows, self.end)
