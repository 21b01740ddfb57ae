"""Sampling: frequencies in closed form, and sounds that hang on their own seeds alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.config import PriorConfig
from core.errors import ConfigError, PackageError
from core.prior import Prior
from core.sampling import Sampling, calibrate_ends, chosen_codes, sample_codes

PROBABILITIES = torch.tensor([0.15, 0.5, 0.05, 0.3])


def shares(sampling: Sampling, probabilities: Tensor = PROBABILITIES) -> list[float]:
    """How often each class is drawn when the random numbers are an even grid over [0, 1)."""
    grid = (torch.arange(20_000) + 0.5) / 20_000
    drawn = chosen_codes(probabilities.log().expand(20_000, -1), grid, sampling)
    return (torch.bincount(drawn, minlength=len(probabilities)) / 20_000).tolist()


def prior(levels: int = 3, seed: int = 0) -> Prior:
    torch.manual_seed(seed)
    model = Prior(torch.randn(levels, 8, 5), PriorConfig(hidden=16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model.eval()


def prior_that_ends(chance: float) -> Prior:
    """Each of the 8 codes equally likely, and after any frame the end with this chance."""
    model = prior(levels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head_bias[0, 8] = math.log(8 * chance / (1 - chance)) if chance else -100.0
    return model


def test_codes_are_drawn_with_their_probabilities() -> None:
    assert shares(Sampling()) == pytest.approx(PROBABILITIES.tolist(), abs=1e-3)


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    squared = [p**2 for p in PROBABILITIES.tolist()]  # temperature 1/2
    expected = [p / sum(squared) for p in squared]
    assert shares(Sampling(temperature=0.5)) == pytest.approx(expected, abs=1e-3)


def test_focus_keeps_the_likeliest_codes_and_their_proportions() -> None:
    assert shares(Sampling(top_k=2)) == pytest.approx([0, 0.5 / 0.8, 0, 0.3 / 0.8], abs=1e-3)
    assert shares(Sampling(top_k=1)) == [0, 1, 0, 0]
    assert shares(Sampling(top_k=9)) == shares(Sampling())


def test_diversity_keeps_the_fewest_codes_that_make_up_its_probability() -> None:
    assert shares(Sampling(top_p=0.75)) == pytest.approx([0, 0.625, 0, 0.375], abs=1e-3)
    expected = [0.15 / 0.95, 0.5 / 0.95, 0, 0.3 / 0.95]
    assert shares(Sampling(top_p=0.85)) == pytest.approx(expected, abs=1e-3)
    assert shares(Sampling(top_p=1e-9)) == [0, 1, 0, 0]


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-24])
def test_the_impossible_is_never_drawn(uniform: float) -> None:
    logits = torch.tensor([[float("-inf"), 2.0, float("-inf"), -90.0, float("-inf")]])
    assert int(chosen_codes(logits, torch.tensor([uniform]), Sampling())) in (1, 3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": 0.0}, "creativity 0.0 is out of range"),
        ({"temperature": 3.1}, "creativity 3.1"),
        ({"temperature": math.nan}, "creativity nan"),
        ({"top_k": -1}, "focus -1 is negative"),
        ({"top_p": 0.0}, "diversity 0.0 is out of range"),
        ({"top_p": 1.1}, "diversity 1.1"),
        ({"top_p": math.nan}, "diversity nan"),
    ],
)
def test_setting_out_of_range_is_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(Sampling(), **setting)


def test_sound_hangs_on_its_seed_and_not_on_its_neighbours() -> None:
    model = prior()  # 70 frames: more than one block of random numbers
    alone = sample_codes(model, [5], Sampling(), 70, frames=70)[0]
    among = sample_codes(model, [1, 5, 9, 5], Sampling(), 70, frames=70)
    assert torch.equal(alone, among[1])
    assert torch.equal(alone, among[3])
    assert not torch.equal(alone, among[0])


def test_random_numbers_do_not_come_round_again() -> None:
    codes = sample_codes(prior_that_ends(0.0), [5], Sampling(), 128, frames=128)[0]
    assert not torch.equal(codes[:64], codes[64:])  # drawn in blocks of 64 frames


def test_longer_sound_begins_as_the_shorter_one() -> None:
    short, long = (sample_codes(prior(), [3], Sampling(), 99, frames=n)[0] for n in (40, 90))
    assert torch.equal(long[:40], short)


def test_given_length_is_exact_even_if_the_prior_wants_to_end() -> None:
    for codes in sample_codes(prior_that_ends(0.9), [1, 2, 3], Sampling(), 5, frames=12):
        assert codes.shape == (12, 2)
        assert int(codes.max()) < 8


def test_sounds_end_when_the_prior_ends_them() -> None:
    # Ending with chance .2 after each frame gives 5 frames in the mean, sd 4.5.
    drawn = sample_codes(prior_that_ends(0.2), range(600), Sampling(), 200)
    lengths = [len(codes) for codes in drawn]
    assert sum(lengths) / 600 == pytest.approx(5, abs=0.75)
    assert min(lengths) == 1
    assert max(int(codes.max()) for codes in drawn) < 8


def test_sound_that_never_ends_is_cut() -> None:
    (codes,) = sample_codes(prior_that_ends(0.0), [1], Sampling(), 9)
    assert codes.shape == (9, 2)


def test_calibrated_prior_ends_half_of_its_sounds_by_the_median() -> None:
    # Ending with chance p after each frame, half have ended by frame 10 if (1 - p)^10 = 1/2.
    chance = 1 - 0.5**0.1
    model, expected = prior_that_ends(0.5), math.log(chance / (1 - chance))
    before = float(model.head_bias[0, 8].detach())
    shift = calibrate_ends(model, 10, seed=3)
    assert shift == pytest.approx(expected, abs=0.4)  # of 192 sounds: sd .11
    assert float(model.head_bias[0, 8].detach()) == pytest.approx(before + shift, abs=1e-5)


def test_calibration_goes_no_further_than_four_nats() -> None:
    never, always = prior_that_ends(0.0), prior_that_ends(1 - 1e-6)
    assert calibrate_ends(never, 5, seed=0) == pytest.approx(4, abs=0.05)
    assert calibrate_ends(always, 5, seed=0) == pytest.approx(-4, abs=0.05)


@torch.no_grad()
def test_drawing_the_likeliest_codes_follows_the_teacher_forced_logits() -> None:
    model = prior()
    codes = sample_codes(model, [1], Sampling(top_k=1), 20, frames=20)[0][None]
    previous = torch.cat([torch.zeros_like(codes[:, :1]), codes[:, :-1]], dim=1)
    logits = model.logits(previous, torch.arange(20)[None], codes)
    assert torch.equal(logits[..., :8].argmax(-1), codes)
    assert len(codes.unique()) > 3


def test_sampling_leaves_the_global_generator_alone() -> None:
    model, before = prior(), torch.random.get_rng_state()
    sample_codes(model, [1], Sampling(), 3)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("odd", [[math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], [-math.inf] * 3])
def test_logits_that_give_no_probabilities_give_no_code(odd: list[float]) -> None:
    logits = torch.tensor([odd, [0.0, 5.0, 0.0]])
    assert chosen_codes(logits, torch.tensor([0.5, 0.5]), Sampling()).tolist() == [-1, 1]


def test_weights_that_overflow_are_refused() -> None:
    model = prior()
    with torch.no_grad():
        model.heads.fill_(3e38)  # finite; their products are not
    with pytest.raises(PackageError, match="overflow"):
        sample_codes(model, [1, 2], Sampling(), 20)
