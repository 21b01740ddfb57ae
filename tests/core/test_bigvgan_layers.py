"""Convolutions in tiles and upsampling as one product, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from core import bigvgan_layers
from core.bigvgan_layers import Convolution, Upsampling


@torch.no_grad()
@pytest.mark.parametrize("kernel", [3, 11])
@pytest.mark.parametrize("length", [101, 129, 163, 300])
def test_a_long_sound_is_convolved_in_tiles_as_at_once(
    monkeypatch: pytest.MonkeyPatch, length: int, kernel: int
) -> None:
    convolution = Convolution(4, 6, kernel, weight_norm=False, dilation=3)
    x = torch.randn(2, 4, length)
    whole = F.conv1d(
        x, convolution.weight, convolution.bias, padding=convolution.padding, dilation=3
    )
    monkeypatch.setattr(bigvgan_layers, "TILE_SAMPLES", 100)
    monkeypatch.setattr(bigvgan_layers, "TILE_GRAIN", 40)
    sizes = {last - first for first, last in bigvgan_layers.tiles(length, convolution.padding)}
    assert sizes <= {40, 80, 100}
    torch.testing.assert_close(convolution(x), whole, atol=1e-6, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("rate", [2, 8])
@pytest.mark.parametrize("length", [1, 2, 30])
def test_upsampling_is_a_transposed_convolution(rate: int, length: int) -> None:
    upsampling = Upsampling(4, 6, rate, weight_norm=False)
    upsampling.bias = torch.nn.Parameter(torch.randn(6))
    x = torch.randn(2, 4, length)
    wanted = F.conv_transpose1d(
        x, upsampling.weight, upsampling.bias, stride=rate, padding=rate // 2
    )
    assert wanted.shape[2] == rate * length
    torch.testing.assert_close(upsampling(x), wanted, atol=1e-5, rtol=1e-5)
