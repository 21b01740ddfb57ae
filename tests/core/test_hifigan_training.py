"""HiFi-GAN's trainer: two phases, reproducible steps, critics that hear both sides alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import HifiganConfig, MelConfig
from core.errors import ConfigError
from core.hifigan import HifiganGenerator
from core.hifigan_training import HifiganTrainer, accuracy_of_critics
from core.mel import log_mel
from core.training import Fit
from core.vocoder_data import WavePair

MEL = MelConfig()
TINY = HifiganConfig(
    upsample_rates=(16, 32),
    upsample_kernels=(32, 64),
    channels=16,
    resblock_kernels=(3,),
    resblock_dilations=((1,),),
    discriminator_divisor=32,
    discriminator_periods=(2, 3),
    batch_segments=2,
    segment_frames=8,
    warm_up_steps=2,
    steps=5,
)


def noise_pair(frames: int, seed: int = 0) -> WavePair:
    wave = np.random.default_rng(seed).normal(0, 0.1, frames * 512).astype(np.float32)
    padded = np.pad(wave, (0, max(0, 2048 - len(wave))))  # a mel needs 769 samples
    mel = log_mel(torch.from_numpy(padded)[None], MEL)[0].T.numpy()
    return WavePair(mel[:frames], wave)


def tiny_trainer(config: HifiganConfig = TINY, seed: int = 0) -> HifiganTrainer:
    pairs = [noise_pair(20), noise_pair(5, seed=1)]
    return HifiganTrainer(config, MEL, pairs, [noise_pair(12, seed=2)], seed, torch.device("cpu"))


def weights(trainer: HifiganTrainer) -> dict[str, torch.Tensor]:
    return {
        f"{module}.{name}": value.clone()
        for module, part in trainer.modules.items()
        for name, value in part.state_dict().items()
    }


def changed(trainer: HifiganTrainer, before: dict[str, torch.Tensor]) -> set[str]:
    """Names of the modules with any tensor that differs from `before`."""
    after = weights(trainer)
    return {name.split(".")[0] for name in before if not torch.equal(after[name], before[name])}


def test_generator_trains_in_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "core.hifigan_training.mixed_precision",
        lambda device: torch.autocast(device.type, dtype=torch.bfloat16),
    )
    trainer, seen = tiny_trainer(), []
    trainer.generator.conv_pre.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    losses = trainer.step(0)
    assert seen == [torch.bfloat16]
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_warm_up_trains_the_generator_alone() -> None:
    trainer = tiny_trainer()
    before = weights(trainer)
    assert set(trainer.step(1)) == {"mel", "stft"}
    assert changed(trainer, before) == {"generator", "averaged"}


def test_after_warm_up_both_networks_learn() -> None:
    trainer = tiny_trainer()
    before = weights(trainer)
    losses = trainer.step(2)
    assert {"mel", "stft", "discriminator", "adversarial", "features"} < set(losses)
    assert changed(trainer, before) == {"generator", "discriminators", "averaged"}
    assert all(not loss.requires_grad and loss.ndim == 0 for loss in losses.values())


def test_what_is_kept_is_a_moving_average_of_the_generator() -> None:
    trainer, name = tiny_trainer(), "conv_post.bias"
    expected = trainer.generator.get_parameter(name).detach().clone()
    assert torch.equal(trainer.averaged.get_parameter(name), expected)
    for number, decay in ((0, 1 / 10), (1, 2 / 11), (2, 3 / 12), (100_000, 0.998)):
        with torch.no_grad():
            trainer.generator.conv_post.bias.add_(1.0)  # far more than a step moves it
        trainer.step(number)
        latest = trainer.generator.get_parameter(name).detach()
        expected = decay * expected + (1 - decay) * latest
        torch.testing.assert_close(trainer.averaged.get_parameter(name), expected)
    assert trainer.modules[trainer.packaged] is trainer.averaged


def test_the_average_is_judged_not_the_latest_weights() -> None:
    trainer = tiny_trainer()
    before = trainer.held_out_loss()
    with torch.no_grad():
        trainer.generator.conv_post.bias.add_(1.0)
    assert trainer.held_out_loss() == before
    with torch.no_grad():
        trainer.averaged.conv_post.bias.add_(1.0)
    assert trainer.held_out_loss() != before


def test_a_known_generator_is_the_start_of_both() -> None:
    trainer, known = (
        tiny_trainer(),
        HifiganGenerator(tiny_trainer(seed=4).config, weight_norm=False),
    )
    trainer.begin_with(known)
    mel = torch.randn(1, MEL.mel_bands, 4) - 5
    for net in (trainer.generator, trainer.averaged):
        torch.testing.assert_close(net(mel), known(mel))


def test_resumed_training_equals_uninterrupted() -> None:
    whole = tiny_trainer()
    for number in range(5):
        whole.step(number)
    stopped = Fit(tiny_trainer(), steps=5, evaluate_every=5)
    for progress in stopped:
        if progress.step == 3:  # one adversarial step in, so moments and power iterations count
            break
    resumed = Fit(tiny_trainer(seed=0), steps=5, evaluate_every=5)
    resumed.restore(stopped.state())
    for _ in resumed:
        pass
    assert isinstance(resumed.trainer, HifiganTrainer)
    assert not changed(resumed.trainer, weights(whole))


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = tiny_trainer()
    first.step(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second = tiny_trainer()
    second.step(2)
    assert not changed(second, weights(first))


@pytest.mark.parametrize(
    ("number", "of_generator", "of_critics"),
    [
        (0, 9.0, None),
        (2, 3.0, None),  # halfway through the warm-up
        (4, 1.0, 1.0),
        (7, 0.5**0.5, 0.1**0.5),  # and through the rest
        (9, 0.5 ** (5 / 6), 0.1 ** (5 / 6)),
    ],
)
def test_learning_rates_fall_with_the_warm_up_and_then_to_their_last_shares(
    number: int, of_generator: float, of_critics: float | None
) -> None:
    config = replace(
        TINY, warm_up_steps=4, steps=10, learning_rate=1e-3, warm_up_rate_factor=9.0,
        last_rate_share=0.5, last_critic_rate_share=0.1,
    )  # fmt: skip
    trainer = tiny_trainer(config)
    trainer.step(number)
    rates = {name: one.param_groups[0]["lr"] for name, one in trainer.optimizers.items()}
    assert rates["generator"] == pytest.approx(1e-3 * of_generator)
    if of_critics is not None:  # before, they stand still
        assert rates["discriminators"] == pytest.approx(1e-3 * of_critics)


def test_generator_loss_carries_each_configured_weight_once() -> None:
    def gradient(**weight: float) -> torch.Tensor:
        none = {"mel_weight": 0.0, "stft_weight": 0.0, "feature_weight": 0.0}
        trainer = tiny_trainer(replace(TINY, **(none | weight)))
        trainer.step(2)
        grad = trainer.generator.conv_post.bias.grad
        assert grad is not None
        return grad.clone()

    adversarial = gradient()  # its weight is 1 and has no setting
    for name in ("mel_weight", "stft_weight", "feature_weight"):
        once, thrice = gradient(**{name: 1.0}), gradient(**{name: 3.0})
        torch.testing.assert_close(
            thrice - adversarial, 3 * (once - adversarial), rtol=1e-3, atol=1e-5
        )


def test_a_few_steps_lower_the_held_out_loss() -> None:
    trainer = tiny_trainer(replace(TINY, warm_up_steps=20, learning_rate=3e-3))
    before = trainer.held_out_loss()
    for number in range(20):
        trainer.step(number)
    assert trainer.held_out_loss() < 0.8 * before


def test_held_out_loss_repeats_and_takes_sounds_of_one_frame() -> None:
    trainer = HifiganTrainer(
        TINY, MEL, [noise_pair(20)], [noise_pair(n) for n in range(1, 12)], 0, torch.device("cpu")
    )
    assert len(trainer.held_out) == 8
    assert trainer.held_out_loss() == trainer.held_out_loss()


def test_misfit_shape_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match="multiply to 256"):
        tiny_trainer(replace(TINY, upsample_rates=(16, 16)))


def test_a_steps_batch_depends_on_seed_and_number_alone() -> None:
    def losses(seed: int, numbers: range) -> list[float]:
        trainer = tiny_trainer(replace(TINY, warm_up_steps=100, learning_rate=0.0))
        trainer.seed = seed  # of the batches only: the weights are made and stand still
        return [float(trainer.step(number)["mel"]) for number in numbers]

    assert losses(0, range(2, 8)) == losses(0, range(8))[2:]
    assert losses(0, range(8)) != losses(1, range(8))
    assert len(set(losses(0, range(8)))) > 3  # the pairs are so short that some batches coincide


def test_critics_hear_real_and_fake_in_the_same_disguise() -> None:
    pair = noise_pair(TINY.segment_frames)  # every segment is the whole sound
    trainer = HifiganTrainer(TINY, MEL, [pair], [pair], 0, torch.device("cpu"))
    real = torch.from_numpy(pair.wave).expand(TINY.batch_segments, -1)
    trainer.generator.register_forward_hook(lambda _, __, fake: real + 0 * fake)
    heard: list[torch.Tensor] = []
    trainer.discriminators.register_forward_pre_hook(lambda _, waves: heard.append(waves[0]))
    trainer.step(TINY.warm_up_steps)
    both, real_again, fake_again = heard  # the critics' own update, then the generator's
    for wave in (*both.chunk(2), real_again, fake_again):
        assert torch.equal(wave, real_again)
        assert not torch.equal(wave, real)


def evaluations(*accuracies: float) -> list[dict[str, float]]:
    """A history of two evaluations in the warm-up and then these."""
    warm_up = [{"step": 0.0, "held_out": 1.0}] * 2
    return [*warm_up, *({"discriminator accuracy": one} for one in accuracies)]


def test_critics_accuracy_is_the_mean_of_the_latest_five_evaluations() -> None:
    assert accuracy_of_critics(evaluations(0.0, 0.5, 0.6, 0.7, 0.8, 0.9)) == pytest.approx(0.7)
    assert accuracy_of_critics(evaluations(0.9, 0.9, 0.9, 0.9)) is None


def test_critics_that_judge_more_than_95_percent_rightly_are_remarked_upon() -> None:
    trainer = tiny_trainer()
    remark = trainer.remark(evaluations(*[0.97] * 5))
    assert remark is not None
    assert remark.startswith("the discriminators judge 97.0% rightly")
    assert trainer.remark(evaluations(*[0.95] * 5)) is None
    assert trainer.remark([]) is None


def test_the_loops_history_holds_the_critics_accuracy() -> None:
    fit = Fit(tiny_trainer(), steps=5, evaluate_every=1)
    for _ in fit:
        pass
    known = ["discriminator accuracy" in row for row in fit.history]
    assert known == [False] * 3 + [True] * 3  # before, and two steps of warm-up


def test_training_does_not_stop_within_the_warm_up() -> None:
    fit = Fit(tiny_trainer(replace(TINY, learning_rate=0.0)), steps=5, evaluate_every=1, patience=1)
    for _ in fit:
        pass
    assert fit.step == TINY.warm_up_steps + 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_both_phases_run_on_cuda() -> None:
    pairs = [noise_pair(20)]
    trainer = HifiganTrainer(TINY, MEL, pairs, pairs, 0, torch.device("cuda"))
    trainer.begin_with(HifiganGenerator(TINY, weight_norm=False))  # known ones lie on the CPU
    for number in range(4):
        assert all(loss.isfinite() for loss in trainer.step(number).values())
