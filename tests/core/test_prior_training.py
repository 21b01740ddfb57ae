"""A prior that learns what counting cannot."""

import copy
import dataclasses
from math import log

import pytest
import torch
from code_sequences import CPU, TINY, generator, sequence
from torch import Tensor

from core.code_windows import (
    CodeBatch,
    CodeSequence,
    CodeWindows,
)
from core.config import PriorConfig
from core.counting import bigram_nats
from core.prior import UNKNOWN, Conditions, Prior
from core.prior_scores import nats_per_level
from core.prior_training import PriorTrainer, corrupted
from core.training import Fit


def test_corruption_replaces_its_share_by_any_other_code() -> None:
    codes = torch.full((10, 1000, 2), 3)
    changed = corrupted(codes, 0.2, 8, generator())
    # A replacement is the code itself one time in 8; sd of the share .003.
    assert float((changed != codes).float().mean()) == pytest.approx(0.2 * 7 / 8, abs=0.01)
    assert set(changed.flatten().tolist()) == set(range(8))
    assert torch.equal(corrupted(codes, 0.0, 8, generator()), codes)


def test_prior_learns_what_a_label_says() -> None:
    torch.manual_seed(0)
    config = PriorConfig(hidden=16, learning_rate=2e-2, batch_frames=128, told_share=0.9)
    sounds = [CodeSequence(torch.full((8, 1), code), label=code) for code in (0, 1)]
    prior = Prior(torch.randn(1, 4, 3), config, labels=2)
    trainer = PriorTrainer(prior, 40, sounds, [], sounds, 0, CPU)
    for number in range(40):
        trainer.step(number)
    # What follows is plain once it has begun; only the label says how it begins: log 2 of 9.
    right, wrong = (sum(nats_per_level(prior, sounds, CPU, one)) for one in ([0, 1], [1, 0]))
    untold = sum(nats_per_level(prior, sounds, CPU))
    assert right < untold - 0.5 * log(2) / 9
    assert untold < wrong


def test_prior_learns_what_a_style_says() -> None:
    torch.manual_seed(0)
    config = PriorConfig(hidden=16, learning_rate=2e-2, batch_frames=128, told_share=0.9)
    sounds = [CodeSequence(torch.full((8, 1), code)) for code in (0, 1)]
    prior = Prior(torch.randn(1, 4, 3), config)
    trainer = PriorTrainer(prior, 40, sounds, [], sounds, 0, CPU)
    for number in range(40):
        trainer.step(number)
    prior.eval()
    told = dataclasses.replace(Conditions.unknown(2, 3), style=prior.codebooks[0, :2])
    begins, unknown = torch.zeros(2, 1, dtype=torch.long), torch.full((2, 1), UNKNOWN)
    nobody = begins[..., None]
    logits = prior.logits(nobody, begins, unknown, prior.told(told), nobody)[:, 0, 0]
    share = logits.softmax(-1).detach()  # of each first code; untold, half for either
    assert float(share[0, 0]) > 0.8
    assert float(share[1, 1]) > 0.8


@pytest.mark.parametrize("share", [0.0, 0.999])
def test_training_tells_its_share(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr("core.code_windows.EACH_TOLD", 1.0)
    config = PriorConfig(hidden=8, batch_frames=8, window_frames=8, told_share=share)
    sounds = [CodeSequence(torch.tensor([[0], [1], [2]]), label=1, ranks=(0.1, 0.2, 0.3, 0.4))]
    prior = Prior(torch.randn(1, 4, 3), config, labels=2)
    heard: list[Conditions] = []
    told = Prior.told

    def noted(one: Prior, conditions: Conditions, altered: bool = False) -> Tensor:
        heard.append(conditions)
        return told(one, conditions, altered)

    monkeypatch.setattr(Prior, "told", noted)
    PriorTrainer(prior, 1, sounds, [], sounds, 0, CPU).step(0)
    (conditions,) = heard
    everything = share > 0
    assert bool((conditions.label == 1).all()) == everything
    assert bool(conditions.ranks.isfinite().all()) == everything
    assert bool(conditions.style.isfinite().all()) == everything
    true = prior.style(sounds[0].codes)
    assert not torch.allclose(conditions.style, true.expand_as(conditions.style), equal_nan=True)


HEARD = torch.zeros(3, 2, dtype=torch.long)  # before the patterns


def pattern(first: int, frames: int = 60) -> Tensor:
    """0 1 0 2 0 1 0 2: what follows 0 takes two frames of memory. Level 1 copies level 0."""
    codes = torch.tensor([0, 1, 0, 2] * (frames // 4 + 1))[first : first + frames]
    return codes[:, None].expand(-1, 2)


def pattern_trainer(steps: int) -> PriorTrainer:
    torch.manual_seed(0)
    prior = Prior(torch.randn(2, 4, 3), TINY)
    train = [CodeSequence(pattern(first), HEARD, ends=False) for first in range(4)]
    held_out = [CodeSequence(pattern(1, 40), HEARD, ends=False)]
    return PriorTrainer(prior, steps, train, [], held_out, 0, CPU)


def test_small_prior_learns_a_pattern_that_bigrams_cannot() -> None:
    trainer = pattern_trainer(60)
    for number in range(60):
        trainer.step(number)
    train = [CodeSequence(pattern(first), HEARD, ends=False) for first in range(4)]
    bigram = bigram_nats(train, trainer.held_out, 4)
    assert sum(bigram) > log(2) / 2  # after every 0, on every other frame
    # The first two frames cannot be known: log 2 or so each, of 40.
    assert trainer.held_out_loss() < 0.25 * sum(bigram)


def test_resumed_training_equals_uninterrupted() -> None:
    whole = Fit(pattern_trainer(6), steps=6, evaluate_every=2)
    saved = None
    for progress in whole:
        if progress.step == 3:
            saved = copy.deepcopy(whole.state())
    assert saved is not None
    resumed = Fit(pattern_trainer(6), steps=6, evaluate_every=2)
    resumed.restore(saved)
    for _ in resumed:
        pass
    expected, found = whole.state(), resumed.state()
    assert all(torch.equal(found.tensors[n], value) for n, value in expected.tensors.items())
    assert (found.best_loss, found.history) == (expected.best_loss, expected.history)


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    first, second = pattern_trainer(5), pattern_trainer(5)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    loss = first.step(0)["nats_per_frame"]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(second.step(0)["nats_per_frame"], loss)


def shares_of_copies(settles: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Of the first 70 % of the steps and of the rest; a copy is a sound of ones."""
    config = PriorConfig(
        hidden=8, batch_frames=8, window_frames=8, augmented_share=0.25, late_augmented_share=0.75
    )
    originals = [sequence(*[0] * 8, ends=False)]
    copies = [dataclasses.replace(sequence(*[1] * 8, ends=False), sound=1)]
    prior = Prior(torch.randn(1, 4, 3), config)
    trainer = PriorTrainer(prior, 300, originals, copies, originals, 0, CPU, settles)
    batches: list[CodeBatch] = []
    draw = CodeWindows.draw

    def noted(windows: CodeWindows, draws: torch.Generator) -> CodeBatch:
        batches.append(draw(windows, draws))
        return batches[-1]

    monkeypatch.setattr(CodeWindows, "draw", noted)
    for number in range(300):
        trainer.step(number)
        assert trainer.drawn(number) == list(batches[-2].sounds)  # and draws what the step drew
        batches.pop()
    heard = [int(batch.targets[0, 0, 0]) for batch in batches]
    return sum(heard[:210]) / 210, sum(heard[210:]) / 90


def test_augmented_copies_come_up_by_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    first, rest = shares_of_copies(False, monkeypatch)
    assert first == pytest.approx(0.25, abs=0.1)  # sd .03
    assert rest == pytest.approx(0.25, abs=0.15)  # sd .05


def test_a_prior_that_settles_meets_them_by_another_share_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, rest = shares_of_copies(True, monkeypatch)
    assert first == pytest.approx(0.25, abs=0.1)
    assert rest == pytest.approx(0.75, abs=0.15)


@pytest.mark.parametrize(("share", "heard"), [(0.0, False), (0.999, True)])
def test_the_mark_of_copies_learns_from_copies_alone(share: float, heard: bool) -> None:
    config = PriorConfig(hidden=8, batch_frames=8, window_frames=8, augmented_share=share)
    sounds = [sequence(0, 1, 2, 3)]
    prior = Prior(torch.randn(1, 4, 3), config)
    trainer = PriorTrainer(prior, 20, sounds, sounds, sounds, 0, CPU)
    for number in range(5):
        trainer.step(number)
    assert bool(prior.altered.abs().sum() > 0) == heard
