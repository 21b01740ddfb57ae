"""Losses against figures that can be worked out by hand."""

import math

import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss

from core.config import MelConfig
from core.losses import (
    MrStft,
    adversarial_loss,
    discriminator_accuracy,
    discriminator_loss,
    feature_matching,
    mel_l1,
)


def test_discriminator_loss_is_zero_when_every_critic_is_right() -> None:
    assert discriminator_loss([torch.ones(2, 5)] * 3, [torch.zeros(2, 5)] * 3) == 0


def test_discriminator_loss_sums_critics_and_averages_scores() -> None:
    # critic 1: (1 - 3)² + mean(1, 9) = 9; critic 2: (1 - 1)² + 2² = 4
    real = [torch.tensor([[3.0]]), torch.tensor([[1.0]])]
    fake = [torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0]])]
    assert discriminator_loss(real, fake) == 13


def test_adversarial_loss_is_the_distance_from_being_taken_for_real() -> None:
    # critic 1: mean((1 - 0)², (1 - 3)²) = 2.5; critic 2: 0
    assert adversarial_loss([torch.tensor([[0.0, 3.0]]), torch.ones(1, 4)]) == 2.5


def test_accuracy_of_a_critic_that_calls_everything_real_is_one_half() -> None:
    assert discriminator_accuracy([torch.ones(2, 5)], [torch.ones(2, 5)]) == 0.5


def test_accuracy_counts_real_and_fake_and_critics_alike() -> None:
    # critic 1: half of real, all of fake right = .75; critic 2: none right = 0
    real = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0]])]
    fake = [torch.tensor([[0.0, 0.2, 0.4]]), torch.tensor([[0.9]])]
    assert float(discriminator_accuracy(real, fake)) == pytest.approx(0.375)


def test_feature_matching_sums_the_mean_difference_of_every_layer() -> None:
    # |0 - 2| in a map of any size is 2, |1 - 0.5| is .5, |3 - 3| is 0
    real = [[torch.zeros(2, 3, 7), torch.ones(2, 1)], [torch.full((1, 4), 3.0)]]
    fake = [[torch.full((2, 3, 7), 2.0), torch.full((2, 1), 0.5)], [torch.full((1, 4), 3.0)]]
    assert feature_matching(real, fake) == 2.5


def test_mel_l1_of_a_sound_and_its_half_is_log_two() -> None:
    # Loud enough that neither the floor nor the 1e-9 under the root is felt.
    wave = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
    assert float(mel_l1(wave / 2, wave, MelConfig())) == pytest.approx(math.log(2), abs=1e-4)


def test_mr_stft_is_auralosss_default_with_the_real_wave_as_target() -> None:
    fake, real = torch.randn(2, 4096), torch.randn(2, 4096) / 3
    expected = MultiResolutionSTFTLoss()(fake[:, None], real[:, None])
    assert torch.equal(MrStft()(fake, real), expected)


def test_gradient_of_mr_stft_is_auralosss() -> None:
    real = torch.randn(2, 4096) / 3
    ours, theirs = (torch.randn(2, 4096, generator=torch.Generator().manual_seed(0)) for _ in "ab")
    MrStft()(ours.requires_grad_(True), real).backward()
    MultiResolutionSTFTLoss()(theirs.requires_grad_(True)[:, None], real[:, None]).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-7, rtol=1e-4)


def test_mr_stft_of_a_sound_and_its_half_has_a_closed_form() -> None:
    # Spectral convergence |x/2 - x| / |x| = .5 and log magnitude log 2, at every resolution.
    wave = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
    assert float(MrStft()(wave / 2, wave)) == pytest.approx(0.5 + math.log(2), abs=1e-3)


def test_every_loss_has_finite_gradients_on_silence() -> None:
    fake, real = torch.zeros(2, 4096, requires_grad=True), torch.zeros(2, 4096)
    real[0] = torch.sin(torch.arange(4096) / 10)
    (mel_l1(fake, real, MelConfig()) + MrStft()(fake, real)).backward()
    assert fake.grad is not None
    assert torch.isfinite(fake.grad).all()
