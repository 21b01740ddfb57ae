"""What is met, told and scored, and a prior that learns what counting cannot."""

import copy
import dataclasses
import math
from math import log

import pytest
import torch
from torch import Tensor

from core.config import PriorConfig
from core.counting import bigram_nats
from core.prior import UNKNOWN, Conditions, Prior
from core.prior_training import (
    EACH_TOLD,
    STYLE_NOISE,
    CodeBatch,
    CodeSequence,
    CodeWindow,
    CodeWindows,
    PriorTrainer,
    collate,
    corrupted,
    nats,
    nats_per_level,
)
from core.training import Fit

CPU = torch.device("cpu")
END = 4  # of a codebook of 4
TINY = PriorConfig(
    hidden=32, dropout=0.1, corruption=0.0, learning_rate=2e-2, batch_frames=256, window_frames=32
)


def sequence(*codes: int, levels: int = 1, first: int = 0, ends: bool = True) -> CodeSequence:
    return CodeSequence(torch.tensor(codes)[:, None].expand(-1, levels), first, ends)


def window(targets: Tensor, before: Tensor, first: int) -> CodeWindow:
    """Told nothing."""
    left = torch.full((len(targets),), UNKNOWN)
    nobody = torch.full((3,), math.nan)
    return CodeWindow(targets, before, first, left, UNKNOWN, (math.nan,) * 4, nobody)


def prior_of(codes: int, **settings: int) -> Prior:
    """Of one level, as windows are drawn for it."""
    torch.manual_seed(0)
    return Prior(torch.randn(1, codes, 3), PriorConfig(hidden=8, **settings))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_end_is_scored_on_level_0_and_nowhere_else() -> None:
    targets = sequence(1, 2, levels=3).targets(END)
    batch = collate([window(targets, torch.zeros(3, dtype=torch.long), 0)], END)
    assert targets.tolist() == [[1] * 3, [2] * 3, [END] * 3]
    assert batch.scored[0].tolist() == [[True] * 3, [True] * 3, [True, False, False]]


def test_sound_that_goes_on_has_no_end() -> None:
    assert sequence(1, 2, ends=False).targets(END).tolist() == [[1], [2]]


def test_padding_is_not_scored_and_every_frame_follows_its_predecessor() -> None:
    windows = [
        window(torch.tensor([[1], [2], [3]]), torch.tensor([0]), 6),
        window(torch.tensor([[2]]), torch.tensor([3]), 0),
    ]
    batch = collate(windows, END)
    assert batch.targets[..., 0].tolist() == [[1, 2, 3], [2, 0, 0]]
    assert batch.previous[..., 0].tolist() == [[0, 1, 2], [3, 0, 0]]
    assert batch.frame[batch.scored[..., 0]].tolist() == [6, 7, 8, 0]
    assert (batch.frame[1, 1:] > 0).all()  # no sound begins in the padding
    assert batch.scored[..., 0].tolist() == [[True] * 3, [True, False, False]]


def test_windows_are_pieces_of_sequences_that_know_their_places() -> None:
    prior = prior_of(20, window_frames=4, batch_frames=4000)
    # Every code but the end (20) is its own place in its sound.
    pieces = [sequence(*range(10)), sequence(13, 14, first=13, ends=False)]
    batch = CodeWindows(pieces, prior).draw(generator())
    seen = set()
    for row in range(len(batch.targets)):
        real = batch.scored[row, :, 0]
        window, places = batch.targets[row][real][:, 0].tolist(), batch.frame[row][real].tolist()
        seen.add(tuple(window))
        assert all(code in (place, 20) for code, place in zip(window, places, strict=True))
        if window[0] not in (0, 13):
            assert batch.previous[row, 0, 0] == places[0] - 1
    whole = [*range(10), 20]  # windows are cut from it, clipped at its beginning and end
    clipped = {tuple(whole[max(0, place) : place + 4]) for place in range(-3, 11)}
    assert seen == clipped | {(13,), (13, 14), (14,)}
    assert 4000 <= int(batch.scored.sum()) < 4004


def test_every_frame_is_met_equally_often() -> None:
    prior = prior_of(99, window_frames=8, batch_frames=60_000)
    pieces = [sequence(*range(40)), sequence(*range(40, 43))]  # one long, one short; end is 99
    batch = CodeWindows(pieces, prior).draw(generator())
    met = torch.bincount(batch.targets[batch.scored[..., 0]][:, 0], minlength=100)
    inner = met[:43].double()
    expected = float(inner.mean())
    assert (inner - expected).abs().max() < 6 * expected**0.5  # counts scatter as their root
    assert abs(int(met[99]) - 2 * expected) < 6 * (2 * expected) ** 0.5  # both ends


def test_frames_to_come_count_down_to_none_at_the_end() -> None:
    assert sequence(7, 8, 9).left().tolist() == [3, 2, 1, 0]
    assert len(sequence(7, 8, 9).targets(END)) == 4


def test_frames_to_come_are_unknown_where_the_sound_goes_on() -> None:
    assert sequence(7, 8, ends=False).left().tolist() == [UNKNOWN, UNKNOWN]


def test_windows_know_what_is_to_come_and_what_their_sounds_are_like() -> None:
    prior = prior_of(20, window_frames=4, batch_frames=500)
    ranks = [(0.0, 0.25, 0.5, 0.75), (1.0, 0.9, 0.8, math.nan)]
    pieces = [
        CodeSequence(torch.arange(10)[:, None], 0, True, 0, ranks[0]),  # codes are places
        CodeSequence(torch.arange(6)[:, None], 0, True, 1, ranks[1]),
    ]
    batch = CodeWindows(pieces, prior).draw(generator())
    for row, label in enumerate(batch.conditions.label.tolist()):
        real, length = batch.scored[row, :, 0], len(pieces[label].codes)
        assert batch.left[row][real].tolist() == (length - batch.frame[row][real]).tolist()
        assert (batch.left[row][~real] == UNKNOWN).all()
        expected = torch.tensor(ranks[label])
        torch.testing.assert_close(batch.conditions.ranks[row], expected, equal_nan=True)
        style = prior.codebooks[0, :length].mean(0)  # of the whole sound, not of the window
        torch.testing.assert_close(batch.conditions.style[row], style)
    assert set(batch.conditions.label.tolist()) == {0, 1}


def told_windows(frames: int) -> CodeBatch:
    """Windows of at most two frames each of one sound of which everything is known."""
    told = CodeSequence(torch.zeros(9, 1, dtype=torch.long), 0, True, 1, (0.5,) * 4)
    prior = prior_of(END, window_frames=2, batch_frames=frames)
    return CodeWindows([told], prior).draw(generator())


def test_some_windows_are_told_most_conditions_and_others_none() -> None:
    batch = told_windows(8000)
    kept = batch.but_told(0.4, generator())
    styled = kept.conditions.style.isfinite()
    known = torch.cat(
        [
            (kept.left[:, :1] != UNKNOWN),
            (kept.conditions.label != UNKNOWN)[:, None],
            kept.conditions.ranks.isfinite(),
            styled.any(1, keepdim=True),
        ],
        dim=1,
    )
    count = len(known)  # 4000 windows or more: sd of a share is .007
    each, two = 0.4 * EACH_TOLD, 0.4 * EACH_TOLD**2
    torch.testing.assert_close(known.float().mean(0), torch.full((7,), each), atol=0.035, rtol=0)
    both = (known[:, :, None] & known[:, None]).float().mean(0)[~torch.eye(7, dtype=torch.bool)]
    torch.testing.assert_close(both, torch.full((42,), two), atol=0.035, rtol=0)
    assert float(known.any(1).float().mean()) == pytest.approx(0.4, abs=0.035)
    assert count > 4000
    assert torch.equal(kept.targets, batch.targets)
    whole = batch.left[known[:, 0]]
    assert torch.equal(kept.left[known[:, 0]], whole)  # all of a window's frames, or none
    assert torch.equal(styled.all(1), styled.any(1))  # a whole style, or none


def test_styles_are_told_a_little_wrong_and_each_window_otherwise() -> None:
    batch = told_windows(8000)
    kept = batch.but_told(1.0, generator()).conditions.style
    wrong = (kept - batch.conditions.style)[kept.isfinite().all(1)]
    assert wrong.shape[0] > 3000  # three values each: sd of the mean .0026, of the sd .0019
    assert float(wrong.mean()) == pytest.approx(0, abs=0.015)
    assert float(wrong.std()) == pytest.approx(STYLE_NOISE, abs=0.01)
    assert len(wrong.flatten().unique()) > 0.99 * wrong.numel()


def test_nothing_can_be_told() -> None:
    batch = told_windows(50)
    nothing = batch.but_told(0.0, generator())
    assert (nothing.left == UNKNOWN).all()
    assert (nothing.conditions.label == UNKNOWN).all()
    assert nothing.conditions.ranks.isnan().all()
    assert nothing.conditions.style.isnan().all()


def test_corruption_replaces_its_share_by_any_other_code() -> None:
    codes = torch.full((10, 1000, 2), 3)
    changed = corrupted(codes, 0.2, 8, generator())
    # A replacement is the code itself one time in 8; sd of the share .003.
    assert float((changed != codes).float().mean()) == pytest.approx(0.2 * 7 / 8, abs=0.01)
    assert set(changed.flatten().tolist()) == set(range(8))
    assert torch.equal(corrupted(codes, 0.0, 8, generator()), codes)


def test_nats_of_equal_logits_are_log_of_the_classes_where_scored() -> None:
    targets = sequence(1, 2).targets(END)
    longer = sequence(0, 1, 2, 3).targets(END)
    batch = collate([window(targets, targets[0], 0), window(longer, longer[0], 0)], END)
    found = nats(torch.zeros(2, 5, 1, END + 1), batch.targets, batch.scored)[..., 0]
    torch.testing.assert_close(found, log(5) * batch.scored[..., 0].float())


def test_prior_without_weights_knows_nothing_but_where_the_end_cannot_be() -> None:
    prior = Prior(torch.randn(2, 4, 3), TINY)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.zero_()
    held_out = [sequence(0, 1, 2, levels=2), sequence(3, levels=2)]  # 4 code frames, 2 ends
    found = nats_per_level(prior, held_out, CPU)
    assert found == pytest.approx([log(5), log(4) * 4 / 6], rel=1e-5)


def even_prior(codes: int, levels: int) -> Prior:
    """Every code equally likely on every level, never an end."""
    model = Prior(torch.randn(levels, codes, 3), TINY, labels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head_bias[0, codes] = -100.0
    return model.eval()


def test_scoring_tells_a_label_if_asked_and_never_lengths_ranks_or_styles() -> None:
    model = even_prior(4, 1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    plain = CodeSequence(torch.tensor([[0], [1], [2]]))
    known = CodeSequence(plain.codes, label=1, ranks=(0.1, 0.2, 0.3, 0.4))
    previous, frame = torch.tensor([[[0], [0], [1], [2]]]), torch.arange(4)[None]
    nothing = model.told(Conditions.unknown(1, 3))
    untold, targets = torch.full((1, 4), UNKNOWN), torch.tensor([[[0], [1], [2], [END]]])
    logits = model.logits(previous, frame, untold, nothing, targets)[0, :, 0].log_softmax(-1)
    expected = -float(logits.gather(1, targets[0]).mean().detach())
    assert nats_per_level(model, [known], CPU) == pytest.approx([expected], rel=1e-5)
    assert nats_per_level(model, [plain], CPU) == pytest.approx([expected], rel=1e-5)
    told = [nats_per_level(model, [plain], CPU, [label]) for label in (0, 1, UNKNOWN)]
    assert told[0] != told[1]
    assert told[2] == nats_per_level(model, [plain], CPU)


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
    monkeypatch.setattr("core.prior_training.EACH_TOLD", 1.0)
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


def pattern(first: int, frames: int = 60) -> Tensor:
    """0 1 0 2 0 1 0 2: what follows 0 takes two frames of memory. Level 1 copies level 0."""
    codes = torch.tensor([0, 1, 0, 2] * (frames // 4 + 1))[first : first + frames]
    return codes[:, None].expand(-1, 2)


def pattern_trainer(steps: int) -> PriorTrainer:
    torch.manual_seed(0)
    prior = Prior(torch.randn(2, 4, 3), TINY)
    train = [CodeSequence(pattern(first), first=3, ends=False) for first in range(4)]
    held_out = [CodeSequence(pattern(1, 40), first=3, ends=False)]
    return PriorTrainer(prior, steps, train, [], held_out, 0, CPU)


def test_small_prior_learns_a_pattern_that_bigrams_cannot() -> None:
    trainer = pattern_trainer(60)
    for number in range(60):
        trainer.step(number)
    train = [CodeSequence(pattern(first), 3, False) for first in range(4)]
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


def test_augmented_copies_come_up_by_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    config = PriorConfig(hidden=8, batch_frames=8, window_frames=8, augmented_share=0.25)
    originals, copies = [sequence(*[0] * 8, ends=False)], [sequence(*[1] * 8, ends=False)]
    prior = Prior(torch.randn(1, 4, 3), config)
    trainer = PriorTrainer(prior, 200, originals, copies, originals, 0, CPU)
    batches: list[CodeBatch] = []
    draw = CodeWindows.draw

    def noted(windows: CodeWindows, draws: torch.Generator) -> CodeBatch:
        batches.append(draw(windows, draws))
        return batches[-1]

    monkeypatch.setattr(CodeWindows, "draw", noted)
    for number in range(200):
        trainer.step(number)
    share = sum(int(batch.targets[0, 0, 0]) for batch in batches) / 200
    assert share == pytest.approx(0.25, abs=0.1)  # sd .03


@pytest.mark.parametrize(("share", "heard"), [(0.0, False), (0.999, True)])
def test_the_mark_of_copies_learns_from_copies_alone(share: float, heard: bool) -> None:
    config = PriorConfig(hidden=8, batch_frames=8, window_frames=8, augmented_share=share)
    sounds = [sequence(0, 1, 2, 3)]
    prior = Prior(torch.randn(1, 4, 3), config)
    trainer = PriorTrainer(prior, 20, sounds, sounds, sounds, 0, CPU)
    for number in range(5):
        trainer.step(number)
    assert bool(prior.altered.abs().sum() > 0) == heard
