"""A model opened from its package, ready to play."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor

from artifacts.audio_files import printable
from artifacts.library import NAME
from artifacts.package import Package
from core.config import BuildConfig, VocoderName
from core.errors import ConfigError, PackageError
from core.generation import Instrument
from core.presets import from_json
from core.prior import Prior
from core.rvqvae import RvqVae
from core.sampling import LONGEST_NATURAL
from core.vocoders import vocoder_from_weights


class Model:
    """What a `.distill` file holds, loaded when asked for.

    Raises:
        PackageError: the file is damaged, foreign, or its parts do not fit each other.
    """

    def __init__(self, path: Path):
        self.path = path
        self.package = Package(path)
        self.manifest = cast("dict[str, Any]", self.package.manifest)
        try:
            self.config: BuildConfig = from_json(self.manifest["config"])
            self.winner = cast("VocoderName", str(self.manifest["vocoder"]))
            self.longest_frames = int(self.manifest["sizes"]["longest_code_frames"])
            self.name = str(self.manifest["name"])
        except (KeyError, TypeError, ValueError, OverflowError, ConfigError) as error:
            raise PackageError(
                f"{path.name} lacks what a model needs ({printable(str(error))}); "
                "get the file again"
            ) from error
        if not 1 <= self.longest_frames <= LONGEST_NATURAL:
            raise PackageError(
                f"{path.name} has sounds of up to {self.longest_frames} code frames; 1 to "
                f"{LONGEST_NATURAL} can be; do not use this file"
            )
        if not NAME.fullmatch(self.name):  # new sounds are files of that name
            raise PackageError(
                f"{path.name} calls itself {self.name!a}, which can name no file; "
                "do not use this file"
            )

    @property
    def vocoders(self) -> list[VocoderName]:
        """The vocoders that this model can use."""
        return [
            name
            for name in get_args(VocoderName)
            if name == "griffinlim" or f"vocoder-{name}.safetensors" in self.package.names()
        ]

    def instrument(self, vocoder: str, device: torch.device) -> Instrument:
        """Load the models.

        Args:
            vocoder: a name, or "auto" for the one that won this model's A/B.
        Raises:
            ConfigError: the model has no such vocoder.
        """
        name = self.winner if vocoder == "auto" else vocoder
        if name not in self.vocoders:
            raise ConfigError(
                f"{self.path.name} has no {printable(name)} vocoder; "
                f"use auto or {', '.join(self.vocoders)}"
            )
        chosen = next(one for one in self.vocoders if one == name)
        wanted = ["rvqvae", "prior"] + ([] if chosen == "griffinlim" else [f"vocoder-{chosen}"])
        weights = {one: self.package.tensors(f"{one}.safetensors") for one in wanted}
        nowhere = torch.device("meta")
        shapes = {
            one: {key: tensor.to(nowhere) for key, tensor in tensors.items()}
            for one, tensors in weights.items()
        }
        try:
            # First without memory: the settings of a foreign file may ask for terabytes.
            with nowhere:
                self._assembled(chosen, shapes, nowhere)
            return self._assembled(chosen, weights, device)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            first = printable(str(error).partition("\n")[0])
            raise PackageError(
                f"the weights in {self.path.name} do not fit its settings ({first}); "
                "get the file again"
            ) from error

    def _assembled(
        self, vocoder: VocoderName, weights: Mapping[str, dict[str, Tensor]], device: torch.device
    ) -> Instrument:
        config, codec, prior = self.config, weights["rvqvae"], weights["prior"]
        _check_codec(codec, prior, config)
        return Instrument(
            config.mel,
            RvqVae.from_weights(codec, config.mel, config.rvqvae).to(device),
            Prior.from_weights(prior, config.prior).to(device),
            vocoder_from_weights(vocoder, weights.get(f"vocoder-{vocoder}", {}), config, device),
            self.longest_frames,
        )


def _check_codec(
    codec: Mapping[str, Tensor], prior: Mapping[str, Tensor], config: BuildConfig
) -> None:
    """Raises ValueError unless the tensors that the nets take their shapes from fit together."""
    mel, rvqvae = config.mel, config.rvqvae
    for name, shape in {
        "mean": (mel.mel_bands,),
        "scale": (),
        "encoder_linear": (rvqvae.stack_frames * mel.mel_bands, rvqvae.latent_dim),
    }.items():
        if codec[name].shape != shape:
            raise ValueError(f"{name} has shape {tuple(codec[name].shape)}, not {shape}")
    levels, codes, dim = codec["codebooks"].shape
    if not levels or not codes or dim != rvqvae.latent_dim:
        raise ValueError(f"codebooks cannot have shape {(levels, codes, dim)}")
    if prior["codebooks"].shape != codec["codebooks"].shape:
        raise ValueError("the prior and the codec have different codebooks")
