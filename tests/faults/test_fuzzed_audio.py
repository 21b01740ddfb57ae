"""Fuzzed sound files through the decoder that ingest uses, libsndfile's C code included."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from audio_check import start
from broken_sounds import tone
from fault_table import Tally, count
from fuzzed_audio import fuzzed, whole_sounds
from fuzzing import Case, Watched, bear


def cases(most: int) -> Iterator[Case]:
    sounds = whole_sounds()
    for seed in range(most):
        damage, suffix, content = fuzzed(sounds, seed)
        yield Case(seed, f"{damage} {suffix}", f".{suffix}", content)


@pytest.mark.slow
def test_fuzzed_audio(tmp_path: Path, tally: Tally) -> None:
    """Fuzzed WAV, FLAC, OGG, MP3 and AIFF files."""
    soundfile.write(tmp_path / "whole.wav", tone(0.3, 48_000, 200), 48_000)
    with Watched(start, tmp_path) as watched:
        bear(tally, watched, cases(count(200, 5000)))
    assert tally.borne == count(200, 5000)
