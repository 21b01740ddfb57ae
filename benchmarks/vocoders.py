"""From mel to wave: every vocoder in the sizes that the presets train, with random weights."""

import torch
from torch import Tensor

from benchmarks.timing import Row, Work, real_time, seconds_in_turns
from core.config import BuildConfig
from core.demo_sounds import SAMPLE_RATE, demo_sounds
from core.freev import FreevNet
from core.griffinlim import GriffinLim
from core.hifigan import HifiganGenerator
from core.mel import log_mel
from core.vocoder import Vocoder
from core.vocoders import vocoder_from_weights


def players(config: BuildConfig) -> list[Vocoder]:
    """Griffin-Lim first: the others are compared with it."""
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    net = FreevNet(config.freev, config.mel)
    generator = HifiganGenerator(config.hifigan, weight_norm=False)
    return [
        GriffinLim(config.griffinlim, config.mel),
        vocoder_from_weights("freev", net.state_dict(), config, cpu),
        vocoder_from_weights("hifigan", generator.state_dict(), config, cpu),
    ]


def demo_mel(config: BuildConfig) -> Tensor:
    """(F, M) log mel of the longest demo sound."""
    wave = max((wave for _, wave in demo_sounds()), key=len)
    return log_mel(torch.from_numpy(wave)[None], config.mel)[0].T.contiguous()


def playing(vocoder: Vocoder, mel: Tensor) -> Work:
    """The work of making one wave."""
    return lambda: vocoder.wave(mel)


def rows() -> list[Row]:
    """Each in turns with Griffin-Lim."""
    config = BuildConfig()
    mel = demo_mel(config)
    audio_seconds = len(mel) * config.mel.hop_samples / SAMPLE_RATE
    griffinlim, *trained = players(config)
    found: list[Row] = []
    for vocoder in trained:
        own, base, ratio = seconds_in_turns(playing(vocoder, mel), playing(griffinlim, mel), 3)
        if not found:
            what = f"griffinlim, {audio_seconds:.1f} s, {config.griffinlim.iterations} iterations"
            found.append(Row("vocoders", what, real_time(audio_seconds, base)))
        beside = f"{ratio:.2f} x as fast as griffinlim"
        found.append(Row("", vocoder.name, real_time(audio_seconds, own), beside))
    return found
