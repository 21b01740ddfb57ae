"""Figures in closed form."""

import math

import pytest
import torch

from core.metrics import codebook_health, grams, overlap_8gram


def test_evenly_used_codes_have_perplexity_k() -> None:
    codes = torch.arange(16).repeat(5)[:, None].expand(-1, 2)
    health = codebook_health(codes, 16)
    assert health["utilisation"] == [1.0, 1.0]
    assert health["perplexity"] == pytest.approx([16.0, 16.0])


def test_one_code_alone_has_perplexity_one() -> None:
    health = codebook_health(torch.full((7, 1), 3), 16)
    assert health["utilisation"] == [1 / 16]
    assert health["perplexity"] == pytest.approx([1.0])


def test_perplexity_is_the_exponential_of_the_entropy() -> None:
    codes = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 3]])  # shares 3/4 and 1/4; four of 1/4
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert codebook_health(codes, 4)["perplexity"] == pytest.approx([math.exp(entropy), 4.0])


def test_grams_are_runs_of_eight_codes_with_the_level_they_begin_on() -> None:
    codes = torch.tensor([[0, 10, 20], [1, 11, 21], [2, 12, 22], [3, 13, 23]])
    assert list(grams(codes)) == [
        (0, 0, 10, 20, 1, 11, 21, 2, 12),
        (1, 10, 20, 1, 11, 21, 2, 12, 22),
        (2, 20, 1, 11, 21, 2, 12, 22, 3),
        (0, 1, 11, 21, 2, 12, 22, 3, 13),
        (1, 11, 21, 2, 12, 22, 3, 13, 23),
    ]


def test_same_codes_on_other_levels_are_not_the_same_gram() -> None:
    flat = torch.arange(20)
    assert overlap_8gram([flat[1:19].view(-1, 2)], [flat.view(-1, 2)]) == 0


def test_copy_overlaps_wholly_and_a_stranger_not_at_all() -> None:
    train = [torch.arange(40).view(20, 2), torch.arange(100, 140).view(20, 2)]
    assert overlap_8gram([train[1][5:15]], train) == 1
    assert overlap_8gram([torch.arange(200, 240).view(20, 2)], train) == 0


def test_overlap_is_the_share_of_all_grams_of_all_sounds() -> None:
    train = [torch.arange(20)[:, None]]
    copied, strange = torch.arange(10)[:, None], torch.arange(50, 63)[:, None]  # 3 and 6 grams
    assert overlap_8gram([copied, strange], train) == pytest.approx(3 / 9)


def test_sounds_shorter_than_a_gram_overlap_nothing() -> None:
    assert overlap_8gram([torch.zeros(3, 2, dtype=torch.long)], [torch.zeros(9, 2).long()]) == 0
