"""Sampling: sounds of their told lengths that hang on their own seeds alone."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_priors import conditions, prior
from torch import Tensor

from core import sampling
from core.config import PriorConfig
from core.drawer import Drawer, chosen_codes
from core.errors import ConfigError, PackageError
from core.prior import TOLD_GAIN, UNKNOWN, Conditions, Prior
from core.sampling import Dice, Sampling, sample_codes

NATURAL = Sampling()  # as the logits say


def noise(frames: int, levels: int, classes: int) -> Tensor:
    """(F * L, C) as one sound's dice are thrown."""
    dice = Dice([7], levels, classes, torch.device("cpu"))
    return torch.cat([dice.frame(number)[:, 0] for number in range(frames)])


def prior_that_ends(chance: float) -> Prior:
    """Each of the 8 codes equally likely, and after any frame the end with this chance."""
    model = prior(levels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head_bias[0, 8] = math.log(8 * chance / (1 - chance)) if chance else -100.0
    return model


def prior_that_climbs(chance: float) -> Prior:
    """After nothing comes code 0, after code k code k + 1 of 100; ends with this chance."""
    one_hot = torch.eye(100)
    model = Prior(one_hot[None], PriorConfig(hidden=100))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.depth_previous.weight.copy_(one_hot)
        model.depth_norm.weight.fill_(1.0)
        model.heads[0, torch.arange(100), torch.tensor([*range(1, 100), 99])] = 10.0
        heard = torch.nn.functional.layer_norm(model.codebooks[0, 0], (100,))
        model.head_bias[0, 0] = 50.0
        model.head_bias[0, 100] = 10 * heard[0] + math.log(chance / (1 - chance))
    return model.eval()


def test_noise_is_finite_and_a_standard_gumbel() -> None:
    thrown = noise(32, 6250, 4)
    assert thrown.isfinite().all()
    # Its mean is Euler's constant, its variance pi^2 / 6; of 800 000 the sds are .0014, .004.
    assert float(thrown.mean()) == pytest.approx(0.57722, abs=5e-3)
    assert float(thrown.var()) == pytest.approx(math.pi**2 / 6, abs=1.2e-2)


def test_noise_is_finite_for_the_least_random_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.zeros(shape))
    assert noise(1, 2, 3).isfinite().all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": (0.0,)}, "creativity 0.0 is out of range"),
        ({"temperature": (1.0, 3.1)}, "creativity 3.1"),
        ({"temperature": (math.nan,)}, "creativity nan"),
        ({"top_k": (5, -1)}, "focus -1 is negative"),
        ({"top_p": (0.0,)}, "diversity 0.0 is out of range"),
        ({"top_p": (1.0, 1.1)}, "diversity 1.1"),
        ({"top_p": (math.nan,)}, "diversity nan"),
        ({"temperature": ()}, "need a value each"),
        ({"top_k": ()}, "need a value each"),
        ({"top_p": ()}, "need a value each"),
    ],
)
def test_setting_out_of_range_is_refused(
    setting: dict[str, tuple[float, ...]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(NATURAL, **setting)  # type: ignore[arg-type]


def test_last_value_of_a_setting_holds_for_all_deeper_levels() -> None:
    freely = Sampling(temperature=(0.5, 0.8), top_k=(3,), top_p=(0.9, 0.8, 0.7))
    assert [freely.at(level, 0.9) for level in range(4)] == [
        (0.45, 3, 0.9),
        (pytest.approx(0.72), 3, 0.8),
        (pytest.approx(0.72), 3, 0.7),
        (pytest.approx(0.72), 3, 0.7),
    ]


def test_each_level_is_drawn_at_its_own_temperature() -> None:
    model = prior_that_ends(0.0)
    with torch.no_grad():
        model.head_bias[:, 0] = 2.0  # of eight codes the first is e^2 times as likely
    freely = Sampling(temperature=(2.0, 0.5))
    codes = torch.cat(sample_codes(model, range(40), freely, [100] * 40, exact=True))
    found = (codes == 0).double().mean(0).tolist()
    expected = [math.e / (math.e + 7), math.e**4 / (math.e**4 + 7)]  # 4000 frames: sd .007
    assert found == pytest.approx(expected, abs=0.03)


def test_sound_hangs_on_its_seed_and_not_on_its_neighbours() -> None:
    model = prior()  # 70 frames: more than one block of random numbers
    told = conditions(0.3, [0, 1, 0, 1])
    alone = sample_codes(model, [5], NATURAL, [70], conditions(0.3, [1]), exact=True)[0]
    among = sample_codes(model, [1, 5, 9, 5], NATURAL, [30, 70, 99, 70], told, exact=True)
    assert torch.equal(alone, among[1])
    assert torch.equal(alone, among[3])
    assert not torch.equal(alone, among[2][:70])


def test_sound_that_ends_by_itself_does_so_whatever_its_neighbours_do() -> None:
    model = prior_that_ends(0.1)
    among = sample_codes(model, range(20), NATURAL, range(1, 21))
    for seed, codes in enumerate(among):
        assert torch.equal(sample_codes(model, [seed], NATURAL, [seed + 1])[0], codes)


def test_random_numbers_do_not_come_round_again() -> None:
    codes = sample_codes(prior_that_ends(0.0), [5], NATURAL, [128], exact=True)[0]
    assert not torch.equal(codes[:64], codes[64:])  # drawn in blocks of 64 frames


def test_given_length_is_exact_even_if_the_prior_wants_to_end() -> None:
    lengths = [12, 1, 7]
    drawn = sample_codes(prior_that_ends(0.9), [1, 2, 3], NATURAL, lengths, exact=True)
    assert [len(codes) for codes in drawn] == lengths
    assert max(int(codes.max()) for codes in drawn) < 8


def test_sounds_end_when_the_prior_ends_them() -> None:
    # Ending with chance .2 after each frame gives 5 frames in the mean, sd 4.5.
    drawn = sample_codes(prior_that_ends(0.2), range(600), NATURAL, [200] * 600)
    lengths = [len(codes) for codes in drawn]
    assert sum(lengths) / 600 == pytest.approx(5, abs=0.75)
    assert min(lengths) == 1
    assert max(int(codes.max()) for codes in drawn) < 8


def test_sound_that_never_ends_is_cut_half_as_long_again_as_it_was_told() -> None:
    drawn = sample_codes(prior_that_ends(0.0), [1, 2], NATURAL, [10, 20])
    assert [len(codes) for codes in drawn] == [16, 31]  # and one frame


def told_lefts(lengths: Sequence[int], exact: bool, longest: int) -> list[list[int]]:
    """(B,) frames to come as every step of drawing tells them."""
    seen: list[list[int]] = []

    class Listening(Drawer):
        def clocks(self, frame: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            seen.extend(left.tolist())
            return super().clocks(frame, left)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "Drawer", Listening)
        never = prior_that_ends(0.0)
        sample_codes(never, range(len(lengths)), NATURAL, lengths, exact=exact, longest=longest)
    return seen


def test_frames_to_come_are_counted_down_and_stay_at_none() -> None:
    assert told_lefts([3], exact=False, longest=9) == [[3], [2], [1], [0], [0]]
    assert told_lefts([2, 4], exact=True, longest=9) == [[2, 4], [1, 3], [0, 2], [0, 1]]


def test_length_beyond_what_the_prior_knows_is_told_in_the_last_stretch_only() -> None:
    assert told_lefts([5], exact=True, longest=3) == [[UNKNOWN], [UNKNOWN], [3], [2], [1]]


def climbs(codes: list[int]) -> list[list[int]]:
    """The sounds of a climbing prior: each from 0 up, its last frame held once where it ends."""
    found: list[list[int]] = [[]]
    for code in codes:
        if found[-1] and code == found[-1][-1]:
            found.append([])
        else:
            found[-1].append(code)
    return found


def test_sounds_follow_one_another_in_a_length_beyond_what_the_prior_knows() -> None:
    (codes,) = sample_codes(prior_that_climbs(0.3), [4], NATURAL, [200], exact=True, longest=20)
    assert codes.shape == (200, 1)
    found = climbs(codes[:, 0].tolist())
    assert all(one == list(range(len(one))) for one in found)  # every one begins anew
    # A sound is a frame and 1 / .3 - 1 more in the mean, one is held: 180 / 4.3, sd 5.
    assert 25 < len(found) < 60
    assert len(found[-1]) >= 20  # once its length is told it does not end before its time


@pytest.mark.parametrize(("exact", "longest"), [(True, 99), (False, 5)])
def test_no_sound_begins_within_another_otherwise(exact: bool, longest: int) -> None:
    for seed in range(9):
        (codes,) = sample_codes(
            prior_that_climbs(0.3), [seed], NATURAL, [40], exact=exact, longest=longest
        )
        assert codes[:, 0].tolist() == list(range(len(codes)))


@torch.no_grad()
def test_sound_within_a_longer_one_is_drawn_as_one_that_begins() -> None:
    model, dice = prior(), Dice([1], 3, 9, torch.device("cpu"))
    (codes,) = sample_codes(model, [1], NATURAL, [60], exact=True, longest=1)
    thrown = [dice.frame(number)[:, 0] for number in range(60)]
    held = [*((codes[1:] == codes[:-1]).all(1).nonzero()[:, 0] + 1).tolist(), 60]
    first, last = max(pairwise(held), key=lambda ends: ends[1] - ends[0])
    inner = codes[None, first + 1 : min(last, 59)]  # all but the last frame are told nothing
    frames = inner.shape[1]
    assert frames > 3
    previous = torch.cat([torch.zeros_like(inner[:, :1]), inner[:, :-1]], dim=1)
    untold, nothing = torch.full((1, frames), UNKNOWN), model.told(Conditions.unknown(1, 5))
    logits = model.logits(previous, torch.arange(frames)[None], untold, nothing, inner)[0]
    logits[0, 0, 8] = -math.inf  # a sound has a frame at least
    for number in range(frames):
        drawn, _ = chosen_codes(logits[number], thrown[first + 1 + number])
        assert torch.equal(drawn, inner[0, number])


def test_prompt_begins_every_sound_and_is_heard() -> None:
    prompt = torch.tensor([[17], [30]])
    drawn = sample_codes(
        prior_that_climbs(1e-9), [1, 2], NATURAL, [6, 9], exact=True, prompt=prompt
    )
    assert [codes[:, 0].tolist() for codes in drawn] == [
        [17, 30, 31, 32, 33, 34],
        [17, 30, 31, 32, 33, 34, 35, 36, 37],
    ]


def test_sound_ends_by_itself_after_its_prompt_and_never_in_it() -> None:
    prompt = torch.zeros(7, 2, dtype=torch.long)
    drawn = sample_codes(prior_that_ends(0.5), range(200), NATURAL, [100] * 200, prompt=prompt)
    lengths = [len(codes) for codes in drawn]
    assert min(lengths) == 7
    assert sum(lengths) / 200 == pytest.approx(8, abs=0.5)  # 1 more in the mean, sd 1.4
    assert not any(codes[:7].any() for codes in drawn)


@torch.no_grad()
def test_drawing_the_likeliest_codes_follows_the_teacher_forced_logits() -> None:
    model, told = prior(), conditions(0.7)
    model.stays.sub_(4)  # so that it does not settle on one code
    for parameter in (model.rank, model.label.weight, model.style_in):
        parameter.div_(TOLD_GAIN)
    codes = sample_codes(model, [1], Sampling(top_k=(1,)), [20], told, exact=True)[0][None]
    previous = torch.cat([torch.zeros_like(codes[:, :1]), codes[:, :-1]], dim=1)
    frame, left = torch.arange(20)[None], 20 - torch.arange(20)[None]
    logits = model.logits(previous, frame, left, model.told(told), codes)
    assert torch.equal(logits[..., :8].argmax(-1), codes)
    assert len(codes.unique()) > 3


def test_sampling_leaves_the_global_generator_alone() -> None:
    model, before = prior(), torch.random.get_rng_state()
    sample_codes(model, [1], NATURAL, [3])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("freely", [NATURAL, Sampling(top_k=(2,))])
@pytest.mark.parametrize("exact", [True, False])
def test_weights_that_overflow_are_refused(level: int, freely: Sampling, exact: bool) -> None:
    model = prior()
    with torch.no_grad():
        model.heads[level].fill_(3e38)  # finite; their products are not
    with pytest.raises(PackageError, match="overflow"):
        sample_codes(model, [1, 2], freely, [20, 20], exact=exact)


def test_weights_that_overflow_once_are_refused() -> None:
    model = prior_that_climbs(1e-9)
    with torch.no_grad():
        model.depth_previous.weight[:, 30] = 3e38  # heard after code 30 only, at frame 31
    with pytest.raises(PackageError, match="overflow"):
        sample_codes(model, [1], NATURAL, [60], exact=True)
