"""Counts worked out by hand."""

from math import log

import pytest
import torch
from code_sequences import sequence

from core.code_windows import CodeSequence
from core.counting import bigram_nats, end_logits, stay_logits, unigram_nats


def test_unigram_of_equally_common_codes_is_log_k() -> None:
    train = [sequence(0, 1, 2, 3, 3, 2, 1, 0, levels=2)]
    held_out = [sequence(3, 1, 1, levels=2, ends=False)]
    assert unigram_nats(train, held_out, 4)[1] == pytest.approx(log(4))


def test_unigram_counts_the_end_on_level_0() -> None:
    # 0 twice, 1 twice, the end once, half a count added to each: 2.5, 2.5 and 1.5 of 6.5.
    expected = -(2 * log(2.5 / 6.5) + log(1.5 / 6.5)) / 3
    assert unigram_nats([sequence(0, 1, 0, 1)], [sequence(0, 1)], 2) == pytest.approx([expected])


def test_bigram_mixes_what_followed_with_the_unigram() -> None:
    # Met in training: start-0 once, 0-1 twice, 1-0 once, 1-end once. Unigrams as above.
    p0 = p1 = 2.5 / 6.5
    end = 1.5 / 6.5
    first = 1 / 6 * 1 + 5 / 6 * p0
    second = 2 / 7 * 1 + 5 / 7 * p1
    third = 2 / 7 * 1 / 2 + 5 / 7 * end
    expected = -(log(first) + log(second) + log(third)) / 3
    assert bigram_nats([sequence(0, 1, 0, 1)], [sequence(0, 1)], 2) == pytest.approx([expected])


def test_bigram_of_a_context_never_met_is_the_unigram() -> None:
    train, held_out = [sequence(0, 1, 0, 1)], [sequence(2, 2, 2, first=3, ends=False)]
    unigram, bigram = (count(train, held_out, 3) for count in (unigram_nats, bigram_nats))
    # Before the first frame was a 0, which 1 has always followed.
    p2 = 0.5 / 7
    expected = -(2 * log(p2) + log(5 / 7 * p2)) / 3
    assert unigram == pytest.approx([-log(p2)])
    assert bigram == pytest.approx([expected])


def test_stay_logits_are_half_the_odds_of_staying() -> None:
    # On level 0 code 0 stays 3 times of 4, on level 1 no code ever does.
    codes = torch.tensor([[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]])
    found = stay_logits([CodeSequence(codes)], levels=2, codes=4)
    level = 3.5 / 5  # half a count added to each side
    own = (3 + 5 * level) / (4 + 5)  # leans on the level's by five counts
    assert float(found[0, 0]) == pytest.approx(0.5 * log(own / (1 - own) * 3))
    for never_met in found[0, 1:].tolist():
        assert never_met == pytest.approx(0.5 * log(level / (1 - level) * 3))
    # Less than by chance counts as chance: a logit of its own would keep it from staying.
    assert found[1].tolist() == pytest.approx([0] * 4, abs=1e-6)


def test_ends_and_beginnings_are_no_codes_that_stay() -> None:
    one, two = CodeSequence(torch.tensor([[2]])), CodeSequence(torch.tensor([[2], [2]]))
    with_short = stay_logits([one, two, one], levels=1, codes=4)
    assert torch.equal(with_short, stay_logits([two], levels=1, codes=4))


def test_told_sounds_end_where_nothing_is_left_and_untold_ones_by_counting() -> None:
    # 3 and 1 frames and their ends; the third is the beginning of a sound, of no known length.
    whole = [CodeSequence(torch.zeros(frames, 1, dtype=torch.long)) for frames in (3, 1)]
    cut = CodeSequence(torch.zeros(5, 1, dtype=torch.long), ends=False)
    chance = end_logits([*whole, cut], codes=4).exp() / (4 + end_logits([*whole, cut], 4).exp())
    assert float(chance[0]) > 0.9999
    assert float(chance[1:-1].max()) < 1e-5
    assert float(chance[-1]) == pytest.approx(2.5 / 7)  # two ends, four other frames
