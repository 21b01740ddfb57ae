from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.mel_table import write_mels
from artifacts.refs import Ref
from artifacts.sound_set import SoundSet, gathered
from artifacts.store import Store
from artifacts.training_data import TrainingData
from core.config import IngestConfig, MelConfig, SplitConfig
from core.errors import StoreError
from core.split import split_sounds

HOP = 512
PEAK_1 = IngestConfig(peak=1.0)


def stored(store: Store, frames: list[int], spare: int = 0) -> tuple[Ref, Ref]:
    """Sounds whose frame f holds f in all bands, and so do its samples; the set and the mels."""
    decoded, mels = [], {}
    for number, count in enumerate(frames):
        samples = np.append(np.repeat(np.arange(count), HOP), np.full(spare + number, count))
        digest = store.put_bytes(samples.astype("<f4").tobytes())
        decoded.append((digest, len(samples), 1.0))
        mels[digest] = np.repeat(np.arange(count, dtype=np.float32)[:, None], 128, axis=1)
    sounds = gathered(decoded, PEAK_1)
    with store.new_file() as path:
        write_mels(path, MelConfig(), ((one.digest, mels[one.digest]) for one in sounds.sounds))
        return sounds.store(store), Ref("mels", store.put_file(path))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def opened(store: Store, sounds: Ref, mels: Ref) -> TrainingData:
    found = SoundSet.load(store, sounds)
    split = split_sounds([one.digest for one in found.sounds], SplitConfig())
    return TrainingData.open(store, sounds, mels, split)


def test_every_part_of_a_wave_lies_under_its_part_of_the_mel(store: Store) -> None:
    data = opened(store, *stored(store, [40, 60, 7], spare=300))
    for part in [*data.train, *data.held_out, *data.whole]:
        wave, mel = data.wave(part), data.log_mel(part)
        assert len(mel) == part.frames
        np.testing.assert_array_equal(wave.reshape(part.frames, HOP)[:, 0], mel[:, 0])


def test_tails_and_what_comes_before_make_up_the_whole(store: Store) -> None:
    data = opened(store, *stored(store, [40, 60, 7]))
    for whole in data.whole:
        parts = [part for part in [*data.train, *data.held_out] if part.sound == whole.sound]
        pieces = torch.cat([data.log_mel(part) for part in parts])
        assert torch.equal(pieces, data.log_mel(whole))
    assert sorted(part.frames for part in data.held_out) == [6, 8]  # 15 %, from an even frame


def test_held_out_files_are_not_trained_on(store: Store) -> None:
    data = opened(store, *stored(store, list(range(20, 40))))
    trained = {part.sound for part in data.train}
    judged = {part.sound for part in data.held_out}
    assert (len(trained), len(judged)) == (18, 2)
    assert trained.isdisjoint(judged)
    assert judged == {
        n for n, one in enumerate(data.sounds.sounds) if one.digest in data.split.held_out
    }


def test_a_read_mel_may_be_changed(store: Store) -> None:
    data = opened(store, *stored(store, [40]))
    data.log_mel(data.whole[0]).add_(1)
    assert data.log_mel(data.whole[0])[0, 0] == 0


def test_a_missing_mel_table_is_an_error_with_what_to_do(store: Store) -> None:
    sounds, mels = stored(store, [40])
    store.path(mels.digest).unlink()
    with pytest.raises(StoreError, match="run the build again"):
        opened(store, sounds, mels)


def test_a_missing_sound_is_an_error_with_what_to_do(store: Store) -> None:
    sounds, mels = stored(store, [40])
    data = opened(store, sounds, mels)
    store.path(SoundSet.load(store, sounds).sounds[0].digest).unlink()
    with pytest.raises(StoreError, match="run the same build again"):
        data.wave(data.whole[0])
