"""Vocode: mels that another program made, as sound, by a model's vocoder."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from artifacts.audio_export import Container, placed
from artifacts.foreign_mel import read_foreign_mel
from artifacts.library import Library
from artifacts.model import Model
from artifacts.out_folder import ready_folder
from artifacts.tape import FileTape
from core.continuous import wave_pieces
from core.device import resolve_device
from core.finishing import Sound
from core.generation import Instrument
from core.memory import give_back_memory
from tasks.choose_vocoder import chosen_instrument
from tasks.generate import check_rate
from tasks.progress import bar


@dataclasses.dataclass(frozen=True)
class Vocoding:
    """How mels shall become sound."""

    mel_type: str
    vocoder: str = "auto"
    bigvgan_dir: str | None = None
    sample_rate: int = 48_000
    container: Container = "wav"

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)


def vocoded(
    name: str, files: list[str], wish: Vocoding, out: str | None, device: str, store: str | None
) -> dict[str, Any]:
    """Find the model, write a sound for each mel, and say what was made.

    All mels are read before the first sound is written, so a wrong one stops nothing halfway.

    Raises:
        AudioError: a file is no such mel.
        ConfigError, VocoderError: the vocoder cannot be had.
    """
    began = time.monotonic()
    model = Model(Library.at(store).find(name))
    for file in files:
        read_foreign_mel(Path(file), wish.mel_type, model.config.mel)
    instrument = chosen_instrument(model, wish.vocoder, wish.bigvgan_dir, resolve_device(device))
    folder = ready_folder(Path(out) if out else Path.cwd() / f"{model.name}-sounds")
    sounds = []
    with bar("vocode", len(files)) as progress:
        for file in files:
            sounds.append(_written(instrument, Path(file), wish, folder))
            progress.update(len(sounds), "sounds")
    give_back_memory()
    return {"sounds": sounds, "seconds": time.monotonic() - began}


@torch.no_grad()
def _written(instrument: Instrument, file: Path, wish: Vocoding, folder: Path) -> dict[str, Any]:
    """One sound; a file of other content that has its name is left alone."""
    mel = instrument.mel
    pieces = wave_pieces(instrument.vocoder, read_foreign_mel(file, wish.mel_type, mel), mel)
    sound = Sound(pieces, mel.sample_rate, wish.sample_rate, None, FileTape(folder))
    path = folder / f"{file.stem}.{wish.container}"
    path, sha256 = placed(path, sound.blocks(), wish.sample_rate, wish.container)
    return {
        "path": str(path),
        "seconds": len(sound) / wish.sample_rate,
        "sample_rate": wish.sample_rate,
        "vocoder": instrument.vocoder.name,
        "sha256": sha256,
    }
