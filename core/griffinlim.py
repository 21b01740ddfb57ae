"""Griffin-Lim: the vocoder that needs no training, and the yardstick for those that do.

A non-negative inversion gives a linear magnitude whose mel is the given one; then
phases are found by projecting back and forth between "has this magnitude" and "is
the spectrum of a wave", with momentum (Perraudin, Balazs & Søndergaard 2013).
"""

import torch
from torch import Tensor

from core.config import GriffinLimConfig, MelConfig, VocoderName
from core.mel import filterbank
from core.spectral import framed_spectrum, padded_wave, wave_from_spectrum
from core.vocoder import Seam, Vocoder


def non_negative_inverse(target: Tensor, filters: Tensor, updates: int, least: float) -> Tensor:
    """(F, M) filtered spectra -> (F, bins) spectra ≥ 0 that give them back, or nearly.

    Multiplicative updates of non-negative least squares (Lee & Seung 1999): from a
    positive start, m <- m * (Bᵀ y) / (Bᵀ B m) never leaves the positive side and never
    raises the error.

    Args:
        filters: (M, bins) ≥ 0.
        least: far below what (Bᵀ B m) is where anything sounds; keeps bins that no filter
            covers from dividing by 0.
    """
    wanted = target @ filters
    found = wanted / filters.square().sum(0).clamp_min(1e-8)
    for _ in range(updates):
        found = found * wanted / ((found @ filters.T) @ filters).clamp_min(least)
    return found


def linear_magnitude(log_mel: Tensor, mel: MelConfig, updates: int) -> Tensor:
    """(F, M) log mel -> (F, fft / 2 + 1) magnitude ≥ 0 whose mel comes close to it."""
    filters = filterbank(mel).to(log_mel.device)  # (M, bins)
    return non_negative_inverse(log_mel.exp(), filters, updates, least=1e-10)


def phases_by_griffin_lim(
    magnitude: Tensor, start: Tensor, mel: MelConfig, iterations: int, momentum: float
) -> Tensor:
    """Phases that make a magnitude consistent.

    Args:
        magnitude: (F, bins).
        start: (F, bins) complex of modulus 1.
        momentum: 0 is plain Griffin-Lim, 0.99 the fast one.
    Returns:
        (F, bins) complex of modulus 1.
    """
    phases = start[None]
    before = torch.zeros_like(phases)
    for _ in range(iterations):
        wave = padded_wave(magnitude[None] * phases, mel.fft_samples, mel.hop_samples)
        rebuilt = framed_spectrum(wave, mel.fft_samples, mel.hop_samples)
        ahead = rebuilt - before * (momentum / (1 + momentum))
        phases = ahead / ahead.abs().clamp_min(1e-12)
        before = rebuilt
    return phases[0]


class GriffinLim(Vocoder):
    """Griffin-Lim from seeded random phases."""

    name: VocoderName = "griffinlim"
    reach_frames = 16  # its phases hang on all others, but less and less
    seam: Seam = "unlike"

    def __init__(self, config: GriffinLimConfig, mel: MelConfig):
        self.config, self.mel = config, mel

    @torch.no_grad()
    def wave(self, log_mel: Tensor, *_: object) -> Tensor:
        magnitude = linear_magnitude(log_mel.cpu(), self.mel, self.config.inversion_updates)
        generator = torch.Generator().manual_seed(0)
        angles = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator)
        phases = phases_by_griffin_lim(
            magnitude,
            torch.polar(torch.ones_like(angles), angles),
            self.mel,
            self.config.iterations,
            self.config.momentum,
        )
        spectrum = (magnitude * phases)[None]
        return wave_from_spectrum(spectrum, self.mel.fft_samples, self.mel.hop_samples)[0]
