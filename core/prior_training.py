"""Training of the prior on code sequences.

A sequence is one sound's codes (or an augmented copy's). Windows begin before or
inside it; a sound's end is a frame whose level 0 is END and whose other levels
are not scored.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.descriptors import DESCRIPTORS
from core.prior import UNKNOWN, Conditions, Prior
from core.training import Trainer, step_generator, step_seed, warm_cosine

SCORED_FRAMES = 2048  # code frames scored at once
EACH_TOLD = 0.85  # of the conditions, where any are: it must do with some of them, and without
STYLE_NOISE = 0.25  # deviation, so that no style stands for one training sound alone


@dataclass(frozen=True)
class CodeSequence:
    """One sound's codes."""

    codes: Tensor  # (F, L) int64
    first: int = 0  # place of its first frame in the sound; 0 is the sound's beginning
    ends: bool = True  # its last frame is the sound's last
    label: int = UNKNOWN
    ranks: tuple[float, ...] = (math.nan,) * len(DESCRIPTORS)
    sound: int = 0  # its place in the set

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
            before = one[start - 1] if start else torch.zeros_like(one[0])
            sound, left = self.sequences[index], self.left[index][start : place + width]
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


def corrupted(
    codes: Tensor, share: float, codebook_size: int, generator: torch.Generator
) -> Tensor:
    """(B, F, L) codes, a share of them replaced by random ones."""
    noise = torch.randint(0, codebook_size, codes.shape, generator=generator)
    return torch.where(torch.rand(codes.shape, generator=generator) < share, noise, codes)


def nats(logits: Tensor, targets: Tensor, scored: Tensor) -> Tensor:
    """(..., L, K + 1) logits, (..., L) targets -> (..., L) negative log likelihoods.

    Those that are not scored are 0.
    """
    loss = F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), reduction="none").view(
        targets.shape
    )
    return loss.masked_fill(~scored, 0.0)


class PriorTrainer(Trainer):
    """Trains on the originals and, for config.augmented_share of the draws, on their copies."""

    packaged = "prior"

    def __init__(
        self,
        prior: Prior,
        steps: int,
        originals: Sequence[CodeSequence],
        augmented: Sequence[CodeSequence],
        held_out: Sequence[CodeSequence],
        seed: int,
        device: torch.device,
    ):
        self.prior, self.steps, self.seed, self.device = prior.to(device), steps, seed, device
        self.config = prior.config
        self.originals = CodeWindows(originals, self.prior)
        self.augmented = CodeWindows(augmented or originals, self.prior)
        self.held_out = list(held_out)
        self.modules: dict[str, nn.Module] = {"prior": self.prior}
        decayed = [p for p in prior.parameters() if p.ndim > 1]
        plain = [p for p in prior.parameters() if p.ndim <= 1]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(
                [
                    {"params": decayed, "weight_decay": prior.config.weight_decay},
                    {"params": plain, "weight_decay": 0.0},
                ],
                lr=prior.config.learning_rate,
                betas=(0.9, 0.98),
            )
        }

    def step(self, number: int) -> dict[str, Tensor]:
        generator = step_generator(self.seed, number, "prior")
        batch, altered = self._draw(generator)
        batch = batch.but_told(self.config.told_share, generator)
        heard = corrupted(
            batch.previous, self.config.corruption, self.prior.codebook_size, generator
        )
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, self.config.learning_rate)
        self.prior.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(step_seed(self.seed, number, "dropout"))
            batch = batch.to(self.device)
            told = self.prior.told(batch.conditions, altered)
            states, vectors, _ = self.prior.states(
                heard.to(self.device), batch.frame, batch.left, told, None
            )
            # Windows differ in length: the levels are worked out for real frames only.
            real = batch.scored[..., 0].flatten().nonzero()[:, 0]
            targets = batch.targets.flatten(0, 1)[real]
            before = self.prior.before(heard.to(self.device), batch.frame).flatten(0, 1)[real]
            logits = self.prior.frame_logits(
                states.flatten(0, 1).index_select(0, real),
                vectors.flatten(0, 1)[real],
                before,
                targets,
            )
        scored = batch.scored.flatten(0, 1)[real]
        loss = nats(logits, targets, scored).sum() / len(real)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / self.prior.levels)
        norm = nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        optimizer.step()
        return {"nats_per_frame": loss.detach(), "gradient_norm": norm}

    def _draw(self, generator: torch.Generator) -> tuple[CodeBatch, bool]:
        """A batch, and whether it is of copies."""
        altered = float(torch.rand((), generator=generator)) < self.config.augmented_share
        return (self.augmented if altered else self.originals).draw(generator), altered

    def drawn(self, number: int) -> list[int]:
        return list(self._draw(step_generator(self.seed, number, "prior"))[0].sounds)

    def held_out_loss(self) -> float:
        """Held-out nats a code frame, all levels summed."""
        return sum(nats_per_level(self.prior, self.held_out, self.device))


@torch.no_grad()
def nats_per_level(
    prior: Prior,
    sequences: Sequence[CodeSequence],
    device: torch.device,
    labels: Sequence[int] | None = None,
) -> list[float]:
    """Mean nats of each level a code frame, over whole sequences; the end counts on level 0.

    Args:
        labels: what is told of each sequence; None tells nothing. Lengths and descriptors
            are never told.
    """
    prior.eval()
    nothing = Conditions.unknown(1, prior.codebooks.shape[2])
    nobody, unlike = nothing.style[0], tuple(nothing.ranks[0].tolist())
    total = torch.zeros(prior.levels, dtype=torch.float64)
    frames = 0
    for number, one in enumerate(sequences):
        targets, state = one.targets(prior.end), None
        label = UNKNOWN if labels is None else labels[number]
        told = prior.told(dataclasses.replace(nothing, label=torch.tensor([label])).to(device))
        for first in range(0, len(targets), SCORED_FRAMES):  # memory of one piece
            piece = targets[first : first + SCORED_FRAMES]
            last = targets[first - 1] if first else torch.zeros_like(targets[0])
            left = torch.full((len(piece),), UNKNOWN)
            window = CodeWindow(piece, last, one.first + first, left, UNKNOWN, unlike, nobody)
            batch = collate([window], prior.end).to(device)
            states, vectors, state = prior.states(
                batch.previous, batch.frame, batch.left, told, state
            )
            before = prior.before(batch.previous, batch.frame)
            logits = prior.frame_logits(states, vectors, before, batch.targets)
            total += nats(logits, batch.targets, batch.scored).sum((0, 1)).cpu().double()
        frames += len(targets)
    return [float(level) for level in total / frames]
