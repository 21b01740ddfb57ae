"""The generator against the reference's own output, and its arithmetic of lengths."""

import json
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import HifiganConfig, MelConfig
from core.errors import ConfigError
from core.hifigan import Hifigan, HifiganGenerator, check_shape, phase_count

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = HifiganConfig(channels=32)


@pytest.fixture
def reference() -> tuple[HifiganGenerator, Tensor, Tensor]:
    """A generator with the reference's weights, and the (1, M, F) mel and (1, T) audio it made."""
    shape = json.loads((GOLDEN / "hifigan_tiny_config.json").read_text())
    config = HifiganConfig(
        upsample_rates=tuple(shape["upsample_rates"]),
        upsample_kernels=tuple(shape["upsample_kernel_sizes"]),
        channels=shape["upsample_initial_channel"],
        resblock_kernels=tuple(shape["resblock_kernel_sizes"]),
        resblock_dilations=tuple(tuple(d) for d in shape["resblock_dilation_sizes"]),
        mel_bands=shape["num_mels"],
    )
    generator = HifiganGenerator(config)
    checkpoint = torch.load(GOLDEN / "hifigan_tiny_generator.pt", weights_only=True)
    generator.load_state_dict(checkpoint["generator"])
    with np.load(GOLDEN / "hifigan_tiny_io.npz") as arrays:
        mel, audio = torch.from_numpy(arrays["log_mel"]), torch.from_numpy(arrays["audio"])
    return generator, mel[None], audio[None]


@torch.no_grad()
def test_wave_equals_the_reference_generators(
    reference: tuple[HifiganGenerator, Tensor, Tensor],
) -> None:
    generator, mel, audio = reference
    torch.testing.assert_close(generator(mel), audio, atol=1e-5, rtol=0)


@torch.no_grad()
def test_folded_weights_give_the_reference_wave_too(
    reference: tuple[HifiganGenerator, Tensor, Tensor],
) -> None:
    generator, mel, audio = reference
    generator.fold_weight_norm()
    generator.fold_weight_norm()  # a second time changes nothing
    torch.testing.assert_close(generator(mel), audio, atol=1e-5, rtol=0)


@torch.no_grad()
def test_folded_weights_load_into_a_generator_without_weight_norm() -> None:
    trained, loaded = HifiganGenerator(SMALL), HifiganGenerator(SMALL, weight_norm=False)
    mel = torch.randn(1, 128, 5)
    before = trained(mel)
    trained.fold_weight_norm()
    loaded.load_state_dict(trained.state_dict())
    torch.testing.assert_close(loaded(mel), before, atol=1e-6, rtol=0)


def test_default_has_the_parameters_of_v2_at_512() -> None:
    # Counted in the reference implementation with weight norm removed.
    generator = HifiganGenerator(HifiganConfig(), weight_norm=False)
    assert sum(p.numel() for p in generator.parameters()) == 956_849


@pytest.mark.parametrize("frames", [1, 7])
@torch.no_grad()
def test_wave_is_one_hop_per_frame_and_within_one(frames: int) -> None:
    wave = HifiganGenerator(SMALL)(100 * torch.randn(2, 128, frames))
    assert wave.shape == (2, frames * 512)
    assert wave.abs().max() <= 1


@torch.no_grad()
def test_any_kernel_that_passes_the_check_keeps_the_length() -> None:
    config = replace(SMALL, upsample_rates=(8, 8, 8), upsample_kernels=(8, 10, 18))
    check_shape(config, MelConfig())
    assert HifiganGenerator(config)(torch.zeros(1, 128, 3)).shape == (1, 3 * 512)


def test_default_shape_passes_the_check() -> None:
    config, mel = HifiganConfig(), MelConfig()
    check_shape(config, mel)
    assert prod(config.upsample_rates) == mel.hop_samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upsample_rates": (8, 4, 4, 2, 1)}, "multiply to 256"),
        ({"upsample_kernels": (16, 8, 8, 4)}, "4 entries for 5 upsample_rates"),
        ({"upsample_kernels": (16, 8, 8, 4, 3)}, "3 does not stretch 2 times"),
        ({"upsample_kernels": (6, 8, 8, 4, 4)}, "6 does not stretch 8 times"),
        ({"channels": 48}, "48 cannot be halved 5 times"),
        ({"resblock_dilations": ((1, 3),)}, "1 entries for 3 resblock_kernels"),
        ({"resblock_kernels": (3, 7, 10)}, "10 is even"),
        ({"mel_bands": 80}, "mel_bands is 80"),
    ],
)
def test_check_names_what_does_not_fit(change: dict[str, object], message: str) -> None:
    config = replace(HifiganConfig(), **change)
    with pytest.raises(ConfigError, match=message):
        check_shape(config, MelConfig())


def test_check_reports_every_fault_at_once() -> None:
    config = HifiganConfig(channels=48, mel_bands=80)
    with pytest.raises(ConfigError, match=r"48 cannot be halved.*mel_bands is 80"):
        check_shape(config, MelConfig())


def test_vocoder_plays_frames_first_and_gives_the_reference_wave(
    reference: tuple[HifiganGenerator, Tensor, Tensor],
) -> None:
    generator, mel, audio = reference
    wave = Hifigan(generator, torch.device("cpu")).wave(mel[0].T)
    torch.testing.assert_close(wave, audio[0], atol=1e-5, rtol=0)
    assert not wave.requires_grad


def test_unfolded_weights_give_the_same_wave_through_the_same_parameters() -> None:
    torch.manual_seed(0)
    trained, new = HifiganGenerator(SMALL), HifiganGenerator(SMALL)
    mel = torch.randn(1, 128, 8) - 5
    wave = trained(mel)
    trained.fold_weight_norm()
    parameters = list(map(id, new.parameters()))  # which an optimiser holds
    new.unfold(trained)
    torch.testing.assert_close(new(mel), wave, atol=1e-5, rtol=0)
    assert list(map(id, new.parameters())) == parameters


@torch.no_grad()
def test_mixed_precision_leaves_the_last_stage_in_float32() -> None:
    generator, mel = HifiganGenerator(HifiganConfig()), torch.randn(1, 128, 8)
    seen = []
    for part in (generator.conv_pre, generator.ups[-2], generator.ups[-1], generator.conv_post):
        part.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wave = generator(mel)
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32, torch.float32]
    assert wave.dtype == torch.float32


def test_phases_change_neither_wave_nor_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    config = HifiganConfig(channels=64)  # 4 channels before the last stage, then 2
    phased = HifiganGenerator(config).double()
    monkeypatch.setattr("core.hifigan.NARROW", 0)
    plain = HifiganGenerator(config).double()
    assert (phased.phases, plain.phases) == ([1, 1, 1, 8, 16], [1] * 5)
    plain.load_state_dict(phased.state_dict())
    mel = torch.randn(1, 128, 3, dtype=torch.float64)
    waves = [generator(mel) for generator in (phased, plain)]
    torch.testing.assert_close(*waves)
    for wave in waves:
        wave.square().sum().backward()
    for ours, theirs in zip(phased.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_long_kernels_are_not_written_as_phases() -> None:
    # What a foreign file asks for is built before its weights' shapes are known to fit.
    far = replace(SMALL, resblock_kernels=(4095,), resblock_dilations=((4096,),))
    assert phase_count(SMALL, 4, 128) == 8
    assert phase_count(far, 4, 128) == 1
