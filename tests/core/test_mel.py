"""The mel contract against BigVGAN's own output, and what follows from its definition."""

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from core.config import MelConfig
from core.errors import AudioError
from core.mel import band_centres_hz, filterbank, log_mel, log_mel_in_chunks, pad_frames, silence

GOLDEN = Path(__file__).parents[1] / "golden"
MEL = MelConfig()


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def test_log_mel_equals_bigvgans() -> None:
    # Both arrays from BigVGAN-v2's own mel function at 44.1 kHz, 128 bands, hop 512.
    with np.load(GOLDEN / "mel_bigvgan_44k_128_512.npz") as arrays:
        wave, expected = torch.from_numpy(arrays["audio"]), torch.from_numpy(arrays["log_mel"])
    ours = log_mel(wave[None], MEL)[0]
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().mean()) < 1e-6


@pytest.mark.parametrize("samples", [769, 1023, 1024, 5000])
def test_one_frame_for_each_whole_hop(samples: int) -> None:
    assert log_mel(torch.zeros(2, samples), MEL).shape == (2, 128, samples // 512)


def test_silence_is_log_1e_5_in_every_band() -> None:
    assert silence(MEL) == math.log(1e-5)
    assert torch.equal(log_mel(torch.zeros(1, 4096), MEL), torch.full((1, 128, 8), math.log(1e-5)))


def test_twice_as_loud_is_log_two_more() -> None:
    wave = torch.from_numpy(noise(8192))[None]
    louder = log_mel(2 * wave, MEL) - log_mel(wave, MEL)
    torch.testing.assert_close(louder, torch.full_like(louder, math.log(2)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("band", [20, 64, 120])
def test_sine_at_a_bands_centre_is_loudest_in_that_band(band: int) -> None:
    centre = librosa.mel_frequencies(130, fmin=0, fmax=22_050)[band + 1]
    wave = torch.sin(2 * math.pi * centre / 44_100 * torch.arange(8192, dtype=torch.float64))
    mel = log_mel(wave.float()[None], MEL)[0]
    assert set(mel[:, 2:-2].argmax(0).tolist()) == {band}


@pytest.mark.parametrize("samples", [40 * 512, 40 * 512 + 511, 36 * 512 + 3, 29 * 512])
def test_chunked_equals_whole(samples: int) -> None:
    wave = noise(samples)  # in chunks of 7 frames: the last has 5, 5, 1 and 1
    whole = log_mel(torch.from_numpy(wave)[None], MEL)[0].T.numpy()
    chunked = log_mel_in_chunks(wave, MEL, chunk_frames=7)
    np.testing.assert_allclose(chunked, whole, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 768])
def test_wave_too_short_to_reflect_is_refused(samples: int) -> None:
    with pytest.raises(AudioError, match=rf"{samples} samples has no mel; pad it to 769"):
        log_mel(torch.zeros(1, samples), MEL)


def test_padding_appends_silence() -> None:
    mel = torch.ones(2, 3, 128)
    padded = pad_frames(mel, 5, MEL)
    assert torch.equal(padded[:, :3], mel)
    assert torch.equal(padded[:, 3:], torch.full((2, 2, 128), math.log(1e-5)))


def test_padding_never_shortens() -> None:
    mel = torch.ones(3, 128)
    assert torch.equal(pad_frames(mel, 2, MEL), mel)


def test_band_centres_are_where_the_filters_are_greatest() -> None:
    bin_hz = 44_100 / 2048
    greatest = filterbank(MEL).argmax(1) * bin_hz
    assert (band_centres_hz(MEL) - greatest).abs().max() < bin_hz
