"""How long a build will take: counted work, at this machine's measured speed.

The seconds a step costs were measured on 2 cores of a Xeon without a GPU, next to
the probe's own time there; another machine's are scaled by the probe. The probe is one
thread's and its shortest run counts: two threads' took 1000 times as long on a machine
that was busy with other work, and so the estimate said hours instead of minutes.
"""

import time

import torch

from core.config import BuildConfig
from core.sizing import training_steps
from core.split import SplitKind

REFERENCE_PROBE_SECONDS = 0.00176
PROBES = 50
SECONDS_PER_STEP = {
    "rvqvae": 0.079, "texture": 0.052, "prior": 0.31, "freev": 0.20, "hifigan": 0.44
}  # fmt: skip


def this_machine(device: torch.device) -> float:
    """Time of a fixed amount of work here, as a multiple of the reference machine's.

    To be called with torch set to one thread.
    """
    x = torch.randn(512, 512, device=device)
    times = []
    for _ in range(PROBES):
        began = time.perf_counter()
        x = torch.tanh(x @ x / 32)
        float(x[0, 0])  # waits for the device
        times.append(time.perf_counter() - began)
    return min(times) / REFERENCE_PROBE_SECONDS


def stage_seconds(
    config: BuildConfig,
    seconds_of_audio: float,
    code_frames: int,
    split: SplitKind,
    cpu: float,
    device: float,
) -> dict[str, float]:
    """Estimated seconds of each stage.

    Args:
        split: after "tails" the prior is fitted again, on whole sounds.
        cpu, device: `this_machine` of the processor and of what the trainings run on.
    """
    rvqvae, step = config.rvqvae, SECONDS_PER_STEP
    batch = rvqvae.batch_windows * rvqvae.window_frames / 2048

    def steps(full: int) -> int:
        return training_steps(code_frames, full)

    nets = steps(rvqvae.vae_steps) + steps(rvqvae.decoder_steps) + steps(rvqvae.joint_steps)
    texture_batch = config.texture.batch_windows * config.texture.window_frames / 1024
    prior_batch = config.prior.batch_frames / 2048
    fits = 2 if split == "tails" else 1
    freev, hifigan = config.freev, config.hifigan
    segments = freev.batch_segments * freev.segment_frames / 256
    critics = hifigan.batch_segments * hifigan.segment_frames / 128
    copies = 1 + len(config.prior.speeds) + config.prior.equalisers
    work = {
        "ingest": 0.005 * seconds_of_audio,
        "mels": 0.003 * seconds_of_audio,
        "rvqvae": 0.0006 * code_frames + batch * nets * step["rvqvae"],
        "codes": 0.0013 * copies * seconds_of_audio,
        "texture": texture_batch * steps(config.texture.steps) * step["texture"],
        "prior": fits * prior_batch * step["prior"] * steps(config.prior.steps),
        "judge": 1.0 + 0.25 * config.validate.generated,
        "vocoder": freev.train * segments * steps(freev.steps) * step["freev"]
        + hifigan.train * critics * hifigan.steps * step["hifigan"],
        "validate": 0.9 * config.validate.most_sounds + 0.5 * config.validate.previews,
        "package": 1.0,
    }
    trained = ("rvqvae", "texture", "prior", "vocoder")
    return {
        stage: round(seconds * (device if stage in trained else cpu), 1)
        for stage, seconds in work.items()
    }
