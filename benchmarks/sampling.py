"""Drawing new sounds' codes from a prior of ordinary size with random weights."""

import torch

from benchmarks.timing import Row, real_time, seconds_of
from core.config import MelConfig, PriorConfig, RvqvaeConfig
from core.prior import Prior
from core.sampling import Sampling, sample_codes

LEVELS, CODES = 6, 64
FRAMES = 215  # 5 s
BATCHES = (1, 8, 16)


def random_prior() -> Prior:
    """As many weights as a trained one; its codes cost the same to draw."""
    torch.manual_seed(0)
    codebooks = torch.randn(LEVELS, CODES, RvqvaeConfig().latent_dim)
    return Prior(codebooks, PriorConfig()).eval()


def rows() -> list[Row]:
    """Code frames a second, all sounds of a batch together."""
    mel, prior = MelConfig(), random_prior()
    frames_a_second = mel.sample_rate / mel.hop_samples / RvqvaeConfig().stack_frames
    found: list[Row] = []
    for batch in BATCHES:
        seeds = list(range(batch))

        def draw(seeds: list[int] = seeds) -> None:
            sample_codes(prior, seeds, Sampling(), [FRAMES] * len(seeds), exact=True)

        seconds = seconds_of(draw, times=3)
        drawn = batch * FRAMES
        what = f"{LEVELS} levels of {CODES}, {batch} at a time"
        measured = f"{drawn / seconds:,.0f} code frames/s"
        beside = real_time(drawn / frames_a_second, seconds)
        found.append(Row("" if found else "sampling", what, measured, beside))
    return found
