"""Named sets of settings, single changes to them, and reading them back."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from core.config import BuildConfig, PresetName
from core.errors import ConfigError
from core.setting_rules import check, check_value


def preset(name: str, seed: int = 0) -> BuildConfig:
    """The settings behind a preset's name.

    tiny      every stage for real but only a few steps; for tests
    quick     minutes on a CPU: FreeV
    standard  FreeV for longer and HiFi-GAN; a GPU, or a night on a CPU
    high      the same, longer still, with larger critics; a GPU
    """
    base = BuildConfig(seed=seed)
    change = dataclasses.replace
    match name:
        case "tiny":
            return change(
                base,
                preset="tiny",
                rvqvae=change(
                    base.rvqvae,
                    augmented_copies=1,
                    most_levels=4,
                    fewest_levels=3,
                    decoder_steps=30,
                    joint_steps=10,
                    vae_steps=30,
                    batch_windows=8,
                    evaluate_every_steps=10,
                ),
                texture=change(
                    base.texture, hidden=64, blocks=1, steps=30, evaluate_every_steps=10
                ),
                prior=change(base.prior, steps=40, batch_frames=512, evaluate_every_steps=10),
                griffinlim=change(base.griffinlim, iterations=8),
                freev=change(
                    base.freev, channels=64, hidden=128, blocks=2, steps=20, evaluate_every_steps=5
                ),
                hifigan=change(
                    base.hifigan,
                    channels=32,
                    discriminator_divisor=32,
                    batch_segments=2,
                    warm_up_steps=6,
                    steps=12,
                    evaluate_every_steps=4,
                ),
                validate=change(base.validate, most_sounds=3, most_seconds=2.0, generated=8),
            )
        case "quick":
            # The joint stage gained 0.5 % at most, mostly nothing, on 18 trainings of 5 sets.
            return change(
                base,
                preset="quick",
                rvqvae=change(base.rvqvae, joint_steps=0),
                hifigan=change(base.hifigan, train=False),
            )
        case "standard":
            return change(
                base,
                preset="standard",
                rvqvae=change(base.rvqvae, vae_steps=3000, decoder_steps=3000, joint_steps=1000),
                texture=change(base.texture, steps=5000),
                prior=change(base.prior, steps=500),
                freev=change(base.freev, steps=6000),
                hifigan=change(base.hifigan, warm_up_steps=5_000, steps=30_000),
            )
        case "high":
            return change(
                base,
                preset="high",
                rvqvae=change(base.rvqvae, vae_steps=6000, decoder_steps=6000, joint_steps=2000),
                texture=change(base.texture, hidden=256, steps=15_000),
                prior=change(base.prior, steps=1000),
                freev=change(base.freev, steps=15_000),
                hifigan=change(
                    base.hifigan,
                    discriminator_divisor=4,
                    discriminator_scales=3,
                    batch_segments=16,
                    warm_up_steps=10_000,
                    steps=150_000,
                ),
            )
    raise ConfigError(f"preset {name!r} is unknown; use {', '.join(get_args(PresetName))}")


def configured(name: str, seed: int, settings: Sequence[str]) -> BuildConfig:
    """The preset with single settings applied in order; see `changed` and core.setting_rules."""
    config = preset(name, seed)
    for setting in settings:
        config = changed(config, setting)
    check(config)
    return config


def changed(config: BuildConfig, setting: str) -> BuildConfig:
    """The config with one `section.field=value` applied.

    >>> changed(BuildConfig(), "freev.steps=200").freev.steps
    200

    Raises:
        ConfigError: there is no such setting, or the value does not fit it.
    """
    path, equals, text = setting.partition("=")
    section_name, _, field_name = path.strip().rpartition(".")
    section: Any = getattr(config, section_name, None)
    hints = get_type_hints(type(section)) if dataclasses.is_dataclass(section) else {}
    if (
        not equals
        or not section_name
        or field_name not in hints
        or dataclasses.is_dataclass(hints[field_name])
    ):
        raise ConfigError(
            f"there is no setting {setting!r}; give SECTION.FIELD=VALUE, say freev.steps=2000"
        )
    value = _parsed(text.strip(), getattr(section, field_name), path)
    check_value(path.strip(), value, getattr(getattr(BuildConfig(), section_name), field_name))
    change: dict[str, Any] = {field_name: value}
    return dataclasses.replace(config, **{section_name: dataclasses.replace(section, **change)})


def _parsed(text: str, current: object, path: str) -> object:
    """The value that a text means where `current` stands now; JSON, or a bare word."""
    try:
        value: object = json.loads(text)
    except ValueError:
        value = text
    if isinstance(current, tuple) and isinstance(value, list):
        return _tupled(value)
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise ConfigError(
            f"{path.strip()} cannot be {text!r}; it is now {current!r}, give a value of that kind"
        )
    return value


def _tupled(value: object) -> object:
    return tuple(_tupled(one) for one in value) if isinstance(value, list) else value


def from_json(data: dict[str, Any]) -> BuildConfig:
    """The config that `dataclasses.asdict` and JSON made into data.

    Raises:
        ConfigError: the data does not describe a config.
    """
    try:
        hints: dict[str, Any] = get_type_hints(BuildConfig)
        sections: dict[str, Any] = {}
        for name, section in hints.items():
            if name not in ("preset", "seed"):
                fields = {key: _tupled(value) for key, value in data[name].items()}
                sections[name] = section(**fields)
        config = BuildConfig(preset=data["preset"], seed=data["seed"], **sections)
        check(config)
        return config
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"these settings are not this version's ({error}); rebuild the model from its sounds"
        ) from error
