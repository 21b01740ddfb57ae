"""Every gate opens at its limit and closes just beyond it."""

import copy
import math
from typing import Any

import pytest

from core.comparison import Distance
from core.gates import (
    Gate,
    GateName,
    codec_gates,
    memory_gates,
    prior_gates,
    vocoder_gate,
)

RVQVAE: dict[str, Any] = {
    "health": {"utilisation": [1.0, 0.8]},
    "log_mel_l1": 0.42,
    "vae_log_mel_l1": 0.4,
}
PRIOR: dict[str, Any] = {
    "nats_per_frame": 7.0,
    "unigram_nats_per_frame": 10.0,
    "per_level": {"nats": [2.0, 3.0], "bigram_nats": [4.0, 3.0]},
    "label_nats": {"right": 9.9, "wrong": 10.0},
}
JUDGED: dict[str, Any] = {
    "overlap_8gram": 0.2,
    "overlap_8gram_real": 0.1,
    "realism": {
        "frame_delta_ratio": 0.875,
        "frechet": 3.0,
        "frechet_real": 3.0,
        "density": 0.8,
        "density_real": 1.0,
        "coverage": 0.4,
        "coverage_real": 0.5,
        "nearest": 2.0,
        "nearest_real": 4.0,
        "nearest_copy": 1.5,
    },
}


def changed(record: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A copy with other values; a dot leads into what lies within."""
    record = copy.deepcopy(record)
    for name, value in change.items():
        *outer, last = name.split(".")
        inner = record
        for one in outer:
            inner = inner[one]
        assert last in inner
        inner[last] = value
    return record


def of_prior(
    prior: dict[str, Any] | None = None, judged: dict[str, Any] | None = None
) -> dict[GateName, Gate]:
    return prior_gates(changed(PRIOR, prior or {}), changed(JUDGED, judged or {}), seconds=70.4)


def failed(gates: dict[GateName, Gate]) -> set[GateName]:
    return {name for name, gate in gates.items() if not gate.passed}


def test_everything_at_its_limit_passes() -> None:
    assert list(codec_gates(RVQVAE)) == ["utilisation", "reconstruction"]
    assert set(of_prior()) == {
        "prior", "counting", "copying", "nearness", "grain", "likeness", "variety", "labels",
    }  # fmt: skip
    assert not failed(codec_gates(RVQVAE)) | failed(of_prior())


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("utilisation", {"health.utilisation": [1.0, 0.79]}, "codebook_size"),
        ("reconstruction", {"log_mel_l1": 0.4201}, "most_levels"),
    ],
)
def test_codec_beyond_a_limit_fails_there_alone_and_hears_what_to_do(
    name: GateName, change: dict[str, Any], advice: str
) -> None:
    found = codec_gates(changed(RVQVAE, change))
    assert failed(found) == {name}
    assert advice in found[name].text


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("prior", {"nats_per_frame": 7.01}, "train longer"),
        ("counting", {"per_level.nats": [2.0, 3.01]}, "train longer"),
        ("labels", {"label_nats": {"right": 9.91, "wrong": 10.0}}, "Sort the sounds"),
    ],
)
def test_prior_beyond_a_limit_fails_there_alone_and_hears_what_to_do(
    name: GateName, change: dict[str, Any], advice: str
) -> None:
    found = of_prior(change)
    assert failed(found) == {name}
    assert advice in found[name].text


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("copying", {"overlap_8gram": 0.201}, "70 s of sound by heart"),
        ("nearness", {"realism.nearest": 1.99}, "Add sounds"),
        ("grain", {"realism.frame_delta_ratio": 0.849}, "Train the texture longer"),
        ("grain", {"realism.frame_delta_ratio": 1.151}, "flicker more"),
        ("likeness", {"realism.frechet": 3.01}, "spread otherwise"),
        ("variety", {"realism.density": 0.79}, "Add sounds like the rare ones"),
        ("variety", {"realism.coverage": 0.39}, "Add sounds like the rare ones"),
    ],
)
def test_new_sounds_beyond_a_limit_fail_there_alone_and_say_what_to_do(
    name: GateName, change: dict[str, Any], advice: str
) -> None:
    found = of_prior(judged=change)
    assert failed(found) == {name}
    assert advice in found[name].text


def test_a_twentieth_may_be_copied_where_real_sounds_copy_nothing() -> None:
    nothing = {"overlap_8gram_real": 0.0}
    assert of_prior(judged={**nothing, "overlap_8gram": 0.05})["copying"].passed
    assert not of_prior(judged={**nothing, "overlap_8gram": 0.051})["copying"].passed


def test_where_real_sounds_repeat_one_another_not_everything_may_be_copied() -> None:
    # Twice .9 would be more than all: half of what real sounds leave new must stay new.
    repeating = {"overlap_8gram_real": 0.9}
    assert of_prior(judged={**repeating, "overlap_8gram": 0.95})["copying"].passed
    assert not of_prior(judged={**repeating, "overlap_8gram": 0.96})["copying"].passed


def test_far_from_what_held_out_sounds_are_is_no_copy_if_twice_as_far_as_copies_are() -> None:
    far = {"realism.nearest_real": 100.0, "realism.nearest_copy": 1.0}
    assert of_prior(judged={**far, "realism.nearest": 2.0})["nearness"].passed
    assert not of_prior(judged={**far, "realism.nearest": 1.99})["nearness"].passed


def test_worst_level_decides_what_counting_does_better() -> None:
    levels = {"nats": [4.5, 1.0, 1.0], "bigram_nats": [3.0, 9.0, 9.0]}
    assert of_prior({"per_level": levels})["counting"].value == 1.5


def test_least_used_level_decides() -> None:
    found = codec_gates(changed(RVQVAE, {"health.utilisation": [1.0, 0.3, 0.9]}))
    assert found["utilisation"].value == 0.3


def test_labels_are_judged_only_where_there_are_any() -> None:
    assert "labels" not in of_prior({"label_nats": {}})


@pytest.mark.parametrize("name", ["log_mel_l1", "vae_log_mel_l1"])
def test_codec_figure_that_is_no_number_fails(name: str) -> None:
    assert failed(codec_gates(changed(RVQVAE, {name: math.nan}))) == {"reconstruction"}


@pytest.mark.parametrize(
    ("name", "gate"),
    [
        ("overlap_8gram", "copying"),
        ("realism.nearest", "nearness"),
        ("realism.frame_delta_ratio", "grain"),
        ("realism.frechet", "likeness"),
        ("realism.frechet_real", "likeness"),
        ("realism.density", "variety"),
    ],
)
def test_figure_of_new_sounds_that_is_no_number_fails(name: str, gate: GateName) -> None:
    assert failed(of_prior(judged={name: math.nan})) == {gate}


def test_vocoder_must_do_as_well_as_griffin_lim() -> None:
    at_limit = {"griffinlim": Distance(0.1, 1.1), "freev": Distance(0.2, 1.1)}
    assert vocoder_gate(at_limit, "freev").passed  # type: ignore[arg-type]
    beyond = {"griffinlim": Distance(0.1, 1.1), "freev": Distance(0.1, 1.11)}
    gate = vocoder_gate(beyond, "griffinlim")  # type: ignore[arg-type]
    assert not gate.passed
    assert "Train longer" in gate.text


def test_best_of_the_trained_vocoders_decides() -> None:
    found = {
        "griffinlim": Distance(0.1, 1.1),
        "freev": Distance(0.1, 1.2),
        "hifigan": Distance(0.1, 1.0),
    }
    gate = vocoder_gate(found, "hifigan")  # type: ignore[arg-type]
    assert gate.passed
    assert gate.value == 1.0
    assert "hifigan" in gate.text


def test_griffin_lim_alone_is_as_good_as_itself() -> None:
    assert vocoder_gate({"griffinlim": Distance(0.1, 1.1)}, "griffinlim").passed


def test_few_files_are_said_to_be_judged_by_their_ends() -> None:
    gate = of_prior()["prior"]
    assert "the ends of the sounds" in gate.of_few_files().text
    assert "the ends of the sounds" not in gate.text
    assert gate.of_few_files().passed == gate.passed


def of_memory(now: float, heard_now: bool = False) -> Gate:
    old = {"sounds": 3, "log_mel_l1": now, "log_mel_l1_before": 0.4}
    return memory_gates(old, heard_now)["forgetting"]


def test_a_twentieth_more_lost_of_the_old_sounds_is_not_forgetting_and_more_is() -> None:
    assert of_memory(0.4199).passed
    assert not of_memory(0.4201).passed
    assert "without --from" in of_memory(0.4201).text
    assert of_memory(0.3).value == pytest.approx(-0.25)


def test_forgetting_says_where_old_sounds_are_held_out_no_more() -> None:
    assert "kinder" not in of_memory(0.4).text
    assert "kinder" in of_memory(0.4, heard_now=True).text


def test_nothing_old_held_out_is_no_gate() -> None:
    assert memory_gates({"sounds": 0, "log_mel_l1": None, "log_mel_l1_before": None}, False) == {}
