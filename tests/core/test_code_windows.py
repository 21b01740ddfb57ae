"""What of a sound is met, and what is told of it."""

import math

import pytest
import torch
from code_sequences import END, generator, prior_of, sequence, window

from core.code_windows import (
    EACH_TOLD,
    STYLE_NOISE,
    CodeBatch,
    CodeSequence,
    CodeWindows,
    collate,
)
from core.prior import UNKNOWN


def test_end_is_scored_on_level_0_and_nowhere_else() -> None:
    targets = sequence(1, 2, levels=3).targets(END)
    batch = collate([window(targets, torch.zeros(3, dtype=torch.long), 0)], END)
    assert targets.tolist() == [[1] * 3, [2] * 3, [END] * 3]
    assert batch.scored[0].tolist() == [[True] * 3, [True] * 3, [True, False, False]]


def test_sound_that_goes_on_has_no_end() -> None:
    assert sequence(1, 2, ends=False).targets(END).tolist() == [[1], [2]]


def test_without_its_end_a_sound_lacks_the_frame_that_it_cuts() -> None:
    cut = sequence(1, 2, 3, first=2).without_end()
    assert (cut.targets(END)[:, 0].tolist(), cut.first) == ([1, 2], 2)
    assert sequence(1).without_end().targets(END).tolist() == [[1]]  # something must be left


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
        if window[0] == 13:
            assert batch.previous[row, 0, 0] == 0  # the last code before the tail
        elif window[0] > 0:
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
        CodeSequence(torch.arange(10)[:, None], None, True, 0, ranks[0]),  # codes are places
        CodeSequence(torch.arange(6)[:, None], None, True, 1, ranks[1]),
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
    told = CodeSequence(torch.zeros(9, 1, dtype=torch.long), None, True, 1, (0.5,) * 4)
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
