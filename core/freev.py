"""FreeV: a non-negative inversion of the mel, corrected by a small network, and given phases.

The network works at the mel's own rate and says by how much every bin of the inverted
magnitude is to be louder or softer. No upsampler, so nothing images; after Lv et al. 2024
(FreeV) and Siuzdak 2023 (Vocos), whose networks predict phases as well.

Ours does not. A held tone has the same mel in every frame, so a network gives it the same
phases in every frame: the pitch goes to a multiple of 86 Hz, and hiss becomes a buzz. Phases
are read off the inverted magnitude instead (core.phases), and where it bends too little to
tell them there is white noise. Of 15 held-out sounds among 195, from their own mels:

                                MR-STFT  mel L1  tones rougher by  restlessness
    phases by this                1.033   0.070          0.5 nats          1.00
    phases by the network,
      a share of noise learnt     1.148   0.104          1.6
    Griffin-Lim                   1.115   0.095          0.6               0.79

(roughness: flatness of spectra of 8192 samples above the original's; restlessness: change
of the log spectrum from frame to frame, over the original's). Griffin-Lim iterations
afterwards, two of them, lower MR-STFT by 0.5 % and restlessness to 0.87. There are none.
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


def carrier(
    log_magnitude: Tensor, white: Tensor, mel: MelConfig, known: Tensor | None = None
) -> Tensor:
    """What a magnitude is multiplied with: phases where it tells them, and noise elsewhere.

    Args:
        log_magnitude: (F, bins) on the CPU.
        white: (F, bins) complex spectrum of white noise.
        known: (F', bins) phases of the first frames, as core.phases.phases_of takes them.
    Returns:
        (F, bins) complex, of mean power 1.
    """
    phases = phases_of(log_magnitude, mel, known)
    tones = torch.polar(torch.ones_like(phases), phases.nan_to_num())
    return torch.where(phases.isnan(), white, tones)


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
        mel, frames = self.net.mel, len(log_mel)
        # On the CPU, wherever the network is: phases hang on which bin is a little louder.
        start = log_linear_magnitude(log_mel.cpu(), mel, self.net.config.inversion_updates)
        known = None if before is None else phases_heard(before, mel)
        white = white_spectrum(white_wave(first_frame, frames, mel, seed)[None], mel)[0]
        magnitude = self.net(*(one[None].to(self.device) for one in (log_mel, start))).cpu()
        played = magnitude * carrier(start, white, mel, known)
        return wave_from_spectrum(played, mel.fft_samples, mel.hop_samples)[0]


def phases_heard(wave: Tensor, mel: MelConfig) -> Tensor:
    """(F * hop,), F at least 2, -> (F, bins); NaN in the frames that look beyond its ends."""
    phases = spectrum(wave[None], mel.fft_samples, mel.hop_samples)[0].angle()
    beyond = -(-(mel.fft_samples - mel.hop_samples) // (2 * mel.hop_samples))
    phases[:beyond] = phases[len(phases) - beyond :] = torch.nan
    return phases
