"""BigVGAN as a vocoder: the official sound, in windows as in one, in short numbers nearly so."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from bigvgan_golden import tiny_config, tiny_sound, tiny_weights
from torch import Tensor

from core import bigvgan_player
from core.bigvgan import BigvganGenerator
from core.bigvgan_config import BigvganConfig
from core.bigvgan_layers import Weights
from core.bigvgan_player import Bigvgan, bigvgan_from_checkpoint, fast_type
from core.config import MelConfig
from core.continuous import wave_pieces
from core.errors import VocoderError
from core.snake import AliasFreeSnake

CPU, MEL = torch.device("cpu"), MelConfig()


def player(fast: bool = False) -> Bigvgan:
    return bigvgan_from_checkpoint(tiny_config(), tiny_weights(), MEL, CPU, fast)


def some_mel(frames: int) -> Tensor:
    return 2 * torch.randn(frames, 128, generator=torch.Generator().manual_seed(1)) - 5


def test_it_plays_frames_first_and_gives_the_official_wave() -> None:
    vocoder, (log_mel, audio) = player(), tiny_sound()
    wave = vocoder.wave(log_mel.T)
    torch.testing.assert_close(wave, audio, atol=1e-5, rtol=0)
    assert vocoder.name == "bigvgan"
    assert wave.dtype == torch.float32
    assert not wave.requires_grad
    assert torch.equal(wave, vocoder.wave(log_mel.T))


@pytest.mark.parametrize("frames", [1, 5])
def test_the_shortest_sounds_have_their_exact_length(frames: int) -> None:
    assert player().wave(some_mel(frames)).shape == (frames * 512,)


@pytest.mark.parametrize("frames", [61, 80, 140])  # in 2, 3 and 6 windows
def test_in_windows_it_equals_the_whole(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    vocoder, mel = player(), some_mel(frames)
    whole = vocoder.wave(mel)
    monkeypatch.setattr(bigvgan_player, "WINDOW_FRAMES", 59)
    assert len(bigvgan_player.windows(frames, 21)[1]) > 1
    torch.testing.assert_close(vocoder.wave(mel), whole, atol=1e-5, rtol=0)
    pieces = np.concatenate(list(wave_pieces(vocoder, mel, MEL)))
    torch.testing.assert_close(torch.from_numpy(pieces), whole, atol=1e-5, rtol=0)


def test_a_minute_needs_windows_little_longer_than_five_seconds_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vocoder = player()
    longest: list[int] = []

    def silence(log_mel: Tensor) -> Tensor:
        longest.append(log_mel.shape[2])
        return torch.zeros(1, log_mel.shape[2] * 512)

    monkeypatch.setattr(vocoder.generator, "unclipped", silence)
    vocoder.wave(some_mel(math.ceil(5 * 44_100 / 512)))
    five_seconds = max(longest)
    vocoder.wave(some_mel(math.ceil(60 * 44_100 / 512)))
    assert max(longest) <= 1.1 * five_seconds


def test_a_loud_sound_is_not_clipped() -> None:
    vocoder, (log_mel, audio) = player(), tiny_sound()
    vocoder.generator.conv_post.weight *= 20
    torch.testing.assert_close(vocoder.wave(log_mel.T), 20 * audio, atol=2e-4, rtol=0)


def test_short_numbers_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the offered model 44 dB are wanted; here every inner layer is cast, narrow ones too.
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(bigvgan_player, "LEAST_FAST_CHANNELS", 1)
    mel = tiny_sound()[0].T
    exact, fast = player().wave(mel), player(fast=True)
    assert fast.generator.resblocks[0].convs1[0].weight.dtype == torch.bfloat16
    error = fast.wave(mel) - exact
    assert 10 * torch.log10(exact.square().mean() / error.square().mean()) > 35


def test_only_wide_inner_layers_are_cast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    config = replace(tiny_config(), channels=256)
    generator = Bigvgan(BigvganGenerator(config), MEL, CPU).generator
    cast = {
        name
        for name, module in generator.named_modules()
        if isinstance(module, Weights) and module.number_type == torch.bfloat16
    }
    assert "resblocks.0.convs1.0" in cast
    assert all(name.startswith(("resblocks.0.", "resblocks.1.", "resblocks.2.")) for name in cast)


@pytest.mark.parametrize(("units", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_multiplies_short_numbers_only_with_units_for_them(
    monkeypatch: pytest.MonkeyPatch, units: bool, kind: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    assert fast_type(CPU) == kind


def test_cuda_multiplies_in_float16_and_mps_in_float32() -> None:
    assert fast_type(torch.device("cuda")) == torch.float16
    assert fast_type(torch.device("mps")) == torch.float32


def test_without_a_cpu_everything_is_plain_torch() -> None:
    with torch.device("meta"):
        generator = BigvganGenerator(tiny_config())
    generator = Bigvgan(generator, MEL, torch.device("meta")).generator
    assert not any(one.fused for one in generator.modules() if isinstance(one, AliasFreeSnake))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_official_wave_nearly() -> None:
    log_mel, audio = tiny_sound()
    cuda = torch.device("cuda")
    error = (
        bigvgan_from_checkpoint(tiny_config(), tiny_weights(), MEL, cuda).wave(log_mel.T) - audio
    )
    assert 10 * torch.log10(audio.square().mean() / error.square().mean()) > 44


def test_another_mel_contract_is_refused_before_the_weights_are_looked_at() -> None:
    config = replace(BigvganConfig(), sample_rate=24_000)
    with pytest.raises(VocoderError, match="sample_rate is 44100 where it wants 24000"):
        bigvgan_from_checkpoint(config, {}, MEL, CPU)


@pytest.mark.parametrize("frames", [1, 448, 449, 1000, 5168])
def test_windows_are_equal_and_leave_no_gap(frames: int) -> None:
    size, starts = bigvgan_player.windows(frames, 21)
    assert size <= 448
    assert starts[0] == 0
    assert starts[-1] + size == frames
    assert all(after - before <= size - 42 for before, after in pairwise(starts))
