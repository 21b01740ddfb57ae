"""A tiny texture learns what residuals look like; before, its error has a closed form."""

import copy
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from core.config import AugmentConfig, MelConfig, RvqvaeConfig, TextureConfig
from core.mel import silence
from core.rvqvae import LinearStart, RvqVae
from core.texture import LAGS, Texture, colouring
from core.texture_training import LEAST_SCALE, TextureTrainer, residual_statistics
from core.training import Fit

MEL = MelConfig(mel_bands=4)
CODEC = RvqvaeConfig(latent_dim=2, hidden=8, blocks=1)
PLAIN = AugmentConfig(equaliser_nats=0.0, gain_nats=0.0)
CPU = torch.device("cpu")
LEVEL = -5.0


def blank_codec() -> RvqVae:
    """Says the same of every sound: LEVEL in every band."""
    books, components = torch.zeros(1, 2, 2), torch.eye(8)[:, :2].contiguous()
    start = LinearStart(torch.full((4,), LEVEL), torch.ones(()), components, books)
    return RvqVae(start, MEL, CODEC)


def flickering(frames: int, sounds: int, seed: int) -> list[Tensor]:
    """Each code frame, two mel frames, is 0.3 above or below LEVEL, in all bands alike."""
    draw = torch.Generator().manual_seed(seed)
    signs = 2.0 * torch.randint(0, 2, (sounds, frames // 2, 1, 1), generator=draw) - 1
    return list(LEVEL + 0.3 * signs.expand(-1, -1, 2, 4).reshape(sounds, frames, 4))


def trainer_of(
    steps: int, train: Sequence[Tensor], held_out: Sequence[Tensor], augment: AugmentConfig = PLAIN
) -> TextureTrainer:
    config = TextureConfig(
        hidden=32,
        blocks=1,
        learning_rate=1e-2,
        batch_windows=16,
        window_frames=8,
        sampling_steps=25,
    )
    torch.manual_seed(0)
    codec = blank_codec()
    scale, alike = residual_statistics(codec, train)
    texture = Texture(codec.mean, codec.scale, scale, colouring(alike), MEL, CODEC, config)
    return TextureTrainer(texture, codec, steps, train, held_out, augment, 0, CPU)


def flicker_trainer(steps: int, augment: AugmentConfig = PLAIN) -> TextureTrainer:
    return trainer_of(steps, flickering(64, 4, seed=0), flickering(64, 4, seed=1), augment)


def test_scale_is_the_root_mean_square_of_each_bands_residual() -> None:
    # Three frames of 1 and one of 3, of two lengths, the odd one's last code frame half empty:
    # the squares' mean is 3. A band that never strays has the least scale there is.
    strays = torch.tensor([1.0, 1, 3])[:, None], torch.tensor([1.0])[:, None]
    mels = [LEVEL + stray * torch.tensor([1.0, -2.0, 0.0, 0.1]) for stray in strays]
    expected = torch.tensor([1.0, 2.0, 0.0, 0.1]) * math.sqrt(3)
    expected[2] = LEAST_SCALE
    torch.testing.assert_close(residual_statistics(blank_codec(), mels)[0], expected)


def test_likeness_is_that_of_neighbours_in_all_bands_by_their_scales() -> None:
    # Residuals of 1, 1 and -1 times a band's scale; a sound of one frame adds to lag 0 alone.
    strays = torch.tensor([1.0, 1, -1])[:, None], torch.tensor([1.0])[:, None]
    mels = [LEVEL + stray * torch.tensor([1.0, 2.0, 3.0, 4.0]) for stray in strays]
    _, alike = residual_statistics(blank_codec(), mels)
    torch.testing.assert_close(alike, torch.tensor([4.0, 0, -1, *[0] * (LAGS - 2)]) / 4)


def test_sounds_without_a_residual_have_noise_that_is_white() -> None:
    scale, alike = residual_statistics(blank_codec(), [torch.full((9, 4), LEVEL)])
    assert scale.tolist() == pytest.approx([LEAST_SCALE] * 4)
    torch.testing.assert_close(colouring(alike), torch.eye(2 * LAGS + 1)[LAGS], atol=1e-6, rtol=0)


def test_error_of_a_fresh_texture_is_half_pi_and_its_doubt_half() -> None:
    # The best guess from x alone leaves 2 - (2t - 1)^2 / (t^2 + (1 - t)^2) of the velocity's
    # variance, which is 1 / (t^2 + (1 - t)^2); its mean over t is pi / 2. Residuals that stray
    # as their band does surprise by 1 / 2.
    assert flicker_trainer(1).held_out_loss() == pytest.approx((math.pi + 1) / 2, rel=0.05)


def test_padding_of_short_sounds_is_not_scored() -> None:
    # Six frames of sixteen are sound. Silence is 20 scales off: it would weigh 400 and more.
    short = flickering(6, 50, seed=2)
    assert trainer_of(1, short, short).held_out_loss() == pytest.approx((math.pi + 1) / 2, rel=0.1)
    assert abs(silence(MEL) - LEVEL) / 0.3 > 20


def test_small_texture_learns_how_residuals_are_spread() -> None:
    trainer = flicker_trainer(600)
    for number in range(600):
        trainer.step(number)
    texture = trainer.texture.eval()
    noise = texture.noise(5, 0, 500)
    drawn = texture.residual(torch.full((1, 1000, 4), LEVEL), noise[None])[0]
    levels = drawn.view(500, 8).mean(1)  # of a code frame, 0.3 above or below in truth
    # Bands on their own would spread by .3 / root 8 = .11, and noise in one heap would have
    # two thirds of its deviation as its median.
    assert float(levels.std()) == pytest.approx(0.3, abs=0.07)
    assert float(levels.abs().median() / levels.std()) == pytest.approx(1, abs=0.2)
    assert float((levels > 0).float().mean()) == pytest.approx(0.5, abs=0.1)  # sd .022


def test_texture_learns_where_residuals_stray_far(monkeypatch: pytest.MonkeyPatch) -> None:
    # Above LEVEL they stray by .1, below by .4; the codec says which, and nothing else.
    def sounds(seed: int) -> list[Tensor]:
        draw = torch.Generator().manual_seed(seed)
        louder = torch.randint(0, 2, (4, 64, 1), generator=draw).repeat_interleave(2, 1)
        strays = (0.4 - 0.3 * louder) * torch.randn(4, 128, 4, generator=draw)
        return list(LEVEL + 3.0 * (2 * louder - 1) + strays)

    def smoothed(mel: Tensor) -> Tensor:
        sides = (mel - LEVEL).mean(2, keepdim=True).sign()
        return (LEVEL + 3.0 * sides).expand_as(mel)

    trainer = trainer_of(150, sounds(0), sounds(1))
    monkeypatch.setattr(trainer.codec, "reconstruct", smoothed)
    scale = math.sqrt((0.4**2 + 0.1**2) / 2)
    trainer.texture.scale.fill_(scale)
    for number in range(150):
        trainer.step(number)
    texture = trainer.texture.eval()
    for smooth, expected in ((LEVEL - 3.0, 0.4), (LEVEL + 3.0, 0.1)):
        told = texture.log_deviation(torch.full((1, 40, 4), smooth)).exp() * scale
        assert float(told.mean()) == pytest.approx(expected, rel=0.2)
        drawn = texture.residual(torch.full((1, 2000, 4), smooth), texture.noise(1, 0, 1000)[None])
        assert float(drawn.std()) == pytest.approx(expected, rel=0.25)


def test_training_lowers_the_held_out_error() -> None:
    trainer = flicker_trainer(40)
    before = trainer.held_out_loss()
    for number in range(40):
        trainer.step(number)
    assert trainer.held_out_loss() - 0.5 < 0.8 * (before - 0.5)  # doubt is least at the start


def test_codec_is_left_as_it_is() -> None:
    trainer = flicker_trainer(3, AugmentConfig())
    before = copy.deepcopy(trainer.codec.state_dict())
    for number in range(3):
        trainer.step(number)
    after = trainer.codec.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not trainer.codec.training  # no dropout in it


def test_the_same_weights_give_the_same_held_out_error() -> None:
    trainer = flicker_trainer(1)
    assert trainer.held_out_loss() == trainer.held_out_loss() == flicker_trainer(1).held_out_loss()


def test_half_of_the_windows_are_equalised(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = flicker_trainer(1, AugmentConfig(equaliser_nats=0.0, gain_nats=1.0))
    seen: list[Tensor] = []
    measured = trainer._losses

    def noted(windows: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(windows)
        return measured(windows, *rest)

    monkeypatch.setattr(trainer, "_losses", noted)
    trainer.step(0)
    as_they_are = ((seen[0] - LEVEL).abs() - 0.3).abs().amax((1, 2)) < 1e-5
    assert as_they_are.tolist() == [False] * 8 + [True] * 8


def test_resumed_training_equals_uninterrupted() -> None:
    whole = Fit(flicker_trainer(6, AugmentConfig()), steps=6, evaluate_every=2)
    saved = None
    for progress in whole:
        if progress.step == 3:
            saved = copy.deepcopy(whole.state())
    assert saved is not None
    resumed = Fit(flicker_trainer(6, AugmentConfig()), steps=6, evaluate_every=2)
    resumed.restore(saved)
    for _ in resumed:
        pass
    expected, found = whole.state(), resumed.state()
    assert all(torch.equal(found.tensors[n], value) for n, value in expected.tensors.items())
    assert (found.best_loss, found.history) == (expected.best_loss, expected.history)


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    first, second = flicker_trainer(5, AugmentConfig()), flicker_trainer(5, AugmentConfig())
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    error = first.step(0)["velocity_error"]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(second.step(0)["velocity_error"], error)
