"""Copies of held-out sounds: measured one by one, summed up by vocoder and kind of mel.

A copy is measured twice: as the vocoder gives it, and as it is delivered, resampled and
levelled like every new sound. What happens after the vocoder is so judged too.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.alignment import bands_off, misfits, wave_mel
from core.comparison import Distance, distance, mean_distance
from core.config import MelConfig, VocoderName
from core.fidelity import MOST_BUZZ, Fidelity, fidelity, flat_tops, mean_fidelity
from core.finishing import ShortTape, Sound

MelKind = Literal["mel", "model"]  # the true mel, or what the model makes of it
MEL_KINDS: tuple[MelKind, ...] = ("mel", "model")
DELIVERED_HZ = 48_000


@dataclass(frozen=True)
class Copy:
    """One copy beside its original."""

    distance: Distance
    fidelity: Fidelity
    misfits: Tensor  # see core.alignment
    samples_off: int  # of the delivered sound: its length less what it should be


@dataclass(frozen=True)
class Copies:
    """All copies that one vocoder made from one kind of mel."""

    distance: Distance
    fidelity: Fidelity
    bands_off: int  # how much too high they are
    samples_off: int  # of the one whose length is furthest off

    @classmethod
    def of(cls, found: Sequence[Copy]) -> "Copies":
        return cls(
            mean_distance([one.distance for one in found]),
            mean_fidelity([one.fidelity for one in found]),
            bands_off([one.misfits for one in found]),
            max((one.samples_off for one in found), key=abs),
        )

    def figures(self) -> dict[str, float]:
        """Every figure by its name."""
        return {
            **dataclasses.asdict(self.distance),
            **dataclasses.asdict(self.fidelity),
            "bands_off": self.bands_off,
            "samples_off": self.samples_off,
        }


def winner(from_model: Mapping[VocoderName, Copies]) -> VocoderName:
    """The vocoder with the least MR-STFT from the model's own mels, of those that do not buzz.

    MR-STFT decides because all of them are fitted to the mel when they play, so that L1 tells
    least. But MR-STFT flatters a buzz, which is as even as the middle of all hisses.
    """
    pure = [name for name, one in from_model.items() if one.fidelity.buzz <= MOST_BUZZ]
    return min(pure or from_model, key=lambda name: (from_model[name].distance.mr_stft, name))


def measured(copy: Tensor, original: Tensor, mel: MelConfig) -> Copy:
    """Both (T,) float32 at the mel's rate."""
    sound = Sound([copy.numpy()], mel.sample_rate, DELIVERED_HZ, None, ShortTape())
    delivered = torch.from_numpy(sound.whole())
    right = (2 * len(original) * DELIVERED_HZ + mel.sample_rate) // (2 * mel.sample_rate)
    # A vocoder of a wrong length is told so by its delivered sound; the rest needs pairs.
    as_long = torch.nn.functional.pad(copy[: len(original)], (0, max(0, len(original) - len(copy))))
    alike = fidelity(as_long, original, mel)
    flat = max(alike.flat_tops, flat_tops(delivered))
    return Copy(
        distance(as_long, original, mel),
        dataclasses.replace(alike, flat_tops=flat),
        misfits(wave_mel(delivered, _at_delivery(mel)), wave_mel(original, mel)),
        len(delivered) - right,
    )


def _at_delivery(mel: MelConfig) -> MelConfig:
    """The same bands and windows at the delivered rate: no second resampling is trusted."""
    more = DELIVERED_HZ / mel.sample_rate
    return dataclasses.replace(
        mel,
        sample_rate=DELIVERED_HZ,
        fft_samples=round(mel.fft_samples * more),
        hop_samples=round(mel.hop_samples * more),
    )
