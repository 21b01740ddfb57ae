"""Training of the prior on code sequences, and its yardsticks in counts.

A sequence is one sound's codes (or an augmented copy's). Windows begin before or
inside it; a sound's end is a frame whose level 0 is END and whose other levels
are not scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import PriorConfig
from core.prior import Prior
from core.training import Trainer, step_generator, step_seed, warm_cosine

SCORED_FRAMES = 2048  # code frames scored at once


@dataclass(frozen=True)
class CodeSequence:
    """One sound's codes."""

    codes: Tensor  # (F, L) int64
    first: int = 0  # place of its first frame in the sound; 0 is the sound's beginning
    ends: bool = True  # its last frame is the sound's last

    def targets(self, end: int) -> Tensor:
        """(F or F + 1, L): the codes, then END on every level if the sound ends here."""
        if not self.ends:
            return self.codes
        return torch.cat([self.codes, torch.full_like(self.codes[:1], end)])


@dataclass(frozen=True)
class CodeBatch:
    previous: Tensor  # (B, F, L)
    frame: Tensor  # (B, F) places in the sound, 0 at its beginning
    targets: Tensor  # (B, F, L)
    scored: Tensor  # (B, F, L) which targets count


def collate(windows: Sequence[tuple[Tensor, Tensor, int]], end: int) -> CodeBatch:
    """Pad (targets (F, L), the codes before them (L,), the first one's place in its sound)."""
    longest = max(len(targets) for targets, _, _ in windows)
    levels = windows[0][0].shape[1]
    batch = len(windows)
    targets = torch.zeros(batch, longest, levels, dtype=torch.long)
    previous = torch.zeros_like(targets)
    frame = torch.ones(batch, longest, dtype=torch.long)
    scored = torch.zeros(batch, longest, levels, dtype=torch.bool)
    for row, (window, before, first) in enumerate(windows):
        frames = len(window)
        targets[row, :frames] = window
        previous[row, 0], previous[row, 1:frames] = before, window[:-1]
        frame[row, :frames] = torch.arange(first, first + frames)
        scored[row, :frames] = True
        scored[row, :frames, 1:] &= window[:, :1] != end  # after the end there is no sound
    return CodeBatch(previous, frame, targets, scored)


class CodeWindows:
    """Training windows of code sequences; every frame of every sequence is met equally often."""

    def __init__(self, sequences: Sequence[CodeSequence], config: PriorConfig, end: int):
        self.config, self.end = config, end
        self.first = [one.first for one in sequences]
        self.targets = [one.targets(end) for one in sequences]
        # A window begins anywhere from one frame's reach before a sound to its last frame,
        # and is clipped to it. So every frame, starts and ends too, is met equally often;
        # counted by length alone, ends were so rare that new sounds came out 4 times too long.
        reach = config.window_frames - 1
        self.weights = torch.tensor([float(len(one) + reach) for one in self.targets])

    def draw(self, generator: torch.Generator) -> CodeBatch:
        """Windows of at most config.window_frames, config.batch_frames in all."""
        windows: list[tuple[Tensor, Tensor, int]] = []
        frames, width = 0, self.config.window_frames
        while frames < self.config.batch_frames:
            index = int(torch.multinomial(self.weights, 1, generator=generator))
            one = self.targets[index]
            place = int(torch.randint(len(one) + width - 1, (), generator=generator)) - (width - 1)
            start = max(0, place)
            window = one[start : place + width]
            before = one[start - 1] if start else torch.zeros_like(one[0])
            windows.append((window, before, self.first[index] + start))
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
        self.originals = CodeWindows(originals, prior.config, prior.end)
        self.augmented = CodeWindows(augmented or originals, prior.config, prior.end)
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
        use_copy = float(torch.rand((), generator=generator)) < self.config.augmented_share
        batch = (self.augmented if use_copy else self.originals).draw(generator)
        heard = corrupted(
            batch.previous, self.config.corruption, self.prior.codebook_size, generator
        )
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, self.config.learning_rate)
        self.prior.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(step_seed(self.seed, number, "dropout"))
            states, vectors, _ = self.prior.states(
                heard.to(self.device), batch.frame.to(self.device), None
            )
            # Windows differ in length: the levels are worked out for real frames only.
            real = batch.scored[..., 0].flatten().nonzero()[:, 0].to(self.device)
            targets = batch.targets.to(self.device).flatten(0, 1)[real]
            logits = self.prior.frame_logits(
                states.flatten(0, 1).index_select(0, real), vectors.flatten(0, 1)[real], targets
            )
        scored = batch.scored.to(self.device).flatten(0, 1)[real]
        loss = nats(logits, targets, scored).sum() / len(real)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / self.prior.levels)
        nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        optimizer.step()
        return {"nats_per_frame": loss.detach()}

    def held_out_loss(self) -> float:
        """Held-out nats a code frame, all levels summed."""
        return sum(nats_per_level(self.prior, self.held_out, self.device))


@torch.no_grad()
def nats_per_level(
    prior: Prior, sequences: Sequence[CodeSequence], device: torch.device
) -> list[float]:
    """Mean nats of each level a code frame, over whole sequences; the end counts on level 0."""
    prior.eval()
    total = torch.zeros(prior.levels, dtype=torch.float64)
    frames = 0
    for one in sequences:
        targets, state = one.targets(prior.end), None
        for first in range(0, len(targets), SCORED_FRAMES):  # memory of one piece
            piece = targets[first : first + SCORED_FRAMES]
            before = targets[first - 1] if first else torch.zeros_like(targets[0])
            batch = collate([(piece, before, one.first + first)], prior.end)
            codes, scored = batch.targets.to(device), batch.scored.to(device)
            states, vectors, state = prior.states(
                batch.previous.to(device), batch.frame.to(device), state
            )
            losses = nats(prior.frame_logits(states, vectors, codes), codes, scored)
            total += losses.sum((0, 1)).cpu().double()
        frames += len(targets)
    return [float(level) for level in total / frames]


def unigram_nats(
    train: Sequence[CodeSequence], held_out: Sequence[CodeSequence], codebook_size: int
) -> list[float]:
    """Held-out nats of each level by counting the training codes (half a count added to each)."""
    return _counted_nats(train, held_out, codebook_size, use_previous=False)


def bigram_nats(
    train: Sequence[CodeSequence], held_out: Sequence[CodeSequence], codebook_size: int
) -> list[float]:
    """The same, given the level's previous code, interpolated with the unigram.

    The weight of the bigram is count / (count + 5): rare contexts lean on the unigram.
    """
    return _counted_nats(train, held_out, codebook_size, use_previous=True)


def _counted_nats(
    train: Sequence[CodeSequence],
    held_out: Sequence[CodeSequence],
    codebook_size: int,
    use_previous: bool,
) -> list[float]:
    end, start = codebook_size, codebook_size + 1
    levels = train[0].codes.shape[1]
    results = []
    for level in range(levels):
        pairs = _pairs(train, level, end, start)
        classes = codebook_size + (level == 0)
        single = torch.bincount(pairs[1], minlength=classes)[:classes].double() + 0.5
        single = single / single.sum()
        before, after = _pairs(held_out, level, end, start)
        likelihood = single[after]
        if use_previous:
            table = torch.zeros(start + 1, classes, dtype=torch.float64)
            table.index_put_(pairs, torch.ones(len(pairs[0]), dtype=torch.float64), accumulate=True)
            count = table.sum(1)
            share = count / (count + 5)
            rows = table / count.clamp_min(1)[:, None]
            mixed = share[before] * rows[before, after] + (1 - share[before]) * likelihood
            likelihood = mixed
        frames = sum(len(one.targets(end)) for one in held_out)
        results.append(float(-likelihood.log().sum() / frames))
    return results


def _pairs(
    sequences: Sequence[CodeSequence], level: int, end: int, start: int
) -> tuple[Tensor, Tensor]:
    """All (previous code, code) pairs of a level; the end only on level 0."""
    before, after = [], []
    for one in sequences:
        codes = one.targets(end)[:, level] if level == 0 else one.codes[:, level]
        first = torch.full((1,), 0 if one.first else start)
        before.append(torch.cat([first, codes[:-1]]))
        after.append(codes)
    return torch.cat(before), torch.cat(after)
