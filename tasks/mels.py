"""Mels: the sound set's log mels in one Parquet table."""

from collections.abc import Iterator

import numpy as np

from artifacts.mel_table import write_mels
from artifacts.refs import Ref
from artifacts.sound_set import SoundSet
from core.config import MelConfig
from core.mel import log_mel_in_chunks
from tasks.progress import bar
from tasks.step import Run, step


@step("mels", version=1)
def analyse_mels(run: Run, sounds: Ref, mel: MelConfig) -> Ref:
    """Log mels of every sound, one row a sound, always on the CPU."""
    store = run.store
    sound_set = SoundSet.load(store, sounds)
    with bar("mels", len(sound_set.sounds)) as progress, store.new_file() as path:

        def rows() -> Iterator[tuple[str, np.ndarray]]:
            for index, sound in enumerate(sound_set.sounds):
                yield sound.digest, log_mel_in_chunks(sound_set.wave(store, index), mel)
                progress.update(index + 1, "sounds")

        write_mels(path, mel, rows())
        return Ref("mels", store.put_file(path))
