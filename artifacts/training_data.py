"""What trainings read: the parts of the set's sounds, as mels and as waves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from artifacts.mel_table import MelTable
from artifacts.refs import Ref
from artifacts.sound_set import SoundSet
from artifacts.store import Store
from core.split import KNOWN_DIGITS, Heard, Part, Split, divide


@dataclass(frozen=True)
class TrainingData:
    """A sound set, its mels, and which parts of them are for what.

    Mels are read when asked for; keep what is needed more than once.
    """

    store: Store
    sounds: SoundSet
    split: Split
    table: MelTable
    train: list[Part]
    held_out: list[Part]

    @classmethod
    def open(cls, store: Store, sounds: Ref, mels: Ref, split: Split) -> "TrainingData":
        sound_set = SoundSet.load(store, sounds)
        table = MelTable(store.path(mels.digest))
        assert table.sounds == [sound.digest for sound in sound_set.sounds]
        train, held_out = divide(table.sounds, table.frames, split)
        return cls(store, sound_set, split, table, train, held_out)

    def digests(self, parts: Sequence[Part]) -> list[str]:
        """Of the sounds that the parts are of."""
        return [self.table.sounds[part.sound] for part in parts]

    @property
    def heard(self) -> Heard:
        """What the sounds are to a model that is trained on this."""
        trained, held_out = (
            {digest[:KNOWN_DIGITS] for digest in self.digests(parts)}
            for parts in (self.train, self.held_out)
        )
        return Heard(frozenset(trained), frozenset(held_out - trained), self.split.tail_fraction)

    @property
    def whole(self) -> list[Part]:
        """Every sound from beginning to end."""
        return [Part(sound, 0, frames) for sound, frames in enumerate(self.table.frames)]

    @property
    def seconds_of_train(self) -> float:
        """Of sound in the training parts."""
        mel = self.table.mel
        return sum(part.frames for part in self.train) * mel.hop_samples / mel.sample_rate

    def log_mel(self, part: Part) -> Tensor:
        """(F, M) of one part."""
        return torch.from_numpy(self.table.log_mel(part.sound)[part.first : part.last].copy())

    def wave(self, part: Part) -> np.ndarray:
        """(F * hop,) of one part, the set's gain applied."""
        hop = self.table.mel.hop_samples
        return self.sounds.wave(self.store, part.sound, part.first * hop, part.last * hop)
