"""The drawer: frequencies in closed form, logits as the prior's own."""

import math

import numpy as np
import pytest
import torch
from small_priors import conditions, prior
from torch import Tensor

from core import drawer
from core.drawer import Drawer, chosen_codes
from core.prior import UNKNOWN

PROBABILITIES = torch.tensor([0.15, 0.5, 0.05, 0.3])


def shares(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> list[float]:
    """How often each class is drawn in 200 000 draws: the largest sd of a share is .0011."""
    thrown = torch.from_numpy(np.random.default_rng(0).gumbel(size=(200_000, 4)))
    logits = (PROBABILITIES.log() + 2).expand(200_000, -1)
    drawn, _ = chosen_codes(logits, thrown, temperature, top_k, top_p)
    return (torch.bincount(drawn, minlength=4) / 200_000).tolist()


def test_codes_are_drawn_with_their_probabilities() -> None:
    assert shares() == pytest.approx(PROBABILITIES.tolist(), abs=4e-3)


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    squared = [p**2 for p in PROBABILITIES.tolist()]  # temperature 1/2
    expected = [p / sum(squared) for p in squared]
    assert shares(temperature=0.5) == pytest.approx(expected, abs=4e-3)


def test_focus_keeps_the_likeliest_codes_and_their_proportions() -> None:
    assert shares(top_k=2) == pytest.approx([0, 0.5 / 0.8, 0, 0.3 / 0.8], abs=4e-3)
    assert shares(top_k=1) == [0, 1, 0, 0]
    assert shares(top_k=9) == shares()


def test_diversity_keeps_the_fewest_codes_that_make_up_its_probability() -> None:
    assert shares(top_p=0.75) == pytest.approx([0, 0.625, 0, 0.375], abs=4e-3)
    expected = [0.15 / 0.95, 0.5 / 0.95, 0, 0.3 / 0.95]
    assert shares(top_p=0.85) == pytest.approx(expected, abs=4e-3)
    assert shares(top_p=1e-9) == [0, 1, 0, 0]


@pytest.mark.parametrize("lucky", range(5))
@pytest.mark.parametrize("top_k", [0, 2])
def test_the_impossible_is_never_drawn(lucky: int, top_k: int) -> None:
    logits = torch.tensor([[float("-inf"), 2.0, float("-inf"), -90.0, float("-inf")]])
    thrown = torch.full((1, 5), -2.9)
    thrown[0, lucky] = 16.6  # about the least and the most of 2^24 draws
    drawn, score = chosen_codes(logits, thrown, top_k=top_k)
    assert int(drawn) == 1
    assert score.isfinite().all()


@pytest.mark.parametrize("odd", [[math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], [-math.inf] * 3])
@pytest.mark.parametrize("top_k", [0, 2])
def test_logits_that_give_no_probabilities_show(odd: list[float], top_k: int) -> None:
    logits = torch.tensor([odd, [0.0, 5.0, 0.0]])
    _, score = chosen_codes(logits, torch.zeros(2, 3), top_k=top_k)
    assert score.isfinite().tolist() == [False, True]


@torch.no_grad()
def test_drawer_says_what_the_prior_says(monkeypatch: pytest.MonkeyPatch) -> None:
    model, told = prior(), conditions(0.2, [1, 0])
    told.ranks[0] = torch.tensor([0.2, 0.9, 0.4, 0.7])  # the first is told everything
    told.style[1] = math.nan
    draw = torch.Generator().manual_seed(3)
    codes = torch.randint(0, 8, (2, 12, 3), generator=draw)
    previous = torch.cat([torch.zeros_like(codes[:, :1]), codes[:, :-1]], dim=1)
    frame = torch.arange(12).expand(2, -1)
    left = torch.stack([12 - torch.arange(12), torch.full((12,), UNKNOWN)])
    states, _, _ = model.states(previous, frame, left, model.told(told), None)
    expected = model.logits(previous, frame, left, model.told(told), codes)
    expected[:, 0, 0, 8] = -math.inf  # a sound has a frame at least
    expected[1, :, 0, 8] = -math.inf  # the second sound's end is barred
    said: list[Tensor] = []

    def noted(logits: Tensor, thrown: Tensor, *freely: float) -> tuple[Tensor, Tensor]:
        """Draws the true code."""
        said.append(logits.clone())
        number, level = divmod(len(said) - 1, 3)
        return codes[:, number, level], logits.amax(1)

    monkeypatch.setattr(drawer, "chosen_codes", noted)
    ready, past = Drawer(model, told, [(1.0, 0, 1.0)] * 3), model.told(told)  # past the LSTM too
    hidden, cell = torch.zeros(2, 16), torch.zeros(2, 16)
    before, barred = torch.full((2, 3), 8), torch.tensor([0.0, -math.inf])
    elapsed, to_come, ending = ready.clocks(frame, left)
    for number in range(12):
        here = elapsed[:, number], to_come[:, number]
        inputs, hidden, cell = ready.state(before, *here, hidden, cell)
        torch.testing.assert_close(hidden + past, states[:, number], atol=1e-5, rtol=1e-5)
        before, _ = ready.frame(inputs, before, torch.zeros(3, 2, 9), ending[:, number] + barred)
        assert torch.equal(before, codes[:, number])
    found = torch.stack(said, dim=1).view(2, 12, 3, 9)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
