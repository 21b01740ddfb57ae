"""A model opened from its package, ready to play."""

from pathlib import Path
from typing import Any, cast, get_args

import torch

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
                f"{path.name} lacks what a model needs ({error}); get the file again"
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
                f"{self.path.name} has no {name} vocoder; use auto or {', '.join(self.vocoders)}"
            )
        chosen = next(one for one in self.vocoders if one == name)
        entry = f"vocoder-{chosen}.safetensors"
        weights = {} if chosen == "griffinlim" else self.package.tensors(entry)
        try:
            rvqvae = RvqVae.from_weights(
                self.package.tensors("rvqvae.safetensors"), self.config.mel, self.config.rvqvae
            )
            prior = Prior.from_weights(self.package.tensors("prior.safetensors"), self.config.prior)
            return Instrument(
                self.config.mel,
                rvqvae.to(device),
                prior.to(device),
                vocoder_from_weights(chosen, weights, self.config, device),
                self.longest_frames,
            )
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise PackageError(
                f"the weights in {self.path.name} do not fit its settings ({first}); "
                "get the file again"
            ) from error
