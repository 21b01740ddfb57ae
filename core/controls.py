"""What a user asks of new sounds, and what the prior is then told.

What is not asked is taken from a training sound that is like what is asked, so that
length and kind go together as they do in the real sounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch

from core.descriptors import DESCRIPTORS
from core.errors import ConfigError
from core.prior import UNKNOWN, Conditions, Prior
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
    prior: Prior, controls: Controls, label: int | None, seeds: Sequence[int]
) -> tuple[Conditions, list[int]]:
    """What each sound is told, and its length in code frames.

    Args:
        label: asked for; None takes that of the training sound that was drawn.
    """
    examples = prior.examples.cpu()
    asked = torch.tensor(controls.ranks())
    known = asked.isfinite()
    apart = ((examples[:, 2:] - asked)[:, known] / NEAR).square().sum(1)
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
    labels = examples[chosen, 1].long() if prior.labels else torch.full((len(seeds),), UNKNOWN)
    conditions = Conditions(labels, asked.expand(len(seeds), -1).clone())
    return conditions, [max(1, int(length)) for length in examples[chosen, 0]]
