"""FreeV: a non-negative inversion of the mel, corrected by a small network, and given phases.

The network works at the mel's own rate and says by how much every bin of the inverted
magnitude is to be louder or softer. No upsampler, so nothing images; after Lv et al. 2024
(FreeV) and Siuzdak 2023 (Vocos), whose networks predict phases as well.

Ours does not. A held tone has the same mel in every frame, so a network can only give it the
same phases in every frame: a pitch off by up to 43 Hz, or a buzz, and hiss became one too. As
such a network, with a share of noise in every bin, ours roughened tones (spectral flatness of
8192 samples, held-out tonal sounds from their own mels, 1.9 nats above the originals', that of
Griffin-Lim 0.6) and had 1.157 of MR-STFT, Griffin-Lim 1.119. So phases follow from the
magnitude (core.phases), and the quiet bins that these leave open are white noise: 0.5 nats and
1.046.

Griffin-Lim iterations afterwards: two lower MR-STFT from the RVQ-VAE's mels by 0.5 %, and hiss
loses a seventh of its restlessness, of which it had as much as the originals. There are none.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig, VocoderName
from core.griffinlim import linear_magnitude
from core.mel import silence
from core.phases import phases_of
from core.spectral import framed_spectrum, hann, spectrum, wave_from_spectrum
from core.training import step_generator
from core.vocoder import Seam, Vocoder

LEAST_MAGNITUDE = 1e-6  # under the smallest mel's own floor
LARGEST_LOG_MAGNITUDE = 8.0  # e^8 is above what a full-scale sine gives, 1024
NOISE_BLOCK = 64  # hops of white noise drawn at once


class DepthwiseFrames(nn.Module):
    """Depthwise convolution over frames as shifted products: faster than Conv1d on a CPU."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, channels) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, C) -> (B, F, C), zero-padded."""
        width, frames = self.weight.shape[0], x.shape[1]
        padded = F.pad(x, (0, 0, width // 2, width // 2))
        total = self.bias.expand_as(x)
        for tap in range(width):
            total = total + self.weight[tap] * padded[:, tap : tap + frames]
        return total


class ConvNextBlock(nn.Module):
    def __init__(self, config: FreevConfig):
        super().__init__()
        self.mix_frames = DepthwiseFrames(config.channels, 7)
        self.norm = nn.LayerNorm(config.channels)
        self.widen = nn.Linear(config.channels, config.hidden)
        self.narrow = nn.Linear(config.hidden, config.channels)
        self.scale = nn.Parameter(torch.full((config.channels,), 1.0 / config.blocks))

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, C) -> (B, F, C)."""
        changed: Tensor = self.narrow(F.gelu(self.widen(self.norm(self.mix_frames(x)))))
        return x + self.scale * changed


class FreevNet(nn.Module):
    """Corrects the inverted magnitude of a log mel."""

    def __init__(self, config: FreevConfig, mel: MelConfig):
        super().__init__()
        self.config, self.mel = config, mel
        bins = mel.fft_samples // 2 + 1
        self.enter = nn.Linear(3 * mel.mel_bands, config.channels)
        self.enter_norm = nn.LayerNorm(config.channels)
        self.blocks = nn.ModuleList(ConvNextBlock(config) for _ in range(config.blocks))
        self.leave_norm = nn.LayerNorm(config.channels)
        self.magnitude = nn.Linear(config.channels, bins)
        nn.init.zeros_(self.magnitude.weight)
        nn.init.zeros_(self.magnitude.bias)

    def forward(self, log_mel: Tensor, log_magnitude: Tensor) -> Tensor:
        """The corrected magnitude.

        Args:
            log_mel: (B, F, M).
            log_magnitude: (B, F, bins) log of the inverted magnitude.
        Returns:
            (B, F, bins) float32 > 0, not the logarithm.
        """
        x = log_mel / 5.0 + 1.0  # about zero mean, unit spread
        edge = silence(self.mel) / 5.0 + 1.0
        x = torch.cat(
            [
                F.pad(x, (0, 0, 1, 0), value=edge)[:, :-1],
                x,
                F.pad(x, (0, 0, 0, 1), value=edge)[:, 1:],
            ],
            dim=-1,
        )
        x = self.enter_norm(self.enter(x))
        for block in self.blocks:
            x = block(x)
        correction = self.magnitude(self.leave_norm(x)).float()
        corrected: Tensor = log_magnitude + correction
        return corrected.clamp_max(LARGEST_LOG_MAGNITUDE).exp()


def phased(magnitude: Tensor, phases: Tensor, white: Tensor) -> Tensor:
    """A magnitude with its phases, and as loud a noise where those are open.

    Args:
        magnitude, phases: (B, F, bins); NaN is an open phase.
        white: (B, F, bins) complex spectrum of white noise.
    Returns:
        (B, F, bins) complex.
    """
    tone = torch.polar(torch.ones_like(phases), phases.nan_to_num())
    return magnitude * torch.where(phases.isnan(), white, tone)


def white_spectrum(wave: Tensor, mel: MelConfig) -> Tensor:
    """(B, (F - 1) * hop + fft) white noise of variance 1 -> (B, F, bins) complex, too."""
    energy = float(hann(mel.fft_samples, torch.device("cpu")).square().sum())
    frames = framed_spectrum(wave, mel.fft_samples, mel.hop_samples)
    return frames.div(energy**0.5)


def white_wave(first_frame: int, frames: int, mel: MelConfig, seed: int = 0) -> Tensor:
    """((frames - 1) * hop + fft,) normal noise; its samples hang on seed and place alone."""
    last_frame = first_frame + frames - 1 + -(-mel.fft_samples // mel.hop_samples)
    first, last = first_frame // NOISE_BLOCK, -(-last_frame // NOISE_BLOCK)
    blocks = [
        torch.randn(
            NOISE_BLOCK * mel.hop_samples, generator=step_generator(seed, number, "white noise")
        )
        for number in range(first, last)
    ]
    start = (first_frame - first * NOISE_BLOCK) * mel.hop_samples
    return torch.cat(blocks)[start : start + (frames - 1) * mel.hop_samples + mel.fft_samples]


def log_linear_magnitude(log_mel: Tensor, mel: MelConfig, updates: int) -> Tensor:
    """(F, M) -> (F, bins) log of the non-negative inversion, floored."""
    return linear_magnitude(log_mel, mel, updates).clamp_min(LEAST_MAGNITUDE).log()


class Freev(Vocoder):
    """The trained network, and phases."""

    name: VocoderName = "freev"
    seam: Seam = "alike"

    def __init__(self, net: FreevNet, device: torch.device):
        self.net, self.device = net.to(device).eval(), device
        self.reach_frames = 3 * net.config.blocks + 4  # its blocks, its entry, the windows

    @torch.no_grad()
    def wave(
        self, log_mel: Tensor, first_frame: int = 0, seed: int = 0, before: Tensor | None = None, /
    ) -> Tensor:
        mel, log_mel = self.net.mel, log_mel.to(self.device)
        start = log_linear_magnitude(log_mel, mel, self.net.config.inversion_updates)
        magnitude = self.net(log_mel[None], start[None])
        known = None if before is None else phases_heard(before, mel)
        phases = phases_of(start.cpu(), mel, known)[None].to(self.device)
        white = white_wave(first_frame, len(log_mel), mel, seed)[None].to(self.device)
        frames = phased(magnitude, phases, white_spectrum(white, mel))
        return wave_from_spectrum(frames, mel.fft_samples, mel.hop_samples)[0].cpu()


def phases_heard(wave: Tensor, mel: MelConfig) -> Tensor:
    """(F * hop,) -> (F, bins) phases; NaN in the frames that look beyond the wave's ends."""
    phases = spectrum(wave[None], mel.fft_samples, mel.hop_samples)[0].angle()
    beyond = -(-(mel.fft_samples - mel.hop_samples) // (2 * mel.hop_samples))
    phases[:beyond] = phases[len(phases) - beyond :] = torch.nan
    return phases
