"""The prior sees what it may see, and says the same frame by frame as all at once."""

import pytest
import torch
from torch import Tensor

from core.config import PriorConfig
from core.prior import Prior

CONFIG = PriorConfig(hidden=16)
LEVELS, CODES, FRAMES = 3, 7, 6


@pytest.fixture
def prior() -> Prior:
    """Every parameter random, so that every path is open; dropout off."""
    torch.manual_seed(0)
    model = Prior(torch.randn(LEVELS, CODES, 5), CONFIG)
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


@torch.no_grad()
def logits_of(prior: Prior, codes: Tensor) -> Tensor:
    previous = torch.cat([torch.zeros_like(codes[:, :1]), codes[:, :-1]], dim=1)
    return prior.logits(previous, places(), codes)


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
    codes, all_at_once = sound(), logits_of(prior, sound())
    previous, state = torch.zeros(1, 1, LEVELS, dtype=torch.long), None
    for frame in range(FRAMES):
        states, vectors, state = prior.states(previous, places()[:, frame : frame + 1], state)
        inputs = prior.depth_inputs(states[:, 0], vectors[:, 0])
        for level in range(LEVELS):
            torch.testing.assert_close(
                prior.depth_logits(inputs, level),
                all_at_once[:, frame, level],
                atol=1e-5,
                rtol=1e-5,
            )
            below = prior.codebooks[level][codes[:, frame, level]]
            inputs = inputs + below @ prior.depth_below[level]
        previous = codes[:, frame : frame + 1]


@torch.no_grad()
def test_how_long_a_sound_has_lasted_is_heard_by_half_octaves(prior: Prior) -> None:
    def states(place: int) -> Tensor:
        return prior.states(sound()[:, :1], torch.tensor([[place]]), None)[0]

    # 2 log2(place + 1) is 6 from 7 to 10 and 7 from 11 on; never too far for the table.
    assert torch.equal(states(7), states(10))
    assert not torch.equal(states(10), states(11))
    assert torch.equal(states(2**21), states(2**22))


@torch.no_grad()
def test_nothing_is_heard_before_a_start(prior: Prior) -> None:
    first, second = (prior.logits(sound(seed), places(), sound())[:, 0] for seed in (1, 2))
    assert torch.equal(first, second)


def test_end_says_nothing_to_the_next_frame(prior: Prior) -> None:
    codes = torch.full((1, 1, LEVELS), prior.end)
    assert not prior.level_vectors(codes).any()


def test_level_vectors_are_the_codebooks_up_to_one_scale() -> None:
    books, codes = torch.randn(LEVELS, CODES, 5), sound()
    books[1:] /= 10  # deep levels stay small beside the first
    model = Prior(books, CONFIG)
    vectors = model.level_vectors(codes)
    for level in range(LEVELS):
        expected = books[level][codes[..., level]] / books[0].std()
        torch.testing.assert_close(vectors[..., level, :], expected)


def test_scale_of_the_codebooks_does_not_matter() -> None:
    books = torch.randn(LEVELS, CODES, 5)
    small, large = Prior(books, CONFIG), Prior(1000 * books, CONFIG)
    torch.testing.assert_close(small.codebooks, large.codebooks)


def test_weights_bring_the_same_logits_back(prior: Prior) -> None:
    loaded = Prior.from_weights(prior.state_dict(), CONFIG)
    assert not loaded.training
    assert torch.equal(logits_of(loaded, sound()), logits_of(prior, sound()))
