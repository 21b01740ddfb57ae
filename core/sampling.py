"""Drawing new code sequences from the prior, in batches, each sound from its own seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import ConfigError, PackageError
from core.prior import Prior
from core.training import step_generator

CALIBRATION_SOUNDS = 192
LONGEST_NATURAL = 1300  # code frames, 30 s: where a sound without an end of its own is cut
CALIBRATION_ROUNDS = 8  # halvings of the 8 nats searched: to 0.03 nats


@dataclass(frozen=True)
class Sampling:
    """How freely the next code is drawn."""

    temperature: float = 1.0  # creativity: below 1 safer (and closer to copying), above 1 wilder
    top_k: int = 0  # focus: only the k likeliest codes; 0 is all
    top_p: float = 1.0  # diversity: only the likeliest codes that make up this probability

    def __post_init__(self) -> None:
        if not 0.05 <= self.temperature <= 3.0:
            raise ConfigError(
                f"creativity {self.temperature} is out of range; give 0.05 to 3, 1 is natural"
            )
        if self.top_k < 0:
            raise ConfigError(f"focus {self.top_k} is negative; give 0 (all codes) or more")
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigError(f"diversity {self.top_p} is out of range; give above 0, at most 1")


def chosen_codes(logits: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Draw one class a row by inverting the cumulative distribution.

    Args:
        logits: (B, K) with -inf for the impossible.
        uniform: (B,) in [0, 1), the row's one random number.
    Returns:
        (B,) int64; -1 where the logits hold NaN or nothing possible.
    """
    ordered, order = (logits / sampling.temperature).sort(dim=-1, descending=True)
    if sampling.top_k:
        ordered[:, sampling.top_k :] = float("-inf")
    share = ordered.softmax(-1)
    before = share.cumsum(-1) - share  # probability of everything likelier
    share = share.masked_fill(before >= sampling.top_p, 0.0)
    reach = share.cumsum(-1)
    place = (reach <= uniform[:, None] * reach[:, -1:]).sum(-1)
    last = (share > 0).sum(-1) - 1
    chosen = order.gather(-1, torch.minimum(place, last).clamp_min(0)[:, None])[:, 0]
    return chosen.masked_fill(last < 0, -1)


class Dice:
    """(L,) uniform numbers a frame for each sound, from that sound's seed alone."""

    BLOCK_FRAMES = 64

    def __init__(self, seeds: Sequence[int], levels: int):
        self.generators = [step_generator(seed, 0, "sample") for seed in seeds]
        self.levels = levels
        self.block = torch.empty(0)

    def frame(self, number: int) -> Tensor:
        """(B, L); frames are asked for in order."""
        place = number % self.BLOCK_FRAMES
        if place == 0:
            self.block = torch.stack(
                [torch.rand(self.BLOCK_FRAMES, self.levels, generator=g) for g in self.generators]
            )
        return self.block[:, place]


@torch.no_grad()
def sample_codes(
    prior: Prior,
    seeds: Sequence[int],
    sampling: Sampling,
    most_frames: int,
    frames: int | None = None,
) -> list[Tensor]:
    """New sounds as codes, one for each seed, all drawn together.

    Args:
        most_frames: where a sound that has not ended by itself is cut.
        frames: the length of every sound; None lets each end when the prior ends it.
    Returns:
        (F, L) int64 each, F at least 1.
    Raises:
        PackageError: the weights are so large that their products are no numbers any more.
    """
    prior.eval()
    device = prior.start.device
    batch, limit = len(seeds), frames or most_frames
    dice = Dice(seeds, prior.levels)
    previous = torch.zeros(batch, 1, prior.levels, dtype=torch.long, device=device)
    length = torch.full((batch,), limit)
    state = None
    drawn = []
    for number in range(limit):
        uniform = dice.frame(number).to(device)
        frame = torch.full((batch, 1), number, device=device)
        states, vectors, state = prior.states(previous, frame, state)
        may_end = frames is None and number > 0
        codes = _one_frame(prior, states[:, 0], vectors[:, 0], uniform, sampling, may_end)
        ended = codes[:, 0] == prior.end
        length = torch.where(ended.cpu() & (length == limit), number, length)
        drawn.append(codes.cpu())
        if bool((drawn[-1] < 0).any()):
            raise PackageError("the model's weights overflow; do not use this file")
        if frames is None and bool((length < number + 1).all()):
            break
        previous = codes[:, None]
    sounds = torch.stack(drawn, dim=1)  # (B, F, L)
    return [sounds[row, : int(length[row])] for row in range(batch)]


def _one_frame(
    prior: Prior,
    state: Tensor,
    previous: Tensor,
    uniform: Tensor,
    sampling: Sampling,
    may_end: bool,
) -> Tensor:
    """(B, H) state and (B, D) previous vectors -> (B, L) codes, level after level."""
    inputs = prior.depth_inputs(state, previous)
    codes: list[Tensor] = []
    for level in range(prior.levels):
        logits = prior.depth_logits(inputs, level)
        if not may_end:
            logits[:, prior.end] = float("-inf")
        code = chosen_codes(logits, uniform[:, level], sampling)
        codes.append(code)
        vector = prior.codebooks[level][code.clamp_max(prior.codebook_size - 1)]
        inputs = inputs + vector @ prior.depth_below[level]
    return torch.stack(codes, dim=-1)


@torch.no_grad()
def calibrate_ends(prior: Prior, median_frames: int, seed: int) -> float:
    """Shift the end's bias, in place, until half of all new sounds end by the median length.

    Likelihood alone leaves new sounds too long: dropout in training makes rare classes
    rarer still when it is off, and a sampled sound wanders from one-shot into loop.
    Measured on 173 sounds: median 1.2 s before, beside 0.86 s of the real ones.

    Args:
        median_frames: of the training sounds, in code frames.
    Returns:
        the shift, in nats; between -4 and 4.
    """
    if median_frames > LONGEST_NATURAL:
        return 0.0  # sounds of minutes: sampling them would take longer than the training
    seeds = [seed + number for number in range(CALIBRATION_SOUNDS)]
    natural = prior.head_bias[0, prior.end].clone()
    low, high = -4.0, 4.0
    for _ in range(CALIBRATION_ROUNDS):
        shift = (low + high) / 2
        prior.head_bias[0, prior.end] = natural + shift
        drawn = sample_codes(prior, seeds, Sampling(), most_frames=median_frames + 1)
        ended = sum(len(codes) <= median_frames for codes in drawn) / len(drawn)
        low, high = (shift, high) if ended < 0.5 else (low, shift)
    return shift
