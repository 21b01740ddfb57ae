"""Code sequences and priors as tests on codes need them."""

import math

import torch
from torch import Tensor

from core.code_windows import CodeSequence, CodeWindow
from core.config import PriorConfig
from core.prior import UNKNOWN, Prior

CPU = torch.device("cpu")
END = 4  # of a codebook of 4
TINY = PriorConfig(
    hidden=32, dropout=0.1, corruption=0.0, learning_rate=2e-2, batch_frames=256, window_frames=32
)


def sequence(*codes: int, levels: int = 1, first: int = 0, ends: bool = True) -> CodeSequence:
    """With `first` codes 0 before them."""
    before = torch.zeros(first, levels, dtype=torch.long) if first else None
    return CodeSequence(torch.tensor(codes)[:, None].expand(-1, levels), before, ends)


def window(targets: Tensor, before: Tensor, first: int) -> CodeWindow:
    """Told nothing."""
    left = torch.full((len(targets),), UNKNOWN)
    nobody = torch.full((3,), math.nan)
    return CodeWindow(targets, before, first, left, UNKNOWN, (math.nan,) * 4, nobody)


def prior_of(codes: int, **settings: int) -> Prior:
    """Of one level, as windows are drawn for it."""
    torch.manual_seed(0)
    return Prior(torch.randn(1, codes, 3), PriorConfig(hidden=8, **settings))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
