"""Griffin-Lim: the theorems behind it, and a sine that comes back at its pitch."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import GriffinLimConfig, MelConfig
from core.griffinlim import GriffinLim, linear_magnitude, phases_by_griffin_lim
from core.mel import filterbank, log_mel
from core.spectral import framed_spectrum, padded_wave

MEL = MelConfig()


def sine(hertz: float, samples: int = 20 * 512) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * hertz / 44_100 * torch.arange(samples))


def mel_of(wave: Tensor) -> Tensor:
    return log_mel(wave[None], MEL)[0].T  # (F, M)


@pytest.fixture(scope="module")
def noisy_mel() -> Tensor:
    wave = torch.randn(20 * 512, generator=torch.Generator().manual_seed(0))
    return mel_of(0.1 * wave * torch.linspace(1, 0.01, 20 * 512) + sine(440))


def test_inversions_mel_comes_close_to_the_given_one(noisy_mel: Tensor) -> None:
    found = linear_magnitude(noisy_mel, MEL, 25)
    again = (found @ filterbank(MEL).T).log()
    assert found.shape == (20, 1025)
    assert float((again - noisy_mel).abs().mean()) < 0.02  # nats


def test_inversion_is_never_negative(noisy_mel: Tensor) -> None:
    assert float(linear_magnitude(noisy_mel, MEL, 25).min()) >= 0


def test_no_update_raises_the_inversions_error(noisy_mel: Tensor) -> None:
    # Lee & Seung 1999, theorem 1.
    filters, target = filterbank(MEL).double(), noisy_mel.double().exp()
    errors = [
        float((linear_magnitude(noisy_mel, MEL, n).double() @ filters.T - target).square().sum())
        for n in range(16)
    ]
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(errors))
    assert errors[-1] < 0.5 * errors[0]


def inconsistency(wanted: Tensor, phases: Tensor) -> float:
    """Squared distance, over the whole spectrum, to the nearest spectrum that a wave has."""
    wave = padded_wave((wanted * phases)[None], 2048, 512)
    apart = (framed_spectrum(wave, 2048, 512)[0] - wanted * phases).abs().square()
    return float(2 * apart.sum() - apart[:, [0, -1]].sum())


def test_plain_griffin_lim_never_becomes_less_consistent(noisy_mel: Tensor) -> None:
    # Griffin & Lim 1984: without momentum every iteration lowers this distance.
    wanted = linear_magnitude(noisy_mel, MEL, 25)
    phases = torch.polar(torch.ones(20, 1025), 6 * torch.rand(20, 1025))
    distances = []
    for _ in range(8):
        distances.append(inconsistency(wanted, phases))
        phases = phases_by_griffin_lim(wanted, phases, MEL, 1, momentum=0.0)
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.7 * distances[0]


def test_momentum_comes_further_in_as_many_iterations(noisy_mel: Tensor) -> None:
    # Perraudin, Balazs & Søndergaard 2013, who recommend .99.
    wanted = linear_magnitude(noisy_mel, MEL, 25)
    start = torch.polar(torch.ones(20, 1025), 6 * torch.rand(20, 1025))
    plain, fast = (
        inconsistency(wanted, phases_by_griffin_lim(wanted, start, MEL, 30, momentum))
        for momentum in (0.0, 0.99)
    )
    assert fast < 0.9 * plain


def test_phases_have_modulus_one(noisy_mel: Tensor) -> None:
    wanted = linear_magnitude(noisy_mel, MEL, 5)
    phases = phases_by_griffin_lim(
        wanted, torch.ones(20, 1025, dtype=torch.complex64), MEL, 3, 0.99
    )
    torch.testing.assert_close(phases.abs(), torch.ones(20, 1025))


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 5000.0])
def test_sine_comes_back_at_its_pitch(hertz: float) -> None:
    wave = GriffinLim(GriffinLimConfig(), MEL).wave(mel_of(sine(hertz, 40 * 512)))
    middle = wave[8192:16_384].numpy() * np.hanning(8192)
    power = np.abs(np.fft.rfft(middle, 65_536)) ** 2
    # A mel knows a pitch no better than its bands are wide: 34 Hz, or 3 % above 1 kHz.
    pitch = float(power.argmax()) * 44_100 / 65_536
    assert pitch == pytest.approx(hertz, abs=max(17, 0.015 * hertz))


@pytest.mark.parametrize("frames", [1, 7])
def test_wave_is_one_hop_per_frame(frames: int) -> None:
    wave = GriffinLim(GriffinLimConfig(iterations=2), MEL).wave(torch.full((frames, 128), -4.0))
    assert wave.shape == (frames * 512,)
    assert wave.dtype == torch.float32
    assert wave.isfinite().all()


def test_same_mel_gives_the_same_samples(noisy_mel: Tensor) -> None:
    player = GriffinLim(GriffinLimConfig(iterations=4), MEL)
    first = player.wave(noisy_mel)
    torch.manual_seed(1)
    assert torch.equal(player.wave(noisy_mel), first)


def test_silence_comes_back_inaudible() -> None:
    wave = GriffinLim(GriffinLimConfig(iterations=4), MEL).wave(
        torch.full((10, 128), math.log(1e-5))
    )
    assert float(wave.abs().max()) < 1e-4  # -80 dBFS
