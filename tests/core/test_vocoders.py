"""Every vocoder from its stored weights: the network they came from, its mels matched."""

import torch
from torch import Tensor

from core.config import BuildConfig, FreevConfig, GriffinLimConfig, HifiganConfig
from core.freev import Freev, FreevNet
from core.griffinlim import GriffinLim
from core.hifigan import Hifigan, HifiganGenerator
from core.mel_matching import MelMatched
from core.vocoders import MOST_NATS, vocoder_from_weights

CPU = torch.device("cpu")
CONFIG = BuildConfig(
    griffinlim=GriffinLimConfig(iterations=2, inversion_updates=3),
    freev=FreevConfig(channels=16, hidden=32, blocks=1),
    hifigan=HifiganConfig(channels=32),
)


def some_mel() -> Tensor:
    return torch.randn(5, 128) - 5


def test_griffin_lim_needs_no_weights() -> None:
    player, mel = vocoder_from_weights("griffinlim", {}, CONFIG, CPU), some_mel()
    assert player.name == "griffinlim"
    assert torch.equal(player.wave(mel), GriffinLim(CONFIG.griffinlim, CONFIG.mel).wave(mel))


def test_freev_plays_as_the_net_whose_weights_it_was_given() -> None:
    net, mel = FreevNet(CONFIG.freev, CONFIG.mel), some_mel()
    player = vocoder_from_weights("freev", net.state_dict(), CONFIG, CPU)
    assert player.name == "freev"
    matched = MelMatched(Freev(net, CPU), CONFIG.mel, MOST_NATS)
    assert torch.equal(player.wave(mel), matched.wave(mel))


def test_hifigan_plays_as_the_generator_whose_folded_weights_it_was_given() -> None:
    generator, mel = HifiganGenerator(CONFIG.hifigan), some_mel()
    generator.fold_weight_norm()
    player = vocoder_from_weights("hifigan", generator.state_dict(), CONFIG, CPU)
    assert player.name == "hifigan"
    matched = MelMatched(Hifigan(generator, CPU), CONFIG.mel, MOST_NATS)
    assert torch.equal(player.wave(mel), matched.wave(mel))
