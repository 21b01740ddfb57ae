"""Drawing new sounds' codes on one core, from priors of ordinary size with random weights."""

import torch

from benchmarks.timing import Row, core_seconds_of, real_time
from core.config import MelConfig, PriorConfig, RvqvaeConfig
from core.prior import Prior
from core.sampling import Sampling, sample_codes

LEVELS = (6, 10, 15)
CODES = 64
FRAMES = 215  # 5 s
BATCHES = (1, 16)


def random_prior(levels: int) -> Prior:
    """As many weights as a trained one; its codes cost the same to draw."""
    torch.manual_seed(0)
    codebooks = torch.randn(levels, CODES, RvqvaeConfig().latent_dim)
    return Prior(codebooks, PriorConfig()).eval()


def rows() -> list[Row]:
    """Code frames a second, all sounds of a batch together."""
    frames_a_second = (
        MelConfig().sample_rate / MelConfig().hop_samples / RvqvaeConfig().stack_frames
    )
    found: list[Row] = []
    for levels in LEVELS:
        prior = random_prior(levels)
        for batch in BATCHES:

            def draw(prior: Prior = prior, batch: int = batch) -> None:
                sample_codes(prior, range(batch), Sampling(), [FRAMES] * batch, exact=True)

            seconds = core_seconds_of(draw, times=9)
            drawn = batch * FRAMES
            what = f"{levels} levels of {CODES}, {batch} at a time, one core"
            measured = f"{drawn / seconds:,.0f} code frames/s"
            beside = real_time(drawn / frames_a_second, seconds)
            found.append(Row("" if found else "sampling", what, measured, beside))
    return found
