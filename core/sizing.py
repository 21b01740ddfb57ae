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


def prior_steps(code_frames: int, full_steps: int) -> int:
    """Training steps of the prior: `full_steps` from 17,000 code frames on, fewer below.

    Measured: 500 steps suit 17,000 code frames, 230 suit 1,000; about the fourth root.

    >>> prior_steps(17_000, 500), prior_steps(1_000, 500)
    (500, 233)
    """
    share: float = min(1.0, max(0.3, (code_frames / 17_000) ** 0.27))
    return max(1, round(full_steps * share))
