"""The official config.json, and what is refused in one."""

from dataclasses import replace
from typing import Any

import pytest
from bigvgan_golden import official_json, tiny_config

from core.bigvgan_config import BigvganConfig, bigvgan_config, check_mel
from core.config import MelConfig
from core.errors import VocoderError


def offered() -> dict[str, Any]:
    return official_json("v2_44khz_config")


def test_the_offered_models_config_is_the_default() -> None:
    assert bigvgan_config(offered()) == BigvganConfig()


def test_what_it_says_about_training_is_passed_over() -> None:
    assert bigvgan_config({**offered(), "lambda_melloss": 15, "seed": None}) == BigvganConfig()


def test_without_the_newer_settings_it_is_read_as_version_1s() -> None:
    # The reference takes a bias and a tanh for granted where a config has no word on them.
    values = offered()
    del values["use_bias_at_final"], values["use_tanh_at_final"]
    config = bigvgan_config(values)
    assert config.bias_at_end
    assert config.tanh_at_end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resblock": "2"}, "resblock is '2', not '1'"),
        ({"activation": "snake"}, "activation is 'snake', not 'snakebeta'"),
        ({"snake_logscale": False}, "snake_logscale is False, not True"),
        ({"upsample_rates": [8, 4, 4, 2, 1, 2]}, "are not all even"),
        ({"upsample_rates": [8, 4, 2, 2, 2, 4]}, "multiply to 1024"),
        ({"upsample_rates": "8"}, "upsample_rates is '8', not a list of whole numbers"),
        ({"upsample_rates": []}, r"upsample_rates is \[\], not"),
        ({"upsample_kernel_sizes": [16, 8, 4, 4, 4, 8]}, "are not twice"),
        ({"upsample_initial_channel": 1500}, "1500 is not halved 6 times"),
        ({"upsample_initial_channel": 0}, "is 0, not a whole number in 1 to 1,000,000"),
        ({"upsample_initial_channel": True}, "is True, not a whole number"),
        ({"upsample_initial_channel": 10**30}, "not a whole number in 1"),
        ({"resblock_kernel_sizes": [3, 7]}, "is not as long as"),
        ({"resblock_kernel_sizes": [3, 7, 10]}, "are not all odd"),
        ({"resblock_dilation_sizes": [[1], [1], 1]}, "not a list of lists"),
        ({"use_tanh_at_final": "no"}, "use_tanh_at_final is 'no', not true or false"),
        ({"fmax": -1}, "fmax is -1, not a frequency or null"),
        ({"num_mels": None}, "num_mels is None"),
    ],
)
def test_what_cannot_be_built_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(VocoderError, match=message):
        bigvgan_config({**offered(), **change})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(VocoderError, match=r"activation is None.*n_fft is 2048.0.*take the one"):
        bigvgan_config({**offered(), "activation": None, "n_fft": 2048.0})


@pytest.mark.parametrize("config", [BigvganConfig(), tiny_config()], ids=["offered", "tiny"])
def test_the_offered_model_and_the_tiny_one_speak_distills_mels(config: BigvganConfig) -> None:
    mel = MelConfig()
    check_mel(config, mel)
    for name in ("sample_rate", "mel_bands", "hop_samples", "fft_samples"):
        assert getattr(config, name) == getattr(mel, name)


def test_another_mel_is_refused_with_both_values() -> None:
    config = replace(BigvganConfig(), sample_rate=24_000, mel_bands=100, hop_samples=256)
    with pytest.raises(VocoderError) as caught:
        check_mel(config, MelConfig())
    for part in (
        "sample_rate is 44100 where it wants 24000",
        "mel_bands is 128 where it wants 100",
        "hop_samples is 512 where it wants 256",
    ):
        assert part in str(caught.value)


def test_a_legacy_mel_is_refused() -> None:
    with pytest.raises(VocoderError, match="mel_type is htk_log1p where it wants slaney_logclamp"):
        check_mel(BigvganConfig(), MelConfig(mel_type="htk_log1p"))
