"""The prior: which codes follow which, one code frame at a time, level by level.

    previous frame's codes ──embeddings + code vectors──> LSTM ──h──┐
                                                                    v
    level l: h + previous frame's vector + vectors of levels < l ──MLP──> logits

Beside the codes it hears how long the sound has lasted and, where it is told, how long
it will last, its label, its descriptors' ranks and its style (what all of its frames have
in common: their mean vector); each may be unknown.

Every place that reads a code also reads its frozen codebook vector ("geometry"),
and logits include q(h) · codebook: without these a small set teaches less than
bigram counts do. Every code that stays has a logit of its own, begun with counts: what
a held-out sound of another timbre has in common with the training sounds is above all
that it goes on. Level 0 has one class more than there are codes, the end.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import PriorConfig
from core.descriptors import DESCRIPTORS

State = tuple[Tensor, Tensor]
CLOCK_STEPS = 40  # half octaves of code frames: 2^20 frames are 6.8 hours
UNKNOWN = -1
# Conditions are few words among many codes: as loud as this they are learnt in the same few
# steps (sounds asked to be drones are nearest to a drone in 48 % instead of 27 %).
TOLD_GAIN = 4.0
RANK_KNOTS = 9  # embeddings between which a rank is interpolated
EXAMPLE = 2 + len(DESCRIPTORS)  # length in code frames, label, ranks; then the style


@dataclass(frozen=True)
class Conditions:
    """What the prior is told about B whole sounds."""

    label: Tensor  # (B,) int64, UNKNOWN or 0 ..
    ranks: Tensor  # (B, 4) in 0 to 1, NaN where unknown
    style: Tensor  # (B, D) as Prior.style gives it, NaN where unknown

    @classmethod
    def unknown(cls, count: int, dim: int) -> "Conditions":
        """Nothing is told."""
        return cls(
            torch.full((count,), UNKNOWN),
            torch.full((count, len(DESCRIPTORS)), torch.nan),
            torch.full((count, dim), torch.nan),
        )

    def repeated(self, times: int) -> "Conditions":
        """Each of them so many times in a row."""
        parts = (self.label, self.ranks, self.style)
        return Conditions(*(part.repeat_interleave(times, 0) for part in parts))

    def to(self, device: torch.device) -> "Conditions":
        return Conditions(self.label.to(device), self.ranks.to(device), self.style.to(device))


def half_octaves(frames: Tensor) -> Tensor:
    """(...) counts of code frames -> the clock's steps."""
    return (2 * torch.log2(frames + 1.0)).long().clamp_max(CLOCK_STEPS - 1)


class Prior(nn.Module):
    """One-layer LSTM over code frames with a depth MLP over residual levels.

    Args:
        codebooks: (L, K, D) of the frozen RVQ-VAE.
        scales: (4, QUANTILES) what the descriptors' ranks mean (core.descriptors).
        examples: (N, 6 + D) the training sounds' lengths, labels, ranks and styles, to draw from.
        labels: how many there are.
    """

    codebooks: Tensor
    scales: Tensor
    examples: Tensor

    def __init__(
        self,
        codebooks: Tensor,
        config: PriorConfig,
        scales: Tensor | None = None,
        examples: Tensor | None = None,
        labels: int = 0,
    ):
        super().__init__()
        levels, codes, dim = codebooks.shape
        hidden = config.hidden
        self.config = config
        self.levels, self.codebook_size, self.end = levels, codes, codes
        # Unit spread over all levels, so that deep levels are seen in proportion.
        self.register_buffer("codebooks", codebooks / codebooks[0].std().clamp_min(1e-6))
        self.embeddings = nn.Parameter(0.02 * torch.randn(levels, codes, hidden))
        self.geometry_in = nn.Parameter(torch.randn(levels, dim, hidden) / dim**0.5)
        self.start = nn.Parameter(0.02 * torch.randn(hidden))
        self.register_buffer("scales", torch.zeros(0) if scales is None else scales)
        self.register_buffer("examples", torch.zeros(0) if examples is None else examples)
        # How long a sound has lasted and how long it will, in half octaves, and what it is
        # like; zero (neutral) where never trained.
        self.elapsed = nn.Embedding(CLOCK_STEPS, hidden)
        self.left = nn.Embedding(CLOCK_STEPS, hidden)
        self.label = nn.Embedding(labels, hidden)
        self.rank = nn.Parameter(torch.zeros(len(DESCRIPTORS), RANK_KNOTS, hidden))
        self.style_in = nn.Parameter(0.25 * torch.randn(dim, hidden) / dim**0.5)
        self.altered = nn.Parameter(torch.zeros(hidden))
        for table in (self.elapsed, self.left, self.label):
            nn.init.zeros_(table.weight)
        self.drop = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.depth_state = nn.Linear(hidden, hidden)
        self.depth_previous = nn.Linear(dim, hidden, bias=False)
        self.depth_below = nn.Parameter(torch.randn(levels, dim, hidden) / dim**0.5)
        self.depth_level = nn.Parameter(0.02 * torch.randn(levels, hidden))
        self.depth_norm = nn.LayerNorm(hidden)
        self.depth_mlp = nn.Linear(hidden, hidden)
        self.heads = nn.Parameter(torch.zeros(levels, hidden, codes + 1))
        self.head_bias = nn.Parameter(torch.zeros(levels, codes + 1))
        self.stays = nn.Parameter(torch.zeros(levels, codes))  # set from counts before training
        # Of the end, by how much is left, untold last; set before training too.
        self.ends = nn.Parameter(torch.zeros(CLOCK_STEPS + 1))
        self.geometry_out = nn.Parameter(torch.randn(levels, hidden, dim) * 0.1 / hidden**0.5)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor], config: PriorConfig) -> "Prior":
        """The trained model whose state dict this is, in evaluation mode."""
        model = cls(
            weights["codebooks"],
            config,
            weights["scales"],
            weights["examples"],
            len(weights["label.weight"]),
        )
        model.load_state_dict(weights)
        return model.eval()

    def level_vectors(self, codes: Tensor) -> Tensor:
        """(..., L) codes, END counted as nothing -> (..., L, D) scaled code vectors."""
        level = torch.arange(self.levels, device=codes.device)
        vectors = self.codebooks[level, codes.clamp_max(self.codebook_size - 1)]
        masked: Tensor = vectors * (codes < self.codebook_size)[..., None]
        return masked

    def frame_inputs(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, L) codes -> what they say to the next frame: (B, F, H) and (B, F, D)."""
        vectors = self.level_vectors(codes)  # (B, F, L, D)
        # F.embedding, not indexing: the gradient of an index adds up in any order, and two
        # runs would differ in their last bits.
        row = codes.clamp_max(self.codebook_size - 1) + self.codebook_size * torch.arange(
            self.levels, device=codes.device
        )
        seen = F.embedding(row, self.embeddings.flatten(0, 1)).sum(-2)
        seen = seen + torch.einsum("bfld,ldh->bfh", vectors, self.geometry_in)
        return seen, vectors.sum(-2)

    def style(self, codes: Tensor) -> Tensor:
        """(..., F, L) codes of whole sounds -> (..., D) what their frames have in common."""
        levels = zip(self.codebooks, codes.unbind(-1), strict=True)  # a level at a time: hours fit
        return torch.stack([book[own].mean(-2) for book, own in levels]).sum(0)

    @property
    def labels(self) -> int:
        return self.label.num_embeddings

    def told(self, conditions: Conditions, altered: bool = False) -> Tensor:
        """(B, H) what the conditions say to every frame of their sounds.

        Args:
            altered: the sounds are augmented copies. Copies teach much, and are not what
                new sounds shall be like.
        """
        known = conditions.ranks.isfinite()
        place = conditions.ranks.nan_to_num().clamp(0, 1) * (RANK_KNOTS - 1)
        knots = torch.arange(RANK_KNOTS, device=place.device)
        shares = (1 - (place[..., None] - knots).abs()).clamp_min(0) * known[..., None]
        said = torch.einsum("bdk,dkh->bh", shares.to(self.rank.dtype), self.rank)
        if self.labels:
            named = conditions.label != UNKNOWN
            said = said + self.label(conditions.label.clamp_min(0)) * named[:, None]
        styled = conditions.style.isfinite().all(-1, keepdim=True)
        said = said + styled * (conditions.style.nan_to_num() @ self.style_in)
        return TOLD_GAIN * said + (self.altered if altered else 0.0)

    def states(
        self, previous: Tensor, frame: Tensor, left: Tensor, told: Tensor, state: State | None
    ) -> tuple[Tensor, Tensor, State]:
        """Run the LSTM.

        Args:
            previous: (B, F, L) the codes before each frame; anything where frame is 0.
            frame: (B, F) int64, each frame's place in its sound; 0 where the sound begins.
            left: (B, F) int64, how many frames are still to come, this one counted, the end
                not; UNKNOWN where it is not told.
            told: (B, H) as `told` gives it.
        Returns:
            (B, F, H) states, (B, F, D) vectors of the previous frames, the LSTM's state.
        """
        seen, vectors = self.frame_inputs(previous)
        is_start = (frame == 0)[..., None]
        seen = torch.where(is_start, self.start, seen)
        vectors = vectors.masked_fill(is_start, 0.0)
        clock = self.elapsed(half_octaves(frame))
        clock = clock + self.left(half_octaves(left.clamp_min(0))) * (left >= 0)[..., None]
        states, state = self.lstm(self.drop(seen + clock + told[:, None]), state)
        return self.drop(states) + told[:, None], vectors, state

    def depth_inputs(self, states: Tensor, previous: Tensor) -> Tensor:
        """The part of the depth MLP's input that all levels share: (..., H)."""
        shared: Tensor = self.depth_state(states) + self.depth_previous(previous)
        return shared

    def depth_logits(self, inputs: Tensor, level: int | slice) -> Tensor:
        """Logits of one level, or of all at once.

        Args:
            inputs: (..., H) for one level, (..., L, H) for a slice of them.
        Returns:
            (..., K + 1) or (..., L, K + 1); the end is impossible on levels above 0.
        """
        logits: Tensor
        hidden = self.depth_norm(inputs + self.depth_level[level])
        hidden = hidden + self.drop(F.gelu(self.depth_mlp(hidden)))
        if isinstance(level, int):
            logits = hidden @ self.heads[level] + self.head_bias[level]
            near = hidden @ self.geometry_out[level] @ self.codebooks[level].T
        else:
            logits = torch.einsum("...lh,lhk->...lk", hidden, self.heads) + self.head_bias
            near = torch.einsum("...lh,lhd,lkd->...lk", hidden, self.geometry_out, self.codebooks)
        logits = logits + F.pad(near, (0, 1))
        if level != 0:
            mask = torch.zeros_like(self.head_bias[level], dtype=torch.bool)
            mask[(slice(1, None), -1) if isinstance(level, slice) else -1] = True
            logits = logits.masked_fill(mask, float("-inf"))
        return logits

    def ending(self, left: Tensor) -> Tensor:
        """(...) frames to come, as `states` takes them -> (...) what that adds to the end's logit.

        Without it the net learnt so little of 5 drones' ends (0.1 % to 27 % where they are) that
        new ones went on to 1.5 times their length and were cut.
        """
        step = half_octaves(left.clamp_min(0)).masked_fill(left == UNKNOWN, CLOCK_STEPS)
        return F.embedding(step, self.ends[:, None])[..., 0]

    def frame_logits(
        self, states: Tensor, vectors: Tensor, before: Tensor, left: Tensor, codes: Tensor
    ) -> Tensor:
        """Teacher-forced logits of all levels of frames whose states are known.

        Args:
            states, vectors: (..., H) and (..., D) as `states` gives them.
            before: (..., L) the codes before, as `before` gives them.
            left: (...) frames to come, as `states` takes them.
            codes: (..., L) the true codes; level l sees those below it.
        Returns:
            (..., L, K + 1).
        """
        own = torch.einsum("...ld,ldh->...lh", self.level_vectors(codes), self.depth_below)
        below = F.pad(own.cumsum(-2), (0, 0, 1, 0))[..., :-1, :]  # what lies under each level
        shared = self.depth_inputs(states, vectors)[..., None, :]
        logits = self.depth_logits(shared + below, slice(None))
        stays = F.one_hot(before, self.codebook_size + 1)[..., :-1] * self.stays
        ends = F.pad(self.ending(left)[..., None, None], (self.end, 0, 0, self.levels - 1))
        return logits + F.pad(stays, (0, 1)) + ends

    def before(self, previous: Tensor, frame: Tensor) -> Tensor:
        """(B, F, L) previous codes -> the same, codebook_size where there is none."""
        begins = (frame == 0)[..., None]
        return previous.clamp_max(self.codebook_size - 1).masked_fill(begins, self.codebook_size)

    def logits(
        self, previous: Tensor, frame: Tensor, left: Tensor, told: Tensor, codes: Tensor
    ) -> Tensor:
        """Teacher-forced logits of every level of every frame.

        Args:
            previous: (B, F, L) codes of the frames before (corrupted ones in training).
            frame, left, told: as `states` takes them.
            codes: (B, F, L) the true codes.
        Returns:
            (B, F, L, K + 1).
        """
        states, vectors, _ = self.states(previous, frame, left, told, None)
        return self.frame_logits(states, vectors, self.before(previous, frame), left, codes)
