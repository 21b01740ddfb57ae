"""Figures that say what a model is worth: codebook health, copying, how near a sound comes."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

GRAM = 8


def codebook_health(codes: Tensor, codebook_size: int) -> dict[str, list[float]]:
    """Use of each level's codes.

    Args:
        codes: (N, L).
    Returns:
        utilisation: share of a level's codes that occur at all.
        dead_codes: how many do not.
        entropy: of their distribution, in nats.
        perplexity: its exp; K when all are equally common.
    """
    utilisation, entropy, dead = [], [], []
    for level in codes.T:
        share = torch.bincount(level, minlength=codebook_size).double() / len(level)
        used = share[share > 0]
        utilisation.append(len(used) / codebook_size)
        dead.append(float(codebook_size - len(used)))
        entropy.append(float(-(used * used.log()).sum()))
    return {
        "utilisation": utilisation,
        "dead_codes": dead,
        "entropy": entropy,
        "perplexity": [math.exp(one) for one in entropy],
    }


def grams(codes: Tensor) -> Iterable[tuple[int, ...]]:
    """Every run of 8 codes of (F, L) codes read level after level, frame after frame.

    The level it begins on is part of it: code 3 of level 0 is not code 3 of level 1.
    """
    levels = codes.shape[1]
    flat = codes.flatten().tolist()
    for place in range(len(flat) - GRAM + 1):
        yield (place % levels, *flat[place : place + GRAM])


def overlap_8gram(sounds: Sequence[Tensor], train: Sequence[Tensor]) -> float:
    """Share of the 8-grams of `sounds` that occur in `train`: 1 is a copy.

    Real held-out sounds have an overlap too; it is the figure to compare with.
    """
    known = {gram for codes in train for gram in grams(codes)}
    met = [gram in known for codes in sounds for gram in grams(codes)]
    return sum(met) / max(1, len(met))
