"""The split: a function of the sounds alone, and never a frame on both sides."""

import hashlib
import random

import pytest

from core.config import SplitConfig
from core.errors import AudioError
from core.split import SHORTEST_TAIL, Part, Split, divide, split_sounds

CONFIG = SplitConfig()
TAILS = Split("tails", tail_fraction=0.15)


def digests(count: int, first: int = 0) -> list[str]:
    return [hashlib.sha256(b"%d" % n).hexdigest() for n in range(first, first + count)]


def frames_of(parts: list[Part]) -> set[tuple[int, int]]:
    return {(part.sound, frame) for part in parts for frame in range(part.first, part.last)}


def test_split_does_not_hang_on_the_order_of_the_files() -> None:
    names = digests(40)
    shuffled = random.Random(0).sample(names, 40)
    assert split_sounds(names, CONFIG) == split_sounds(shuffled, CONFIG)


def test_duplicates_change_nothing() -> None:
    names = digests(40)
    assert split_sounds(names + names[:17], CONFIG) == split_sounds(names, CONFIG)


def test_one_more_file_displaces_at_most_one_held_out_sound() -> None:
    for newcomer in digests(20, first=100):
        before = set(split_sounds(digests(30), CONFIG).held_out)
        after = set(split_sounds([*digests(30), newcomer], CONFIG).held_out)
        assert before - after == set() or after - before == {newcomer}


@pytest.mark.parametrize(("files", "held_out"), [(15, 2), (30, 3), (100, 10)])
def test_a_tenth_of_the_files_and_at_least_two_are_held_out(files: int, held_out: int) -> None:
    split = split_sounds(digests(files), CONFIG)
    assert split.kind == "files"
    assert len(split.held_out) == held_out
    assert set(split.held_out) < set(digests(files))


def test_settings_that_come_to_the_same_give_equal_splits() -> None:
    names = digests(20)
    assert split_sounds(names, CONFIG) == split_sounds(names, SplitConfig(0.11, 10, 0.3))
    assert split_sounds(names, CONFIG) != split_sounds(names, SplitConfig(few_files=21))


def test_few_files_hold_out_tails() -> None:
    split = split_sounds(digests(14) * 2, CONFIG)  # 28 files, but 14 distinct sounds
    assert split.kind == "tails"
    assert not split.held_out


def test_duplicates_of_a_held_out_sound_are_held_out_too() -> None:
    names = digests(20) * 3
    split = split_sounds(names, CONFIG)
    train, held_out = divide(names, [50] * 60, split)
    assert {names[p.sound] for p in held_out} == set(split.held_out)
    assert {names[p.sound] for p in train}.isdisjoint(split.held_out)
    assert len(train) + len(held_out) == 60


@pytest.mark.parametrize("split", [TAILS, Split("files", tuple(str(n) for n in range(0, 120, 10)))])
def test_every_frame_is_on_one_side_and_on_one_only(split: Split) -> None:
    lengths = list(range(1, 120))
    train, held_out = divide([str(n) for n in lengths], lengths, split)
    assert frames_of(train).isdisjoint(frames_of(held_out))
    everything = {(sound, n) for sound, count in enumerate(lengths) for n in range(count)}
    assert frames_of(train) | frames_of(held_out) == everything


def test_tails_are_15_percent_and_begin_on_an_even_frame() -> None:
    _, tails = divide(digests(370), list(range(30, 400)), TAILS)
    for tail in tails:
        assert tail.first % 2 == 0
        assert tail.frames == pytest.approx(0.15 * tail.last, abs=1.5)


def test_tail_ends_its_sound_and_the_rest_begins_it() -> None:
    (head,), (tail,) = divide(["a"], [100], TAILS)
    assert (head.first, head.ends) == (0, False)
    assert (tail.first, tail.last, tail.ends) == (head.last, 100, True)


def test_sound_too_short_for_a_tail_is_trained_on_whole() -> None:
    shortest = round((SHORTEST_TAIL - 0.5) / 0.15)  # 23 frames: 15 % is 3.45
    train, held_out = divide(["a", "b"], [shortest, 100], TAILS)
    assert train[0] == Part(0, 0, shortest)
    assert {part.sound for part in held_out} == {1}


def test_one_sound_is_held_out_when_none_has_a_tail() -> None:
    train, held_out = divide(["a", "b"], [5, 9], TAILS)
    assert (train, held_out) == ([Part(1, 0, 9)], [Part(0, 0, 5)])


def test_nothing_to_train_on_or_to_judge_by_is_said() -> None:
    with pytest.raises(AudioError, match="add sounds"):
        divide(["a"], [5], TAILS)
    with pytest.raises(AudioError, match="no sound is left"):
        divide(["a", "b"], [50, 60], Split("files", ("a", "b")))
