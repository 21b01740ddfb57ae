"""Mels of other programs: what is read, what is led to the contract, what is refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.foreign_mel import read_foreign_mel
from core.config import MelConfig
from core.errors import AudioError
from core.legacy_mel import LegacyMelConfig, from_legacy_mel

MEL = MelConfig()
QUIET = np.full((128, 10), -5.0, np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mel.npy"


@pytest.mark.parametrize("shape", [(128, 10), (1, 128, 10), (1, 1, 128, 10)])
@pytest.mark.parametrize("number", [np.float16, np.float32, np.float64])
def test_a_mel_of_the_contract_is_read_as_it_is(path: Path, shape: tuple, number: type) -> None:
    rising = QUIET + np.arange(128, dtype=np.float32)[:, None] / 128  # exact in float16
    np.save(path, rising.reshape(shape).astype(number))
    found = read_foreign_mel(path, "slaney_logclamp", MEL)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found, rising.astype(np.float16).T)


def test_a_legacy_mel_is_led_to_the_contract(path: Path) -> None:
    legacy = np.random.default_rng(0).uniform(0, 3, (128, 40)).astype(np.float32)
    np.save(path, legacy)
    expected = from_legacy_mel(torch.from_numpy(legacy.T), LegacyMelConfig(), MEL)
    assert torch.equal(read_foreign_mel(path, "htk_log1p", MEL), expected)


def test_the_longest_mel_is_ten_minutes_at_its_own_rate(path: Path) -> None:
    # 600 s: 51,680 frames of 512 at 44.1 kHz, 56,250 at 48 kHz.
    for mel_type, most in (("slaney_logclamp", 51_680), ("htk_log1p", 56_250)):
        np.save(path, np.zeros((128, most + 1), np.float16))
        with pytest.raises(AudioError, match=f"128 bands by 1 to {most} frames"):
            read_foreign_mel(path, mel_type, MEL)
    np.save(path, np.zeros((128, 51_680), np.float16))
    assert len(read_foreign_mel(path, "slaney_logclamp", MEL)) == 51_680


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (QUIET.T, r"has shape \(10, 128\); a mel has 128 bands"),
        (QUIET[:80], r"has shape \(80, 10\)"),
        (QUIET[:, :0], r"has shape \(128, 0\)"),
        (np.stack([QUIET, QUIET]), r"has shape \(2, 128, 10\)"),
        (np.float32(1.0), r"has shape \(\)"),
        (QUIET.astype(int), "holds int64; write the mel as floats"),
        (np.where(QUIET < 0, np.nan, QUIET), "holds NaN or infinity"),
        (QUIET + np.inf, "holds NaN or infinity"),
        (QUIET + 25.5, "holds 20.5, which no slaney_logclamp mel does"),
    ],
)
def test_what_is_no_mel_is_refused(path: Path, array: np.ndarray, told: str) -> None:
    np.save(path, array)
    with pytest.raises(AudioError, match=rf"mel.npy {told}"):
        read_foreign_mel(path, "slaney_logclamp", MEL)


def test_what_is_no_array_is_refused_and_never_unpickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for content in (path.read_bytes(), b"", b"noise", pickle.dumps(Path("/"))):
        path.write_bytes(content)
        with pytest.raises(AudioError, match=r"mel.npy cannot be read as a NumPy array"):
            read_foreign_mel(path, "slaney_logclamp", MEL)
    path.unlink()
    with pytest.raises(AudioError, match=r"No such file"):
        read_foreign_mel(path, "slaney_logclamp", MEL)


def test_several_arrays_in_a_file_are_refused(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=QUIET)
    path.with_suffix(".npz").rename(path)
    with pytest.raises(AudioError, match="holds several arrays"):
        read_foreign_mel(path, "slaney_logclamp", MEL)


def test_a_cut_off_file_is_refused(path: Path) -> None:
    np.save(path, QUIET)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AudioError, match="cannot be read as a NumPy array"):
        read_foreign_mel(path, "slaney_logclamp", MEL)
