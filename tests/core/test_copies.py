"""Copies that went wrong on purpose, as a vocoder or what comes after it may."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
import soxr
import torch
from torch import Tensor

from core import finishing
from core.comparison import Distance
from core.config import MelConfig
from core.copies import Copies, Copy, measured, winner
from core.demo_sounds import SOUNDS, finished
from core.fidelity import MOST_BUZZ

MEL = MelConfig()


@cache
def bell() -> Tensor:
    wave = finished(SOUNDS["bell_church"](np.random.default_rng(0)), peak=0.5)
    return torch.from_numpy(wave[: 60 * 512].copy())


def figures(copy: Tensor, original: Tensor) -> dict[str, float]:
    return Copies.of([measured(copy, original, MEL)]).figures()


def test_perfect_copy_is_zero_in_every_figure() -> None:
    assert set(figures(bell(), bell()).values()) == {0}


def test_figures_have_the_contracts_names_and_what_they_are_made_of() -> None:
    assert figures(bell(), bell()).keys() >= {"log_mel_l1", "mr_stft", "level_db", "bands_off"}


@pytest.mark.parametrize(("missing", "at_48_khz"), [(147, -160), (-147, 160)])
def test_length_is_judged_to_the_sample_of_the_delivered_sound(
    missing: int, at_48_khz: int
) -> None:
    # 147 samples at 44.1 kHz are exactly 160 at 48.
    copy = torch.cat([bell(), torch.zeros(1000)])[: len(bell()) - missing]
    assert figures(copy, bell())["samples_off"] == at_48_khz


def test_vocoder_that_plays_at_another_rate_is_too_high_and_too_short() -> None:
    faster = torch.from_numpy(soxr.resample(bell().numpy(), 48_000, 44_100))
    found = figures(faster, bell())
    assert found["bands_off"] in (2, 3)  # 2.7 above 1 kHz, fewer below
    assert found["samples_off"] == pytest.approx(len(bell()) * (1 - 48 / 44.1), abs=1)


def test_sound_delivered_without_resampling_is_too_high_and_too_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finishing, "resampled", lambda pieces, *_: pieces)
    found = figures(bell(), bell())
    assert found["bands_off"] in (2, 3)  # 2.7 above 1 kHz, fewer below
    assert found["samples_off"] == len(bell()) - math.floor(len(bell()) * 48 / 44.1 + 0.5)
    assert found["mr_stft"] == 0  # the vocoder is not to blame


def test_clipped_copy_has_flat_tops_and_a_smaller_crest() -> None:
    clipped = (4 * bell()).clamp(-1, 1) / 4
    found = figures(clipped, bell())
    assert found["flat_tops"] > 0.001
    assert found["crest_db"] < -3


def test_sound_clipped_on_delivery_has_flat_tops(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finishing.Sound.whole
    monkeypatch.setattr(finishing.Sound, "whole", lambda self: (9 * whole(self)).clip(-1, 1))
    assert figures(bell(), bell())["flat_tops"] > 0.001


def test_the_worst_length_and_the_mean_of_the_rest_stand_for_all() -> None:
    one = measured(bell(), bell(), MEL)
    other = dataclasses.replace(one, samples_off=-3)
    assert Copies.of([one, other, one]).samples_off == -3


def test_pitch_is_found_from_all_copies_together() -> None:
    def of(*errors: float) -> Copy:
        one = measured(bell(), bell(), MEL)
        return dataclasses.replace(one, misfits=torch.tensor(errors, dtype=torch.float64))

    a = of(1.1, 1.1, 1.1, 1.1, 0.9, 0.8, 1.1, 1.1, 1.1)  # by itself one band off
    b = of(1.4, 1.2, 1.2, 1.1, 0.1, 0.8, 1.2, 1.2, 1.4)
    assert Copies.of([a]).bands_off == 1
    assert Copies.of([a, b]).bands_off == 0


def judged(mr_stft: float, buzz: float = 0.0, log_mel_l1: float = 0.1) -> Copies:
    alike = dataclasses.replace(measured(bell(), bell(), MEL).fidelity, buzz=buzz)
    return Copies(Distance(log_mel_l1, mr_stft), alike, 0, 0)


def test_least_mr_stft_wins_whatever_the_mel_says() -> None:
    assert winner({"griffinlim": judged(1.2), "freev": judged(1.1, log_mel_l1=0.3)}) == "freev"


def test_draw_does_not_hang_on_the_order() -> None:
    one = judged(1.0)
    first = winner({"griffinlim": one, "hifigan": one, "freev": one})
    assert first == winner({"freev": one, "hifigan": one, "griffinlim": one})


def test_vocoder_that_buzzes_wins_only_over_others_that_do() -> None:
    pure, buzzing = judged(1.1, MOST_BUZZ), judged(1.0, MOST_BUZZ + 0.01)
    assert winner({"griffinlim": judged(1.2), "freev": pure, "hifigan": buzzing}) == "freev"
    assert winner({"griffinlim": judged(1.2, 0.5), "hifigan": buzzing}) == "hifigan"
