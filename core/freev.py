"""FreeV: a small network for phases (and a correction of magnitudes) at the mel's own rate.

The magnitude starts from a non-negative inversion of the mel, so the network has
only the phase and the fine structure to learn, and there is no upsampler that could
image. After Lv et al. 2024 (FreeV) and Siuzdak 2023 (Vocos); ours predicts phase as a
normalised pair.

A mel says nothing of the phases of noise. A network without chance gives every frame of a
hiss the same ones, which is a buzz at the frames' rate, 86 Hz. So ours mixes: bin by bin it
says how much of the power is the spectrum of a white noise, which is drawn.

Griffin-Lim iterations after the network, when it had no noise yet, helped on clean mels but
not on the smooth ones that the RVQ-VAE gives: there they raised MR-STFT from 1.40 to 1.53 (4
iterations) and 1.59 (32), about what Griffin-Lim alone has, so there are none.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig, VocoderName
from core.griffinlim import linear_magnitude
from core.mel import silence
from core.spectral import framed_spectrum, hann, wave_from_spectrum
from core.training import step_generator
from core.vocoder import Vocoder

LEAST_MAGNITUDE = 1e-6  # under the smallest mel's own floor
LARGEST_LOG_MAGNITUDE = 8.0  # e^8 is above what a full-scale sine gives, 1024
FIRST_SHARE = -2.0  # logit of the noise's share of the power before training: 12 %
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
    """From a log mel and its inverted magnitude to a complex spectrum."""

    def __init__(self, config: FreevConfig, mel: MelConfig):
        super().__init__()
        self.config, self.mel = config, mel
        bins = mel.fft_samples // 2 + 1
        self.enter = nn.Linear(3 * mel.mel_bands, config.channels)
        self.enter_norm = nn.LayerNorm(config.channels)
        self.blocks = nn.ModuleList(ConvNextBlock(config) for _ in range(config.blocks))
        self.leave_norm = nn.LayerNorm(config.channels)
        self.magnitude = nn.Linear(config.channels, bins)
        self.phase = nn.Linear(config.channels, 2 * bins)
        self.share = nn.Linear(config.channels, bins)
        nn.init.zeros_(self.magnitude.weight)
        nn.init.zeros_(self.magnitude.bias)
        nn.init.zeros_(self.share.weight)
        nn.init.constant_(self.share.bias, FIRST_SHARE)

    def forward(self, log_mel: Tensor, log_magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """What is certain, and how much noise is added to it.

        Args:
            log_mel: (B, F, M).
            log_magnitude: (B, F, bins) log of the inverted magnitude.
        Returns:
            (B, F, bins) complex, and (B, F, bins) ≥ 0 that multiplies a white spectrum.
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
        x = self.leave_norm(x)
        log_magnitude = (log_magnitude + self.magnitude(x).float()).clamp_max(LARGEST_LOG_MAGNITUDE)
        pair = self.phase(x).float()
        real, imaginary = pair.chunk(2, dim=-1)
        length = torch.sqrt(real.square() + imaginary.square() + 1e-6)
        share, magnitude = self.share(x).float(), log_magnitude.exp()
        certain = magnitude * torch.exp(F.logsigmoid(-share) / 2) / length  # sqrt of 1 - share
        noise = magnitude * torch.exp(F.logsigmoid(share) / 2)
        return torch.complex(certain * real, certain * imaginary), noise


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
    """The trained network."""

    name: VocoderName = "freev"

    def __init__(self, net: FreevNet, device: torch.device):
        self.net, self.device = net.to(device).eval(), device
        self.reach_frames = 3 * net.config.blocks + 4  # its blocks, its entry, the windows

    @torch.no_grad()
    def wave(self, log_mel: Tensor, first_frame: int = 0, seed: int = 0, /) -> Tensor:
        mel, log_mel = self.net.mel, log_mel.to(self.device)
        start = log_linear_magnitude(log_mel, mel, self.net.config.inversion_updates)
        certain, noise = self.net(log_mel[None], start[None])
        white = white_wave(first_frame, len(log_mel), mel, seed)[None].to(self.device)
        spectrum = certain + noise * white_spectrum(white, mel)
        return wave_from_spectrum(spectrum, mel.fft_samples, mel.hop_samples)[0].cpu()
