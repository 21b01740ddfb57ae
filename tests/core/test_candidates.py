"""Where something is asked, several sounds are drawn and the nearest to it is kept."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from untrained_instrument import Loudness, heard_mel, instrument

from core import generation
from core.controls import Controls
from core.generation import DecodedMel, Request, drawn_sounds, played_sounds
from core.prior import Prior

Seen = tuple[Tensor, Tensor]


class Candidates:
    """Notes what is drawn and how far it is found from what was asked."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.seeds: list[list[int]] = []  # of each draw
        self.apart: list[Tensor] = []  # (B,) of each draw
        self.drawn: list[list[Seen]] = []  # codes and log mel of each
        sample, measure = generation.sample_codes, generation.distances

        def sampled(prior: Prior, seeds: Sequence[int], *rest: Any) -> list[Tensor]:
            self.seeds.append(list(seeds))
            return sample(prior, seeds, *rest)

        def measured(*given: Any) -> Tensor:
            self.drawn.append(list(zip(given[4], given[5], strict=True)))
            self.apart.append(measure(*given))
            return self.apart[-1]

        patch.setattr(generation, "sample_codes", sampled)
        patch.setattr(generation, "distances", measured)


def seen_as(sound: DecodedMel) -> Seen:
    return sound.codes, sound.whole()


def same(one: Seen, other: Seen) -> bool:
    return all(torch.equal(own, its) for own, its in zip(one, other, strict=True))


ASKED = {
    "label": Request(label=0),
    "control": Request(controls=Controls(loudness=0.4)),
    "both": Request(label=0, controls=Controls(brightness=0.1, attack=0.6)),
    "of a length": Request(label=0, seconds=0.1),
}
asked = pytest.mark.parametrize("wanted", ASKED.values(), ids=ASKED.keys())


@asked
def test_the_nearest_of_eight_candidates_is_kept(
    monkeypatch: pytest.MonkeyPatch, wanted: Request
) -> None:
    seen = Candidates(monkeypatch)
    kept = drawn_sounds(instrument(), list(range(12)), wanted)
    (apart,), (drawn,) = seen.apart, seen.drawn
    assert len(apart) == 12 * 8
    best = [own.index(min(own)) for own in apart.view(12, 8).tolist()]
    for place, sound in enumerate(kept):
        assert same(seen_as(sound), drawn[8 * place + best[place]])
    assert len(set(best)) > 1  # not always the same candidate


@asked
def test_every_candidate_has_a_seed_of_its_own(
    monkeypatch: pytest.MonkeyPatch, wanted: Request
) -> None:
    seen = Candidates(monkeypatch)
    drawn_sounds(instrument(), [1, 2, 3], wanted)
    (seeds,), (sounds,) = seen.seeds, seen.drawn
    assert seeds[::8] == [1, 2, 3]
    assert len(set(seeds)) == 24
    made = instrument()
    for seed, (codes, log_mel) in zip(seeds, sounds, strict=True):  # in its grain too
        expected = DecodedMel(made.rvqvae, made.texture, codes, seed).whole()
        assert torch.equal(log_mel, expected)


def test_long_sound_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "CHOSEN_SECONDS", 0.5)
    for seconds, draws in ((0.5, 8), (0.51, 1)):
        with monkeypatch.context() as patch:
            seen = Candidates(patch)
            drawn_sounds(instrument(), [1], Request(label=0, seconds=seconds))
        assert len(seen.seeds[0]) == draws


def test_sound_that_goes_on_from_a_long_prompt_is_drawn_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 4 code frames of 1024 samples are 93 ms.
    for most, draws in ((0.094, 8), (0.092, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(generation, "CHOSEN_SECONDS", most)
            seen = Candidates(patch)
            drawn_sounds(instrument(), [1], Request(label=0, prompt=heard_mel()))
        assert len(seen.seeds[0]) == draws


@asked
def test_kept_sound_hangs_on_its_own_seed_alone(wanted: Request) -> None:
    among = drawn_sounds(instrument(), [3, 1, 2], wanted)
    for seed, sound in zip([3, 1, 2], among, strict=True):
        (alone,) = drawn_sounds(instrument(), [seed], wanted)
        assert same(seen_as(sound), seen_as(alone))


def test_with_nothing_asked_sounds_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for request in (Request(), Request(seconds=0.1), Request(prompt=heard_mel())):
        with monkeypatch.context() as patch:
            seen = Candidates(patch)
            drawn_sounds(instrument(), [1, 2], request)
        assert (seen.seeds, seen.apart) == ([[1, 2]], [])


def test_silent_sound_of_a_kind_is_drawn_again_as_near_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, vocoder = Candidates(monkeypatch), Loudness(0.0)
    (_,) = played_sounds(instrument(vocoder), [1], Request(label=0), 44_100)
    first, second = seen.apart
    assert not torch.equal(first, second)
    assert torch.equal(vocoder.mels[1], seen.drawn[1][int(second.argmin())][1])
