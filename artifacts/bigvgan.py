"""BigVGAN's pinned files as a vocoder: loaded when first asked for, kept, freed on request."""

import json
from pathlib import Path

import torch

from artifacts.pinned import HubModel, hand_placed
from artifacts.resumable import Progress
from artifacts.torch_checkpoint import generator_weights
from core.bigvgan_config import BigvganConfig, bigvgan_config, check_mel
from core.bigvgan_player import Bigvgan, bigvgan_from_checkpoint
from core.config import MelConfig
from core.memory import give_back_memory


class KeptBigvgan:
    """One BigVGAN at most, from one request to the next.

    Args:
        model: the pinned files, config.json and bigvgan_generator.pt.
    """

    def __init__(self, model: HubModel):
        self.model = model
        self._kept: tuple[MelConfig, torch.device, Bigvgan] | None = None

    def vocoder(
        self, folder: Path | None, mel: MelConfig, device: torch.device, progress: Progress
    ) -> Bigvgan:
        """The vocoder for these mels on this device.

        Args:
            folder: holds the files, placed by hand; None takes them from the hub or its cache.
            progress: told of every piece that is fetched.
        Raises:
            HubError: the files cannot be had, or are not the pinned ones.
            VocoderError: the weights do not fit their config, or the config's mels are not `mel`.
        """
        if self._kept is None or self._kept[:2] != (mel, device):
            self.free()  # before there are two
            self._kept = mel, device, self._loaded(self._files(folder, progress), mel, device)
        return self._kept[2]

    def free(self) -> None:
        """Let go of the weights: 489 MB in float32, more than half of that in short numbers."""
        if self._kept is not None:
            self._kept = None
            give_back_memory()

    def identity(self) -> dict[str, str]:
        """Which weights play and in which numbers, for who wants the same sound again."""
        assert self._kept is not None, "nothing has been loaded"
        (weights,) = [file for file in self.model.files if file.large]
        return {
            "repo": self.model.repo,
            "revision": self.model.revision,
            "sha256": weights.sha256,
            "numbers": str(self._kept[2].numbers).removeprefix("torch."),
        }

    def _files(self, folder: Path | None, progress: Progress) -> Path:
        if folder is not None:
            return hand_placed(folder, self.model)
        # The hub's client takes a second to load: only where it is used.
        from artifacts.hub import fetched

        return fetched(self.model, progress)

    def _loaded(self, folder: Path, mel: MelConfig, device: torch.device) -> Bigvgan:
        config = bigvgan_config(json.loads((folder / "config.json").read_bytes()))
        weights = generator_weights(folder / "bigvgan_generator.pt")
        return bigvgan_from_checkpoint(config, weights, mel, device)


def check_playable(mel: MelConfig) -> None:
    """Raises VocoderError where a model's mels are not those that BigVGAN was trained on."""
    check_mel(BigvganConfig(), mel)
