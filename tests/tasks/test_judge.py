import dataclasses
import math

import pytest
import torch
from small_line import Line

from artifacts.code_table import read_codes
from core.config import (
    AugmentConfig,
    BuildConfig,
    FreevConfig,
    GriffinLimConfig,
    HifiganConfig,
    IngestConfig,
    SplitConfig,
    ValidateConfig,
)
from core.generation import DecodedMel, Instrument
from core.griffinlim import GriffinLim
from tasks import judge as judging
from tasks.judge import (
    drawn_mels,
    fitting_temperature,
    judged_seeds,
    loaded,
    quartiles,
    read_by_judge,
)
from tasks.validate import record_of


@pytest.fixture(scope="module")
def instrument(line: Line) -> Instrument:
    parts, config = (line.rvqvae, line.texture, line.prior), line.config
    return loaded(line.run, *parts, config, GriffinLim(config.griffinlim, config.mel))


def flat_codes(line: Line, role: str) -> list[list[int]]:
    rows = read_codes(line.store.path(line.codes.digest), role)  # type: ignore[arg-type]
    return [row.codes.ravel().tolist() for row in rows]


def runs(sounds: list[list[int]], levels: int) -> list[tuple[int, ...]]:
    """Every eight codes in a row, and the level that they begin on."""
    return [
        (start % levels, *codes[start : start + 8])
        for codes in sounds
        for start in range(len(codes) - 7)
    ]


def share_met(sounds: list[list[int]], known: list[list[int]], levels: int) -> float:
    own, met = runs(sounds, levels), set(runs(known, levels))
    return sum(run in met for run in own) / len(own)


def test_the_natural_temperature_is_chosen_by_the_restlessness(line: Line) -> None:
    record = record_of(line.store, line.judgement)
    found = dict(record["restlessness"])
    assert list(found) == [0.7, 0.8, 0.9, 1.0]
    assert record["natural_temperature"] == fitting_temperature(found)


@pytest.mark.parametrize(
    ("ratios", "natural"),
    [
        ([0.8, 0.9, 1.0, 1.1], 0.9),
        ([0.9, 1.0, 1.09, 1.2], 0.9),  # others are nearer, but 0.9 is near enough
        ([0.7, 0.8, 0.91, 1.0], 0.9),
        ([0.9, 1.0, 1.11, 1.2], 0.8),
        ([1.05, 1.1, 1.2, 1.3], 0.7),
        ([0.5, 0.6, 0.7, 0.8], 1.0),
        ([0.9, 1.1, 1.2, 1.3], 0.7),  # of two as near the safer
        ([0.0, 0.0, 0.0, 0.0], 0.7),
    ],
)
def test_the_usual_temperature_gives_way_to_a_clearly_better_one(
    ratios: list[float], natural: float
) -> None:
    found = dict(zip((0.7, 0.8, 0.9, 1.0), ratios, strict=True))
    assert fitting_temperature(found) == natural


def test_restlessness_rises_with_the_temperature(line: Line, instrument: Instrument) -> None:
    # Nearly untrained, it draws nearly any code next at 1, and the likeliest ones at 0.05.
    found = {}
    train = [torch.zeros(2, 128), torch.ones(1, 128)]
    train[0][1] = 1.0  # a change of 1 from frame to frame
    for one in (0.05, 1.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judging, "TEMPERATURES", (one,))
            found |= judging.restlessness(instrument, train, line.config)
    assert found[0.05] < found[1.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "TEMPERATURES", (1.0,))
        twice = [2 * mel for mel in train]
        again = judging.restlessness(instrument, twice, line.config)
    assert again[1.0] == pytest.approx(found[1.0] / 2)


def test_real_sounds_overlap_is_the_share_of_their_runs_that_are_known(
    line: Line, instrument: Instrument
) -> None:
    real = record_of(line.store, line.judgement)["overlap_8gram_real"]
    held_out, train = flat_codes(line, "held_out"), flat_codes(line, "train")
    assert real == pytest.approx(share_met(held_out, train, instrument.prior.levels))


def test_copying_is_counted_against_all_that_the_prior_has_heard(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[list[list[int]]] = []

    def counting(_new: list[torch.Tensor], heard: list[torch.Tensor]) -> float:
        known.append([one.flatten().tolist() for one in heard])
        return 0.0

    monkeypatch.setattr(judging, "overlap_8gram", counting)
    inputs = (line.sounds, line.mels, line.rvqvae, line.texture, line.codes, line.prior)
    judging.judge.body(line.run, *inputs, line.split, read_by_judge(line.config))
    # It was refitted on whole sounds; the held-out tails are compared with the rest.
    assert known == [flat_codes(line, "whole"), flat_codes(line, "train")]


def test_lengths_are_told_beside_those_of_the_training_sounds(line: Line) -> None:
    lengths = record_of(line.store, line.judgement)["lengths"]
    whole = read_codes(line.store.path(line.codes.digest), "whole")
    real = sorted(2 * len(row.codes) for row in whole)  # two mel frames a code
    assert lengths["real"][1] == (real[2] + real[3]) / 2  # six sounds
    assert real[1] <= lengths["real"][0] <= real[2]
    assert real[3] <= lengths["real"][2] <= real[4]
    assert lengths["new"] == sorted(lengths["new"])
    assert lengths["new"][0] >= 2


def test_every_figure_of_realism_is_a_number(line: Line) -> None:
    figures = record_of(line.store, line.judgement)["realism"]
    assert all(math.isfinite(value) for value in figures.values())
    # Distances are never below nothing, shares lie between none and all.
    assert min(figures.values()) >= 0
    assert max(figures["coverage"], figures["coverage_real"]) <= 1


def test_as_many_new_sounds_are_judged_as_the_settings_say(line: Line) -> None:
    assert len(set(judged_seeds(line.config))) == line.config.validate.generated == 3


def test_more_judged_sounds_begin_with_the_same(line: Line) -> None:
    config = line.config
    more = dataclasses.replace(config, validate=dataclasses.replace(config.validate, generated=9))
    assert judged_seeds(more)[:3] == judged_seeds(config)
    assert set(judged_seeds(dataclasses.replace(config, seed=1))).isdisjoint(judged_seeds(config))


def test_a_new_sound_does_not_hang_on_those_drawn_with_it(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, _ = drawn_mels(instrument, [1, 2, 3])
    monkeypatch.setattr(judging, "BATCH_SOUNDS", 2)
    in_batches, mels = drawn_mels(instrument, [1, 2, 3])
    for one, other, mel in zip(together, in_batches, mels, strict=True):
        assert torch.equal(one, other)
        assert len(mel) == 2 * len(one)


def test_a_judged_mel_has_the_grain_of_its_seed(instrument: Instrument) -> None:
    (codes,), (mel,) = drawn_mels(instrument, [5])
    assert torch.equal(mel, DecodedMel(instrument.rvqvae, instrument.texture, codes, 5).whole())
    other = DecodedMel(instrument.rvqvae, instrument.texture, codes, 6).whole()
    assert not torch.equal(mel, other)


def test_quartiles_are_numpys() -> None:
    assert quartiles([1, 2, 3, 4, 100]) == [2, 3, 4]
    assert quartiles([7]) == [7, 7, 7]


UNREAD = {
    "preset": "high",
    "ingest": IngestConfig(peak=0.5),
    "split": SplitConfig(few_files=3),
    "augment": AugmentConfig(gain_nats=0.1),
    "griffinlim": GriffinLimConfig(iterations=1),
    "freev": FreevConfig(train=False),
    "hifigan": HifiganConfig(train=False),
}


def test_what_judging_does_not_read_is_not_in_its_settings(line: Line) -> None:
    other = dataclasses.replace(line.config, **UNREAD)
    assert read_by_judge(other) == read_by_judge(line.config)


def test_of_validating_judging_reads_how_many_sounds_it_draws(line: Line) -> None:
    read = read_by_judge(line.config).validate
    assert read == ValidateConfig(generated=line.config.validate.generated)
    assert read != ValidateConfig(), "the small line's own"


@pytest.mark.parametrize("section", ["rvqvae", "texture", "prior", "seed"])
def test_what_judging_reads_is_in_its_settings(line: Line, section: str) -> None:
    read = getattr(read_by_judge(line.config), section)
    assert read == getattr(line.config, section)
    if section != "seed":
        assert read != getattr(BuildConfig(), section), "the small line's own"
