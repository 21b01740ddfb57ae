"""Long sounds: in stretches they are what they are at once."""

import numpy as np
import pytest
import torch

from core import continuous, freev
from core.audio import Wave
from core.config import FreevConfig, GriffinLimConfig, HifiganConfig, MelConfig, VocoderName
from core.continuous import wave_pieces
from core.freev import Freev, FreevNet, white_wave
from core.griffinlim import GriffinLim
from core.hifigan import Hifigan, HifiganGenerator
from core.mel import log_mel
from core.mel_matching import MelMatched
from core.vocoder import Vocoder

CPU, MEL = torch.device("cpu"), MelConfig()


class Hiss(Vocoder):
    """White noise, the same at a place wherever the stretch begins."""

    name: VocoderName = "freev"
    reach_frames = 0

    def wave(self, log_mel: torch.Tensor, first_frame: int = 0, *_: object) -> torch.Tensor:
        return 0.1 * white_wave(first_frame, len(log_mel), MEL)[: 512 * len(log_mel)]


def networks() -> dict[str, Vocoder]:
    """Every weight random, so that everything within reach is heard."""
    torch.manual_seed(0)
    net = FreevNet(FreevConfig(channels=8, hidden=16, blocks=8), MEL)
    generator = HifiganGenerator(HifiganConfig(channels=32), weight_norm=False)
    with torch.no_grad():
        net.magnitude.weight.normal_(0, 0.1)
        for parameter in generator.parameters():
            parameter.normal_(0, 0.1)
    return {
        "freev": MelMatched(Freev(net, CPU), MEL, 1.0),
        "hifigan": Hifigan(generator, CPU),
        "matched": MelMatched(Hiss(), MEL, 1.0),
    }


def long_wave(vocoder: Vocoder, mel: torch.Tensor) -> Wave:
    return np.concatenate(list(wave_pieces(vocoder, mel, MEL)))


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "STRETCH_FRAMES", 64)


def noise_mel(frames: int) -> torch.Tensor:
    wave = 0.1 * torch.randn(frames * 512, generator=torch.Generator().manual_seed(1))
    return log_mel(wave[None], MEL)[0].T


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("name", ["hifigan", "matched"])
@pytest.mark.parametrize("frames", [150, 192])  # the last stretch is short, or whole
def test_network_in_stretches_equals_the_whole(name: str, frames: int) -> None:
    vocoder, mel = networks()[name], noise_mel(frames)
    whole = vocoder.wave(mel).numpy()
    assert np.abs(long_wave(vocoder, mel) - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.usefixtures("short_stretches")
def test_a_mel_is_looked_at_where_it_is_played() -> None:
    whole, seen = noise_mel(640), list[int]()

    class Looked:
        def __len__(self) -> int:
            return len(whole)

        def __getitem__(self, frames: slice, /) -> torch.Tensor:
            seen.append(len(whole[frames]))
            return whole[frames]

    vocoder = networks()["hifigan"]
    pieces = np.concatenate(list(wave_pieces(vocoder, Looked(), MEL)))
    np.testing.assert_array_equal(pieces, long_wave(vocoder, whole))
    assert seen == [64 + 24, *[64 + 2 * 24] * 8, 64 + 24]


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("seed", [0, 5])
def test_freevs_noise_in_stretches_equals_the_whole(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freev, "phases_of", lambda level, *_: torch.full_like(level, torch.nan))
    vocoder, mel = networks()["freev"], noise_mel(192)
    whole = vocoder.wave(mel, 0, seed).numpy()
    parts = np.concatenate(list(wave_pieces(vocoder, mel, MEL, seed)))
    assert np.abs(parts - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.usefixtures("short_stretches")
def test_griffin_lim_has_no_jump_and_no_change_of_level_where_stretches_meet() -> None:
    vocoder, mel = GriffinLim(GriffinLimConfig(iterations=8), MEL), noise_mel(150)
    again = log_mel(torch.from_numpy(long_wave(vocoder, mel))[None], MEL)[0].T
    jumps, level = again.diff(dim=0).abs().mean(1), again.exp().square().mean(1).log() / 2
    seams = torch.zeros(150, dtype=torch.bool)
    for seam in (50, 100):
        seams[seam - 10 : seam + 10] = True
    assert jumps[seams[1:]].max() < 1.1 * jumps[~seams[1:]].max()
    assert abs(level[seams].mean() - level[~seams].mean()) < 0.1


def chord_mel(frames: int) -> torch.Tensor:
    time = torch.arange(frames * 512) / 44_100
    wave = sum(0.1 * torch.sin(2 * torch.pi * hertz * time) for hertz in (220.0, 330.5, 700.3))
    assert isinstance(wave, torch.Tensor)
    return log_mel(wave[None], MEL)[0].T


class Forgetful(MelMatched):
    """Hears nothing of what was played before."""

    def wave(
        self, log_mel: torch.Tensor, first_frame: int = 0, seed: int = 0, *_: object
    ) -> torch.Tensor:
        return super().wave(log_mel, first_frame, seed)


@pytest.mark.usefixtures("short_stretches")
def test_freevs_phases_go_on_from_stretch_to_stretch() -> None:
    torch.manual_seed(0)
    inner = Freev(FreevNet(FreevConfig(channels=8, hidden=16, blocks=1), MEL), CPU)
    mel = chord_mel(240)  # four stretches

    def dip(vocoder: Vocoder) -> float:
        """How far the levels where stretches meet fall below those between, in nats."""
        levels = torch.from_numpy(long_wave(vocoder, mel)).view(240, 512).square().mean(1).log() / 2
        seams = torch.stack([levels[at - 8 : at + 8].min() for at in (60, 120, 180)])
        between = torch.stack([levels[at - 8 : at + 8].min() for at in (30, 90, 150, 210)])
        return float(between.min() - seams.min())

    assert dip(MelMatched(inner, MEL, 1.0)) < 0.1
    assert dip(Forgetful(inner, MEL, 1.0)) > 0.2  # else it would show nothing


@pytest.mark.usefixtures("short_stretches")
def test_pieces_are_no_longer_than_a_stretch_and_half_a_blend() -> None:
    for vocoder in (GriffinLim(GriffinLimConfig(iterations=1), MEL), networks()["freev"]):
        pieces = list(wave_pieces(vocoder, noise_mel(192), MEL))
        assert [len(piece) // 512 for piece in pieces] == [56, 64, 72]


def test_short_sound_is_vocoded_at_once() -> None:
    vocoder, mel = GriffinLim(GriffinLimConfig(iterations=2), MEL), noise_mel(30)
    assert np.array_equal(long_wave(vocoder, mel), vocoder.wave(mel).numpy())
