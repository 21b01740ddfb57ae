"""The prior sees what it may see, and says the same frame by frame as all at once."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from core.config import PriorConfig
from core.prior import TOLD_GAIN, UNKNOWN, Conditions, Prior

CONFIG = PriorConfig(hidden=16)
LEVELS, CODES, DIM, FRAMES = 3, 7, 5, 6
STYLE = (0.5, -1.0, 0.25, 2.0, -0.75)


@pytest.fixture
def prior() -> Prior:
    """Every parameter random, so that every path is open; dropout off."""
    torch.manual_seed(0)
    model = Prior(torch.randn(LEVELS, CODES, DIM), CONFIG, labels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    return model.eval()


def sound(seed: int = 0) -> Tensor:
    return torch.randint(
        0, CODES, (1, FRAMES, LEVELS), generator=torch.Generator().manual_seed(seed)
    )


def places() -> Tensor:
    return torch.arange(FRAMES)[None]


def untold() -> Tensor:
    """That none of the frames is told how many are to come."""
    return torch.full((1, FRAMES), UNKNOWN)


def asked(
    *ranks: float, label: int = UNKNOWN, style: Sequence[float] = (math.nan,) * DIM
) -> Conditions:
    """Of one sound; what is not given is unknown."""
    given = [*ranks, *[math.nan] * (4 - len(ranks))]
    return Conditions(torch.tensor([label]), torch.tensor([given]), torch.tensor([style]))


def nothing(count: int = 1) -> Conditions:
    return Conditions.unknown(count, DIM)


@torch.no_grad()
def logits_of(
    prior: Prior, codes: Tensor, conditions: Conditions | None = None, left: Tensor | None = None
) -> Tensor:
    previous = torch.cat([torch.zeros_like(codes[:, :1]), codes[:, :-1]], dim=1)
    told = prior.told(conditions or nothing(len(codes)))
    return prior.logits(previous, places(), untold() if left is None else left, told, codes)


def test_end_is_possible_on_level_0_only(prior: Prior) -> None:
    logits = logits_of(prior, sound())
    assert logits.shape == (1, FRAMES, LEVELS, CODES + 1)
    assert logits[:, :, 0].isfinite().all()
    assert logits[:, :, 1:, :CODES].isfinite().all()
    assert (logits[:, :, 1:, CODES] == float("-inf")).all()


@pytest.mark.parametrize("frame", [0, 2, FRAMES - 1])
@pytest.mark.parametrize("level", range(LEVELS))
def test_code_is_heard_by_levels_above_and_frames_after_and_by_nothing_else(
    prior: Prior, frame: int, level: int
) -> None:
    codes, before = sound(), logits_of(prior, sound())
    codes[0, frame, level] = (codes[0, frame, level] + 1) % CODES
    changed = (logits_of(prior, codes) != before).any(-1)[0]  # (F, L)
    may_hear = torch.zeros(FRAMES, LEVELS, dtype=torch.bool)
    may_hear[frame, level + 1 :] = True
    may_hear[frame + 1 :] = True
    assert torch.equal(changed, may_hear)


@torch.no_grad()
def test_frame_by_frame_and_level_by_level_logits_equal_the_teacher_forced(prior: Prior) -> None:
    conditions = asked(0.3, label=1, style=STYLE)
    codes, left = sound(), FRAMES - places()
    all_at_once, told = logits_of(prior, codes, conditions, left), prior.told(conditions)
    previous, state = torch.zeros(1, 1, LEVELS, dtype=torch.long), None
    for frame in range(FRAMES):
        here = slice(frame, frame + 1)
        states, vectors, state = prior.states(
            previous, places()[:, here], left[:, here], told, state
        )
        inputs = prior.depth_inputs(states[:, 0], vectors[:, 0])
        for level in range(LEVELS):
            logits = prior.depth_logits(inputs, level)
            if frame:
                known = int(codes[0, frame - 1, level])
                logits[:, known] += prior.stays[level, known]
            if level == 0:
                logits[:, CODES] += prior.ending(left[:, frame])
            torch.testing.assert_close(logits, all_at_once[:, frame, level], atol=1e-5, rtol=1e-5)
            below = prior.codebooks[level][codes[:, frame, level]]
            inputs = inputs + below @ prior.depth_below[level]
        previous = codes[:, frame : frame + 1]


@torch.no_grad()
def test_how_long_a_sound_has_lasted_is_heard_by_half_octaves(prior: Prior) -> None:
    def states(place: int) -> Tensor:
        told = prior.told(nothing())
        return prior.states(sound()[:, :1], torch.tensor([[place]]), untold()[:, :1], told, None)[0]

    # 2 log2(place + 1) is 6 from 7 to 10 and 7 from 11 on; never too far for the table.
    assert torch.equal(states(7), states(10))
    assert not torch.equal(states(10), states(11))
    assert torch.equal(states(2**21), states(2**22))


@torch.no_grad()
def test_how_long_a_sound_will_last_is_heard_by_half_octaves(prior: Prior) -> None:
    def states(left: int) -> Tensor:
        told = prior.told(nothing())
        return prior.states(
            sound()[:, :1], torch.tensor([[5]]), torch.tensor([[left]]), told, None
        )[0]

    assert torch.equal(states(7), states(10))  # as above
    assert not torch.equal(states(10), states(11))
    assert not torch.equal(states(0), states(UNKNOWN))  # the end is not the unknown


@torch.no_grad()
def test_nothing_is_heard_before_a_start(prior: Prior) -> None:
    told = prior.told(nothing())
    first, second = (
        prior.logits(sound(seed), places(), untold(), told, sound())[:, 0] for seed in (1, 2)
    )
    assert torch.equal(first, second)


@torch.no_grad()
def test_the_unknown_says_nothing(prior: Prior) -> None:
    assert not prior.told(nothing(3)).any()


@pytest.mark.parametrize("descriptor", range(4))
@torch.no_grad()
def test_rank_is_interpolated_between_its_neighbouring_knots(prior: Prior, descriptor: int) -> None:
    def told(rank: float) -> Tensor:
        return prior.told(asked(*[math.nan] * descriptor, rank))[0] / TOLD_GAIN

    knots = prior.rank[descriptor]  # 9 of them: an eighth apart
    torch.testing.assert_close(told(0.0), knots[0])
    torch.testing.assert_close(told(1.0), knots[8])
    torch.testing.assert_close(told(2.25 / 8), 0.75 * knots[2] + 0.25 * knots[3])
    torch.testing.assert_close(told(1.5), knots[8])  # no further than the most


@torch.no_grad()
def test_label_says_its_embedding(prior: Prior) -> None:
    assert torch.equal(prior.told(asked(label=1))[0], TOLD_GAIN * prior.label.weight[1])


@torch.no_grad()
def test_style_says_its_projection(prior: Prior) -> None:
    expected = sum(value * row for value, row in zip(STYLE, prior.style_in, strict=True))
    torch.testing.assert_close(prior.told(asked(style=STYLE))[0], TOLD_GAIN * expected)


@torch.no_grad()
def test_style_that_is_known_in_part_says_nothing(prior: Prior) -> None:
    partly = asked(0.2, label=1, style=(math.nan, *STYLE[1:]))
    assert torch.equal(prior.told(partly), prior.told(asked(0.2, label=1)))


@torch.no_grad()
def test_each_sound_is_told_its_own(prior: Prior) -> None:
    every = [asked(0.2, label=1, style=STYLE), asked(0.9, style=STYLE[::-1]), asked(label=0)]
    together = Conditions(
        torch.cat([one.label for one in every]),
        torch.cat([one.ranks for one in every]),
        torch.cat([one.style for one in every]),
    )
    alone = torch.cat([prior.told(one) for one in every])
    torch.testing.assert_close(prior.told(together), alone)


@torch.no_grad()
def test_all_that_is_known_adds_up(prior: Prior) -> None:
    alone = [asked(0.2), asked(math.nan, 0.9), asked(label=0), asked(style=STYLE)]
    together = prior.told(asked(0.2, 0.9, label=0, style=STYLE))
    torch.testing.assert_close(together, sum(prior.told(one) for one in alone))


TOLD = {"rank": asked(0.2), "label": asked(label=1), "style": asked(style=STYLE)}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD.keys())
def test_what_is_told_is_heard_in_every_frame(prior: Prior, told: Conditions) -> None:
    assert (logits_of(prior, sound()) != logits_of(prior, sound(), told)).any(-1).all()


@torch.no_grad()
def lstm_and_depth(prior: Prior, told: Tensor) -> tuple[Tensor, Tensor]:
    """What the LSTM says by itself, and what the depth half is given."""
    kept: list[Tensor] = []
    hook = prior.lstm.register_forward_hook(lambda _net, _given, out: kept.append(out[0]))
    states, _, _ = prior.states(sound(), places(), untold(), told, None)
    hook.remove()
    return kept[0], states


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD.keys())
def test_what_is_told_reaches_the_lstm_and_the_depth_half(prior: Prior, told: Conditions) -> None:
    said = prior.told(told)
    deaf, silent = lstm_and_depth(prior, prior.told(nothing()))
    heard, given = lstm_and_depth(prior, said)
    assert (heard != deaf).any(-1).all()
    torch.testing.assert_close(given, heard + said[:, None])  # and past it, in every frame
    assert torch.equal(silent, deaf)


def test_fresh_prior_heeds_nothing_but_the_style_of_what_it_is_told() -> None:
    torch.manual_seed(0)
    fresh = Prior(torch.randn(LEVELS, CODES, DIM), CONFIG, labels=2).eval()
    told = logits_of(fresh, sound(), asked(0.2, label=1), FRAMES - places())
    assert torch.equal(told, logits_of(fresh, sound()))
    styled = logits_of(fresh, sound(), asked(style=STYLE))
    assert (styled != told).any(-1).all()


def test_style_is_the_mean_of_the_frames_vectors(prior: Prior) -> None:
    codes = sound()[0]
    vectors = [
        sum(prior.codebooks[level, code] for level, code in enumerate(frame))
        for frame in codes.tolist()
    ]
    expected = sum(vectors) / FRAMES  # type: ignore[arg-type]
    torch.testing.assert_close(prior.style(codes), expected)
    together = prior.style(torch.cat([sound(1), sound(0), sound(2)]))
    assert together.shape == (3, DIM)
    torch.testing.assert_close(together[1], expected)


def test_style_does_not_hang_on_the_order_of_frames_but_on_what_they_are(prior: Prior) -> None:
    codes = sound()[0]
    order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(prior.style(codes[order]), prior.style(codes))
    torch.testing.assert_close(prior.style(codes.repeat(2, 1)), prior.style(codes))
    other = codes.clone()
    other[2, LEVELS - 1] = (other[2, LEVELS - 1] + 1) % CODES
    assert not torch.allclose(prior.style(other), prior.style(codes))


@torch.no_grad()
def test_every_code_that_stays_has_a_logit_of_its_own(prior: Prior) -> None:
    codes = torch.tensor([[[5, 5, 5], [5, 1, 2], [0, 1, 2], [3, 3, 3], [4, 4, 4], [6, 6, 6]]])
    before = logits_of(prior, codes)
    stays = torch.rand(LEVELS, CODES)
    prior.stays += stays
    risen = logits_of(prior, codes) - before
    expected = torch.zeros(FRAMES, LEVELS, CODES + 1)
    for frame in range(1, FRAMES):  # nothing stays where a sound begins
        for level in range(LEVELS):
            known = int(codes[0, frame - 1, level])
            expected[frame, level, known] = stays[level, known]
    torch.testing.assert_close(risen[0].nan_to_num(), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_end_has_a_logit_of_its_own_by_how_much_is_left(prior: Prior) -> None:
    left = torch.tensor([[9, 2, 1, 0, UNKNOWN, 2]])
    before = logits_of(prior, sound(), left=left)
    ends = torch.rand(len(prior.ends))
    prior.ends += ends
    risen = logits_of(prior, sound(), left=left) - before
    expected = torch.zeros(FRAMES, LEVELS, CODES + 1)
    # Half octaves of 10, 3, 2, 1 and 3 frames; what is not told has the last.
    expected[:, 0, CODES] = ends[[6, 3, 2, 0, -1, 3]]
    torch.testing.assert_close(risen[0].nan_to_num(), expected, atol=1e-5, rtol=0)


def test_end_says_nothing_to_the_next_frame(prior: Prior) -> None:
    codes = torch.full((1, 1, LEVELS), prior.end)
    assert not prior.level_vectors(codes).any()


def test_level_vectors_are_the_codebooks_up_to_one_scale() -> None:
    books, codes = torch.randn(LEVELS, CODES, DIM), sound()
    books[1:] /= 10  # deep levels stay small beside the first
    model = Prior(books, CONFIG)
    vectors = model.level_vectors(codes)
    for level in range(LEVELS):
        expected = books[level][codes[..., level]] / books[0].std()
        torch.testing.assert_close(vectors[..., level, :], expected)


def test_scale_of_the_codebooks_does_not_matter() -> None:
    books = torch.randn(LEVELS, CODES, DIM)
    small, large = Prior(books, CONFIG), Prior(1000 * books, CONFIG)
    torch.testing.assert_close(small.codebooks, large.codebooks)


def test_weights_bring_the_same_logits_back(prior: Prior) -> None:
    loaded = Prior.from_weights(prior.state_dict(), CONFIG)
    assert not loaded.training
    told = asked(0.4, label=1, style=STYLE)
    assert torch.equal(logits_of(loaded, sound(), told), logits_of(prior, sound(), told))


def test_weights_bring_back_what_new_sounds_are_modelled_on() -> None:
    own = {"scales": torch.randn(4, 33), "examples": torch.randn(3, 6 + DIM)}
    model = Prior(torch.randn(LEVELS, CODES, DIM), CONFIG, **own, labels=2)
    loaded = Prior.from_weights(model.state_dict(), CONFIG)
    assert loaded.labels == 2
    assert all(torch.equal(getattr(loaded, name), value) for name, value in own.items())


@torch.no_grad()
def test_copies_have_a_mark_of_their_own_beside_what_is_told(prior: Prior) -> None:
    conditions = asked(0.4, label=1, style=STYLE)
    apart = prior.told(conditions, altered=True) - prior.told(conditions)
    torch.testing.assert_close(apart, prior.altered.expand_as(apart))
