"""What BigVGAN's official config.json says about its generator, checked before it is built."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.config import MelConfig
from core.errors import VocoderError

OFFERED = "bigvgan_v2_44khz_128band_512x"
LARGEST_COUNT = 1_000_000


@dataclass(frozen=True)
class BigvganConfig:
    """The defaults are the model that Distill offers, with 122,184,529 parameters."""

    upsample_rates: tuple[int, ...] = (8, 4, 2, 2, 2, 2)
    channels: int = 1536  # halved by every upsampling
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    bias_at_end: bool = False
    tanh_at_end: bool = False  # else the reference clips
    sample_rate: int = 44_100
    fft_samples: int = 2048
    window_samples: int = 2048
    hop_samples: int = 512
    mel_bands: int = 128
    lowest_hz: float = 0.0
    highest_hz: float = 22_050.0


def bigvgan_config(values: Mapping[str, Any]) -> BigvganConfig:
    """The generator that a config.json describes; what it says about training is passed over.

    Raises:
        VocoderError: settings are missing, impossible or not supported; all are named.
    """
    faults = [
        f"{name} is {values.get(name)!r}, not {wanted}"
        for name, (fits, wanted) in _SETTINGS.items()
        if not fits(values.get(name))
    ]
    faults = faults or _faults_of_shape(values)
    if faults:
        raise VocoderError(
            f"BigVGAN's config.json cannot be used: {'; '.join(faults)}; take the one of {OFFERED}"
        )
    lowest, highest = values.get("fmin"), values.get("fmax")
    return BigvganConfig(
        upsample_rates=tuple(values["upsample_rates"]),
        channels=values["upsample_initial_channel"],
        resblock_kernels=tuple(values["resblock_kernel_sizes"]),
        resblock_dilations=tuple(tuple(one) for one in values["resblock_dilation_sizes"]),
        bias_at_end=values.get("use_bias_at_final", True),
        tanh_at_end=values.get("use_tanh_at_final", True),
        sample_rate=values["sampling_rate"],
        fft_samples=values["n_fft"],
        window_samples=values["win_size"],
        hop_samples=values["hop_size"],
        mel_bands=values["num_mels"],
        lowest_hz=0.0 if lowest is None else float(lowest),
        highest_hz=values["sampling_rate"] / 2 if highest is None else float(highest),
    )


def check_mel(config: BigvganConfig, mel: MelConfig) -> None:
    """Raises VocoderError unless the generator was trained on mels of this contract."""
    pairs = {
        "mel_type": ("slaney_logclamp", mel.mel_type),
        "sample_rate": (config.sample_rate, mel.sample_rate),
        "mel_bands": (config.mel_bands, mel.mel_bands),
        "hop_samples": (config.hop_samples, mel.hop_samples),
        "fft_samples": (config.fft_samples, mel.fft_samples),
        "window_samples": (config.window_samples, mel.fft_samples),
        "lowest_hz": (config.lowest_hz, mel.lowest_hz),
        "highest_hz": (config.highest_hz, mel.highest_hz),
    }
    faults = [
        f"{name} is {given} where it wants {wanted}"
        for name, (wanted, given) in pairs.items()
        if wanted != given
    ]
    if faults:
        raise VocoderError(
            f"BigVGAN does not speak the model's mels: {', '.join(faults)}; use another vocoder"
        )


def _faults_of_shape(values: Mapping[str, Any]) -> list[str]:
    """What would make the generator impossible to build, or its wave of another length."""
    rates, kernels = values["upsample_rates"], values["upsample_kernel_sizes"]
    channels, product = values["upsample_initial_channel"], math.prod(rates)
    faults = []
    if product != values["hop_size"]:
        faults.append(f"upsample_rates {rates} multiply to {product}, hop_size is not that")
    if kernels != [2 * rate for rate in rates]:
        faults.append(f"upsample_kernel_sizes {kernels} are not twice upsample_rates {rates}")
    if any(rate % 2 for rate in rates):
        faults.append(f"upsample_rates {rates} are not all even")
    if channels % 2 ** len(rates):
        faults.append(f"upsample_initial_channel {channels} is not halved {len(rates)} times")
    if len(values["resblock_kernel_sizes"]) != len(values["resblock_dilation_sizes"]):
        faults.append("resblock_dilation_sizes is not as long as resblock_kernel_sizes")
    if any(kernel % 2 == 0 for kernel in values["resblock_kernel_sizes"]):
        faults.append(f"resblock_kernel_sizes {values['resblock_kernel_sizes']} are not all odd")
    return faults


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= LARGEST_COUNT


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_count, value))


def _are_lists_of_counts(value: object) -> bool:
    return isinstance(value, list) and all(map(_are_counts, value))


def _is_flag(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _is_frequency(value: object) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= float(str(value)) < math.inf)


def _is(wanted: object) -> tuple[Callable[[object], bool], str]:
    return lambda value: value == wanted, repr(wanted)


_COUNT = (_is_count, f"a whole number in 1 to {LARGEST_COUNT:,}")
_COUNTS = (_are_counts, "a list of whole numbers")
_SETTINGS: dict[str, tuple[Callable[[object], bool], str]] = {
    "resblock": _is("1"),
    "activation": _is("snakebeta"),
    "snake_logscale": _is(True),
    "upsample_rates": _COUNTS,
    "upsample_kernel_sizes": _COUNTS,
    "upsample_initial_channel": _COUNT,
    "resblock_kernel_sizes": _COUNTS,
    "resblock_dilation_sizes": (_are_lists_of_counts, "a list of lists of whole numbers"),
    "use_bias_at_final": (_is_flag, "true or false"),
    "use_tanh_at_final": (_is_flag, "true or false"),
    "sampling_rate": _COUNT,
    "n_fft": _COUNT,
    "win_size": _COUNT,
    "hop_size": _COUNT,
    "num_mels": _COUNT,
    "fmin": (_is_frequency, "a frequency or null"),
    "fmax": (_is_frequency, "a frequency or null"),
}
