"""What the prior says of given codes: its logits for whole sequences, and their nats."""

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.code_windows import CodeSequence, CodeWindow, collate
from core.prior import UNKNOWN, Conditions, Prior

SCORED_FRAMES = 2048  # code frames scored at once


def nats(logits: Tensor, targets: Tensor, scored: Tensor) -> Tensor:
    """(..., L, K + 1) logits, (..., L) targets -> (..., L) negative log likelihoods.

    Those that are not scored are 0.
    """
    loss = F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), reduction="none").view(
        targets.shape
    )
    return loss.masked_fill(~scored, 0.0)


@torch.no_grad()
def sequence_nats(
    prior: Prior, sequence: CodeSequence, device: torch.device, label: int = UNKNOWN
) -> Tensor:
    """(F or F + 1, L) nats of a whole sequence, its end too. What comes before it is heard.

    Args:
        label: what is told of it; lengths, descriptors and styles never are.
    """
    prior.eval()
    nothing = Conditions.unknown(1, prior.codebooks.shape[2])
    nobody, unlike = nothing.style[0], tuple(nothing.ranks[0].tolist())
    told = prior.told(dataclasses.replace(nothing, label=torch.tensor([label])).to(device))
    targets, state, found = sequence.targets(prior.end), None, list[Tensor]()
    if sequence.before is not None:
        targets = torch.cat([sequence.before, targets])
    for first in range(0, len(targets), SCORED_FRAMES):  # memory of one piece
        piece = targets[first : first + SCORED_FRAMES]
        last = targets[first - 1] if first else torch.zeros_like(targets[0])
        left = torch.full((len(piece),), UNKNOWN)
        window = CodeWindow(piece, last, first, left, UNKNOWN, unlike, nobody)
        batch = collate([window], prior.end).to(device)
        states, vectors, state = prior.states(batch.previous, batch.frame, batch.left, told, state)
        if (heard := max(0, sequence.first - first)) >= len(piece):
            continue
        before = prior.before(batch.previous, batch.frame)
        asked = (states, vectors, before, batch.left, batch.targets)
        logits = prior.frame_logits(*(one[0, heard:] for one in asked))
        found.append(nats(logits, batch.targets[0, heard:], batch.scored[0, heard:]).cpu())
    return torch.cat(found)


def nats_per_level(
    prior: Prior,
    sequences: Sequence[CodeSequence],
    device: torch.device,
    labels: Sequence[int] | None = None,
) -> list[float]:
    """Mean nats of each level a code frame, over whole sequences; the end counts on level 0.

    Args:
        labels: what is told of each sequence; None tells nothing.
    """
    told = [UNKNOWN] * len(sequences) if labels is None else labels
    found = [
        sequence_nats(prior, one, device, label) for one, label in zip(sequences, told, strict=True)
    ]
    return torch.cat(found).double().mean(0).tolist()
