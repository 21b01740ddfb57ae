"""How long a build will take: counted work, at this machine's measured speed.

The seconds a step costs were measured on 2 cores of a Xeon without a GPU, next to
the probe's own time there; another machine's are scaled by the probe.
"""

import time

import torch

from core.config import BuildConfig
from core.sizing import prior_steps

REFERENCE_PROBE_SECONDS = 0.060
SECONDS_PER_STEP = {"vae": 0.055, "decoder": 0.055, "joint": 0.065, "freev": 0.20, "hifigan": 0.9}


def this_machine(device: torch.device) -> float:
    """Time of a fixed amount of work here, as a multiple of the reference machine's."""
    x = torch.randn(1024, 1024, device=device)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(4):
            x = torch.tanh(x @ x / 32)
        float(x.sum())
        times.append(time.perf_counter() - began)
    return min(times) / REFERENCE_PROBE_SECONDS


def stage_seconds(
    config: BuildConfig, seconds_of_audio: float, code_frames: int, machine: float
) -> dict[str, float]:
    """Estimated seconds of each stage; `machine` from `this_machine`."""
    rvqvae, step = config.rvqvae, SECONDS_PER_STEP
    batch = rvqvae.batch_windows * rvqvae.window_frames / 2048
    steps = {name: getattr(rvqvae, f"{name}_steps") for name in ("vae", "decoder", "joint")}
    prior_batch = config.prior.batch_frames / 2048
    freev, hifigan = config.freev, config.hifigan
    segments = freev.batch_segments * freev.segment_frames / 512
    critics = hifigan.batch_segments * hifigan.segment_frames / 128
    work = {
        "ingest": 0.01 * seconds_of_audio,
        "mels": 0.005 * seconds_of_audio,
        "rvqvae": 0.0006 * code_frames
        + batch * sum(count * step[name] for name, count in steps.items()),
        "codes": 0.02 * seconds_of_audio,
        "prior": prior_batch * 0.30 * prior_steps(code_frames, config.prior.steps),
        "vocoder": freev.train * segments * freev.steps * step["freev"]
        + hifigan.train * critics * hifigan.steps * step["hifigan"],
        "validate": 1.0 * config.validate.most_sounds + 0.3 * config.validate.generated,
        "package": 1.0,
    }
    return {stage: round(seconds * machine, 1) for stage, seconds in work.items()}
