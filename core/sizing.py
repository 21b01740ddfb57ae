"""From the size of a data set to the sizes of its models.

What decides is the number of code frames (43 a second), because every code must
be seen often enough to be learnt. Levels are grown by measurement in the
RVQ-VAE's own stage; here stands only where that growth may end.
"""

from dataclasses import dataclass

from core.config import BuildConfig


@dataclass(frozen=True)
class Sizes:
    codebook_size: int  # K, codes in each level
    levels: int  # the most that the RVQ-VAE may grow to
    prior_steps: int


def codebook_size(code_frames: int) -> int:
    """K: a power of two with at least 48 code frames for every code, between 8 and 64.

    >>> [codebook_size(n) for n in (300, 1000, 3000, 17000)]
    [8, 16, 32, 64]
    """
    size = 8
    while size < 64 and code_frames / (2 * size) >= 48:
        size *= 2
    return size


def sizes(code_frames: int, config: BuildConfig) -> Sizes:
    """The sizes for a set of `code_frames` code frames (training part)."""
    chosen = config.rvqvae.codebook_size or codebook_size(code_frames)
    # Measured: 500 steps suit 17,000 code frames, 230 suit 1,000: about the fourth root.
    share = min(1.0, max(0.3, (code_frames / 17_000) ** 0.27))
    return Sizes(
        codebook_size=chosen,
        levels=config.rvqvae.most_levels,
        prior_steps=max(1, round(config.prior.steps * share)),
    )
