"""What the critics hear: every change within its bounds, and the same for real and made."""

import torch

from core.disguise import Disguise
from core.training import step_generator


def drawn(real: torch.Tensor) -> Disguise:
    return Disguise.drawn(real, step_generator(0, 0))


def test_gain_polarity_shift_and_tilt_are_each_segments_own() -> None:
    disguise = drawn(torch.randn(64, 100))
    assert disguise.gain.abs().min() >= 10 ** (-6 / 20)
    assert disguise.gain.abs().max() <= 10 ** (6 / 20)
    assert 0.25 < (disguise.gain < 0).float().mean() < 0.75  # 4 standard deviations
    assert len(disguise.shift_samples.unique()) > 20
    assert len(disguise.tilt.unique()) == 64
    # a filter 1 + a z^-1 goes from 1 + a at 0 Hz to 1 - a at Nyquist: light is within 3 dB
    assert (20 * (1 - disguise.tilt.abs()).log10()).min() > -3
    assert 0.25 < (disguise.tilt < 0).float().mean() < 0.75


def test_a_wave_is_moved_tilted_scaled_and_noise_is_added() -> None:
    waves = torch.randn(8, 100)
    disguise = drawn(waves)
    for number, wave in enumerate(waves):
        moved = wave.roll(int(disguise.shift_samples[number]))
        before = torch.cat([moved[-1:], moved[:-1]])
        expected = disguise.gain[number] * (moved + disguise.tilt[number] * before)
        heard = disguise(waves)[number]
        torch.testing.assert_close(heard, expected + disguise.noise[number])


def test_noise_lies_50_decibels_or_more_under_the_disguised_wave() -> None:
    real = torch.randn(64, 4000) * torch.logspace(-4, 0, 64)[:, None]
    disguise = drawn(real)
    level = 20 * (disguise.noise.square().mean(1) / disguise(real).square().mean(1)).sqrt().log10()
    assert -51 < level.max() < -49  # drawn evenly in amplitude: the loudest of 64 is near the bound
    assert level.min() < -60


def test_silence_stays_silent() -> None:
    silence = torch.zeros(2, 50)
    assert torch.equal(drawn(silence)(silence), silence)


def test_what_is_made_hears_the_noise_of_what_is_real() -> None:
    real, made = torch.randn(2, 50), torch.randn(2, 50)
    disguise = drawn(real)
    apart = disguise(made) - disguise(real)
    plain = Disguise(
        disguise.gain, disguise.shift_samples, disguise.tilt, torch.zeros_like(disguise.noise)
    )
    torch.testing.assert_close(apart, plain(made) - plain(real))


def test_gradients_pass_with_the_gain_and_the_tilt() -> None:
    wave = torch.randn(2, 50, requires_grad=True)
    disguise = drawn(wave.detach())
    disguise(wave).sum().backward()
    expected = disguise.gain * (1 + disguise.tilt)
    torch.testing.assert_close(wave.grad, expected.expand(2, 50))
