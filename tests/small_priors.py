"""Priors of a few dozen weights, none of them zero."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from core.config import PriorConfig
from core.prior import Conditions, Prior


def prior(levels: int = 3) -> Prior:
    """Every weight random, two labels."""
    torch.manual_seed(0)
    model = Prior(torch.randn(levels, 8, 5), PriorConfig(hidden=16), labels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model.eval()


def conditions(rank: float, labels: Sequence[int] = (1,)) -> Conditions:
    """Brightness and labels as given; each label with a style of its own."""
    told = replace(Conditions.unknown(len(labels), 5), label=torch.tensor(labels))
    told.ranks[:, 0] = rank
    told.style[:] = torch.randn(2, 5, generator=torch.Generator().manual_seed(7))[told.label]
    return told
