"""Each check of the sound goes red for its own fault, and stays green beside the others'."""

import dataclasses
import math

import pytest

from core.comparison import Distance
from core.copies import Copies, MelKind
from core.fidelity import Fidelity
from core.gates import GateName
from core.sound_gates import SOUND_GATES, Measured, copy_gates, mels_gate

RIGHT = Copies(Distance(0.4, 1.3), Fidelity(0.5, -1.0, 2.0, -3.0, -4.0, 0.1, 1e-4, 0.3), 0, 0)


def wrong(**change: float) -> Copies:
    """RIGHT with other figures, whichever part they are in."""
    own = {name: value for name, value in change.items() if hasattr(RIGHT, name)}
    rest = {name: value for name, value in change.items() if name not in own}
    made = dataclasses.replace(RIGHT, **own)
    return dataclasses.replace(made, fidelity=dataclasses.replace(made.fidelity, **rest))


def table(freev: Copies = RIGHT, griffinlim: Copies = RIGHT, kind: MelKind = "model") -> Measured:
    """FreeV's copies from this kind of mel, Griffin-Lim's from the true one, the rest right."""
    return {
        "freev": {"mel": RIGHT, "model": RIGHT, kind: freev},
        "griffinlim": {"mel": griffinlim, "model": RIGHT},
    }


def failed(found: Measured) -> set[GateName]:
    return {name for name, gate in copy_gates(found, "freev").items() if not gate.passed}


def test_everything_at_its_limit_passes() -> None:
    assert failed(table()) == set()
    assert mels_gate(0.01).passed
    assert {"mels", *copy_gates(table(), "freev")} == SOUND_GATES


@pytest.mark.parametrize("kind", ["mel", "model"])
@pytest.mark.parametrize(
    ("change", "gate", "word"),
    [
        ({"samples_off": 1}, "duration", "1 sample too long"),
        ({"samples_off": -4902}, "duration", "44.1 kHz sound passed off as 48 kHz"),
        ({"flat_tops": 0.02}, "clipping", "freev clips: 2.00%"),
        ({"mirrored": 0.11}, "images", "--vocoder"),
    ],
)
def test_fault_of_the_winner_turns_its_gate_red_alone(
    change: dict[str, float], gate: GateName, word: str, kind: MelKind
) -> None:
    found = table(wrong(**change), kind=kind)
    assert failed(found) == {gate}
    assert word in copy_gates(found, "freev")[gate].text


@pytest.mark.parametrize(
    ("bands", "word"), [(1, "1 mel band too high"), (-3, "3 mel bands too low")]
)
def test_copies_that_are_too_high_or_low_are_red(bands: int, word: str) -> None:
    found = table(wrong(bands_off=bands), kind="mel")
    assert failed(found) == {"pitch"}
    assert word in copy_gates(found, "freev")["pitch"].text


def test_what_codes_blur_is_no_fault_of_the_pitch() -> None:
    # Measured: 4 frames of a soft snare's end through its codes fit best 4 bands lower.
    assert failed(table(wrong(bands_off=-4))) == set()


def test_images_are_asked_of_both_copies_together() -> None:
    # Measured: of one short sound Griffin-Lim, which has none, gives 0.17 and 0.00.
    rows = {"mel": wrong(mirrored=0.0), "model": wrong(mirrored=0.17)}
    assert failed({**table(), "freev": rows}) == set()  # type: ignore[dict-item]


def test_buzz_of_the_models_own_mels_is_red_where_it_made_griffin_lim_win() -> None:
    found = table(wrong(buzz=0.31))
    gate = copy_gates(found, "griffinlim")["buzz"]
    assert not gate.passed
    assert "freev plays hiss as a buzz" in gate.text
    assert "griffinlim plays instead" in gate.text
    assert copy_gates(table(wrong(buzz=0.31), kind="mel"), "griffinlim")["buzz"].passed
    alone = {"griffinlim": {"mel": RIGHT, "model": wrong(buzz=0.0)}}
    assert copy_gates(alone, "griffinlim")["buzz"].passed  # type: ignore[arg-type]


def test_griffin_lim_tells_mels_that_are_off_by_a_band() -> None:
    # A trained vocoder has learnt to undo them.
    assert failed(table(griffinlim=wrong(bands_off=1))) == {"pitch"}


def test_mels_that_are_not_those_of_the_sounds_are_red() -> None:
    gate = mels_gate(0.0101)
    assert not gate.passed
    assert "build again" in gate.text


def test_half_trained_vocoder_may_have_no_pitch_images_and_buzz_but_not_clip() -> None:
    lost = {"mel": wrong(bands_off=4, mirrored=0.9), "model": wrong(buzz=1.0)}
    assert failed({**table(), "hifigan": lost}) == set()  # type: ignore[dict-item]
    clipped = {"mel": wrong(flat_tops=0.5), "model": RIGHT}
    found = {**table(), "hifigan": clipped}
    assert failed(found) == {"clipping"}  # type: ignore[arg-type]
    assert "hifigan" in copy_gates(found, "freev")["clipping"].text  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["flat_tops", "mirrored"])
def test_figure_that_is_no_number_fails(name: str) -> None:
    assert len(failed(table(wrong(**{name: math.nan})))) == 1
