"""A model opened from its package, ready to play."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor

from artifacts.audio_files import printable
from artifacts.library import NAME
from artifacts.package import Package
from core.config import BuildConfig, VocoderName
from core.descriptors import DESCRIPTORS, QUANTILES
from core.errors import ConfigError, PackageError
from core.generation import Instrument
from core.presets import from_json
from core.prior import EXAMPLE, UNKNOWN, Prior
from core.rvqvae import RvqVae
from core.sampling import LONGEST_NATURAL
from core.texture import LAGS, Texture
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
            self.labels = [str(label) for label in self.manifest["labels"]]
            self.gain = float(self.manifest["train"]["gain"])
            self.longest_frames = int(self.manifest["sizes"]["longest_code_frames"])
            self.temperature = float(self.manifest["sizes"]["natural_temperature"])
            self.name = str(self.manifest["name"])
        except ConfigError as error:
            raise PackageError(f"{path.name}: {printable(str(error))}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PackageError(
                f"{path.name} lacks what a model needs ({printable(str(error))}); "
                "get the file again"
            ) from error
        if not 1 <= self.longest_frames <= LONGEST_NATURAL:
            raise PackageError(
                f"{path.name} has sounds of up to {self.longest_frames} code frames; 1 to "
                f"{LONGEST_NATURAL} can be; do not use this file"
            )
        if not 0.05 <= self.temperature <= 3.0:
            raise PackageError(
                f"{path.name} has a natural temperature of {self.temperature}; 0.05 to 3 can be; "
                "do not use this file"
            )
        if not 0 < self.gain < math.inf:
            raise PackageError(f"{path.name} has a gain of {self.gain}; get the file again")
        if not NAME.fullmatch(self.name):  # new sounds are files of that name
            raise PackageError(
                f"{path.name} calls itself {self.name!a}, which can name no file; "
                "do not use this file"
            )

    def label(self, name: str) -> int:
        """The number of a label.

        Raises:
            ConfigError: the model has no such label.
        """
        name = printable(name)  # as scanned folders' names are
        if name not in self.labels:
            known = ", ".join(printable(label) for label in self.labels)
            hint = f"use {known}" if known else "it was built from sounds in one folder"
            raise ConfigError(f"{self.path.name} has no label {name}; {hint}")
        return self.labels.index(name)

    @property
    def vocoders(self) -> list[VocoderName]:
        """The vocoders that this model brings along."""
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
                f"use auto, {', '.join(self.vocoders)}, or bigvgan, which is fetched"
            )
        chosen = next(one for one in self.vocoders if one == name)
        wanted = ["rvqvae", "texture", "prior"] + (
            [] if chosen == "griffinlim" else [f"vocoder-{chosen}"]
        )
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
                f"the weights in {self.path.name} do not fit its settings ({first}): it is "
                "damaged or of an older Distill; get the file again, or build it anew"
            ) from error

    def _assembled(
        self, vocoder: VocoderName, weights: Mapping[str, dict[str, Tensor]], device: torch.device
    ) -> Instrument:
        config, codec, prior = self.config, weights["rvqvae"], weights["prior"]
        _check_codec(codec, prior, config)
        _check_prior(prior, len(self.labels))
        _check_texture(weights["texture"], config)
        return Instrument(
            config.mel,
            RvqVae.from_weights(codec, config.mel, config.rvqvae).to(device),
            Texture.from_weights(weights["texture"], config.mel, config.rvqvae, config.texture).to(
                device
            ),
            Prior.from_weights(prior, config.prior).to(device),
            vocoder_from_weights(vocoder, weights.get(f"vocoder-{vocoder}", {}), config, device),
            self.longest_frames,
            self.temperature,
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


def _check_prior(prior: Mapping[str, Tensor], labels: int) -> None:
    """Raises ValueError unless what new sounds are modelled on is of the right kind."""
    examples, scales = prior["examples"], prior["scales"]
    columns = EXAMPLE + prior["codebooks"].shape[2]
    if examples.dim() != 2 or not len(examples) or examples.shape[1] != columns:
        raise ValueError(f"examples cannot have shape {tuple(examples.shape)}")
    if scales.shape != (len(DESCRIPTORS), QUANTILES):
        raise ValueError(f"scales cannot have shape {tuple(scales.shape)}")
    if len(prior["label.weight"]) != labels:
        raise ValueError(f"{len(prior['label.weight'])} labels are learnt, {labels} are named")
    if examples.is_meta:
        return
    length, label, ranks = examples[:, 0], examples[:, 1], examples[:, 2:EXAMPLE]
    if not bool(((length >= 1) & (length <= LONGEST_NATURAL)).all()):
        raise ValueError(f"an example's length is not in 1 to {LONGEST_NATURAL}")
    if not bool(((label >= UNKNOWN) & (label < max(labels, UNKNOWN + 1))).all()):
        raise ValueError("an example's label is none of the named")
    if not bool(((ranks >= 0) & (ranks <= 1)).all()):
        raise ValueError("an example's rank is not in 0 to 1")


def _check_texture(texture: Mapping[str, Tensor], config: BuildConfig) -> None:
    """Raises ValueError unless the tensors that it takes its shapes from fit."""
    bands = config.mel.mel_bands
    shapes = {"mean": (bands,), "spread": (), "scale": (bands,), "kernel": (2 * LAGS + 1,)}
    for name, shape in shapes.items():
        if texture[name].shape != shape:
            raise ValueError(f"{name} has shape {tuple(texture[name].shape)}, not {shape}")
