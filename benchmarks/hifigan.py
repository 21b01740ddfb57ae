"""HiFi-GAN in its full size: what it weighs, how fast it plays, what its critics cost.

A training step with the critics as they are cut for small sets is measured in turns with
one whose critics have the paper's size. All on one thread, in seconds of its core.
"""

from dataclasses import replace

import torch

from benchmarks.timing import Row, Work, core_seconds_in_turns, core_seconds_of, real_time
from benchmarks.vocoders import demo_mel, playing
from core.config import BuildConfig, HifiganConfig
from core.demo_sounds import SAMPLE_RATE, demo_sounds
from core.hifigan import HifiganGenerator
from core.hifigan_training import HifiganTrainer
from core.mel import log_mel
from core.vocoder_data import WavePair
from core.vocoders import vocoder_from_weights

CPU = torch.device("cpu")
TURNS = 3
STEPS = 4  # in a row: the first ones after another network had the processor are slower


def demo_pair(config: BuildConfig) -> WavePair:
    """The longest demo sound beside its own mel."""
    wave = max((wave for _, wave in demo_sounds()), key=len)
    mel = log_mel(torch.from_numpy(wave)[None], config.mel)[0].T.numpy()
    return WavePair(mel, wave[: len(mel) * config.mel.hop_samples])


def adversarial_steps(config: HifiganConfig, build: BuildConfig, pair: WavePair) -> Work:
    """The work of some steps after the warm-up."""
    trainer = HifiganTrainer(config, build.mel, [pair], [pair], 0, CPU)
    return lambda: [trainer.step(config.warm_up_steps) for _ in range(STEPS)]


def rows() -> list[Row]:
    """Parameters, speed on one thread and the time of a step."""
    build = BuildConfig()
    torch.manual_seed(0)
    generator = HifiganGenerator(build.hifigan, weight_norm=False)
    parameters = sum(one.numel() for one in generator.parameters())
    mel = demo_mel(build)
    seconds = len(mel) * build.mel.hop_samples / SAMPLE_RATE
    player = vocoder_from_weights("hifigan", generator.state_dict(), build, CPU)
    of_core = core_seconds_of(playing(player, mel), 3)
    pair = demo_pair(build)
    papers = replace(build.hifigan, discriminator_divisor=1, discriminator_scales=3)
    cut, full, ratio = core_seconds_in_turns(
        adversarial_steps(build.hifigan, build, pair),
        adversarial_steps(papers, build, pair),
        TURNS,
    )
    return [
        Row("hifigan", "parameters", f"{parameters:,}"),
        Row("", f"float32, one thread, {seconds:.1f} s", real_time(seconds, of_core)),
        Row(
            "",
            "training step, cut discriminators",
            f"{cut / STEPS:.2f} s",
            f"full ones {full / STEPS:.1f} s, {ratio:.1f} x as long",
        ),
    ]
