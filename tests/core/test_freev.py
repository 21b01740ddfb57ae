"""FreeV before training: it starts from the inversion, and keeps lengths."""

import math

import pytest
import torch
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig
from core.freev import LEAST_MAGNITUDE, DepthwiseFrames, Freev, FreevNet, log_linear_magnitude
from core.griffinlim import linear_magnitude, wave_from_parts

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
def test_magnitude_starts_as_the_inversion() -> None:
    mel = random_mel()
    start = log_linear_magnitude(mel, MEL, 3)
    found, _ = FreevNet(SMALL, MEL)(mel[None], start[None])
    assert torch.equal(found[0], start)


def test_inversions_logarithm_is_floored() -> None:
    mel = random_mel()
    mel[0] = -30.0
    start = log_linear_magnitude(mel, MEL, 3)
    expected = linear_magnitude(mel, MEL, 3).clamp_min(LEAST_MAGNITUDE)
    torch.testing.assert_close(start.exp(), expected)
    assert float(start.min()) == pytest.approx(math.log(1e-6))


@torch.no_grad()
def test_phases_have_modulus_one() -> None:
    mel = random_mel(50)
    _, phases = FreevNet(SMALL, MEL)(mel[None], torch.zeros(1, 50, 1025))
    assert phases.shape == (1, 50, 1025)
    assert phases.is_complex()
    # 1e-6 under the root: the modulus is 1 / sqrt(1 + 1e-6 / r²), short only at tiny pairs.
    assert float(phases.abs().max()) <= 1 + 1e-6
    assert float((phases.abs() > 0.999).float().mean()) > 0.99


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
def test_wave_is_made_of_the_nets_magnitude_and_phases() -> None:
    net, mel = FreevNet(SMALL, MEL).eval(), random_mel()
    nn.init.normal_(net.magnitude.weight, 0, 0.1)
    start = log_linear_magnitude(mel, MEL, SMALL.inversion_updates)
    log_magnitude, phases = net(mel[None], start[None])
    expected = wave_from_parts(log_magnitude[0].exp(), phases[0], MEL)
    player = Freev(net, torch.device("cpu"))
    assert torch.equal(player.wave(mel), expected)
    assert torch.equal(player.wave(mel), player.wave(mel))
