"""Which settings can be: kinds, ranges, and what must go together.

They come from the command line and from other people's packages, so every value is
checked, and what a package may ask for is bounded.
"""

import dataclasses
import reprlib

from core.config import BuildConfig
from core.errors import ConfigError
from core.hifigan import check_shape

ZERO_ALLOWED = {
    "rvqvae.codebook_size", "rvqvae.augmented_copies", "rvqvae.codebook_passes", "rvqvae.dropout",
    "rvqvae.decoder_steps", "rvqvae.joint_steps", "rvqvae.vae_steps", "rvqvae.vae_beta",
    "prior.dropout", "prior.corruption", "prior.equalisers", "prior.augmented_share",
    "prior.late_augmented_share",
    "prior.weight_decay", "prior.told_share", "texture.steps", "griffinlim.iterations",
    "griffinlim.momentum",
    "freev.inversion_updates", "freev.stft_weight", "hifigan.warm_up_steps",
    "hifigan.mel_weight", "hifigan.stft_weight", "hifigan.feature_weight", "mel.lowest_hz",
    "augment.equaliser_nats", "augment.gain_nats", "validate.report_sounds", "validate.previews",
}  # fmt: skip
SHARES = {
    "split.held_out_fraction", "split.tail_fraction", "rvqvae.dropout", "prior.dropout",
    "prior.corruption", "prior.augmented_share", "prior.late_augmented_share", "prior.told_share",
    "ingest.peak",
    "griffinlim.momentum",
}  # fmt: skip
EMPTY_ALLOWED = {"prior.speeds"}
LARGEST = 1e9
LARGEST_SIZE = 4096  # of a layer, a codebook, a batch
LARGEST_DEPTH = 64  # blocks one after another
LONGEST_LIST = 16
COUNTS = {
    "steps", "vae_steps", "decoder_steps", "joint_steps", "warm_up_steps", "batch_frames",
    "sample_rate", "evaluate_every_steps",
}  # fmt: skip


def check_value(path: str, value: object, example: object) -> None:
    """Raises ConfigError for a value of another kind than `example`, or out of range."""
    match example:
        case tuple():
            if not isinstance(value, tuple):
                raise _of_another_kind(path, value, example)
            if len(value) > LONGEST_LIST or not (value or path in EMPTY_ALLOWED):
                raise ConfigError(
                    f"{path} has {len(value)} entries; give 1 to {LONGEST_LIST}, say {example}"
                )
            for one in value:
                check_value(path, one, example[0])
        case bool() | str():
            if type(value) is not type(example):
                raise _of_another_kind(path, value, example)
        case int() | float():
            if isinstance(value, bool) or not isinstance(value, int | type(example)):
                raise _of_another_kind(path, value, example)
            _check_range(path, value)


def _of_another_kind(path: str, value: object, example: object) -> ConfigError:
    return ConfigError(f"{path} cannot be {reprlib.repr(value)}; give a value such as {example}")


def _check_range(path: str, value: float) -> None:
    share, or_zero = path in SHARES, path in ZERO_ALLOWED
    low_enough = value < 1 if share else value <= LARGEST
    high_enough, least = value >= 0 if or_zero else value > 0, "0 or more" if or_zero else "above 0"
    if path == "ingest.silence_dbfs":
        high_enough, least = value >= -LARGEST, f"{-LARGEST:g} or more"
    if not (low_enough and high_enough):  # nor is NaN either
        highest = "below 1" if share else f"at most {LARGEST:g}"
        raise ConfigError(f"{path} cannot be {value}; give a number {least}, {highest}")
    field = path.rpartition(".")[2]
    most = LARGEST_DEPTH if field == "blocks" else LARGEST_SIZE
    if isinstance(value, int) and value > most and field not in COUNTS:
        raise ConfigError(f"{path} {value} is too large; at most {most}")


def check(config: BuildConfig) -> None:
    """Raises ConfigError for settings out of range, or that do not go together."""
    examples = dataclasses.asdict(BuildConfig())
    for name, section in dataclasses.asdict(config).items():
        if isinstance(section, dict):
            for field, value in section.items():
                check_value(f"{name}.{field}", value, examples[name][field])
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
    check_shape(config.hifigan, mel)
