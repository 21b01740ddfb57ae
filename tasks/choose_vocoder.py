"""Which vocoder plays: one of the model's own, or BigVGAN, which all models share."""

import dataclasses
import os
from pathlib import Path

import torch

from artifacts.bigvgan import KeptBigvgan, check_playable
from artifacts.model import Model
from artifacts.pinned import BIGVGAN
from core.errors import ConfigError, HubError, VocoderError
from core.generation import Instrument
from tasks.progress import fetching, say

# oneDNN, and torch's layer above it, keep what they have worked out for the last 1024 shapes of
# products if they are not told otherwise before the first: for each new length of a sound 50 MB
# with BigVGAN, 7 with HiFi-GAN. 150 are all shapes of a sound of one length, and as fast.
SHAPE_TABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
SHAPES_KEPT = "150"

kept = KeptBigvgan(BIGVGAN)  # for as long as this process lives


def chosen_instrument(
    model: Model, vocoder: str, bigvgan_dir: str | None, device: torch.device
) -> Instrument:
    """The model's nets with the vocoder that was asked for.

    Where BigVGAN cannot be had, one line says so and the model's best own vocoder plays.

    Args:
        vocoder: a name, or "auto" for the one that won the model's A/B.
        bigvgan_dir: a folder with BigVGAN's files; None takes them from the hub.
    Raises:
        ConfigError: the model has no such vocoder, or `bigvgan_dir` is of no use to it.
        VocoderError: the model's mels are not those that BigVGAN was trained on.
    """
    for table in SHAPE_TABLES:
        os.environ.setdefault(table, SHAPES_KEPT)
    if vocoder != "bigvgan":
        if bigvgan_dir is not None:
            raise ConfigError(
                "--bigvgan-dir is for BigVGAN's files; add --vocoder bigvgan or leave it out"
            )
        return model.instrument(vocoder, device)
    check_playable(model.config.mel)
    own = model.instrument("auto", device)
    folder = None if bigvgan_dir is None else Path(bigvgan_dir)
    try:
        with fetching("BigVGAN") as progress:
            bigvgan = kept.vocoder(folder, model.config.mel, device, progress)
    except (HubError, VocoderError) as error:
        say(f"{own.vocoder.name} plays in place of bigvgan: {error}")
        return own
    return dataclasses.replace(own, vocoder=bigvgan)
