"""What is asked is told, and the rest comes from training sounds that are like it."""

import math

import pytest
import torch

from core.config import PriorConfig
from core.controls import Controls, drawn_conditions
from core.errors import ConfigError
from core.prior import UNKNOWN, Prior

NOTHING = Controls()


def prior(rows: list[list[float]], labels: int = 0) -> Prior:
    """Of training sounds with these lengths, labels and ranks."""
    return Prior(
        torch.randn(1, 4, 3), PriorConfig(hidden=8), examples=torch.tensor(rows), labels=labels
    )


# Brightness rises evenly with length; even ones are of label 0, odd ones of label 1.
CLIMBING = [[n + 1.0, n % 2, n / 100, 0.5, 0.5, 0.5] for n in range(101)]


def test_asked_ranks_are_told_and_no_others() -> None:
    asked = Controls(brightness=0.25, attack=1.0)
    conditions, _ = drawn_conditions(prior(CLIMBING), asked, None, [1, 2])
    expected = torch.tensor([[0.25, math.nan, math.nan, 1.0]] * 2)
    torch.testing.assert_close(conditions.ranks, expected, equal_nan=True)


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


def test_prior_without_labels_is_told_none() -> None:
    conditions, _ = drawn_conditions(prior(CLIMBING), NOTHING, None, range(10))
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
