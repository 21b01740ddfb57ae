"""How fast the vocoders are here: of this machine, so no step, and never in a model."""

import time

from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from core.config import BuildConfig, VocoderName
from core.split import Split
from tasks.step import Run
from tasks.validate import players_of

SECONDS = 4.0  # of sound, vocoded twice; the second time counts


def vocoder_speeds(
    run: Run,
    sounds: Ref,
    mels: Ref,
    vocoders: dict[VocoderName, Ref],
    split: Split,
    config: BuildConfig,
) -> dict[str, float]:
    """Seconds of sound that each vocoder makes in a second, from a held-out sound's mel."""
    data = TrainingData.open(run.store, sounds, mels, split)
    mel = data.log_mel(data.held_out[0])
    frames = round(SECONDS * config.mel.sample_rate / config.mel.hop_samples)
    long_mel = mel.repeat(-(-frames // len(mel)), 1)[:frames]
    speeds: dict[str, float] = {}
    for name, player in players_of(run.store, vocoders, config, run.device).items():
        for _ in range(2):
            began = time.perf_counter()
            player.wave(long_mel)
            speeds[name] = SECONDS / (time.perf_counter() - began)
    return speeds
