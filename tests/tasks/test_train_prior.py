import math
from collections import Counter

import pytest
import torch
from small_line import Line

from artifacts.weights import load_weights
from core.prior import Prior
from tasks.train_prior import sequences
from tasks.validate import record_of


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
