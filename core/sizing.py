"""From the size of a data set to the sizes of its models.

What decides is the number of code frames (43 a second), because every code must
be seen often enough to be learnt. Levels are grown by measurement in the
RVQ-VAE's own stage.
"""


def codebook_size(code_frames: int) -> int:
    """K: a power of two with at least 48 code frames for every code, between 8 and 64.

    >>> [codebook_size(n) for n in (300, 1000, 3000, 17000)]
    [8, 16, 32, 64]
    """
    size = 8
    while size < 64 and code_frames / (2 * size) >= 48:
        size *= 2
    return size


def training_steps(code_frames: int, full_steps: int) -> int:
    """Steps that a training gets: all from 17,000 code frames on, fewer for smaller sets.

    Measured on the prior, whose best step is about 500 at 17,000 code frames and 230 at
    1,000: the fourth root. The RVQ-VAE's nets and FreeV follow the same rule, for a
    small set has less to learn and is sooner learnt by heart.

    >>> training_steps(17_000, 500), training_steps(1_000, 500)
    (500, 233)
    """
    share: float = min(1.0, max(0.3, (code_frames / 17_000) ** 0.27))
    return max(1, round(full_steps * share)) if full_steps else 0
