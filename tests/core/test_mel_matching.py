"""Gains that bring a wave's mel to the wanted one, and nothing else."""

import math

import pytest
import torch
from torch import Tensor

from core import mel_matching
from core.config import MelConfig, VocoderName
from core.mel import log_mel
from core.mel_matching import REACH_FRAMES, MelMatched, mel_matched
from core.vocoder import Vocoder

MEL = MelConfig()


def noise(frames: int = 40, seed: int = 0) -> Tensor:
    """It swells and fades, so that frames differ."""
    samples = frames * 512
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return 0.1 * wave * torch.linspace(0, math.pi, samples).sin()


def mel_of(wave: Tensor) -> Tensor:
    return log_mel(wave[None], MEL)[0].T


def off(wave: Tensor, wanted: Tensor) -> float:
    return float((mel_of(wave) - wanted).abs().mean())


def test_wave_that_has_its_mel_is_left_alone() -> None:
    wave = noise()
    torch.testing.assert_close(mel_matched(wave, mel_of(wave), MEL, 1.0), wave)


def test_another_sound_comes_nearer_to_the_mel() -> None:
    wanted, other = mel_of(noise()), 0.5 * noise(seed=1)
    assert off(mel_matched(other, wanted, MEL, 1.0), wanted) < 0.25 * off(other, wanted)


def test_a_band_that_is_too_soft_is_turned_up_and_the_rest_is_not() -> None:
    low, high = (
        0.1 * torch.sin(2 * math.pi * hz / 44_100 * torch.arange(40 * 512.0)) for hz in (500, 8000)
    )
    found = mel_matched(low + 0.5 * high, mel_of(low + high), MEL, 1.0)
    torch.testing.assert_close(found[2048:-2048], (low + high)[2048:-2048], atol=2e-3, rtol=0)


@pytest.mark.parametrize("most_nats", [0.1, 0.3])
def test_no_round_has_more_than_its_gain(most_nats: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mel_matching, "ROUNDS", 1)
    wave = noise()
    for sign in (-1, 1):
        found = mel_matched(wave, mel_of(wave) + 4.0 * sign, MEL, most_nats)
        gain = math.log(float(found.square().mean().sqrt() / wave.square().mean().sqrt()))
        assert gain == pytest.approx(sign * most_nats, rel=0.02)


def test_silence_and_what_is_too_short_for_a_mel_stay_as_they_are() -> None:
    assert not mel_matched(torch.zeros(5120), torch.zeros(10, 128), MEL, 1.0).any()
    wave = noise(1)
    assert mel_matched(wave, torch.zeros(1, 128), MEL, 1.0) is wave


def test_gains_reach_no_further_than_they_say() -> None:
    wave, wanted = noise(100), mel_of(noise(100, seed=1))
    louder, shifted = wanted.clone(), wave.clone()
    louder[50] += 1
    shifted[50 * 512 : 51 * 512] += 0.1
    first, last = (50 - REACH_FRAMES) * 512, (51 + REACH_FRAMES) * 512
    plain = mel_matched(wave, wanted, MEL, 1.0)
    for found in (mel_matched(wave, louder, MEL, 1.0), mel_matched(shifted, wanted, MEL, 1.0)):
        assert not torch.equal(found, plain)
        assert torch.equal(found[:first], plain[:first])
        assert torch.equal(found[last:], plain[last:])


class Deaf(Vocoder):
    """Plays the same noise whatever the mel."""

    name: VocoderName = "freev"
    reach_frames = 3

    def wave(self, log_mel: Tensor, *_: object) -> Tensor:
        return noise(len(log_mel))


def test_matched_vocoder_is_its_inner_one_matched() -> None:
    player, wanted = MelMatched(Deaf(), MEL, 0.3), mel_of(noise(seed=1))
    assert (player.name, player.reach_frames) == ("freev", 3 + REACH_FRAMES)
    assert torch.equal(player.wave(wanted), mel_matched(noise(), wanted, MEL, 0.3))
