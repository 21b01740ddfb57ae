"""The set of usable sounds that a build is made from, as ingest leaves it.

A set knows sounds by the digests of their samples only: names and folders may
change without changing it. Its one gain keeps the sounds' loudness relative.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from artifacts.refs import Ref
from artifacts.store import Store
from core.config import IngestConfig
from core.errors import StoreError


@dataclass(frozen=True)
class Sound:
    digest: str  # sha256 of its float32 samples, and the blob that holds them
    samples: int
    peak: float  # before the gain


@dataclass(frozen=True)
class SoundSet:
    sample_rate: int
    gain: float  # one for the whole set
    sounds: tuple[Sound, ...]

    @property
    def seconds(self) -> float:
        """Of distinct sound."""
        return sum(sound.samples for sound in self.sounds) / self.sample_rate

    def wave(self, store: Store, index: int, first: int = 0, last: int | None = None) -> np.ndarray:
        """Samples [first, last) of one sound as float32, gain applied; only they are read.

        Raises:
            StoreError: its samples are missing from the store, or cut short.
        """
        sound = self.sounds[index]
        path = store.path(sound.digest)
        try:
            raw = np.memmap(path, np.dtype("<f4"), "r", shape=(sound.samples,))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"sound {sound.digest[:12]} is missing from the store ({error}); "
                "run the same build again, it makes it anew"
            ) from error
        scaled: np.ndarray = raw[first:last] * np.float32(self.gain)
        return scaled

    def store(self, store: Store) -> Ref:
        """Write the list; the sounds' samples are its parts."""
        ref = store.put_json("sounds", dataclasses.asdict(self))
        return Ref(ref.kind, ref.digest, {sound.digest: sound.digest for sound in self.sounds})

    @classmethod
    def load(cls, store: Store, ref: Ref) -> "SoundSet":
        data = store.read_json(ref.digest)
        assert isinstance(data, dict)
        sounds = tuple(Sound(**sound) for sound in data.pop("sounds"))
        return cls(sounds=sounds, **data)


def gathered(decoded: list[tuple[str, int, float]], ingest: IngestConfig) -> SoundSet:
    """The set of (digest, samples, peak) of usable files: duplicates joined, one gain."""
    distinct = {digest: (samples, peak) for digest, samples, peak in decoded}
    return SoundSet(
        sample_rate=ingest.sample_rate,
        gain=ingest.peak / max(peak for _, _, peak in decoded),
        sounds=tuple(Sound(digest, *distinct[digest]) for digest in sorted(distinct)),
    )
