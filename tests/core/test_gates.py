"""Every gate opens at its limit and closes just beyond it."""

import math
from typing import Any

import pytest

from core.comparison import Distance
from core.gates import Gate, GateName, gates

GOOD: dict[str, Any] = {
    "utilisation": [1.0, 0.8],
    "log_mel_l1": 0.42,
    "vae_log_mel_l1": 0.4,
    "nats": 7.0,
    "unigram_nats": 10.0,
    "overlap": 0.2,
    "overlap_real": 0.1,
    "from_model": {"griffinlim": Distance(0.1, 1.2), "freev": Distance(0.2, 1.1)},
    "best": "freev",
    "few_files": False,
}


def judged(**changes: object) -> dict[GateName, Gate]:
    return gates(**{**GOOD, **changes})


def test_everything_at_its_limit_passes() -> None:
    found = judged()
    assert set(found) == {"utilisation", "reconstruction", "prior", "copying", "vocoder"}
    assert all(gate.passed for gate in found.values())


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("utilisation", {"utilisation": [1.0, 0.79]}, "codebook_size"),
        ("reconstruction", {"log_mel_l1": 0.4201}, "most_levels"),
        ("prior", {"nats": 7.01}, "train longer"),
        ("copying", {"overlap": 0.201}, "creativity"),
        (
            "vocoder",
            {
                "best": "freev",
                "from_model": {"griffinlim": Distance(0.1, 1.0), "freev": Distance(0.1, 1.01)},
            },
            "Train longer",
        ),
    ],
)
def test_gate_beyond_its_limit_fails_alone_and_says_what_to_do(
    name: str, change: dict[str, object], advice: str
) -> None:
    failed = {key: gate for key, gate in judged(**change).items() if not gate.passed}
    assert set(failed) == {name}
    assert advice in failed[name].text  # type: ignore[index]


def test_a_twentieth_may_be_copied_where_real_sounds_copy_nothing() -> None:
    assert judged(overlap=0.05, overlap_real=0.0)["copying"].passed
    assert not judged(overlap=0.051, overlap_real=0.0)["copying"].passed


def test_least_used_level_decides() -> None:
    assert judged(utilisation=[1.0, 0.3, 0.9])["utilisation"].value == 0.3


@pytest.mark.parametrize("name", ["log_mel_l1", "nats", "overlap"])
def test_figure_that_is_no_number_fails(name: str) -> None:
    assert sum(not gate.passed for gate in judged(**{name: math.nan}).values()) == 1


def test_few_files_are_said_to_be_judged_by_their_ends() -> None:
    assert "the ends of the sounds" in judged(few_files=True)["prior"].text
    assert not any("ends of the sounds" in gate.text for gate in judged().values())
