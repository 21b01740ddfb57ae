"""Which of a model's own vocoders is behind a name: the one place where that is decided."""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.config import BuildConfig, VocoderName
from core.freev import Freev, FreevNet
from core.griffinlim import GriffinLim
from core.hifigan import Hifigan, HifiganGenerator
from core.mel_matching import MelMatched
from core.vocoder import Vocoder

MOST_NATS = 1.0  # that a round of mel matching may turn a network up or down


def vocoder_from_weights(
    name: VocoderName,
    weights: Mapping[str, Tensor],
    config: BuildConfig,
    device: torch.device,
) -> Vocoder:
    """A vocoder ready to be used; Griffin-Lim needs no weights and gets none."""
    match name:
        case "griffinlim":
            return GriffinLim(config.griffinlim, config.mel)
        case "freev":
            net = FreevNet(config.freev, config.mel)
            net.load_state_dict(weights)
            return MelMatched(Freev(net, device), config.mel, MOST_NATS)
        case "hifigan":
            generator = HifiganGenerator(config.hifigan, weight_norm=False)
            generator.load_state_dict(weights)
            return MelMatched(Hifigan(generator, device), config.mel, MOST_NATS)
