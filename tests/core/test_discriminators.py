"""The critics' size, shapes, and what their norms promise."""

import pytest
import torch
import torch.nn.functional as F

from core.config import HifiganConfig
from core.discriminators import Discriminators, PeriodDiscriminator, ScaleDiscriminator
from core.errors import ConfigError

SMALL = HifiganConfig(discriminator_divisor=32)


def test_full_size_has_the_papers_parameters() -> None:
    # 70.7 million, counted in the reference implementation (5 periods, 3 scales, norms on).
    with torch.device("meta"):
        critics = Discriminators(HifiganConfig(discriminator_divisor=1, discriminator_scales=3))
    assert sum(p.numel() for p in critics.parameters()) == pytest.approx(70.7e6, abs=0.05e6)


def test_one_critic_per_period_and_scale_each_with_every_layers_features() -> None:
    judgements = Discriminators(SMALL)(torch.randn(2, 4000))
    # 5 periods of 5 convolutions, 2 scales of 7, each with its score as the last map
    assert [len(features) for _, features in judgements] == [6, 6, 6, 6, 6, 8, 8]
    assert all(score.ndim == 2 and len(score) == 2 for score, _ in judgements)
    assert all(score.numel() == features[-1].numel() for score, features in judgements)


@torch.no_grad()
def test_batch_entries_do_not_mix() -> None:
    critics = Discriminators(SMALL).eval()
    waves = torch.randn(3, 3001)
    for critic in [*critics.periods, *critics.scales]:  # one by one they stay in float32
        (together, _), (alone, _) = critic(waves), critic(waves[1:2])
        torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_period_critic_equals_the_papers_two_dimensional_convolutions() -> None:
    # The paper: reshape to (T / period, period), convolve with (k, 1) kernels.
    critic = PeriodDiscriminator(3, divisor=32)
    wave = torch.randn(2, 999)
    image = wave.reshape(2, 1, 333, 3)
    for conv, stride in zip(critic.convs, (3, 3, 3, 3, 1), strict=True):
        image = F.conv2d(image, conv.weight.mT, conv.bias, (stride, 1), (2, 0))
        image = F.leaky_relu(image, 0.1)
    last = critic.conv_post
    score = F.conv2d(image, last.weight.mT, last.bias, 1, (1, 0))
    ours, _ = critic(wave)
    torch.testing.assert_close(ours.sort().values, score.flatten(1).sort().values)


@torch.no_grad()
def test_second_scale_hears_half_the_rate() -> None:
    critics = Discriminators(SMALL)
    *_, (_, first), (_, second) = critics(torch.randn(1, 4096))
    assert first[0].shape[-1] == 4096
    assert second[0].shape[-1] == 2049  # (4096 + 2 * 2 - 4) / 2 + 1


@torch.no_grad()
def test_spectral_norm_holds_the_first_scales_layers_at_norm_one() -> None:
    critics = Discriminators(SMALL)
    for _ in range(100):  # the power iteration converges over training forwards
        critics(torch.zeros(1, 512))
    scale = critics.scales[0]
    assert isinstance(scale, ScaleDiscriminator)
    for conv in scale.convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2) == pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_state_dict_carries_the_power_iteration() -> None:
    original, resumed = Discriminators(SMALL), Discriminators(SMALL)
    wave = torch.randn(1, 2048)
    original(wave)
    resumed.load_state_dict(original.state_dict())
    for (ours, _), (theirs, _) in zip(original(wave), resumed(wave), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("divisor", [0, 3, 64])
def test_divisor_that_does_not_divide_every_layer_is_refused(divisor: int) -> None:
    with pytest.raises(ConfigError, match=f"discriminator_divisor is {divisor}"):
        Discriminators(HifiganConfig(discriminator_divisor=divisor))


@torch.no_grad()
def test_half_precision_leaves_scores_in_float32_and_close() -> None:
    critics = Discriminators(SMALL).eval()
    wave = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    mixed = critics(wave)
    plain = critics._judgements(wave)
    for (ours, _), (expected, _) in zip(mixed, plain, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, atol=0.02, rtol=0)  # bfloat16 has 8 bits


def test_gradients_reach_every_weight() -> None:
    critics = Discriminators(SMALL)
    sum(score.square().mean() for score, _ in critics(torch.randn(2, 4000))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in critics.parameters())
