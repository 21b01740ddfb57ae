"""What counting the codes says: the prior's yardsticks, and what it starts from."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from core.code_windows import CodeSequence
from core.prior import CLOCK_STEPS

MOST_STAY = 0.99  # of a code's frames
CERTAIN = 12.0  # a logit above what trained nets say of codes
ALIKE = 5.0  # a rare code stays as all of its level do, for so many counts


def stay_logits(sequences: Sequence[CodeSequence], levels: int, codes: int) -> Tensor:
    """(L, K) how much likelier a code is to stay than to become any one other, by counting.

    Half of what the counts say, in logits: all of it is right for 11 drones alike (19.8 nats
    instead of 20.5 with a logit of 1), and too sure for 50 sounds of all kinds (26.1, 24.0).
    """
    found = []
    for level in range(levels):
        before, after = _pairs(sequences, level, codes, codes + 1)
        kept = (before < codes) & (after < codes)
        before, stayed = before[kept], (before == after)[kept]
        seen = torch.bincount(before, minlength=codes)
        held = torch.bincount(before[stayed], minlength=codes)
        share = (float(held.sum()) + 0.5) / (float(seen.sum()) + 1)
        own = ((held + ALIKE * share) / (seen + ALIKE)).clamp(1 / codes, MOST_STAY)
        found.append(0.5 * (own / (1 - own) * (codes - 1)).log())
    return torch.stack(found)


def end_logits(sequences: Sequence[CodeSequence], codes: int) -> Tensor:
    """(CLOCK_STEPS + 1,) how much likelier than any one code the end is, by how much is left.

    Told sounds end where nothing is left and nowhere else, which needs no counting. The last
    one, of sounds whose length is not told, does; half a count is added to each side.
    """
    whole = [len(one.codes) for one in sequences if one.ends]
    found = torch.full((CLOCK_STEPS + 1,), -CERTAIN)
    found[0] = CERTAIN
    found[-1] = math.log((len(whole) + 0.5) / (sum(whole) + 0.5) * codes)
    return found


def unigram_nats(
    train: Sequence[CodeSequence], held_out: Sequence[CodeSequence], codebook_size: int
) -> list[float]:
    """Held-out nats of each level by counting the training codes (half a count added to each)."""
    return _counted_nats(train, held_out, codebook_size, use_previous=False)


def bigram_nats(
    train: Sequence[CodeSequence], held_out: Sequence[CodeSequence], codebook_size: int
) -> list[float]:
    """The same, given the level's previous code, interpolated with the unigram.

    The weight of the bigram is count / (count + 5): rare contexts lean on the unigram.
    """
    return _counted_nats(train, held_out, codebook_size, use_previous=True)


def _counted_nats(
    train: Sequence[CodeSequence],
    held_out: Sequence[CodeSequence],
    codebook_size: int,
    use_previous: bool,
) -> list[float]:
    end, start = codebook_size, codebook_size + 1
    levels = train[0].codes.shape[1]
    frames = sum(len(one.targets(end)) for one in held_out)
    results = []
    for level in range(levels):
        pairs = _pairs(train, level, end, start)
        classes = codebook_size + (level == 0)
        before, after = _pairs(held_out, level, end, start)
        if use_previous:
            likelihood = _interpolated(*pairs, start + 1, classes)[before, after]
        else:
            likelihood = _single(pairs[1], classes)[after]
        results.append(float(-likelihood.log().sum() / frames))
    return results


def _single(codes: Tensor, classes: int) -> Tensor:
    """(classes,) shares of the codes, half a count added to each."""
    single = torch.bincount(codes, minlength=classes)[:classes].double() + 0.5
    return single / single.sum()


def _interpolated(before: Tensor, after: Tensor, contexts: int, classes: int) -> Tensor:
    """(contexts, classes) shares of pairs, rare contexts leaning on the unigram."""
    table = torch.zeros(contexts, classes, dtype=torch.float64)
    ones = torch.ones(len(before), dtype=torch.float64)
    table.index_put_((before, after), ones, accumulate=True)
    count = table.sum(1, keepdim=True)
    share = count / (count + 5)
    return share * table / count.clamp_min(1) + (1 - share) * _single(after, classes)


def _pairs(
    sequences: Sequence[CodeSequence], level: int, end: int, start: int
) -> tuple[Tensor, Tensor]:
    """All (previous code, code) pairs of a level; the end only on level 0."""
    before, after = [], []
    for one in sequences:
        codes = one.targets(end)[:, level] if level == 0 else one.codes[:, level]
        known = torch.tensor([start]) if one.before is None else one.before[-1:, level]
        before.append(torch.cat([known, codes[:-1]]))
        after.append(codes)
    return torch.cat(before), torch.cat(after)
