"""What the vocoders are trained on: adversarial, feature, mel and multi-resolution STFT losses.

Nothing here is weighted: a trainer applies each weight, once.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from auraloss.freq import MultiResolutionSTFTLoss, STFTLoss
from torch import Tensor, nn

from core.config import MelConfig
from core.mel import log_mel
from core.spectral import power_spectrum, reflected


def discriminator_loss(real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
    """Least-squares loss of the critics: real should score 1 and fake 0.

    Args:
        real_scores, fake_scores: one (B, N) per critic.
    Returns:
        () sum over critics of mean (1 - real)² + mean fake².
    Source: Mao et al. 2017, arXiv:1611.04076, as HiFi-GAN uses it.
    """
    terms = [
        (1 - real).square().mean() + fake.square().mean()
        for real, fake in zip(real_scores, fake_scores, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(fake_scores: Sequence[Tensor]) -> Tensor:
    """Least-squares loss of the generator: (B, N) per critic -> () sum of mean (1 - fake)²."""
    return torch.stack([(1 - fake).square().mean() for fake in fake_scores]).sum()


def discriminator_accuracy(real_scores: Sequence[Tensor], fake_scores: Sequence[Tensor]) -> Tensor:
    """() share of scores on the right side of one half: 0.5 is guessing, 1 is no contest.

    Args:
        real_scores, fake_scores: one (B, N) per critic; every critic counts the same.
    """
    shares = [
        ((real > 0.5).float().mean() + (fake <= 0.5).float().mean()) / 2
        for real, fake in zip(real_scores, fake_scores, strict=True)
    ]
    return torch.stack(shares).mean()


def feature_matching(
    real_features: Sequence[Sequence[Tensor]], fake_features: Sequence[Sequence[Tensor]]
) -> Tensor:
    """() sum over critics and layers of the mean absolute difference of their feature maps.

    Args:
        real_features, fake_features: per critic, per layer, any float; shapes equal in pairs.
    """
    terms = [
        (real - fake).abs().mean(dtype=torch.float32)
        for real_layers, fake_layers in zip(real_features, fake_features, strict=True)
        for real, fake in zip(real_layers, fake_layers, strict=True)
    ]
    return torch.stack(terms).sum()


def mel_l1(fake_wave: Tensor, real_wave: Tensor, config: MelConfig) -> Tensor:
    """() mean absolute difference of natural-log mels; both waves are (B, T)."""
    return (log_mel(fake_wave, config) - log_mel(real_wave, config)).abs().mean()


class Magnitudes(STFTLoss):  # type: ignore[misc]  # auraloss has no types
    """auraloss' distance at one resolution, without the phases, which it gives no weight.

    It works them out all the same, and that was a quarter of a vocoder's training step.
    The gradient is `power_spectrum`'s, in half the time of torch.stft's.
    """

    def stft(self, x: Tensor) -> tuple[Tensor, None]:
        """(B, T) -> magnitude (B, fft / 2 + 1, F), no phase."""
        margin = (self.fft_size - self.win_length) // 2
        window = F.pad(self.window, (margin, self.fft_size - self.win_length - margin))
        squares = power_spectrum(reflected(x, self.fft_size // 2), window, self.hop_size)
        return squares.clamp_min(self.eps).sqrt().transpose(1, 2), None


class MrStft(nn.Module):
    """Multi-resolution STFT distance with auraloss' default resolutions.

    Spectral convergence divides by the real batch's magnitude: a batch that is
    silent throughout makes it huge, a silent sound among others does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.distance = MultiResolutionSTFTLoss()
        self.distance.stft_losses = nn.ModuleList(
            Magnitudes(one.fft_size, one.hop_size, one.win_length)
            for one in self.distance.stft_losses
        )

    def forward(self, fake_wave: Tensor, real_wave: Tensor) -> Tensor:
        """Both (B, T), T above 1024 samples -> ()."""
        loss: Tensor = self.distance(fake_wave[:, None], real_wave[:, None])
        return loss
