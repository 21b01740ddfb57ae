"""Drawing new code sequences from the prior, in batches, each sound from its own seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.drawer import Drawer, Freedom
from core.errors import ConfigError, PackageError
from core.prior import UNKNOWN, Conditions, Prior
from core.training import step_generator

LONGEST_NATURAL = 1300  # code frames, 30 s: where a sound without an end of its own is cut
OVERTIME = 1.5  # of its told length, after which a sound that does not end is cut


@dataclass(frozen=True)
class Sampling:
    """How freely the next code is drawn: one value a level, the last one for all deeper ones."""

    temperature: tuple[float, ...] = (1.0,)  # creativity: below 1 safer, above 1 wilder
    top_k: tuple[int, ...] = (0,)  # focus: only the k likeliest codes; 0 is all
    top_p: tuple[float, ...] = (1.0,)  # diversity: only the likeliest codes of this probability

    def __post_init__(self) -> None:
        for value in self.temperature:
            if not 0.05 <= value <= 3.0:
                raise ConfigError(
                    f"creativity {value} is out of range; give 0.05 to 3, 1 is natural"
                )
        for k in self.top_k:
            if k < 0:
                raise ConfigError(f"focus {k} is negative; give 0 (all codes) or more")
        for value in self.top_p:
            if not 0.0 < value <= 1.0:
                raise ConfigError(f"diversity {value} is out of range; give above 0, at most 1")
        if not (self.temperature and self.top_k and self.top_p):
            raise ConfigError("creativity, focus and diversity need a value each; give a number")

    def at(self, level: int, natural: float) -> Freedom:
        """Temperature, top-k and top-p of one level; a creativity of 1 is the natural one."""
        return (
            natural * self.temperature[min(level, len(self.temperature) - 1)],
            self.top_k[min(level, len(self.top_k) - 1)],
            self.top_p[min(level, len(self.top_p) - 1)],
        )


class Dice:
    """Gumbel noise for every class of every level, each sound's from that sound's seed alone."""

    BLOCK_FRAMES = 32

    def __init__(self, seeds: Sequence[int], levels: int, classes: int, device: torch.device):
        self.generators = [step_generator(seed, 0, "sample") for seed in seeds]
        self.shape, self.device = (self.BLOCK_FRAMES, levels, classes), device
        self.block = torch.empty(0)

    def frame(self, number: int) -> Tensor:
        """(L, B, C), all finite; frames are asked for in order."""
        place = number % self.BLOCK_FRAMES
        if place == 0:
            thrown = [self._throw(generator) for generator in self.generators]
            self.block = torch.stack(thrown, dim=2).to(self.device)
        return self.block[place]

    def _throw(self, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(self.shape, generator=generator)
        return -uniform.clamp_min_(2**-25).log_().neg_().log_()  # of 0 it would be infinite


@dataclass(frozen=True)
class Timetable:
    """What the clock says to B sounds, and where they may end and must."""

    left: Tensor  # (F, B) code frames to come, UNKNOWN where that is not told
    barred: Tensor  # (F, B) where a sound may not end
    limit: Tensor  # (B,) code frames after which it is cut

    @classmethod
    def of(
        cls, lengths: Sequence[int], exact: bool, longest: int, device: torch.device
    ) -> "Timetable":
        """Arguments as `sample_codes` takes them."""
        goal = torch.tensor(list(lengths), device=device)
        limit = goal if exact else (goal * OVERTIME).long() + 1
        frames = torch.arange(int(limit.max()), device=device)
        to_come = (goal - frames[:, None]).clamp_min(0)
        left = to_come.masked_fill(to_come > longest, UNKNOWN)
        return cls(left, (left != UNKNOWN) & exact, limit)


@torch.inference_mode()
def sample_codes(
    prior: Prior,
    seeds: Sequence[int],
    sampling: Sampling,
    lengths: Sequence[int],
    conditions: Conditions | None = None,
    exact: bool = False,
    longest: int = LONGEST_NATURAL,
    prompt: Tensor | None = None,
    temperature: float = 1.0,
) -> list[Tensor]:
    """New sounds as codes, one for each seed, all drawn together.

    Each sound is told how long it will be and ends by itself at about that length. An exact
    length is kept to the frame. One beyond what the prior knows of is not told before its
    last stretch; where a sound in it ends, the next begins, the clock at zero.

    Args:
        lengths: of each sound in code frames, at least 1, the prompt counted.
        conditions: what else is told of each sound; None tells nothing.
        longest: code frames of the longest sound that the prior knows.
        prompt: (F, L) codes that every sound begins with; shorter than all lengths.
        temperature: what a creativity of 1 stands for.
    Returns:
        (F, L) int64 each, F at least 1, the prompt included.
    Raises:
        PackageError: the weights are so large that their products are no numbers any more.
    """
    prior.eval()
    device, batch, nothing = prior.start.device, len(seeds), prior.codebook_size
    if conditions is None:
        conditions = Conditions.unknown(batch, prior.codebooks.shape[2])
    freedom = [sampling.at(level, temperature) for level in range(prior.levels)]
    drawer = Drawer(prior, conditions.to(device), freedom)
    dice = Dice(seeds, prior.levels, nothing + 1, device)
    times = Timetable.of(lengths, exact, longest, device)
    may_end = (~times.barred).any(1).tolist()
    elapsed, lefts, ending = drawer.clocks(torch.arange(len(times.left), device=device), times.left)
    ending = ending.masked_fill(times.barred, float("-inf"))
    hidden = torch.zeros(batch, prior.config.hidden, device=device)
    cell, scores = torch.zeros_like(hidden), torch.zeros(batch, device=device)
    frame = torch.zeros(batch, dtype=torch.long, device=device)  # place in the sound under way
    before = torch.full((batch, prior.levels), nothing, device=device)
    ended = torch.zeros(batch, dtype=torch.bool, device=device)
    drawn = [] if prompt is None else list(prompt.to(device)[:, None].expand(-1, batch, -1))
    known = len(drawn)
    for number, left in enumerate(lefts):
        inputs, hidden, cell = drawer.state(before, elapsed[frame], left, hidden, cell)
        frame = frame + 1
        if number < known:
            before = drawn[number]
            continue
        codes, score = drawer.frame(inputs, before, dice.frame(number - known), ending[number])
        drawn.append(codes)
        held, before, scores = before, codes, scores + score
        if not may_end[number]:
            continue
        over = codes[:, 0] == prior.end
        if not exact:
            ended = ended | over | (times.limit <= number + 1)
            if bool(ended.all()):
                break
        elif bool(over.any()):  # a sound ends within a longer one: the next begins
            drawn[-1] = torch.where(over[:, None], held, codes)
            before = codes.masked_fill(over[:, None], nothing)
            frame, hidden = frame.masked_fill(over, 0), hidden.masked_fill(over[:, None], 0.0)
            cell = cell.masked_fill(over[:, None], 0.0)
    if not bool(scores.isfinite().all()):
        raise PackageError("the model's weights overflow; do not use this file")
    return cut_at_ends(torch.stack(drawn, dim=1).cpu(), prior.end, times.limit.tolist())


def cut_at_ends(sounds: Tensor, end: int, limits: Sequence[int]) -> list[Tensor]:
    """(B, F, L) codes -> each sound's up to its first end, or its limit where that is nearer."""
    ends = F.pad(sounds[..., 0] == end, (0, 1), value=True).int().argmax(1)  # the first
    return [
        sound[: min(at, most)].clone()
        for sound, at, most in zip(sounds, ends.tolist(), limits, strict=True)
    ]
