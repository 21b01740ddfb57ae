"""The texture before any training, where flow matching has closed forms, and its noise."""

import math

import pytest
import torch
from torch import Tensor

from core.config import MelConfig, RvqvaeConfig, TextureConfig
from core.mel import silence
from core.texture import LAGS, Texture, colouring, white_noise

MEL, CODEC = MelConfig(mel_bands=4), RvqvaeConfig()  # two mel frames a code frame
SCALE = torch.tensor([0.1, 0.2, 0.3, 0.4])
LIKENESS = 0.6 ** torch.arange(LAGS + 1.0)  # of one frame to those after it


def config(sampling_steps: int = 4) -> TextureConfig:
    return TextureConfig(hidden=16, blocks=1, sampling_steps=sampling_steps)


def fresh(sampling_steps: int = 4, mean: float = -5.0) -> Texture:
    torch.manual_seed(0)
    band_means = torch.full((4,), mean)
    kernel = colouring(LIKENESS)
    return Texture(
        band_means, torch.tensor(2.0), SCALE, kernel, MEL, CODEC, config(sampling_steps)
    ).eval()


def stirred(mean: float = -5.0) -> Texture:
    """Every weight away from where it starts."""
    texture = fresh(mean=mean)
    with torch.no_grad():
        for parameter in texture.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return texture


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("time", [0.0, 0.2, 0.5, 0.9, 1.0])
@torch.no_grad()
def test_known_velocity_is_the_best_guess_for_independent_unit_gaussians(time: float) -> None:
    start, end = noise(1, 40_000, 8), noise(1, 40_000, 8, seed=2)
    x, goal = (1 - time) * start + time * end, end - start
    best = float((x * goal).mean() / x.square().mean())  # least squares: sd .002
    found = fresh().velocity(x[:, :100], torch.tensor([time]), torch.zeros(1, 200, 4))
    torch.testing.assert_close(found, best * x[:, :100], atol=0.05, rtol=0)


def test_many_steps_of_a_fresh_texture_lead_the_noise_back_to_itself() -> None:
    # Its velocity moves x as the root of t^2 + (1 - t)^2, which is 1 at both ends.
    x, smooth = noise(1, 20, 8), torch.zeros(1, 40, 4)
    found = fresh(sampling_steps=400).residual(smooth, x)
    torch.testing.assert_close(found, x.view(1, 40, 4) * SCALE, atol=0.02, rtol=0)


def test_time_runs_evenly_from_the_noise_on(monkeypatch: pytest.MonkeyPatch) -> None:
    texture, times = fresh(sampling_steps=4), list[float]()
    velocity = texture.velocity

    def noted(x: Tensor, time: Tensor, smooth: Tensor) -> Tensor:
        times.extend(time.tolist())
        return velocity(x, time, smooth)

    monkeypatch.setattr(texture, "velocity", noted)
    texture.residual(torch.zeros(1, 4, 4), noise(1, 2, 8))
    assert times == [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("band", range(4))
def test_residual_of_a_band_goes_with_its_scale(band: int) -> None:
    texture, x, smooth = stirred(), noise(1, 6, 8), noise(1, 12, 4, seed=2) - 5
    before = texture.residual(smooth, x)
    texture.scale[band] *= 3
    expected = before.clone()
    expected[..., band] *= 3
    torch.testing.assert_close(texture.residual(smooth, x), expected)


@torch.no_grad()
def test_only_the_level_above_the_training_mean_is_heard() -> None:
    x, smooth, time = noise(2, 6, 8), noise(2, 12, 4, seed=2), torch.tensor([0.2, 0.7])
    low = stirred(-5.0).velocity(x, time, smooth - 5)
    torch.testing.assert_close(stirred(3.0).velocity(x, time, smooth + 3), low, atol=1e-5, rtol=0)
    other = stirred(-5.0).velocity(x, time, smooth - 4)
    assert (other - low).abs().max() > 0.01  # and it is heard


@torch.no_grad()
def test_each_sound_is_moved_at_its_own_time() -> None:
    x, smooth, time = noise(2, 6, 8), noise(2, 12, 4, seed=2), torch.tensor([0.2, 0.7])
    both = stirred().velocity(x, time, smooth)
    for row in range(2):
        alone = stirred().velocity(x[row, None], time[row, None], smooth[row, None])
        torch.testing.assert_close(alone[0], both[row], atol=1e-5, rtol=1e-5)


# Noise is drawn in blocks of 64 code frames.
@pytest.mark.parametrize(("first", "last"), [(0, 5), (0, 64), (3, 130), (64, 65), (70, 200)])
def test_noise_of_a_part_is_that_of_the_whole(first: int, last: int) -> None:
    part = white_noise(3, first, last, 8)
    assert part.shape == (last - first, 8)
    assert torch.equal(part, white_noise(3, 0, 200, 8)[first:last])


def autocorrelation(frames: Tensor) -> Tensor:
    """(LAGS + 1,) of (F, M)."""
    products = [(frames[lag:] * frames[: len(frames) - lag]).mean() for lag in range(LAGS + 1)]
    return torch.stack(products)


# What is alike beyond LAGS frames costs some of what is alike before.
@pytest.mark.parametrize(
    ("of_next", "within"), [(0.0, 0.02), (0.3, 0.02), (0.6, 0.03), (-0.5, 0.02), (0.9, 0.25)]
)
def test_coloured_noise_goes_from_frame_to_frame_as_told(of_next: float, within: float) -> None:
    likeness = of_next ** torch.arange(LAGS + 1.0)
    texture = fresh()
    texture.kernel.copy_(colouring(likeness))
    drawn = texture.noise(1, 0, 40_000).reshape(-1, 4)  # sd of a product's mean: .002
    torch.testing.assert_close(autocorrelation(drawn), likeness, atol=within, rtol=0)
    assert abs(float((drawn[:, 0] * drawn[:, 1]).mean())) < 0.02  # bands for themselves


def test_kernel_of_independent_frames_is_one() -> None:
    one = torch.eye(2 * LAGS + 1)[LAGS]
    torch.testing.assert_close(colouring(torch.eye(LAGS + 1)[0]), one, atol=1e-6, rtol=0)


@pytest.mark.parametrize("stack", [1, 2, 3])
@pytest.mark.parametrize(("first", "last"), [(0, 5), (3, 130), (64, 65)])
def test_coloured_noise_of_a_part_is_that_of_the_whole(stack: int, first: int, last: int) -> None:
    buffers = torch.zeros(4), torch.ones(()), SCALE, colouring(LIKENESS)
    texture = Texture(*buffers, MEL, RvqvaeConfig(stack_frames=stack), config())
    part = texture.noise(3, first, last)
    assert part.shape == (last - first, 4 * stack)
    torch.testing.assert_close(part, texture.noise(3, 0, 150)[first:last])


def test_noise_is_standard_normal_and_its_seeds_alone() -> None:
    torch.manual_seed(1)
    drawn = white_noise(3, 0, 1000, 8)
    torch.manual_seed(2)
    assert torch.equal(white_noise(3, 0, 1000, 8), drawn)
    assert not torch.equal(white_noise(4, 0, 1000, 8), drawn)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.05)  # sd .011
    assert float(drawn.std()) == pytest.approx(1, abs=0.04)  # sd .008
    assert not torch.equal(drawn[:64], drawn[64:128])


def test_textured_sound_is_the_smooth_one_and_its_residual() -> None:
    texture, smooth = stirred(), noise(12, 4, seed=2) - 5
    drawn = noise(6, 8)
    grain = texture.residual(smooth[None], drawn[None])[0]
    assert torch.equal(texture.textured(smooth, drawn), smooth + grain)
    assert not torch.equal(texture.textured(smooth, noise(6, 8, seed=3)), smooth + grain)


def test_textured_sound_is_not_below_silence() -> None:
    found = fresh(400).textured(torch.full((40, 4), silence(MEL)), noise(20, 8))
    assert float(found.min()) == pytest.approx(math.log(1e-5))
    assert (found > silence(MEL)).float().mean() == pytest.approx(0.5, abs=0.2)  # sd .04


@torch.no_grad()
def test_weights_bring_the_same_texture_back() -> None:
    texture, smooth = stirred(), noise(12, 4) - 5
    loaded = Texture.from_weights(texture.state_dict(), MEL, CODEC, config())
    assert not loaded.training
    assert torch.equal(loaded.textured(smooth, noise(6, 8)), texture.textured(smooth, noise(6, 8)))


@torch.no_grad()
@pytest.mark.parametrize("place", [0, 10, 39])
def test_grain_hangs_on_as_many_code_frames_as_it_says(place: int) -> None:
    texture, smooth, drawn = stirred(), noise(80, 4) - 5, noise(40, 8, seed=2)
    other = drawn.clone()
    other[place] += 1.0
    moved = (texture.textured(smooth, drawn) != texture.textured(smooth, other)).any(-1)
    places = moved.nonzero().flatten() // 2
    reach = texture.reach_code_frames
    assert int(places.min()) == max(0, place - reach)
    assert int(places.max()) == min(39, place + reach)
