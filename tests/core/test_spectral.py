"""Framing against librosa, and the inverse's two promises: exact, and nearest."""

import librosa
import numpy as np
import pytest
import torch
from scipy.signal import get_window

from core.spectral import (
    RealPower,
    framed_spectrum,
    hann,
    overlap_add,
    padded_wave,
    power_spectrum,
    spectrum,
    wave_from_spectrum,
)

SIZES = pytest.mark.parametrize(("fft", "hop"), [(16, 4), (64, 16), (2048, 512)])


def test_window_is_scipys_periodic_hann() -> None:
    window = hann(2048, torch.device("cpu"))
    np.testing.assert_allclose(window, get_window("hann", 2048), atol=1e-6)


@SIZES
def test_spectrum_is_librosas_of_the_reflected_wave(fft: int, hop: int) -> None:
    wave = torch.randn(9 * hop + 3)
    padding = (fft - hop) // 2
    padded = np.pad(wave.numpy(), padding, mode="reflect")
    expected = librosa.stft(padded, n_fft=fft, hop_length=hop, center=False).T
    np.testing.assert_allclose(spectrum(wave[None], fft, hop)[0], expected, atol=2e-4)


@SIZES
@pytest.mark.parametrize("frames", [2, 7])
def test_inverse_gives_the_wave_back(fft: int, hop: int, frames: int) -> None:
    wave = torch.randn(3, frames * hop)
    if wave.shape[1] <= (fft - hop) // 2:
        pytest.skip("too short to reflect")
    back = wave_from_spectrum(spectrum(wave, fft, hop), fft, hop)
    torch.testing.assert_close(back, wave, atol=1e-5, rtol=0)


@SIZES
def test_power_is_the_spectrums_squared_magnitude(fft: int, hop: int) -> None:
    padded = torch.randn(2, 5 * hop + fft)
    expected = framed_spectrum(padded, fft, hop).abs().square()
    torch.testing.assert_close(power_spectrum(padded, hann(fft, padded.device), hop), expected)


@pytest.mark.parametrize("samples", [2, 7, 8, 30])
def test_gradient_of_power_is_the_difference_quotient(samples: int) -> None:
    frames = torch.randn(2, 3, samples, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(RealPower.apply, (frames,))


def test_samples_after_the_last_whole_hop_are_left_out() -> None:
    wave = torch.randn(1, 10 * 16 + 15)
    back = wave_from_spectrum(spectrum(wave, 64, 16), 64, 16)
    torch.testing.assert_close(back, wave[:, :160], atol=1e-5, rtol=0)


def test_inverse_of_no_waves_spectrum_is_the_least_squares_one() -> None:
    # At the optimum the error is orthogonal to the windowed frames of every other wave.
    frames, fft, hop = 6, 32, 8
    wanted = torch.fft.irfft(torch.randn(1, frames, fft // 2 + 1, dtype=torch.complex64), n=fft)
    best = padded_wave(torch.fft.rfft(wanted), fft, hop)
    window = hann(fft, torch.device("cpu"))
    error = wanted - best.unfold(-1, fft, hop) * window
    for other in torch.randn(20, best.shape[1]):
        against = other.unfold(-1, fft, hop) * window
        assert abs(float((error[0] * against).sum())) < 1e-4


@pytest.mark.parametrize(("fft", "hop"), [(8, 2), (8, 8), (6, 4)])
def test_overlap_add_is_the_plain_loop(fft: int, hop: int) -> None:
    pieces = torch.randn(2, 5, fft)
    length = 4 * hop + fft
    expected = torch.zeros(2, length)
    for frame in range(5):
        expected[:, frame * hop : frame * hop + fft] += pieces[:, frame]
    torch.testing.assert_close(overlap_add(pieces, length, hop), expected)
