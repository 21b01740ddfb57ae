import io

import numpy as np
import pytest
import soundfile

from artifacts.report_audio import playable


def flac(samples: int) -> tuple[np.ndarray, bytes]:
    wave = np.random.default_rng(0).integers(-(2**15), 2**15, samples, np.int16)
    out = io.BytesIO()
    soundfile.write(out, wave, 44_100, format="FLAC", subtype="PCM_16")
    return wave, out.getvalue()


def test_long_clip_stays_as_it_is() -> None:
    _, stored = flac(4097)
    assert playable(stored) == stored


@pytest.mark.parametrize("samples", [1, 512, 4096])
def test_clip_of_one_block_becomes_a_wav_of_the_same_samples(samples: int) -> None:
    wave, stored = flac(samples)
    made = playable(stored)
    assert made.startswith(b"RIFF")
    read, rate = soundfile.read(io.BytesIO(made), dtype="int16")
    np.testing.assert_array_equal(read, wave)
    assert rate == 44_100
    assert playable(stored) == made
