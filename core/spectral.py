"""Short-time spectra framed as the mel contract frames them, and their inverse.

Frames are not centred: the wave is padded by (fft - hop) / 2 on both sides, so
frame f looks at the samples around f * hop + hop / 2 and T samples give
T // hop frames. The mel, Griffin-Lim and FreeV all speak this one framing.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def hann(fft_samples: int, device: torch.device) -> Tensor:
    """(fft_samples,) periodic Hann window."""
    return torch.hann_window(fft_samples, device=device)


def spectrum(wave: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Complex short-time spectrum of a wave padded by reflection.

    Args:
        wave: (B, T) float, T longer than (fft_samples - hop_samples) / 2.
    Returns:
        (B, F, fft_samples / 2 + 1) complex; F = T // hop_samples.
    """
    padded = reflected(wave, (fft_samples - hop_samples) // 2)
    return framed_spectrum(padded, fft_samples, hop_samples)


def reflected(wave: Tensor, samples: int) -> Tensor:
    """(B, T) -> (B, T + 2 * samples), mirrored about its first and last sample."""
    return F.pad(wave[:, None], (samples, samples), mode="reflect")[:, 0]


def framed_spectrum(padded: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """(B, T) already padded -> (B, 1 + (T - fft_samples) // hop_samples, bins) complex."""
    frames = padded.unfold(-1, fft_samples, hop_samples)  # (B, F, fft)
    bins: Tensor = torch.fft.rfft(frames * hann(fft_samples, padded.device))
    return bins


def power(frames: Tensor) -> Tensor:
    """Squared magnitude of a complex spectrum."""
    return frames.real.square() + frames.imag.square()


def power_spectrum(padded: Tensor, window: Tensor, hop_samples: int) -> Tensor:
    """Squared magnitudes that a network can be trained on.

    Args:
        padded: (B, T).
        window: (fft_samples,).
    Returns:
        (B, 1 + (T - fft_samples) // hop_samples, fft_samples // 2 + 1).
    """
    frames = padded.unfold(-1, len(window), hop_samples) * window  # (B, F, fft)
    squares: Tensor = RealPower.apply(frames)  # type: ignore[no-untyped-call]
    return squares


class RealPower(torch.autograd.Function):
    """power(rfft(frames)) with a gradient in half the time; (..., N) -> (..., N // 2 + 1).

    torch's own gradient is a transform of complex numbers, real and imaginary part on their
    own; the adjoint of a real transform is a real one.
    """

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        bins = torch.fft.rfft(frames)
        ctx.save_for_backward(bins)
        ctx.samples = frames.shape[-1]
        return power(bins)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (bins,) = ctx.saved_tensors
        # The square brings a 2. The inverse transform reads inner bins twice, as z and its
        # conjugate, and so brings it for them; 0 Hz and Nyquist it reads once.
        weights = torch.ones(bins.shape[-1], device=bins.device)
        weights[0] = 2
        if ctx.samples % 2 == 0:
            weights[-1] = 2
        frames: Tensor = torch.fft.irfft(bins * (gradient * weights), n=ctx.samples, norm="forward")
        return frames


def padded_wave(frames: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Least-squares inverse of `framed_spectrum`: windowed overlap-add.

        frame 0   |~~~~~~~~|
        frame 1      |~~~~~~~~|         each frame times the window again,
        frame 2         |~~~~~~~~|      summed, divided by the summed window²

    Args:
        frames: (B, F, bins) complex.
    Returns:
        (B, (F - 1) * hop_samples + fft_samples) wave, its padding still on.
    """
    window = hann(fft_samples, frames.device)
    pieces = torch.fft.irfft(frames, n=fft_samples) * window  # (B, F, fft)
    length = (frames.shape[1] - 1) * hop_samples + fft_samples
    weights = window.square()[None, None].expand(1, frames.shape[1], -1)
    return overlap_add(pieces, length, hop_samples) / overlap_add(
        weights, length, hop_samples
    ).clamp_min(1e-8)


def overlap_add(pieces: Tensor, length: int, hop_samples: int) -> Tensor:
    """(B, F, fft) pieces laid hop_samples apart and summed -> (B, length).

    Added up hop by hop, which takes a twentieth of the time of F.fold.
    """
    batch, frames, fft_samples = pieces.shape
    whole = F.pad(pieces, (0, -fft_samples % hop_samples))
    hops = whole.reshape(batch, frames, -1, hop_samples).unbind(2)  # (B, F, hop) each
    more = len(hops) - 1
    total = F.pad(hops[0], (0, 0, 0, more))  # (B, F + more, hop)
    for late, hop in enumerate(hops[1:], 1):
        total[:, late : late + frames] += hop
    return total.flatten(1)[:, :length]


def wave_from_spectrum(frames: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """Inverse of `spectrum`: (B, F, bins) complex -> (B, F * hop_samples)."""
    padding = (fft_samples - hop_samples) // 2
    wave = padded_wave(frames, fft_samples, hop_samples)
    return wave[:, padding : wave.shape[-1] - padding]
