"""The prior: which codes follow which, one code frame at a time, level by level.

    previous frame's codes ──embeddings + code vectors──> LSTM ──h──┐
                                                                    v
    level l: h + previous frame's vector + vectors of levels < l ──MLP──> logits

Every place that reads a code also reads its frozen codebook vector ("geometry"),
and logits include q(h) · codebook: without these a small set teaches less than
bigram counts do. Level 0 has one class more than there are codes, the end.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import PriorConfig

State = tuple[Tensor, Tensor]
ELAPSED_STEPS = 40  # half octaves of code frames: 2^20 frames are 6.8 hours


class Prior(nn.Module):
    """One-layer LSTM over code frames with a depth MLP over residual levels.

    Args:
        codebooks: (L, K, D) of the frozen RVQ-VAE.
    """

    codebooks: Tensor

    def __init__(self, codebooks: Tensor, config: PriorConfig):
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
        # How long a sound has lasted, in half octaves; zero (neutral) where never trained.
        self.elapsed = nn.Embedding(ELAPSED_STEPS, hidden)
        nn.init.zeros_(self.elapsed.weight)
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
        self.geometry_out = nn.Parameter(torch.randn(levels, hidden, dim) * 0.1 / hidden**0.5)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor], config: PriorConfig) -> "Prior":
        """The trained model whose state dict this is, in evaluation mode."""
        model = cls(weights["codebooks"], config)
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

    def states(
        self, previous: Tensor, frame: Tensor, state: State | None
    ) -> tuple[Tensor, Tensor, State]:
        """Run the LSTM.

        Args:
            previous: (B, F, L) the codes before each frame; anything where frame is 0.
            frame: (B, F) int64, each frame's place in its sound; 0 where the sound begins.
        Returns:
            (B, F, H) states, (B, F, D) vectors of the previous frames, the LSTM's state.
        """
        seen, vectors = self.frame_inputs(previous)
        is_start = (frame == 0)[..., None]
        seen = torch.where(is_start, self.start, seen)
        vectors = vectors.masked_fill(is_start, 0.0)
        half_octave = (2 * torch.log2(frame + 1.0)).long().clamp_max(ELAPSED_STEPS - 1)
        states, state = self.lstm(self.drop(seen + self.elapsed(half_octave)), state)
        return self.drop(states), vectors, state

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

    def frame_logits(self, states: Tensor, vectors: Tensor, codes: Tensor) -> Tensor:
        """Teacher-forced logits of all levels of frames whose states are known.

        Args:
            states, vectors: (..., H) and (..., D) as `states` gives them.
            codes: (..., L) the true codes; level l sees those below it.
        Returns:
            (..., L, K + 1).
        """
        own = torch.einsum("...ld,ldh->...lh", self.level_vectors(codes), self.depth_below)
        below = F.pad(own.cumsum(-2), (0, 0, 1, 0))[..., :-1, :]  # what lies under each level
        shared = self.depth_inputs(states, vectors)[..., None, :]
        return self.depth_logits(shared + below, slice(None))

    def logits(self, previous: Tensor, frame: Tensor, codes: Tensor) -> Tensor:
        """Teacher-forced logits of every level of every frame.

        Args:
            previous: (B, F, L) codes of the frames before (corrupted ones in training).
            frame: (B, F) each frame's place in its sound.
            codes: (B, F, L) the true codes.
        Returns:
            (B, F, L, K + 1).
        """
        states, vectors, _ = self.states(previous, frame, None)
        return self.frame_logits(states, vectors, codes)
