"""FreeV before training: it starts from the inversion, and keeps lengths."""

import math

import pytest
import torch
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig
from core.fidelity import repetitions
from core.freev import (
    LEAST_MAGNITUDE,
    DepthwiseFrames,
    Freev,
    FreevNet,
    carrier,
    log_linear_magnitude,
    phases_heard,
    white_spectrum,
    white_wave,
)
from core.griffinlim import linear_magnitude
from core.mel import log_mel
from core.mel_matching import MelMatched
from core.phases import phases_of
from core.spectral import wave_from_spectrum

MEL = MelConfig()
SMALL = FreevConfig(channels=16, hidden=32, blocks=2)


def random_mel(frames: int = 9) -> Tensor:
    return torch.randn(frames, 128) - 5


@pytest.mark.parametrize("frames", [1, 3, 20])
@torch.no_grad()
def test_depthwise_frames_equal_a_grouped_convolution(frames: int) -> None:
    ours, theirs = DepthwiseFrames(6, 7), nn.Conv1d(6, 6, 7, padding=3, groups=6)
    ours.bias.normal_()
    theirs.weight.copy_(ours.weight.T[:, None])
    theirs.bias.copy_(ours.bias)
    x = torch.randn(2, frames, 6)
    torch.testing.assert_close(ours(x), theirs(x.transpose(1, 2)).transpose(1, 2))


@torch.no_grad()
def test_magnitude_starts_as_the_inversions_and_is_corrected_bin_by_bin() -> None:
    mel, net = random_mel(), FreevNet(SMALL, MEL)
    start = log_linear_magnitude(mel, MEL, 3)
    torch.testing.assert_close(net(mel[None], start[None])[0], start.exp())
    nn.init.normal_(net.magnitude.bias)
    expected = (start + net.magnitude.bias).exp()
    torch.testing.assert_close(net(mel[None], start[None])[0], expected)
    nn.init.constant_(net.magnitude.bias, 50.0)
    assert float(net(mel[None], start[None]).max()) == pytest.approx(math.exp(8))


def test_a_carrier_has_phases_where_a_tone_is_and_noise_beside() -> None:
    tone = 0.5 * torch.sin(2 * math.pi * 1000.0 * torch.arange(40 * 512) / 44_100)
    mel = log_mel(tone[None], MEL)[0].T
    start = log_linear_magnitude(mel, MEL, 8)
    white = torch.full((40, 1025), 7j)
    found, phases = carrier(start, white, MEL), phases_of(start, MEL)
    noise = found == 7j
    assert torch.equal(noise, phases.isnan())
    torch.testing.assert_close(found[~noise], torch.polar(torch.ones(()), phases[~noise]))
    middle = round(1000 * 2048 / 44_100)
    assert not noise[5:-5, middle - 1 : middle + 2].any()
    assert float(noise[5:-5, 4 * middle :].float().mean()) > 0.9


def test_inversions_logarithm_is_floored() -> None:
    mel = random_mel()
    mel[0] = -30.0
    start = log_linear_magnitude(mel, MEL, 3)
    expected = linear_magnitude(mel, MEL, 3).clamp_min(LEAST_MAGNITUDE)
    torch.testing.assert_close(start.exp(), expected)
    assert float(start.min()) == pytest.approx(math.log(1e-6))


@torch.no_grad()
def test_beyond_the_edges_the_net_sees_silence() -> None:
    net, seen = FreevNet(SMALL, MEL), []
    net.enter.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mel = random_mel(4)
    silent = torch.full((1, 128), math.log(1e-5))
    for one in (mel, torch.cat([silent, mel, silent])):
        net(one[None], torch.zeros(1, len(one), 1025))
    torch.testing.assert_close(seen[0], seen[1][:, 1:-1])


@pytest.mark.parametrize("frames", [1, 7])
def test_wave_is_one_hop_per_frame(frames: int) -> None:
    wave = Freev(FreevNet(SMALL, MEL), torch.device("cpu")).wave(random_mel(frames))
    assert wave.shape == (frames * 512,)
    assert wave.dtype == torch.float32
    assert wave.isfinite().all()


@torch.no_grad()
def test_wave_is_the_magnitude_on_its_carrier() -> None:
    net, mel = FreevNet(SMALL, MEL).eval(), random_mel()
    nn.init.normal_(net.magnitude.weight, 0, 0.1)
    start = log_linear_magnitude(mel, MEL, SMALL.inversion_updates)
    player, before = Freev(net, torch.device("cpu")), torch.randn(6 * 512)
    for first, seed, heard in ((0, 0, None), (100, 0, None), (0, 1, None), (0, 0, before)):
        white = white_spectrum(white_wave(first, 9, MEL, seed)[None], MEL)[0]
        known = None if heard is None else phases_heard(heard, MEL)
        played = net(mel[None], start[None]) * carrier(start, white, MEL, known)
        expected = wave_from_spectrum(played, 2048, 512)[0]
        assert torch.equal(player.wave(mel, first, seed, heard), expected)
        assert torch.equal(player.wave(mel), expected) == ((first, seed, heard) == (0, 0, None))


@torch.no_grad()
def test_magnitude_hangs_on_no_more_than_the_frames_within_reach() -> None:
    torch.manual_seed(0)
    net, mel = FreevNet(FreevConfig(channels=16, hidden=32, blocks=3), MEL), random_mel(60)
    nn.init.normal_(net.magnitude.weight)
    reach = Freev(net, torch.device("cpu")).reach_frames
    changed = mel.clone()
    changed[30] += 1
    levels = torch.zeros(1, 60, 1025)
    apart = (net(mel[None], levels) != net(changed[None], levels))[0].any(1).nonzero()[:, 0]
    assert (int(apart.min()), int(apart.max())) == (20, 40)  # 3 blocks of 3, and the entry's 1
    assert reach >= 10 + 2  # and the windows'


def test_a_held_tone_keeps_its_pitch_and_hiss_is_hiss() -> None:
    player = MelMatched(Freev(FreevNet(SMALL, MEL), torch.device("cpu")), MEL, 1.0)
    time = torch.arange(120 * 512) / 44_100
    tone = 0.3 * torch.sin(2 * math.pi * 700.0 * time)
    wave = player.wave(log_mel(tone[None], MEL)[0].T)[5120:-5120]
    power = torch.fft.rfft(wave * torch.hann_window(len(wave))).abs().square()
    hertz = torch.arange(len(power)) * 44_100 / len(wave)
    assert float(hertz[power.argmax()]) == pytest.approx(700, abs=5)
    assert float(power[(hertz - 700).abs() < 15].sum() / power.sum()) > 0.8
    even = log_mel(0.1 * torch.randn(1, 120 * 512), MEL)[0].mean(1).expand(120, -1)
    hiss = player.wave(even)
    assert max(repetitions(hiss, MEL)) < 0.1
    pieces = hiss.view(-1, 512)
    kurtosis = pieces.pow(4).mean(1) / pieces.square().mean(1).square()
    assert float(kurtosis.mean()) == pytest.approx(3, abs=0.3)  # a normal distribution's


def test_phases_are_heard_where_whole_windows_were_played() -> None:
    wave = torch.randn(12 * 512)
    heard = phases_heard(wave, MEL)
    assert heard.isnan().all(1).tolist() == [True] * 2 + [False] * 8 + [True] * 2
    window = torch.hann_window(2048) * wave[4 * 512 - 768 : 4 * 512 + 1280]
    torch.testing.assert_close(heard[4], torch.fft.rfft(window).angle())


@pytest.mark.parametrize(("first", "frames"), [(0, 1), (10, 5), (60, 10), (64, 64), (127, 2)])
def test_noise_hangs_on_its_place_alone(first: int, frames: int) -> None:
    whole, part = white_wave(0, 200, MEL), white_wave(first, frames, MEL)
    assert len(part) == (frames - 1) * 512 + 2048
    assert torch.equal(part, whole[first * 512 : first * 512 + len(part)])
    other = white_wave(first, frames, MEL, 1)
    assert abs(float(torch.corrcoef(torch.stack([part, other]))[0, 1])) < 0.1


def test_white_spectrum_has_variance_one_in_every_bin() -> None:
    wave = white_wave(0, 2000, MEL)
    power = white_spectrum(wave[None], MEL)[0].abs().square().mean(0)
    assert float(power.mean()) == pytest.approx(1, abs=0.01)
    assert float((power - 1).abs().max()) < 0.3
