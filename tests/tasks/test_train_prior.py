import math
from collections import Counter

import pytest
import torch
from small_line import Line

from artifacts.code_table import read_codes, sequences
from artifacts.sound_set import SoundSet
from artifacts.weights import load_weights
from core.code_windows import CodeSequence
from core.config import PriorConfig
from core.counting import end_logits, stay_logits
from core.prior import UNKNOWN, Prior
from tasks.train_prior import examples, nats_of_labels
from tasks.validate import record_of

CPU = torch.device("cpu")


def test_the_prior_plays_the_codebooks_of_the_rvqvae(line: Line) -> None:
    weights = load_weights(line.store, line.prior.parts["weights"])
    codebooks = load_weights(line.store, line.rvqvae.parts["weights"])["codebooks"]
    prior = Prior.from_weights(weights, line.config.prior)
    scale = (prior.codebooks / codebooks)[codebooks != 0]
    torch.testing.assert_close(scale, scale[0].expand_as(scale))


def test_after_tails_were_held_out_it_is_refitted_on_whole_sounds(line: Line) -> None:
    record = record_of(line.store, line.prior)
    whole = sequences(line.store.path(line.codes.digest), "whole")
    assert record["refitted_on_whole_sounds"] is True
    assert all(one.first == 0 and one.ends for one in whole)
    assert record["longest_frames"] == max(len(one.codes) for one in whole)


def test_nats_of_plain_counting_are_those_of_a_counter(line: Line) -> None:
    path = line.store.path(line.codes.digest)
    train, held_out = sequences(path, "train"), sequences(path, "held_out")
    # Every end was held out: how often sounds end cannot be counted, and is not asked.
    assert not any(one.ends for one in train)
    held_out = [one.without_end() for one in held_out]
    counted, frames = 0.0, sum(len(one.targets(8)) for one in held_out)
    for level in range(train[0].codes.shape[1]):
        # level 0 has the end as a ninth class
        kinds = 9 if level == 0 else 8
        seen = Counter(c for one in train for c in targets(one, level))
        total = sum(seen.values()) + 0.5 * kinds
        counted -= sum(
            math.log((seen[c] + 0.5) / total) for one in held_out for c in targets(one, level)
        )
    record = record_of(line.store, line.prior)
    assert record["unigram_nats_per_frame"] == pytest.approx(counted / frames, rel=1e-6)


def targets(one: object, level: int) -> list[int]:
    codes = one.targets(8) if level == 0 else one.codes  # type: ignore[attr-defined]
    return codes[:, level].tolist()


def test_figures_are_of_all_levels_together(line: Line) -> None:
    record = record_of(line.store, line.prior)
    for name in ("nats", "unigram_nats", "bigram_nats", "train_nats"):
        per_level = record["per_level"][name]
        assert len(per_level) == record_of(line.store, line.rvqvae)["sizes"]["levels"]
        assert record[f"{name}_per_frame"] == pytest.approx(sum(per_level))


def prior_of(line: Line) -> Prior:
    weights = load_weights(line.store, line.prior.parts["weights"])
    return Prior.from_weights(weights, line.config.prior)


def test_new_sounds_are_modelled_on_the_whole_training_sounds(line: Line) -> None:
    examples = prior_of(line).examples
    whole = read_codes(line.store.path(line.codes.digest), "whole")
    assert examples[:, 0].tolist() == [len(one.codes) for one in whole]
    assert examples[:, 1].tolist() == [UNKNOWN] * 6  # all in one folder


def test_styles_are_the_mean_vectors_of_the_whole_training_sounds(line: Line) -> None:
    books = load_weights(line.store, line.rvqvae.parts["weights"])["codebooks"]
    found = prior_of(line).examples[:, 6:]
    for row, style in zip(
        read_codes(line.store.path(line.codes.digest), "whole"), found, strict=True
    ):
        frames = [
            sum(books[level, code] for level, code in enumerate(frame))
            for frame in row.codes.tolist()
        ]
        expected = torch.stack(frames).mean(0) / books[0].std()  # type: ignore[arg-type]
        torch.testing.assert_close(style, expected, atol=1e-5, rtol=1e-4)


def test_ranks_put_the_training_sounds_in_the_order_of_their_descriptors(line: Line) -> None:
    prior, path = prior_of(line), line.store.path(line.codes.digest)
    values = torch.stack([torch.from_numpy(one.descriptors) for one in read_codes(path, "train")])
    # The scales are quantiles: they begin at the least sound's value and end at the most's.
    torch.testing.assert_close(prior.scales[:, 0], values.amin(0))
    torch.testing.assert_close(prior.scales[:, -1], values.amax(0))
    whole = torch.stack([torch.from_numpy(one.descriptors) for one in read_codes(path, "whole")])
    ranks = prior.examples[:, 2:6]
    for value, rank in zip(whole.T, ranks.T, strict=True):
        assert rank[value.argsort()].tolist() == sorted(rank.tolist())
    assert (float(ranks.min()), float(ranks.max())) == (0, 1)


def test_the_packaged_prior_starts_from_how_often_codes_of_whole_sounds_stay(line: Line) -> None:
    whole = sequences(line.store.path(line.codes.digest), "whole")
    prior = prior_of(line)
    counted = stay_logits(whole, prior.levels, prior.codebook_size)
    # Some 20 small steps have moved them, by a step's length each at most.
    assert (prior.stays - counted).abs().max() < 0.2


def test_the_packaged_prior_starts_from_where_whole_sounds_end(line: Line) -> None:
    whole = sequences(line.store.path(line.codes.digest), "whole")
    prior = prior_of(line)
    counted = end_logits(whole, prior.codebook_size)
    assert (prior.ends - counted).abs().max() < 0.2


def test_without_labels_none_are_learnt(line: Line) -> None:
    record = record_of(line.store, line.prior)
    assert (record["labels"], record["label_nats"]) == ([], {})
    assert prior_of(line).label.weight.shape == (0, 16)


def test_every_sound_is_an_example_of_its_folder(line: Line, labelled: Line) -> None:
    assert labelled.codes == line.codes
    record = record_of(labelled.store, labelled.prior)
    assert record["labels"] == ["high", "low"]
    names = {ref.parts["audio"]: name for name, ref in labelled.files.sounds}
    expected = [
        {"high": 0, "low": 1}.get(names[one.digest].partition("/")[0], UNKNOWN)
        for one in SoundSet.load(labelled.store, labelled.sounds).sounds
    ]
    assert sorted(expected) == [-1, 0, 0, 0, 1, 1]
    assert prior_of(labelled).examples[:, 1].tolist() == expected


def test_right_labels_are_held_against_wrong_ones(labelled: Line) -> None:
    nats = record_of(labelled.store, labelled.prior)["label_nats"]
    assert nats.keys() == {"right", "wrong"}
    assert nats["right"] == pytest.approx(nats["wrong"], rel=0.2)  # a few steps change little
    assert nats["right"] != nats["wrong"]


def untrained(labels: int) -> Prior:
    """Which says the same whatever label it is told."""
    codebooks = torch.linspace(-1, 1, 8)[None, :, None].expand(1, 8, 4).clone()
    return Prior(codebooks, PriorConfig(hidden=8), labels=labels).eval()


def test_a_label_that_says_nothing_makes_right_and_wrong_alike() -> None:
    sounds = [CodeSequence(torch.zeros(5, 1, dtype=torch.long), label=label) for label in (0, 1)]
    nats = nats_of_labels(untrained(3), sounds, CPU)
    assert nats["right"] == pytest.approx(nats["wrong"])


def test_sounds_without_a_label_say_nothing_of_labels() -> None:
    assert nats_of_labels(untrained(3), [CodeSequence(torch.zeros(5, 1).long())], CPU) == {}


def test_an_example_has_a_length_a_label_ranks_and_a_style() -> None:
    ranks = (0.25, 0.5, 0.75, 1.0)
    prior = untrained(3)
    rising = torch.tensor([[0], [1], [2], [1]])
    sounds = [
        CodeSequence(rising, label=2, ranks=ranks),
        CodeSequence(rising, rising[:3], label=1, ranks=ranks),  # a tail
        CodeSequence(torch.full((2000, 1), 5), ranks=ranks),  # beyond 30 s
    ]
    found = examples(prior, sounds)
    assert found[:, :6].tolist() == [[4, 2, *ranks], [1300, -1, *ranks]]
    expected = prior.codebooks[0, [1, 5]]  # codes lie evenly: the mean of 0, 1, 2 and 1 is 1
    torch.testing.assert_close(found[:, 6:], expected)
