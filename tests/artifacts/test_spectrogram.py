import io

import librosa
import matplotlib.image
import numpy as np
import pytest
import torch

from artifacts.spectrogram import band_of, spectrogram_png
from core.config import MelConfig
from core.mel import log_mel


def mel(frames: int = 40) -> np.ndarray:
    return np.random.default_rng(0).uniform(-11.5, 2.0, (frames, 128)).astype(np.float32)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(io.BytesIO(png), format="png"))


@pytest.mark.parametrize(("width", "height"), [(420, 200), (333, 101)])
def test_picture_has_the_size_asked_for(width: int, height: int) -> None:
    assert pixels(spectrogram_png(mel(), width, height)).shape[:2] == (height, width)


def test_equal_mels_give_equal_bytes_without_a_maker() -> None:
    first = spectrogram_png(mel(), 300, 150)
    assert spectrogram_png(mel(), 300, 150) == first
    assert b"Software" not in first
    assert b"tIME" not in first


@pytest.mark.parametrize("frames", [1, 3, 500])
def test_any_length_can_be_drawn(frames: int) -> None:
    assert spectrogram_png(mel(frames), 300, 150).startswith(b"\x89PNG")


def test_low_bands_lie_at_the_bottom_and_time_runs_right() -> None:
    sound = np.full((40, 128), -11.5, np.float32)
    sound[20:, :64] = 2.0  # later and lower
    bright = pixels(spectrogram_png(sound, 400, 200))[6:180, 34:392, :3].sum(axis=2) > 1.5
    rows, columns = np.nonzero(bright)
    assert rows.min() >= 174 // 2 - 2
    assert columns.min() >= 358 // 2 - 2
    assert bright[-40:, -100:].all()


def test_colours_do_not_depend_on_the_other_frames() -> None:
    quiet = np.full((40, 128), -5.0, np.float32)
    with_peak = quiet.copy()
    with_peak[30:] = 2.0
    left = (slice(40, 150), slice(60, 200))
    first, second = spectrogram_png(quiet, 400, 200), spectrogram_png(with_peak, 400, 200)
    assert np.array_equal(pixels(first)[left], pixels(second)[left])


@pytest.mark.parametrize("hz", [100.0, 1000.0, 5000.0, 15_000.0])
def test_a_sine_sounds_in_the_band_its_tick_points_at(hz: float) -> None:
    wave = torch.sin(2 * torch.pi * hz * torch.arange(44_100) / 44_100)[None]
    loudest = int(log_mel(wave, MelConfig())[0].mean(dim=1).argmax())
    assert abs(band_of(hz, 128) - (loudest + 0.5)) <= 1.0


def test_band_centres_are_librosas_slaney_centres() -> None:
    centres = librosa.mel_frequencies(n_mels=130, fmin=0.0, fmax=22_050.0, htk=False)[1:-1]
    assert [band_of(hz, 128) for hz in centres] == pytest.approx(np.arange(128) + 0.5)
