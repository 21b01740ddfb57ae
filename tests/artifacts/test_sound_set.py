from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from artifacts.sound_set import SoundSet, gathered
from artifacts.store import Store
from core.config import IngestConfig

INGEST = IngestConfig(sample_rate=1000, peak=0.95)


def sound_set(decoded: Sequence[tuple[str, int, float]]) -> SoundSet:
    return gathered(list(decoded), INGEST)


def many(count: int) -> list[tuple[str, int, float]]:
    return [(f"digest {number:03d}", 100, 0.5) for number in range(count)]


def test_duplicates_are_one_sound() -> None:
    found = sound_set([("b", 500, 0.5), ("a", 250, 0.25), ("b", 500, 0.5), ("b", 500, 0.5)])
    assert [one.digest for one in found.sounds] == ["a", "b"]
    assert found.seconds == 0.75  # of distinct sound


def test_the_order_of_the_files_does_not_matter() -> None:
    decoded = [*many(20), ("digest 003", 100, 0.5)]
    assert sound_set(decoded) == sound_set(decoded[::-1])


def test_one_gain_brings_the_loudest_sound_to_the_peak(tmp_path: Path) -> None:
    store = Store(tmp_path)
    waves = [np.array(samples, "<f4") for samples in ([0.1, -0.2], [1.9, 0.0, -0.4])]
    quiet, loud = (store.put_bytes(wave.tobytes()) for wave in waves)
    found = sound_set([(quiet, 2, 0.2), (loud, 3, 1.9)])
    assert found.gain == pytest.approx(0.5)
    by_digest = {one.digest: found.wave(store, n) for n, one in enumerate(found.sounds)}
    np.testing.assert_allclose(by_digest[loud], [0.95, 0.0, -0.2], rtol=1e-6)
    np.testing.assert_allclose(by_digest[quiet], [0.05, -0.1], rtol=1e-6)
    assert by_digest[loud].dtype == np.float32


def test_a_set_is_stored_with_its_samples_as_parts(tmp_path: Path) -> None:
    store, found = Store(tmp_path), sound_set([*many(15), ("digest 001", 100, 0.5)])
    ref = found.store(store)
    assert ref.kind == "sounds"
    assert sorted(ref.parts.values()) == [one.digest for one in found.sounds]
    assert SoundSet.load(store, ref) == found
