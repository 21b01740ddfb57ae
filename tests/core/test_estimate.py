"""The estimate: every stage, never less for more work, and in proportion to the machine."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from core import estimate
from core.config import BuildConfig
from core.estimate import stage_seconds, this_machine
from core.presets import changed, preset


def seconds(config: BuildConfig, **changes: Any) -> dict[str, float]:
    size = {"seconds_of_audio": 300.0, "code_frames": 12_900, "split": "files"}
    return stage_seconds(config, **{**size, "cpu": 1.0, "device": 1.0, **changes})


def test_every_stage_has_an_estimate() -> None:
    # Ingest to package, in the order of the line.
    line = [
        "ingest", "mels", "rvqvae", "codes", "texture", "prior", "judge", "vocoder", "validate",
        "package",
    ]  # fmt: skip
    found = seconds(preset("standard"))
    assert list(found) == line
    assert all(value > 0 for value in found.values())


@pytest.mark.parametrize(
    "more", [{"seconds_of_audio": 900.0}, {"code_frames": 16_000}, {"cpu": 2.5}]
)
def test_more_work_is_never_estimated_shorter(more: dict[str, float]) -> None:
    before, after = seconds(preset("quick")), seconds(preset("quick"), **more)
    assert all(after[stage] >= before[stage] for stage in before)
    assert sum(after.values()) > sum(before.values())


def test_where_tails_are_held_out_the_prior_is_trained_twice() -> None:
    files, tails = seconds(preset("quick")), seconds(preset("quick"), split="tails")
    assert tails == files | {"prior": pytest.approx(2 * files["prior"], abs=0.11)}


@pytest.mark.parametrize(
    ("setting", "stage"),
    [
        ("rvqvae.vae_steps=4000", "rvqvae"),
        ("rvqvae.decoder_steps=4000", "rvqvae"),
        ("rvqvae.batch_windows=64", "rvqvae"),
        ("prior.steps=4000", "prior"),
        ("freev.steps=4000", "vocoder"),
        ("freev.batch_segments=32", "vocoder"),
        ("hifigan.train=true", "vocoder"),
        ("texture.steps=4000", "texture"),
        ("validate.generated=100", "judge"),
        ("validate.most_sounds=100", "validate"),
    ],
)
def test_setting_that_costs_time_lengthens_its_own_stage(setting: str, stage: str) -> None:
    before, after = seconds(preset("quick")), seconds(changed(preset("quick"), setting))
    assert {name for name in before if after[name] != before[name]} == {stage}
    assert after[stage] > before[stage]


def test_vocoders_that_are_not_trained_cost_nothing() -> None:
    config = preset("standard")
    untrained = replace(
        config,
        freev=replace(config.freev, train=False),
        hifigan=replace(config.hifigan, train=False),
    )
    assert seconds(untrained)["vocoder"] == 0


def test_machine_is_measured_as_a_multiple_of_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = iter(3 * estimate.REFERENCE_PROBE_SECONDS * n for n in range(2 * estimate.PROBES))
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(ticks))
    assert this_machine(torch.device("cpu")) == pytest.approx(3)
