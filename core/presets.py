"""Named sets of settings, single changes to them, and reading them back."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from core.config import BuildConfig, PresetName
from core.errors import ConfigError
from core.hifigan import check_shape


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
            return change(base, preset="quick", hifigan=change(base.hifigan, train=False))
        case "standard":
            return change(
                base,
                preset="standard",
                rvqvae=change(base.rvqvae, vae_steps=3000, decoder_steps=3000, joint_steps=1000),
                prior=change(base.prior, steps=500),
                freev=change(base.freev, steps=6000),
                hifigan=change(base.hifigan, warm_up_steps=5_000, steps=30_000),
            )
        case "high":
            return change(
                base,
                preset="high",
                rvqvae=change(base.rvqvae, vae_steps=6000, decoder_steps=6000, joint_steps=2000),
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
    """The preset with single settings applied in order; see `changed` and `check`."""
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
    _check_range(path.strip(), value)
    change: dict[str, Any] = {field_name: value}
    return dataclasses.replace(config, **{section_name: dataclasses.replace(section, **change)})


ZERO_ALLOWED = {
    "rvqvae.codebook_size", "rvqvae.augmented_copies", "rvqvae.codebook_passes", "rvqvae.dropout",
    "rvqvae.decoder_steps", "rvqvae.joint_steps", "rvqvae.vae_steps", "rvqvae.vae_beta",
    "prior.dropout", "prior.corruption", "prior.equalisers", "prior.augmented_share",
    "prior.weight_decay", "griffinlim.iterations", "griffinlim.momentum",
    "freev.inversion_updates", "freev.stft_weight", "hifigan.warm_up_steps",
    "hifigan.mel_weight", "hifigan.stft_weight", "hifigan.feature_weight", "mel.lowest_hz",
    "augment.equaliser_nats", "augment.gain_nats", "validate.report_sounds", "validate.previews",
}  # fmt: skip
SHARES = {
    "split.held_out_fraction", "split.tail_fraction", "rvqvae.dropout", "prior.dropout",
    "prior.corruption", "prior.augmented_share", "ingest.peak", "griffinlim.momentum",
}  # fmt: skip


LARGEST = 1e9
LARGEST_SIZE = 4096  # of a layer, a codebook, a batch: bounds what a foreign file can ask for
COUNTS = {
    "steps", "vae_steps", "decoder_steps", "joint_steps", "warm_up_steps", "batch_frames",
    "sample_rate", "evaluate_every_steps",
}  # fmt: skip


def _check_range(path: str, value: object) -> None:
    """Raises ConfigError for a number that no build could work with."""
    if isinstance(value, tuple):
        for one in value:
            if isinstance(one, str):
                raise ConfigError(f"{path} cannot hold {one!r}; give numbers")
            _check_range(path, one)
    elif isinstance(value, bool):
        return
    elif isinstance(value, int | float):
        low_enough = value < 1 if path in SHARES else value <= LARGEST
        high_enough = value >= 0 if path in ZERO_ALLOWED else value > 0
        high_enough = high_enough or path == "ingest.silence_dbfs"
        if not (math.isfinite(value) and low_enough and high_enough):
            raise ConfigError(
                f"{path} cannot be {value}; give a number "
                f"{'of 0 or more' if path in ZERO_ALLOWED else 'above 0'}"
                f"{', below 1' if path in SHARES else ''}"
            )
    elif not isinstance(value, str):
        raise ConfigError(f"{path} cannot hold {value!r}; give numbers")


def check(config: BuildConfig) -> None:
    """Raises ConfigError for settings out of range, or that do not go together."""
    for name, section in dataclasses.asdict(config).items():
        if isinstance(section, dict):
            for key, value in section.items():
                _check_range(f"{name}.{key}", value)
                if isinstance(value, int) and value > LARGEST_SIZE and key not in COUNTS:
                    raise ConfigError(f"{name}.{key} {value} is too large; at most {LARGEST_SIZE}")
    rvqvae, mel = config.rvqvae, config.mel
    if mel != type(mel)():
        raise ConfigError("the mel contract is fixed; leave mel.* as it is")
    if config.ingest.sample_rate != mel.sample_rate:
        raise ConfigError(
            f"ingest.sample_rate {config.ingest.sample_rate} is not the mel's {mel.sample_rate}; "
            "leave it as it is"
        )
    if rvqvae.fewest_levels > rvqvae.most_levels:
        raise ConfigError(
            f"rvqvae.fewest_levels {rvqvae.fewest_levels} is above rvqvae.most_levels "
            f"{rvqvae.most_levels}; lower it"
        )
    if rvqvae.stack_frames not in (1, 2):
        raise ConfigError(f"rvqvae.stack_frames cannot be {rvqvae.stack_frames}; give 1 or 2")
    if (
        rvqvae.latent_dim > rvqvae.stack_frames * mel.mel_bands
        or rvqvae.vae_dim > rvqvae.latent_dim
    ):
        raise ConfigError(
            f"rvqvae.latent_dim {rvqvae.latent_dim} must be at most "
            f"{rvqvae.stack_frames * mel.mel_bands} and at least rvqvae.vae_dim {rvqvae.vae_dim}"
        )
    for name in ("freev", "hifigan"):
        frames = getattr(config, name).segment_frames
        if frames * mel.hop_samples < mel.fft_samples:
            raise ConfigError(
                f"{name}.segment_frames {frames} is shorter than a window; give "
                f"{mel.fft_samples // mel.hop_samples} or more"
            )
    if config.hifigan.discriminator_divisor not in (1, 2, 4, 8, 16, 32):
        raise ConfigError(
            f"hifigan.discriminator_divisor cannot be {config.hifigan.discriminator_divisor}; "
            "give a power of two up to 32"
        )
    if not all(isinstance(one, tuple) for one in config.hifigan.resblock_dilations):
        raise ConfigError("hifigan.resblock_dilations must hold lists; say [[1,3,5],[1,3,5]]")
    check_shape(config.hifigan, mel)


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
