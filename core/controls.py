"""What a user asks of new sounds, what the prior is then told, and how near a sound came.

What is not asked is taken from a training sound that is like what is asked, so that
length, kind and style go together as they do in the real sounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from core.config import MelConfig
from core.descriptors import DESCRIPTORS, descriptors, ranks
from core.errors import ConfigError
from core.prior import EXAMPLE, UNKNOWN, Conditions, Prior
from core.training import step_generator

NEAR = 0.1  # deviation of ranks: how like the asked a training sound must be


@dataclass(frozen=True)
class Controls:
    """Ranks among the training sounds, 0 the least and 1 the most; None leaves it open."""

    brightness: float | None = None
    loudness: float | None = None
    noisiness: float | None = None
    attack: float | None = None  # 1 is a hard hit

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ConfigError(
                    f"{field.name} {value} is out of range; give 0 (the least of these sounds) "
                    "to 1 (the most)"
                )

    def ranks(self) -> tuple[float, ...]:
        """In the order of DESCRIPTORS, NaN where nothing is asked."""
        asked = [getattr(self, name) for name in DESCRIPTORS]
        return tuple(math.nan if value is None else value for value in asked)


def drawn_conditions(
    prior: Prior,
    controls: Controls,
    label: int | None,
    seeds: Sequence[int],
    prompt: Tensor | None = None,
) -> tuple[Conditions, list[int]]:
    """What each sound is told, and its length in code frames.

    Args:
        label: asked for; None takes that of the training sound that was drawn.
        prompt: (F, L) codes that every sound goes on from. It has a style of its own, and
            of training sounds only the length is taken.
    """
    examples = prior.examples.cpu()
    asked = torch.tensor(controls.ranks())
    known = asked.isfinite()
    apart = ((examples[:, 2:EXAMPLE] - asked)[:, known] / NEAR).square().sum(1)
    likeness = -0.5 * apart
    if label is not None:
        likeness = likeness.masked_fill(examples[:, 1] != label, float("-inf"))
    if not bool(likeness.isfinite().any()):
        raise ConfigError(
            "there were too few sounds with that label to learn it; add sounds and build again"
        )
    shares = likeness.softmax(0, dtype=torch.float64)
    chosen = [
        int(torch.multinomial(shares, 1, generator=step_generator(seed, 0, "example")))
        for seed in seeds
    ]
    drawn = examples[chosen]
    lengths = [max(1, int(length)) for length in drawn[:, 0]]
    told = Conditions(drawn[:, 1].long(), drawn[:, 2:EXAMPLE].clone(), drawn[:, EXAMPLE:])
    if prompt is not None:
        told = Conditions.unknown(len(seeds), told.style.shape[1])
        told.style[:] = prior.style(prompt.to(prior.codebooks.device)).cpu()
        told.label.fill_(UNKNOWN if label is None else label)
    told.ranks[:, known] = asked[known]
    return told, lengths


def distances(
    prior: Prior,
    controls: Controls,
    label: int | None,
    told: Conditions,
    codes: Sequence[Tensor],
    log_mels: Sequence[Tensor],
    mel: MelConfig,
) -> Tensor:
    """(B,) how far each sound is from what was asked; 0 is as asked.

    A rank counts by its difference, a label by the difference from the style that was
    told: that of a sound of the label, or the prompt's.
    """
    apart = torch.zeros(len(codes))
    asked = torch.tensor(controls.ranks())
    known = asked.isfinite()
    if bool(known.any()):
        values = torch.stack([descriptors(one.cpu(), mel) for one in log_mels])
        missed = ranks(values, prior.scales.cpu())[:, known] - asked[known]
        apart += (missed / NEAR).square().sum(1)
    if label is not None:
        device = prior.codebooks.device
        styles = torch.stack([prior.style(one.to(device)).cpu() for one in codes])
        apart += (styles - told.style).square().mean(1) / NEAR
    return apart
