"""Mels of other programs as sound, by a small model's Griffin-Lim."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from artifacts.model import Model
from artifacts.store import sha256_of
from artifacts.tape import FileTape
from core.audio import resample
from core.config import MelConfig
from core.errors import AudioError, ConfigError
from core.legacy_mel import LegacyMelConfig, legacy_mel
from core.mel import log_mel
from tasks import vocode
from tasks.vocode import Vocoding, vocoded

BELLS_HZ = 1000.0


def bell(rate: int) -> np.ndarray:
    """A second of 1000 Hz that dies away."""
    times = np.arange(rate) / rate
    return (0.5 * np.exp(-3 * times) * np.sin(2 * np.pi * BELLS_HZ * times)).astype(np.float32)


@pytest.fixture
def mels(tmp_path: Path) -> dict[str, str]:
    """The same second as both kinds of mel."""
    legacy = legacy_mel(torch.from_numpy(bell(48_000))[None], LegacyMelConfig())
    contract = log_mel(torch.from_numpy(bell(44_100))[None], MelConfig())
    paths = {"htk_log1p": tmp_path / "old.npy", "slaney_logclamp": tmp_path / "new.npy"}
    np.save(paths["htk_log1p"], legacy.numpy())
    np.save(paths["slaney_logclamp"], contract.numpy())
    return {kind: str(path) for kind, path in paths.items()}


def played(model: Model, mel: str, out: Path, **wish: object) -> dict:
    wished = Vocoding(**{"vocoder": "griffinlim", **wish})
    return vocoded(str(model.path), [mel], wished, str(out), "cpu", None)["sounds"][0]


def pitch(wave: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * rate / len(wave))


def test_a_sound_waits_on_a_tape_beside_its_file(
    model: Model, mels: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def noted(folder: Path) -> FileTape:
        folders.append(folder)
        return FileTape(folder)

    monkeypatch.setattr(vocode, "FileTape", noted)
    kind = "slaney_logclamp"
    played(model, mels[kind], tmp_path / "out", mel_type=kind)
    assert folders == [tmp_path / "out"]


@pytest.mark.parametrize("kind", ["htk_log1p", "slaney_logclamp"])
def test_both_kinds_of_mel_give_the_sound_back(
    model: Model, mels: dict[str, str], kind: str, tmp_path: Path
) -> None:
    sound = played(model, mels[kind], tmp_path / "out", mel_type=kind, sample_rate=44_100)
    wave, rate = soundfile.read(sound["path"], dtype="float32")
    assert rate == sound["sample_rate"] == 44_100
    # A 48 kHz mel taken for one of 44.1 kHz would last 8.8 % longer and be as much lower.
    assert len(wave) / rate == pytest.approx(1.0, abs=0.03)
    assert sound["seconds"] == len(wave) / rate
    assert pitch(wave, rate) == pytest.approx(BELLS_HZ, rel=0.03)
    first, second = wave[: rate // 4], wave[rate // 2 : 3 * rate // 4]
    falls_db = 20 * np.log10(first.std() / second.std())
    assert falls_db == pytest.approx(20 * np.log10(np.exp(1.5)), abs=1.5)  # e^-3t over half a s
    assert sound["vocoder"] == "griffinlim"
    assert sound["sha256"] == sha256_of(Path(sound["path"]))


def test_a_sound_at_another_rate_is_the_same_sound(
    model: Model, mels: dict[str, str], tmp_path: Path
) -> None:
    waves = []
    for rate in (44_100, 48_000):
        out = tmp_path / str(rate)
        sound = played(
            model, mels["slaney_logclamp"], out, mel_type="slaney_logclamp", sample_rate=rate
        )
        waves.append(soundfile.read(sound["path"], dtype="float32")[0])
    again = resample(waves[0], 44_100, 48_000)
    gain = float(again @ waves[1] / (again @ again))  # both are levelled by their own peaks
    assert abs(gain * again - waves[1]).max() < 0.01


def test_the_same_again_is_the_same_file_and_others_stay(
    model: Model, mels: dict[str, str], tmp_path: Path
) -> None:
    kind, out = "slaney_logclamp", tmp_path / "out"
    first = played(model, mels[kind], out, mel_type=kind)
    assert played(model, mels[kind], out, mel_type=kind) == first
    other = played(model, mels[kind], out, mel_type=kind, sample_rate=44_100)
    assert other["path"] != first["path"]
    assert sha256_of(Path(first["path"])) == first["sha256"]
    assert {path.name for path in out.iterdir()} == {"new.wav", "new-2.wav"}


def test_a_wrong_mel_among_several_leaves_nothing_behind(
    model: Model, mels: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    files = [mels["slaney_logclamp"], str(tmp_path / "missing.npy")]
    with pytest.raises(AudioError, match=r"missing.npy cannot be read"):
        vocoded(str(model.path), files, Vocoding("slaney_logclamp"), str(out), "cpu", None)
    assert not out.exists()


def test_a_rate_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ConfigError, match="7999 Hz cannot be written"):
        Vocoding("htk_log1p", sample_rate=7_999)
