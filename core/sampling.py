"""Drawing new code sequences from the prior, in batches, each sound from its own seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ConfigError, PackageError
from core.prior import UNKNOWN, Conditions, Prior, half_octaves
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

    def at(self, level: int) -> tuple[float, int, float]:
        """Temperature, top-k and top-p of one level."""
        return (
            self.temperature[min(level, len(self.temperature) - 1)],
            self.top_k[min(level, len(self.top_k) - 1)],
            self.top_p[min(level, len(self.top_p) - 1)],
        )


def chosen_codes(
    logits: Tensor, uniform: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Draw one class a row by inverting the cumulative distribution.

    Args:
        logits: (B, K) with -inf for the impossible.
        uniform: (B,) float64 in [0, 1), the row's one random number.
    Returns:
        (B,) int64; -1 where the logits hold NaN or nothing possible.
    """
    share = (logits / temperature).softmax(-1, dtype=torch.float64)
    if top_k or top_p < 1.0:
        ordered, order = share.sort(dim=-1, descending=True)
        likelier = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(likelier >= top_p, 0.0)
        if top_k:
            ordered[:, top_k:] = 0.0
        share = torch.zeros_like(share).scatter_(-1, order, ordered)
    reach = share.cumsum(-1)
    total = reach[:, -1]
    place = (reach <= (uniform * total)[:, None]).sum(-1)
    return torch.where(total > 0, place, -1)


class Dice:
    """(L,) uniform numbers a frame for each sound, from that sound's seed alone."""

    BLOCK_FRAMES = 64

    def __init__(self, seeds: Sequence[int], levels: int):
        self.generators = [step_generator(seed, 0, "sample") for seed in seeds]
        self.levels = levels
        self.block = torch.empty(0)

    def frame(self, number: int) -> Tensor:
        """(B, L) float64; frames are asked for in order."""
        place = number % self.BLOCK_FRAMES
        if place == 0:
            self.block = torch.stack(
                [torch.rand(self.BLOCK_FRAMES, self.levels, generator=g) for g in self.generators]
            ).double()
        return self.block[:, place]


class Drawer:
    """The prior made ready for drawing a frame at a time: what weights alone decide is summed up.

    The same function as Prior.states and Prior.depth_logits up to rounding; a step is a
    few small products and look-ups.
    """

    def __init__(self, prior: Prior, conditions: Conditions):
        self.levels, self.codes, self.end = prior.levels, prior.codebook_size, prior.end
        self.norm, self.mlp = prior.depth_norm, prior.depth_mlp
        self.depth_state = prior.depth_state
        lstm, books = prior.lstm, prior.codebooks
        weights = dict(lstm.named_parameters())
        enter, self.recur = weights["weight_ih_l0"].T, weights["weight_hh_l0"].T  # (H, 4 H)
        seen = prior.embeddings + books @ prior.geometry_in
        self.seen = (seen @ enter).flatten(0, 1)  # (L * K, 4 H)
        self.before = (books @ prior.depth_previous.weight.T).flatten(0, 1)  # (L * K, H)
        self.below = books @ prior.depth_below  # (L, K, H)
        self.start = prior.start @ enter
        self.elapsed, self.left = prior.elapsed.weight @ enter, prior.left.weight @ enter
        self.told = prior.told(conditions)
        self.always = self.told @ enter + weights["bias_ih_l0"] + weights["bias_hh_l0"]
        near = torch.einsum("lhd,lkd->lhk", prior.geometry_out, books)
        heads = prior.heads + F.pad(near, (0, 1))
        # Only level 0 can end.
        self.heads = [heads[0], *(head[:, :-1].contiguous() for head in heads[1:])]
        self.depth_level = prior.depth_level
        stays = torch.eye(self.codes + 1, self.codes + 1, device=books.device)
        stays[self.codes] = 0.0  # nothing stays where a sound begins
        known = stays * prior.stays[:, None, None] + prior.head_bias[:, None]  # (L, K + 1, K + 1)
        self.known = [known[0], *(one[:, :-1].contiguous() for one in known[1:])]
        self.offsets = self.codes * torch.arange(self.levels, device=books.device)

    def state(
        self, codes: Tensor, frame: Tensor, left: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the LSTM.

        Args:
            codes: (B, L) the frame before; anything where frame is 0.
            frame, left: (B,) as Prior.states takes them.
            hidden, cell: (B, H), zeros where a sound begins.
        Returns:
            (B, H) the depth half's input, the new hidden state, the new cell.
        """
        rows = codes + self.offsets
        begins = (frame == 0)[:, None]
        seen = torch.where(begins, self.start, F.embedding(rows, self.seen).sum(1))
        clock = self.elapsed[half_octaves(frame)]
        clock = clock + self.left[half_octaves(left.clamp_min(0))] * (left >= 0)[:, None]
        gates = torch.addmm(seen + clock + self.always, hidden, self.recur)
        enter, forget, candidate, leave = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        before = F.embedding(rows, self.before).sum(1).masked_fill(begins, 0.0)
        return self.depth_state(hidden + self.told) + before, hidden, cell

    def frame(
        self,
        inputs: Tensor,
        before: Tensor,
        uniform: Tensor,
        may_end: Tensor,
        sampling: Sampling,
    ) -> Tensor:
        """(B, H) the depth half's input -> (B, L) codes drawn level after level.

        Args:
            before: (B, L) the codes before, codebook_size where a sound begins.
            uniform: (B, L) random numbers.
            may_end: (B,) bool.
        """
        codes: list[Tensor] = []
        for level in range(self.levels):
            hidden = self.norm(inputs + self.depth_level[level])
            hidden = hidden + F.gelu(self.mlp(hidden))
            known = self.known[level][before[:, level]]
            logits = torch.addmm(known, hidden, self.heads[level])
            if level == 0:
                logits[:, self.end].masked_fill_(~may_end, float("-inf"))
            code = chosen_codes(logits, uniform[:, level], *sampling.at(level))
            codes.append(code)
            if level + 1 < self.levels:
                inputs = inputs + self.below[level][code.clamp(0, self.codes - 1)]
        return torch.stack(codes, dim=-1)


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
    Returns:
        (F, L) int64 each, F at least 1, the prompt included.
    Raises:
        PackageError: the weights are so large that their products are no numbers any more.
    """
    prior.eval()
    device, batch = prior.start.device, len(seeds)
    if conditions is None:
        conditions = Conditions.unknown(batch, prior.codebooks.shape[2])
    told = conditions.to(device)
    drawer, dice = Drawer(prior, told), Dice(seeds, prior.levels)
    goal = torch.tensor(list(lengths), device=device)
    limit = goal if exact else (goal * OVERTIME).long() + 1
    hidden = torch.zeros(batch, prior.config.hidden, device=device)
    cell = torch.zeros_like(hidden)
    frame = torch.zeros(batch, dtype=torch.long, device=device)  # place in the sound under way
    previous = torch.zeros(batch, prior.levels, dtype=torch.long, device=device)
    drawn: list[Tensor] = []
    ended = torch.zeros(batch, dtype=torch.bool, device=device)
    length = limit.clone()
    known = 0 if prompt is None else len(prompt)
    for number in range(int(limit.max())):
        to_come = (goal - number).clamp_min(0)
        left = to_come.masked_fill(to_come > longest, UNKNOWN)
        inputs, hidden, cell = drawer.state(previous, frame, left, hidden, cell)
        if prompt is not None and number < known:
            previous = prompt[number].to(device).expand(batch, -1)
        else:
            may_end = (frame > 0) & ((left == UNKNOWN) | (not exact))
            uniform = dice.frame(number - known).to(device)
            before = previous.masked_fill((frame == 0)[:, None], prior.codebook_size)
            codes = drawer.frame(inputs, before, uniform, may_end, sampling)
            if bool((codes < 0).any()):
                raise PackageError("the model's weights overflow; do not use this file")
            over = codes[:, 0] == prior.end
            if exact and bool(over.any()):  # a sound ends within a longer one: the next begins
                frame, hidden = frame.masked_fill(over, -1), hidden.masked_fill(over[:, None], 0.0)
                cell = cell.masked_fill(over[:, None], 0.0)
                codes = torch.where(over[:, None], previous, codes)
            elif not exact:
                length = torch.where(over & ~ended, number, length)
                ended = ended | over | (number + 1 >= limit)
            previous = codes.clamp_max(prior.codebook_size - 1)
        drawn.append(previous.cpu())
        frame = frame + 1
        if bool(ended.all()):
            break
    sounds = torch.stack(drawn, dim=1)  # (B, F, L)
    return [sounds[row, : int(length[row])].clone() for row in range(batch)]
