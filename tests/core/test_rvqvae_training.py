"""Training of codec and yardstick: who learns, what is measured, and that resuming is exact."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.config import AugmentConfig, MelConfig, RvqvaeConfig
from core.rvqvae import ContinuousVae, LinearStart, RvqVae
from core.rvqvae_fit import first_levels, fit_linear_start
from core.rvqvae_training import (
    CodecStage,
    CodecTrainer,
    MelWindows,
    aim_of_levels,
    choose_levels,
    reconstruction_l1,
)
from core.training import Fit

MEL, AUGMENT = MelConfig(mel_bands=8), AugmentConfig()
CONFIG = RvqvaeConfig(
    latent_dim=4,
    most_levels=4,
    fewest_levels=2,
    augmented_copies=1,
    kmeans_iterations=5,
    codebook_passes=2,
    hidden=32,
    blocks=1,
    vae_dim=2,
    batch_windows=16,
    window_frames=8,
    learning_rate=5e-3,
)
STAGES = pytest.mark.parametrize("stage", ["decoder", "joint", "vae"])
CPU = torch.device("cpu")


def curved_sounds(count: int, seed: int) -> list[Tensor]:
    """Log mels on a curve that no linear model follows: cosines of one slow angle."""
    draw = torch.Generator().manual_seed(seed)
    bands = torch.arange(8.0)
    firsts = 6 * torch.rand(count, generator=draw)
    angles = [first + torch.arange(60.0)[:, None] / 9 for first in firsts]
    return [2 * torch.cos(angle * (1 + bands % 4) + bands) - 5 for angle in angles]


TRAIN, HELD_OUT = curved_sounds(6, seed=0), curved_sounds(2, seed=1)


@pytest.fixture(scope="module")
def start() -> LinearStart:
    return fit_linear_start(TRAIN, 16, MEL, CONFIG, AUGMENT, seed=0)


def trainer_of(start: LinearStart, stage: CodecStage, steps: int) -> CodecTrainer:
    torch.manual_seed(0)
    codec = (ContinuousVae if stage == "vae" else RvqVae)(start, MEL, CONFIG)
    return CodecTrainer(codec, stage, steps, TRAIN, HELD_OUT, AUGMENT, 0, CPU)


def moved(start: LinearStart, stage: CodecStage) -> set[str]:
    """First names of what three steps change."""
    trainer = trainer_of(start, stage, 50)
    before = copy.deepcopy(trainer.codec.state_dict())
    for number in range(3):
        trainer.step(number)
    after = trainer.codec.state_dict()
    return {n.split(".")[0] for n in before if not torch.equal(before[n], after[n])}


@STAGES
def test_training_lowers_held_out_l1(start: LinearStart, stage: CodecStage) -> None:
    trainer = trainer_of(start, stage, 60)
    before = trainer.held_out_loss()
    for number in range(60):
        trainer.step(number)
    assert trainer.held_out_loss() < 0.9 * before


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("decoder", {"decoder_linear", "decoder_net"}),
        ("joint", {"encoder_net", "decoder_linear", "decoder_net"}),
        ("vae", {"encoder_net", "decoder_linear", "decoder_net"}),
    ],
)
def test_only_the_stages_own_weights_move(
    start: LinearStart, stage: CodecStage, names: set[str]
) -> None:
    assert moved(start, stage) == names


@STAGES
def test_resumed_training_equals_uninterrupted(start: LinearStart, stage: CodecStage) -> None:
    whole = Fit(trainer_of(start, stage, 6), steps=6, evaluate_every=2)
    saved = None
    for progress in whole:
        if progress.step == 3:
            saved = copy.deepcopy(whole.state())
    assert saved is not None
    resumed = Fit(trainer_of(start, stage, 6), steps=6, evaluate_every=2)
    resumed.restore(saved)
    for _ in resumed:
        pass
    expected, found = whole.state(), resumed.state()
    assert all(torch.equal(found.tensors[n], value) for n, value in expected.tensors.items())
    assert (found.best_loss, found.history) == (expected.best_loss, expected.history)


def test_encoder_gets_the_gradient_of_the_code_vectors_straight_through(
    start: LinearStart,
) -> None:
    trainer, mel = trainer_of(start, "joint", 50), TRAIN[0][None]
    codec = trainer.codec.eval()
    assert isinstance(codec, RvqVae)
    trainer._forward(mel)[0].square().sum().backward()
    vectors = codec.vectors(codec.encode(mel)).requires_grad_()
    codec.decode(vectors).square().sum().backward()
    assert vectors.grad is not None
    # The bias of the encoder's last layer is added to every latent.
    torch.testing.assert_close(codec.encoder_net.leave.bias.grad, vectors.grad.sum((0, 1)))


def test_training_neither_reads_nor_moves_the_global_generator(start: LinearStart) -> None:
    first, second = (trainer_of(start, "vae", 50) for _ in range(2))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    loss = first.step(0)["log_mel_l1"]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(second.step(0)["log_mel_l1"], loss)


def test_windows_are_pieces_of_the_sounds_and_padding_is_silent() -> None:
    long, short = torch.arange(20.0)[:, None].expand(20, 8), 100 + torch.zeros(3, 8)
    windows, real = MelWindows([long, short], 5, MEL).draw(200, torch.Generator().manual_seed(0))
    silent = torch.log(torch.tensor(1e-5))
    torch.testing.assert_close(windows[~real], silent.expand(int((~real).sum()), 8))
    from_short = ~real.all(1)
    assert (windows[from_short][:, :3] == 100).all()
    firsts = windows[~from_short][:, 0, 0]
    assert set(firsts.tolist()) == set(range(16))  # every start occurs, and none beyond
    rows = windows[~from_short][..., 0]
    assert torch.equal(rows, firsts[:, None] + torch.arange(5))
    assert float(from_short.float().mean()) == pytest.approx(5 / 25, abs=0.1)


def test_reconstruction_l1_is_the_mean_over_all_values_of_all_sounds(start: LinearStart) -> None:
    model = RvqVae(start, MEL, CONFIG).eval()
    mels = [HELD_OUT[0][:9], HELD_OUT[1]]
    errors = [(model.reconstruct(one[None])[0] - one).abs().flatten() for one in mels]
    assert reconstruction_l1(model, mels) == pytest.approx(
        float(torch.cat(errors).mean()), rel=1e-5
    )


def test_on_tails_codes_must_be_better_than_on_whole_files() -> None:
    assert aim_of_levels(0.5, "files") == 0.5
    assert aim_of_levels(0.5, "tails") == pytest.approx(0.47)


@pytest.mark.parametrize("levels", [2, 3])
def test_levels_grow_until_they_come_down_to_the_aim(start: LinearStart, levels: int) -> None:
    _, curve = choose_levels(start, HELD_OUT, 0.0, MEL, CONFIG)
    just_enough = curve[levels - 1] / 0.97 + 1e-6
    assert choose_levels(start, HELD_OUT, just_enough, MEL, CONFIG) == (levels, curve)


def test_curve_is_the_l1_at_every_number_of_levels(start: LinearStart) -> None:
    _, curve = choose_levels(start, HELD_OUT, 1.0, MEL, CONFIG)
    models = [RvqVae(first_levels(start, n), MEL, CONFIG) for n in (1, 2, 3, 4)]
    assert curve == [reconstruction_l1(model, HELD_OUT) for model in models]


def test_levels_are_never_fewer_than_the_fewest_nor_more_than_the_most(start: LinearStart) -> None:
    easy = choose_levels(start, HELD_OUT, 100.0, MEL, CONFIG)[0]
    never = choose_levels(start, HELD_OUT, 0.0, MEL, replace(CONFIG, fewest_levels=1))[0]
    assert (easy, never) == (2, 4)
