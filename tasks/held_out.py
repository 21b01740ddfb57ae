"""The held-out A/B: every vocoder on sounds it never trained on, measured and kept to listen to."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from artifacts.audio_export import write_audio
from artifacts.spectrogram import spectrogram_png
from artifacts.store import Store
from artifacts.training_data import TrainingData
from core.alignment import MARGIN_FRAMES, mel_error, wave_mel
from core.audio import Wave, equally_loud, rms_dbfs
from core.config import BuildConfig, MelConfig, VocoderName
from core.copies import MEL_KINDS, Copies, Copy, MelKind, measured
from core.errors import VocoderError
from core.finishing import falling
from core.rvqvae import RvqVae
from core.split import Part
from core.vocoder import Vocoder
from core.vocoder_data import spread
from tasks.progress import bar

SPECTROGRAM_PIXELS = (420, 160)
AUDIBLE_DBFS = -60.0  # relative figures of what is softer say nothing, and outweigh all others


@dataclass
class Clips:
    """Sounds to listen to, each with its picture: parts (name -> digest), and what they are."""

    store: Store
    mel: MelConfig
    parts: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        sound: str,
        kind: str,
        vocoder: str,
        wave: Wave,
        playable: Wave,
        figures: Mapping[str, float],
    ) -> dict[str, Any]:
        """Keep one clip; returns what the report needs to show it.

        Args:
            wave: (T,) as it was made, for the picture.
            playable: (T,) as it is to be heard.
        """
        name = f"clip-{len(self.parts) // 2:03d}"
        picture = wave_mel(torch.from_numpy(wave), self.mel).numpy()
        png = spectrogram_png(picture, *SPECTROGRAM_PIXELS)
        self.parts[f"{name}.png"] = self.store.put_bytes(png)
        with self.store.new_file(".flac") as path:
            write_audio(path, playable, self.mel.sample_rate, "flac", 16)
            self.parts[f"{name}.flac"] = self.store.put_file(path)
        return {
            "name": name,
            "sound": sound,
            "kind": kind,
            "vocoder": vocoder,
            "figures": dict(figures),
        }


def compare(
    data: TrainingData,
    codec: RvqVae,
    players: Mapping[VocoderName, Vocoder],
    config: BuildConfig,
    clips: Clips,
) -> tuple[dict[VocoderName, dict[MelKind, Copies]], list[dict[str, Any]]]:
    """Every vocoder on held-out sounds, from the true mel and from the model's.

    Returns:
        the figures by vocoder and kind of mel, and the clips of the report's sounds.
    Raises:
        VocoderError: one plays NaN or infinity.
    """
    chosen = spread(audible(data, config), config.validate.most_sounds)
    found: dict[VocoderName, dict[MelKind, list[Copy]]] = {
        name: {kind: [] for kind in MEL_KINDS} for name in players
    }
    shown: list[dict[str, Any]] = []
    with bar("validate", len(chosen)) as progress:
        for number, part in enumerate(chosen):
            real = torch.from_numpy(data.wave(part))
            waves: dict[tuple[MelKind, VocoderName], torch.Tensor] = {}
            mels = _mels(data, part, codec)
            for name, player in players.items():
                for kind, mel in mels.items():
                    waves[kind, name] = _played(name, player, mel)
                    found[name][kind].append(measured(waves[kind, name], real, config.mel))
            if number < config.validate.report_sounds:
                last = {key: found[key[1]][key[0]][-1] for key in waves}
                digest = data.sounds.sounds[part.sound].digest
                shown += _listenable(clips, digest, real, waves, last)
            progress.update(number + 1, "held-out sounds")
    table = {
        name: {kind: Copies.of(copies) for kind, copies in kinds.items()}
        for name, kinds in found.items()
    }
    return table, shown


def audible(data: TrainingData, config: BuildConfig) -> list[Part]:
    """What is looked at of each held-out sound or tail, where it is not all but silent.

    If all of it is, nothing is left out.
    """
    beginnings = [
        dataclasses.replace(whole, last=min(whole.last, whole.first + _most(config)))
        for whole in data.held_out
    ]
    heard = [part for part in beginnings if rms_dbfs(data.wave(part)) > AUDIBLE_DBFS]
    return heard or beginnings


def mels_error(data: TrainingData, config: BuildConfig) -> float:
    """Mean error in nats of the stored mels of some sounds, beside a new analysis of each."""
    errors = []
    for whole in spread(data.whole, config.validate.most_sounds):
        part = dataclasses.replace(whole, last=min(whole.last, _most(config)))
        enough = (part.last + MARGIN_FRAMES) * config.mel.hop_samples
        wave = data.sounds.wave(data.store, part.sound, 0, enough)
        errors.append(mel_error(data.log_mel(part), torch.from_numpy(wave), config.mel))
    return sum(errors) / len(errors)


def _most(config: BuildConfig) -> int:
    """Frames that are looked at of a sound."""
    return round(config.validate.most_seconds * config.mel.sample_rate / config.mel.hop_samples)


def _played(name: VocoderName, player: Vocoder, log_mel: torch.Tensor) -> torch.Tensor:
    """(T,) float32, all finite: of anything else nothing can be measured."""
    wave = player.wave(log_mel)
    if not bool(wave.isfinite().all()):
        raise VocoderError(
            f"{name} plays NaN or infinity from a held-out sound; build with another --seed, "
            f"or without it (--set {name}.train=false)"
        )
    return wave


def _mels(data: TrainingData, part: Part, codec: RvqVae) -> dict[MelKind, torch.Tensor]:
    true_mel = data.log_mel(part)
    model_mel = codec.reconstruct(true_mel[None].to(codec.codebooks.device))[0].cpu()
    return {"mel": true_mel, "model": model_mel}


def _listenable(
    clips: Clips,
    sound: str,
    real: torch.Tensor,
    waves: Mapping[tuple[MelKind, VocoderName], torch.Tensor],
    copies: Mapping[tuple[MelKind, VocoderName], Copy],
) -> list[dict[str, Any]]:
    """The original and its copies, equally loud: a louder one would be liked better."""
    every: list[Wave] = [one.numpy().astype(np.float32) for one in (real, *waves.values())]
    playable = equally_loud(every)
    for one in playable:
        fade = falling(len(one), clips.mel.sample_rate)
        one[len(one) - len(fade) :] *= fade
    shown = [clips.add(sound, "original", "", every[0], playable[0], {})]
    for (kind, name), wave, heard in zip(waves, every[1:], playable[1:], strict=True):
        figures = Copies.of([copies[kind, name]]).figures()
        shown.append(clips.add(sound, kind, name, wave, heard, figures))
    return shown
