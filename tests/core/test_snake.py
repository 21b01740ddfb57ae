"""The alias-free snake: its filter, its two ways of computing it, and that it does not alias."""

import math

import numpy as np
import pytest
import torch
from bigvgan_golden import tiny_weights
from torch import Tensor

from core import snake_kernel
from core.snake import AliasFreeSnake, Snake, low_pass


@pytest.fixture(autouse=True)
def no_slopes() -> None:
    torch.manual_seed(0)


def random_snake(channels: int) -> AliasFreeSnake:
    snake = AliasFreeSnake(channels).requires_grad_(False)
    torch.nn.init.normal_(snake.act.alpha, 0, 0.5)
    torch.nn.init.normal_(snake.act.beta, 0, 0.5)
    return snake


def both(snake: AliasFreeSnake, x: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same in plain torch and fused, in float32."""
    plain = snake(x, kind).float()
    snake.fused = True
    return plain, snake(x, kind).float()


def test_filter_is_the_official_one() -> None:
    weights = tiny_weights()
    for name in ("upsample.filter", "downsample.lowpass.filter"):
        official = weights[f"resblocks.0.activations.0.{name}"]
        torch.testing.assert_close(low_pass()[None, None], official, atol=1e-7, rtol=0)


@torch.no_grad()
def test_snake_is_x_plus_the_square_of_a_sine() -> None:
    snake = Snake(2)
    snake.alpha.copy_(torch.tensor([0.0, math.log(2)]))
    snake.beta.copy_(torch.tensor([math.log(4), 0.0]))
    x = torch.tensor([[[0.5, -1.0], [0.5, 3.0]]])
    wanted = [
        [0.5 + math.sin(0.5) ** 2 / 4, -1 + math.sin(1) ** 2 / 4],
        [0.5 + math.sin(1) ** 2, 3 + math.sin(6) ** 2],
    ]
    torch.testing.assert_close(snake(x)[0], torch.tensor(wanted))


@pytest.mark.parametrize(
    ("channels", "length"), [(1, 1), (5, 2), (24, 3), (7, 300), (96, 33), (100, 70), (768, 9)]
)
def test_fused_equals_plain_torch(channels: int, length: int) -> None:
    plain, fused = both(random_snake(channels), 3 * torch.randn(2, channels, length), torch.float32)
    assert fused.shape == (2, channels, length)
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=1e-6)


def test_fused_equals_plain_torch_for_large_angles() -> None:
    # An angle of 300 is itself known to 3e-5 only.
    plain, fused = both(random_snake(8), 100 * torch.randn(1, 8, 50), torch.float32)
    torch.testing.assert_close(fused, plain, atol=3e-4, rtol=0)


def test_fused_rounds_to_bfloat16_as_torch_does() -> None:
    x = torch.randn(1, 40, 200).bfloat16()
    plain, fused = both(random_snake(40), x, torch.bfloat16)
    # A hair's difference before rounding may tip one in thousands the other way.
    assert (plain != fused).float().mean() < 1e-3
    torch.testing.assert_close(fused, plain, atol=0, rtol=2**-7)


def test_fused_on_several_threads_is_the_same_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    snake, x = random_snake(24), torch.randn(1, 24, 500)
    snake.fused = True
    alone = snake(x)
    monkeypatch.setattr(snake_kernel, "LEAST_PER_THREAD", 100)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(snake(x), alone)


def test_not_a_number_stays_visible() -> None:
    plain, fused = both(random_snake(4), torch.full((1, 4, 9), torch.nan), torch.bfloat16)
    assert plain.isnan().all()
    assert fused.isnan().all()


@pytest.mark.parametrize("fused", [False, True])
def test_a_high_tones_harmonics_do_not_fold_back(fused: bool) -> None:
    # 0.3 of the sample rate: the snake adds 0.6, which folds back to 0.4. There the official
    # filter, of 12 taps only, lets through 13 dB less than below, and the tone's image some more.
    tone = torch.sin(2 * torch.pi * 0.3 * torch.arange(1000))[None, None]
    snake = AliasFreeSnake(1).requires_grad_(False)
    snake.fused = fused

    def folded(wave: Tensor) -> float:
        spectrum = np.abs(np.fft.rfft(wave[0, 0, 100:900].numpy() * np.hanning(800)))
        return float(spectrum[320] / spectrum[240])

    assert folded(snake(tone)) < folded(snake.act(tone)) / 3
