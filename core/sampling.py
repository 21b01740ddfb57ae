"""Drawing new code sequences from the prior, in batches, each sound from its own seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ConfigError, PackageError
from core.prior import CLOCK_STEPS, UNKNOWN, Conditions, Prior, half_octaves
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
    logits: Tensor, noise: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Draw one class a row: the highest, once Gumbel noise is added, has the softmax's odds.

    Args:
        logits: (B, C) with -inf for the impossible.
        noise: (B, C) as Dice throws it.
    Returns:
        (B,) int64 classes and (B,) their logits plus noise, not finite where the logits hold
        NaN or infinity or nothing possible.
    Source: the Gumbel-max trick, as in Maddison et al. 2014, "A* Sampling".
    """
    if temperature != 1.0:
        logits = logits / temperature
    if top_k or top_p < 1.0:
        ordered, order = logits.log_softmax(-1).sort(dim=-1, descending=True)
        share = ordered.exp()
        dropped = share.cumsum(-1) - share >= top_p  # what is likelier is enough
        if top_k:
            dropped[:, top_k:] = True
        ordered = ordered.masked_fill(dropped, float("-inf"))
        logits = torch.empty_like(logits).scatter_(-1, order, ordered)
    highest, classes = (logits + noise).max(-1)
    return classes, highest


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


class Drawer:
    """The prior made ready for drawing a frame at a time: what weights alone decide is summed up.

    The same function as Prior.states and Prior.frame_logits up to rounding, in few operations:
    on so little data each costs more than its arithmetic. Tables have a row more than there
    are codes: the end, or as what came before, that a sound begins.
    """

    def __init__(self, prior: Prior, conditions: Conditions):
        self.end, root = prior.end, 2**0.5
        lstm, books, norm = dict(prior.lstm.named_parameters()), prior.codebooks, prior.depth_norm
        told, unknown = prior.told(conditions), torch.zeros_like(prior.start)[None]
        self.recur = lstm["weight_hh_l0"].T.contiguous()  # a transposed view is slower
        self.depth_state = prior.depth_state.weight.T.contiguous()
        # gelu(x) with x = √2 y is (y + y erf y) / √2; the roots are put into the weights.
        self.norm = norm.normalized_shape, root * norm.weight, root * norm.bias, norm.eps
        self.mlp = (prior.depth_mlp.weight.T / 2).contiguous()
        self.mlp_bias = prior.depth_mlp.bias / root
        near = torch.einsum("lhd,lkd->lhk", prior.geometry_out, books)
        self.heads = ((prior.heads + F.pad(near, (0, 1))) / root).unbind()
        # A code's vector for deeper levels, and the way from its level's own to the next one's.
        steps = prior.depth_level.diff(dim=0, append=prior.depth_level[-1:])
        self.below = (F.pad(books @ prior.depth_below, (0, 0, 0, 1)) + steps[:, None]).unbind()
        # Everything heard, a row each: codes level by level, steps of both clocks, an unknown
        # length, each sound's conditions. 4 H are for the LSTM's gates, H for the depth half.
        seen = F.pad(prior.embeddings + books @ prior.geometry_in, (0, 0, 0, 1))
        seen[0, self.end] = prior.start
        before = F.pad(books @ prior.depth_previous.weight.T, (0, 0, 0, 1)).flatten(0, 1)
        rows = [seen.flatten(0, 1), prior.elapsed.weight, prior.left.weight, unknown, told]
        gates = torch.cat(rows) @ lstm["weight_ih_l0"].T
        gates[-len(told) :] += lstm["bias_ih_l0"] + lstm["bias_hh_l0"]
        depth = F.pad(before, (0, 0, 0, len(gates) - len(before)))
        depth[-len(told) :] += prior.depth_state(told) + prior.depth_level[0]
        self.heard = torch.cat([gates, depth], dim=1)
        # Logits by the code before: the bias, and for a code that stays what staying is worth.
        stays = torch.eye(self.end + 1, device=books.device)
        known = stays * prior.stays[:, None, None] + prior.head_bias[:, None]  # (L, K + 1, K + 1)
        known[1:, :, self.end] = float("-inf")
        known[0, self.end, self.end] = float("-inf")  # a sound has a frame at least
        self.known = known.flatten(0, 1)
        place = torch.arange(len(self.heard), device=books.device)
        self.first_code = place[: len(before) : self.end + 1]  # (L,) rows
        self.first_step = place[[len(before), len(before) + CLOCK_STEPS]]
        self.told = place[-len(told) :, None]
        self.first_heard = place[: len(told)] * (prior.levels + 3)  # in the list of rows to sum

    def state(
        self, before: Tensor, frame: Tensor, left: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the LSTM.

        Args:
            before: (B, L) the codes before, codebook_size where a sound begins.
            frame, left: (B,) as Prior.states takes them.
            hidden, cell: (B, H), zeros where a sound begins.
        Returns:
            (B, H) the depth half's input, the new hidden state, the new cell.
        """
        clock = half_octaves(torch.stack([frame, left.clamp_min(0)], dim=1))
        clock[:, 1].masked_fill_(left < 0, CLOCK_STEPS)
        rows = torch.cat([before + self.first_code, clock + self.first_step, self.told], dim=1)
        heard = F.embedding_bag(rows.flatten(), self.heard, self.first_heard, mode="sum")
        width = 4 * hidden.shape[1]
        gates = torch.addmm(heard[:, :width], hidden, self.recur)
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        return torch.addmm(heard[:, width:], hidden, self.depth_state), hidden, cell

    def frame(
        self, inputs: Tensor, before: Tensor, noise: Tensor, barred: Tensor, sampling: Sampling
    ) -> tuple[Tensor, Tensor]:
        """Draw a frame, level after level.

        Args:
            inputs: (B, H) as `state` gives them.
            before: (B, L) as `state` takes them.
            noise: (L, B, K + 1) as Dice throws it.
            barred: (B,) bool, where the sound may not end.
        Returns:
            (B, L) codes; (B,) the sum of their scores, not finite where the weights overflow.
        """
        known = F.embedding(before + self.first_code, self.known).unbind(1)
        known[0][:, self.end].masked_fill_(barred, float("-inf"))
        codes: list[Tensor] = []
        scores: list[Tensor] = []
        for level, thrown in enumerate(noise.unbind()):
            normed = F.layer_norm(inputs, *self.norm)
            turned = torch.addmm(self.mlp_bias, normed, self.mlp)
            hidden = torch.addcmul(normed + turned, turned, turned.erf())
            logits = torch.addmm(known[level], hidden, self.heads[level])
            code, score = chosen_codes(logits, thrown, *sampling.at(level))
            inputs = inputs + F.embedding(code, self.below[level])
            codes.append(code)
            scores.append(score)
        return torch.stack(codes, dim=1), torch.stack(scores).sum(0)


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
    device, batch, nothing = prior.start.device, len(seeds), prior.codebook_size
    if conditions is None:
        conditions = Conditions.unknown(batch, prior.codebooks.shape[2])
    drawer = Drawer(prior, conditions.to(device))
    dice = Dice(seeds, prior.levels, nothing + 1, device)
    goal = torch.tensor(list(lengths), device=device)
    limit = goal if exact else (goal * OVERTIME).long() + 1
    to_come = (goal - torch.arange(int(limit.max()), device=device)[:, None]).clamp_min(0)
    lefts = to_come.masked_fill(to_come > longest, UNKNOWN)  # (F, B)
    barred = (lefts != UNKNOWN) & exact
    hidden = torch.zeros(batch, prior.config.hidden, device=device)
    cell, scores = torch.zeros_like(hidden), torch.zeros(batch, device=device)
    frame = torch.zeros(batch, dtype=torch.long, device=device)  # place in the sound under way
    before = torch.full((batch, prior.levels), nothing, device=device)
    ended = torch.zeros(batch, dtype=torch.bool, device=device)
    drawn = [] if prompt is None else list(prompt.to(device)[:, None].expand(-1, batch, -1))
    known = len(drawn)
    for number, left in enumerate(lefts):
        inputs, hidden, cell = drawer.state(before, frame, left, hidden, cell)
        frame = frame + 1
        if number < known:
            before = drawn[number]
            continue
        noise = dice.frame(number - known)
        codes, score = drawer.frame(inputs, before, noise, barred[number], sampling)
        scores = scores + score
        over = codes[:, 0] == prior.end
        if exact and bool(over.any()):  # a sound ends within a longer one: the next begins
            codes = torch.where(over[:, None], before, codes)
            frame, hidden = frame.masked_fill(over, 0), hidden.masked_fill(over[:, None], 0.0)
            cell = cell.masked_fill(over[:, None], 0.0)
        drawn.append(codes)
        before = codes.masked_fill((frame == 0)[:, None], nothing)
        if not exact:
            ended = ended | over | (limit <= number + 1)
            if bool(ended.all()):
                break
    if not bool(scores.isfinite().all()):
        raise PackageError("the model's weights overflow; do not use this file")
    sounds = torch.stack(drawn, dim=1).cpu()  # (B, F, L)
    ends = F.pad(sounds[..., 0] == prior.end, (0, 1), value=True).int().argmax(1)  # the first
    return [
        sound[: min(end, most)].clone()
        for sound, end, most in zip(sounds, ends.tolist(), limit.tolist(), strict=True)
    ]
