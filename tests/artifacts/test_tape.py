import gc
import os
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from artifacts.tape import FileTape
from core.finishing import ShortTape, Sound, Tape


def wave(samples: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("kind", ["file", "short"])
def test_what_was_written_is_read_in_any_parts(kind: str, tmp_path: Path) -> None:
    tape: Tape = FileTape(tmp_path) if kind == "file" else ShortTape()
    kept = tape.read(0, 0)
    whole = wave(1000)
    for piece in np.split(whole, [0, 1, 600]):
        tape.write(piece)
        kept = tape.read(0, len(tape))
        np.testing.assert_array_equal(kept, whole[: len(tape)])
    assert len(tape) == len(kept) == 1000
    for start, stop in [(0, 1000), (999, 1000), (500, 700), (7, 7)]:
        np.testing.assert_array_equal(tape.read(start, stop), whole[start:stop])


def test_tape_leaves_nothing_behind(tmp_path: Path) -> None:
    tape = FileTape(tmp_path)
    tape.write(wave(10))
    assert list(tmp_path.iterdir()) == []  # nor would a kill
    file = tape.file
    del tape
    gc.collect()
    assert file.closed
    assert list(tmp_path.iterdir()) == []


def test_an_emptied_tape_begins_anew(tmp_path: Path) -> None:
    tape = FileTape(tmp_path)
    tape.write(wave(10))
    assert tape.emptied() is tape
    assert len(tape) == 0
    tape.write(2 * wave(3))
    np.testing.assert_array_equal(tape.read(0, 3), 2 * wave(3))
    assert os.fstat(tape.file.fileno()).st_size == 12


def test_a_full_disk_is_told_when_it_is_full(tmp_path: Path) -> None:
    tape = FileTape(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            tape.write(wave(1001))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def peak_bytes(seconds: int, folder: Path) -> int:
    """Of a sound's way from its pieces to its blocks."""
    piece = 3 * wave(44_100)  # to be turned down
    tracemalloc.start()
    sound = Sound((piece for _ in range(seconds)), 44_100, 48_000, None, FileTape(folder))
    for _ in sound.blocks():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sound) == 48_000 * seconds
    return peak


def test_a_long_sound_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    peak_bytes(1, tmp_path)  # what is loaded on the way
    assert peak_bytes(80, tmp_path) < 1.05 * peak_bytes(20, tmp_path)
