"""Presets, single settings, and the way through JSON and back."""

import dataclasses
import json
from itertools import pairwise
from typing import get_args

import pytest

from core.config import BuildConfig, MelConfig, PresetName, RvqvaeConfig
from core.errors import ConfigError
from core.hifigan import check_shape
from core.presets import changed, configured, from_json, preset

PRESETS = pytest.mark.parametrize("name", get_args(PresetName))


@PRESETS
def test_preset_carries_its_name_and_seed_and_keeps_the_mel_contract(name: str) -> None:
    config = preset(name, seed=7)
    assert (config.preset, config.seed) == (name, 7)
    assert config.mel == MelConfig()


@PRESETS
def test_preset_can_be_trained(name: str) -> None:
    config = preset(name)
    check_shape(config.hifigan, config.mel)
    assert config.hifigan.channels % config.hifigan.discriminator_divisor == 0
    assert config.hifigan.warm_up_steps < config.hifigan.steps
    assert config.rvqvae.fewest_levels <= config.rvqvae.most_levels
    for stage in (config.prior, config.freev, config.hifigan):
        assert 0 < stage.evaluate_every_steps <= stage.steps


@PRESETS
def test_config_survives_json(name: str) -> None:
    config = preset(name, seed=3)
    assert from_json(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_larger_presets_train_longer() -> None:
    work = [
        (config.rvqvae.decoder_steps, config.prior.steps, config.freev.steps, config.hifigan.steps)
        for config in map(preset, ("tiny", "quick", "standard", "high"))
    ]
    for less, more in pairwise(work):
        assert all(a <= b for a, b in zip(less, more, strict=True))


def test_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'medium' is unknown; use tiny, quick, standard, high"):
        preset("medium")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("freev.steps=200", 200),
        ("prior.dropout=0.5", 0.5),
        ("prior.dropout=0", 0.0),  # a whole number where a float stands
        ("hifigan.train=false", False),
        ("prior.speeds=[0.9, 1.1]", (0.9, 1.1)),
        ("hifigan.resblock_dilations=[[1, 3], [1], [5]]", ((1, 3), (1,), (5,))),
        (" freev.steps = 200 ", 200),
    ],
)
def test_setting_takes_the_kind_of_value_that_stands_there(setting: str, value: object) -> None:
    config = changed(preset("tiny"), setting)
    *sections, field = setting.split("=")[0].strip().split(".")
    found = getattr(getattr(config, sections[0]) if sections else config, field)
    assert found == value
    assert type(found) is type(value)


def test_setting_changes_nothing_else() -> None:
    before, after = preset("quick"), changed(preset("quick"), "prior.steps=9")
    assert dataclasses.replace(after, prior=before.prior) == before
    assert dataclasses.replace(after.prior, steps=before.prior.steps) == before.prior


@pytest.mark.parametrize(
    ("setting", "now"),
    [
        ("freev.steps=many", "600"),
        ("freev.steps=1.5", "600"),
        ("freev.steps=true", "600"),
        ("freev.steps=", "600"),
        ("prior.dropout=high", "0.3"),
        ("prior.dropout=true", "0.3"),
        ("hifigan.train=1", "True"),
        ("hifigan.train=yes", "True"),
        ("prior.speeds=0.9", r"\(0.8, 0.87"),
        ("mel.mel_type=5", "'slaney_logclamp'"),
    ],
)
def test_value_of_another_kind_is_refused_beside_the_one_that_stands(
    setting: str, now: str
) -> None:
    with pytest.raises(ConfigError, match=f"cannot be .*it is now {now}"):
        changed(BuildConfig(), setting)


@pytest.mark.parametrize(
    "setting",
    [
        "freev.steps",
        "freev.speed=2",
        "freeze.steps=2",
        "freev=2",
        "a.b.c=2",
        ".=1",
        "=1",
        "freev.__class__=1",
    ],
)
def test_unknown_setting_is_refused_with_an_example(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no setting .*freev.steps=2000"):
        changed(BuildConfig(), setting)


def test_later_settings_win() -> None:
    assert configured("tiny", 0, ["freev.steps=5", "freev.steps=6"]).freev.steps == 6


@pytest.mark.parametrize("damage", ["missing section", "unknown field", "not a table"])
def test_json_of_another_version_is_refused(damage: str) -> None:
    data = json.loads(json.dumps(dataclasses.asdict(preset("tiny"))))
    match damage:
        case "missing section":
            del data["prior"]
        case "unknown field":
            data["prior"]["wings"] = 2
        case _:
            data["prior"] = 5
    with pytest.raises(ConfigError, match="not this version's"):
        from_json(data)


@pytest.mark.parametrize(
    "setting",
    [
        "prior.dropout=NaN",
        "prior.dropout=1.5",
        "freev.steps=-3",
        "freev.evaluate_every_steps=0",
        "prior.speeds=[0.9, 0]",
        'prior.speeds=["a"]',
        f"rvqvae.fewest_levels={RvqvaeConfig().most_levels + 1}",
        "rvqvae.latent_dim=1000",
        "rvqvae.stack_frames=3",
        "hifigan.upsample_rates=[8, 4, 4, 2, 4]",
        "mel.mel_bands=80",
        "seed=12",
        "preset=high",
        "split.held_out_fraction=1",
        "freev.segment_frames=2",
        "hifigan.discriminator_divisor=3",
        "hifigan.resblock_dilations=[1, 3, 5]",
        "ingest.silence_dbfs=NaN",
        "prior.hidden=1000000",
    ],
)
def test_setting_that_no_build_could_use_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError):
        configured("quick", 0, [setting])


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("freev", "blocks", 65),
        ("freev", "blocks", 2.0),
        ("freev", "blocks", "2"),
        ("freev", "train", 1),
        ("prior", "hidden", True),
        ("prior", "hidden", None),
        ("prior", "speeds", 0.9),
        ("prior", "speeds", [0.9] * 17),
        ("hifigan", "resblock_kernels", [3.0, 7, 11]),
        ("hifigan", "resblock_dilations", [[1, 3.0], [1], [1]]),
        ("hifigan", "discriminator_periods", []),
    ],
)
def test_json_with_a_value_of_another_kind_or_length_is_refused(
    section: str, field: str, value: object
) -> None:
    data = json.loads(json.dumps(dataclasses.asdict(preset("tiny"))))
    data[section][field] = value
    with pytest.raises(ConfigError, match=f"^{section}.{field} "):
        from_json(data)


def test_a_number_too_long_for_a_float_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"freev\.steps cannot be 9999"):
        configured("quick", 0, [f"freev.steps={'9' * 400}"])


def test_settings_are_judged_together_once_all_are_made() -> None:
    both = configured("quick", 0, ["rvqvae.most_levels=3", "rvqvae.fewest_levels=3"])
    assert (both.rvqvae.fewest_levels, both.rvqvae.most_levels) == (3, 3)


def test_an_empty_list_can_be_filled_again() -> None:
    config = configured("quick", 0, ["prior.speeds=[]", "prior.speeds=[1.1]"])
    assert config.prior.speeds == (1.1,)
