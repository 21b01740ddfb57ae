"""What is asked is told, the rest comes from training sounds that are like it; what is near."""

import math

import pytest
import torch
from torch import Tensor

from core.config import MelConfig, PriorConfig
from core.controls import NEAR, Controls, distances, drawn_conditions
from core.descriptors import descriptors, scales
from core.errors import ConfigError
from core.prior import UNKNOWN, Conditions, Prior

NOTHING = Controls()
MEL = MelConfig()


def prior(rows: list[list[float]], labels: int = 0) -> Prior:
    """Of training sounds with these lengths, labels and ranks; the n-th has the style n, -n, 1."""
    examples = torch.tensor([[*row, n, -n, 1.0] for n, row in enumerate(rows)])
    generator = torch.Generator().manual_seed(0)
    books = torch.randn(1, 4, 3, generator=generator)
    return Prior(books, PriorConfig(hidden=8), examples=examples, labels=labels)


# Brightness rises evenly with length; even ones are of label 0, odd ones of label 1.
CLIMBING = [[n + 1.0, n % 2, n / 100, 0.5, 0.5, 0.5] for n in range(101)]
# No two sounds have a rank in common.
VARIED = [
    [n + 1.0, n % 2, n / 100, 1 - n / 100, (37 * n % 101) / 100, (53 * n % 101) / 100]
    for n in range(101)
]


def test_with_nothing_asked_all_of_one_training_sound_is_told() -> None:
    model = prior(VARIED, labels=2)
    told, lengths = drawn_conditions(model, NOTHING, None, range(50))
    drawn = model.examples[[length - 1 for length in lengths]]
    assert torch.equal(told.label, drawn[:, 1].long())
    assert torch.equal(told.ranks, drawn[:, 2:6])
    assert torch.equal(told.style, drawn[:, 6:])


def test_what_is_asked_is_told_and_else_all_of_one_training_sound() -> None:
    model = prior(VARIED, labels=2)
    asked = Controls(brightness=0.25, attack=1.0)
    told, lengths = drawn_conditions(model, asked, 1, range(50))
    drawn = model.examples[[length - 1 for length in lengths]]
    assert torch.equal(told.ranks[:, [0, 3]], torch.tensor([[0.25, 1.0]]).expand(50, -1))
    assert torch.equal(told.ranks[:, 1:3], drawn[:, 3:5])
    assert torch.equal(told.style, drawn[:, 6:])
    assert torch.equal(told.label, drawn[:, 1].long())
    assert len(set(lengths)) > 3


def test_controls_stand_in_the_order_of_the_descriptors() -> None:
    assert Controls(0.1, 0.2, 0.3, 0.4).ranks() == (0.1, 0.2, 0.3, 0.4)
    assert Controls(noisiness=0.3).ranks()[2] == 0.3


@pytest.mark.parametrize("name", ["brightness", "loudness", "noisiness", "attack"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_rank_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} {value} is out of range"):
        Controls(**{name: value})


def test_with_nothing_asked_every_training_sound_is_as_likely() -> None:
    rows = [[n + 1.0, UNKNOWN, n / 4, 0.5, 0.5, 0.5] for n in range(5)]
    _, lengths = drawn_conditions(prior(rows), NOTHING, None, range(2000))
    met = torch.bincount(torch.tensor(lengths), minlength=6)[1:] / 2000
    torch.testing.assert_close(met, torch.full((5,), 0.2), atol=0.04, rtol=0)  # sd .009


def test_lengths_are_those_of_training_sounds_near_what_is_asked() -> None:
    _, lengths = drawn_conditions(prior(CLIMBING), Controls(brightness=0.5), None, range(500))
    bright = (torch.tensor(lengths, dtype=torch.float64) - 1) / 100
    # Likeness is a Gaussian of deviation 0.1.
    assert float(bright.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(bright.std()) == pytest.approx(0.1, abs=0.015)


def test_what_no_training_sound_is_like_is_modelled_on_the_nearest() -> None:
    rows = [[10.0, UNKNOWN, 0.0, 0.5, 0.5, 0.5], [20.0, UNKNOWN, 0.2, 0.5, 0.5, 0.5]]
    far = Controls(1.0, 0.0, 0.0, 0.0)  # 5 deviations and more from either
    _, lengths = drawn_conditions(prior(rows), far, None, range(20))
    assert lengths == [20] * 20


def test_asked_label_is_told_and_only_its_sounds_are_modelled_on() -> None:
    asked = Controls(brightness=0.5)
    conditions, lengths = drawn_conditions(prior(CLIMBING, labels=2), asked, 1, range(100))
    assert conditions.label.tolist() == [1] * 100
    assert all(length % 2 == 0 for length in lengths)  # lengths are one more than n


def test_without_a_label_that_of_the_drawn_sound_is_told() -> None:
    conditions, lengths = drawn_conditions(prior(CLIMBING, labels=2), NOTHING, None, range(100))
    assert conditions.label.tolist() == [(length - 1) % 2 for length in lengths]
    assert set(conditions.label.tolist()) == {0, 1}


def test_sounds_without_a_label_are_told_none() -> None:
    rows = [[n + 1.0, UNKNOWN, n / 4, 0.5, 0.5, 0.5] for n in range(5)]
    conditions, _ = drawn_conditions(prior(rows), NOTHING, None, range(10))
    assert conditions.label.tolist() == [UNKNOWN] * 10


def test_label_that_no_sound_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="too few sounds with that label"):
        drawn_conditions(prior(CLIMBING, labels=3), NOTHING, 2, [1])


def test_seed_alone_decides_what_its_sound_is_modelled_on() -> None:
    model = prior(CLIMBING, labels=2)
    torch.manual_seed(1)
    among = drawn_conditions(model, NOTHING, None, [4, 5, 6])
    torch.manual_seed(2)
    alone = drawn_conditions(model, NOTHING, None, [5])
    assert alone[1][0] == among[1][1]
    assert alone[0].label[0] == among[0].label[1]
    assert len(set(drawn_conditions(model, NOTHING, None, range(50))[1])) > 25


def test_length_is_a_frame_at_least() -> None:
    _, lengths = drawn_conditions(prior([[0.0, -1.0, 0.5, 0.5, 0.5, 0.5]]), NOTHING, None, [1])
    assert lengths == [1]


# What goes on from a prompt

PROMPT = torch.tensor([[2], [2], [3]])


def test_prompt_tells_its_own_style_and_nothing_of_a_training_sound() -> None:
    model = prior(VARIED, labels=2)
    told, lengths = drawn_conditions(model, NOTHING, None, range(20), PROMPT)
    vectors = model.codebooks[0]
    expected = (2 * vectors[2] + vectors[3]) / 3
    torch.testing.assert_close(told.style, expected.expand(20, -1))
    assert told.ranks.isnan().all()
    assert told.label.tolist() == [UNKNOWN] * 20
    assert lengths == drawn_conditions(model, NOTHING, None, range(20))[1]


def test_what_is_asked_beside_a_prompt_is_told_and_decides_the_length() -> None:
    model = prior(VARIED, labels=2)
    asked = Controls(brightness=0.25, noisiness=0.5), 1, range(20)
    told, lengths = drawn_conditions(model, *asked, PROMPT)
    expected = torch.tensor([[0.25, math.nan, 0.5, math.nan]] * 20)
    torch.testing.assert_close(told.ranks, expected, equal_nan=True)
    assert told.label.tolist() == [1] * 20
    assert lengths == drawn_conditions(model, *asked)[1]


# How near a sound came


def flat(level: float) -> Tensor:
    """(F, M) all of one level: of such sounds loudness alone differs."""
    return torch.full((20, 128), level)


def ranked() -> Prior:
    """That has heard flat sounds of levels -4, -3 ... 0: their loudness has ranks 0 to 1."""
    model = prior(CLIMBING, labels=2)
    model.scales = scales([descriptors(flat(level), MEL) for level in range(-4, 1)])
    return model


CODES = torch.tensor([[0], [1], [0]])


def apart(
    model: Prior, controls: Controls, label: int | None, told: Conditions, *levels: float
) -> list[float]:
    """Of sounds of these levels, all of the same codes."""
    mels = [flat(level) for level in levels]
    return distances(model, controls, label, told, [CODES] * len(mels), mels, MEL).tolist()


def styled(*styles: Tensor) -> Conditions:
    told = Conditions.unknown(len(styles), 3)
    told.style[:] = torch.stack(styles)
    return told


def test_exactly_what_was_asked_is_at_no_distance() -> None:
    model = ranked()
    told = styled(model.style(CODES))
    assert apart(model, Controls(loudness=0.75), 1, told, -1.0) == pytest.approx([0], abs=1e-6)


def test_missed_ranks_count_by_their_squares_in_deviations() -> None:
    model, told = ranked(), styled(*[torch.zeros(3)] * 4)
    found = apart(model, Controls(loudness=0.75), None, told, -1.0, -2.0, -3.0, 0.0)
    expected = [(missed / NEAR) ** 2 for missed in (0, 0.25, 0.5, 0.25)]
    assert found == pytest.approx(expected, abs=1e-4)


def test_every_rank_that_is_asked_counts_and_no_other() -> None:
    model, told = ranked(), styled(torch.zeros(3))
    # A flat sound is as soon there as all training sounds are: in the middle of them.
    asked = Controls(loudness=0.75, attack=0.9)
    expected = (0.25 / NEAR) ** 2 + (0.4 / NEAR) ** 2
    assert apart(model, asked, None, told, -2.0) == pytest.approx([expected], rel=1e-4)


def test_with_a_label_asked_the_style_that_was_missed_counts() -> None:
    model = ranked()
    own, off = model.style(CODES), torch.tensor([0.5, 0.0, -1.0])
    told = styled(own, own + off, own + 2 * off)
    found = apart(model, NOTHING, 1, told, 0.0, 0.0, 0.0)
    assert found == pytest.approx([0, 1.25 / 3 / NEAR, 4 * 1.25 / 3 / NEAR], abs=1e-5)
    assert apart(model, NOTHING, None, told, 0.0, 0.0, 0.0) == [0, 0, 0]


def test_missed_ranks_and_styles_add_up() -> None:
    model = ranked()
    told = styled(model.style(CODES) + 1)
    asked = Controls(loudness=0.75)
    both = (0.25 / NEAR) ** 2 + 1 / NEAR
    assert apart(model, asked, 1, told, -2.0) == pytest.approx([both], rel=1e-4)
