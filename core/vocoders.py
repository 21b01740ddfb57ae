"""Which of a model's own vocoders is behind a name: the one place where that is decided."""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.config import BuildConfig, VocoderName
from core.freev import Freev, FreevNet
from core.griffinlim import GriffinLim
from core.hifigan import Hifigan, HifiganGenerator
from core.vocoder import Vocoder


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
            return Freev(net, device)
        case "hifigan":
            generator = HifiganGenerator(config.hifigan, weight_norm=False)
            generator.load_state_dict(weights)
            return Hifigan(generator, device)
