"""The split: a function of the sounds alone, and never a frame on both sides."""

import hashlib
import random

import pytest

from core.config import SplitConfig
from core.errors import AudioError
from core.split import (
    KNOWN_DIGITS,
    NEW_FOR_ONE,
    SHORTEST_TAIL,
    Heard,
    Part,
    Split,
    divide,
    kept_out_parts,
    split_more,
    split_sounds,
)

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


# --- a model that goes on from another


def heard_of(names: list[str], split: Split) -> Heard:
    """What these sounds were to a model that was split so."""
    held_out = frozenset(name[:KNOWN_DIGITS] for name in split.held_out)
    trained = frozenset(name[:KNOWN_DIGITS] for name in names) - held_out
    return Heard(trained, held_out, split.tail_fraction)


def more(old: int, new: int, gone: int = 0) -> tuple[Heard, list[str], Split]:
    """A model of `old` sounds, the next one's sounds (the first `gone` are not), and its split."""
    before = digests(old)
    heard = heard_of(before, split_sounds(before, CONFIG))
    now = before[gone:] + digests(new, first=1000)
    return heard, now, split_more(now, CONFIG, heard)


@pytest.mark.parametrize(("old", "new"), [(15, 1), (20, 6), (40, 40), (20, 500)])
def test_what_was_held_out_stays_so_and_what_was_trained_on_too(old: int, new: int) -> None:
    heard, now, split = more(old, new)
    assert split.kind == "files"
    known = {name for name in now if heard.knows(name)}
    assert len(known) == old
    before = set(split_sounds(digests(old), CONFIG).held_out)
    assert known & set(split.held_out) == before


@pytest.mark.parametrize(
    ("old", "new", "held_out"),
    [
        (20, 4, 0),  # too few to spare one
        (20, 5, 1),
        (20, 20, 2),  # a tenth of 40 in all
        (20, 80, 8),  # a tenth of 100
        (100, 20, 2),
        (100, 8, 1),  # a tenth of 108 are 11
    ],
)
def test_new_sounds_are_held_out_in_the_whole_sets_share(old: int, new: int, held_out: int) -> None:
    heard, _, split = more(old, new)
    assert sum(not heard.knows(name) for name in split.held_out) == held_out


def test_new_sounds_are_held_out_in_the_usual_order() -> None:
    heard, now, split = more(20, 20)
    fresh = [name for name in now if not heard.knows(name)]
    chosen = [name for name in split.held_out if not heard.knows(name)]
    usual = split_sounds(fresh, SplitConfig(held_out_fraction=len(chosen) / len(fresh)))
    assert sorted(chosen) == list(usual.held_out)


def test_nothing_new_is_the_same_split() -> None:
    _, now, split = more(30, 0)
    assert split == split_sounds(now, CONFIG)


def test_removed_sounds_are_gone() -> None:
    names = digests(30)
    before = split_sounds(names, CONFIG)
    left = [name for name in names if name != before.held_out[0]]
    assert split_more(left, CONFIG, heard_of(names, before)).held_out == before.held_out[1:]


def test_a_set_that_has_become_small_still_holds_out_whole_sounds() -> None:
    names = digests(16)
    before = split_sounds(names, CONFIG)
    left = [*before.held_out, *(name for name in names if name not in before.held_out)][:6]
    assert split_more(left, CONFIG, heard_of(names, before)) == before


def test_nothing_left_to_judge_by_is_said() -> None:
    names = digests(20)
    before = split_sounds(names, CONFIG)
    trained = [name for name in names if name not in before.held_out]
    with pytest.raises(AudioError, match="4 new ones are too few"):
        split_more(trained + digests(4, 1000), CONFIG, heard_of(names, before))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (5, 2),
        (8, 6),  # 14 are still few
        (10, 9),  # 19 are not, but 9 new ones cannot spare two
        (14, 2 * NEW_FOR_ONE - 1),
    ],
)
def test_tails_stay_held_out_while_the_set_is_small(old: int, new: int) -> None:
    names = digests(old)
    heard = heard_of(names, Split("tails", tail_fraction=0.2))  # not what CONFIG says now
    assert split_more(names + digests(new, 1000), CONFIG, heard) == Split(
        "tails", tail_fraction=0.2
    )


@pytest.mark.parametrize(("old", "new", "held_out"), [(10, 10, 2), (11, 26, 4)])
def test_after_tails_only_new_sounds_are_held_out(old: int, new: int, held_out: int) -> None:
    heard, _, split = more(old, new)
    assert heard.tail_fraction
    assert split.kind == "files"
    assert len(split.held_out) == held_out
    assert not any(heard.knows(name) for name in split.held_out)


def test_kept_out_are_the_held_out_sounds_that_are_still_there() -> None:
    names = digests(20)
    before = split_sounds(names, CONFIG)
    now = [before.held_out[0], *digests(5, 1000), names[0]]
    parts = kept_out_parts(now, [50] * 7, heard_of(names, before))
    assert parts == [Part(0, 0, 50)]


def test_kept_out_are_the_tails_of_known_sounds_alone() -> None:
    names = digests(6)
    lengths = [40, 60, 80, 100, 120, 10]
    _, tails = divide(names, lengths, TAILS)
    heard = heard_of(names, TAILS)
    assert kept_out_parts([*names, *digests(3, 1000)], [*lengths, 70, 80, 90], heard) == tails
