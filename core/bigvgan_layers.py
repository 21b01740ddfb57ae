"""BigVGAN's convolutions, up in rate and on the spot, as quick on a CPU as torch can.

Tensors are (B, C, T) throughout. Where channels lie beside each other in memory, they do
so to the end, which convolutions on a CPU are quickest with; conv2d keeps that order and
conv1d does not, so time is the width of an image one pixel high.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE_SAMPLES, TILE_GRAIN = 32_768, 4096


class Weights(nn.Module):
    """A convolution's numbers: `weight` itself, or its directions and lengths (weight norm)."""

    bias: nn.Parameter | None

    def __init__(self, shape: tuple[int, int, int], biases: int, weight_norm: bool) -> None:
        super().__init__()
        start = nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5)
        if weight_norm:
            self.weight_g = nn.Parameter(_lengths(start))
            self.weight_v = nn.Parameter(start)
        else:
            self.weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(biases)) if biases else None

    @property
    def number_type(self) -> torch.dtype:
        """What it multiplies in."""
        return self.weight.dtype if "weight" in self._parameters else torch.float32

    def whole(self) -> Tensor:
        """The weight, multiplied out."""
        if "weight" in self._parameters:
            return self.weight
        return self.weight_v * (self.weight_g / _lengths(self.weight_v))

    def fold(self) -> None:
        """Keeps the weight multiplied out from now on."""
        if "weight" not in self._parameters:
            whole = self.whole().detach()
            del self.weight_g, self.weight_v
            self.weight = nn.Parameter(whole)


def _lengths(weight: Tensor) -> Tensor:
    """(A, B, K) -> (A, 1, 1)."""
    return weight.square().sum((1, 2), keepdim=True).sqrt()


class Convolution(Weights):
    """(B, C, T) -> (B, C', T), zero-padded.

    On a CPU a long one is made of tiles of few lengths: for every length that it has met,
    oneDNN keeps tables as long as that, for all layers 110 MB of 5 s.
    """

    def __init__(
        self, wide: int, narrow: int, kernel: int, weight_norm: bool,
        dilation: int = 1, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__((narrow, wide, kernel), narrow if bias else 0, weight_norm)
        self.dilation, self.padding = dilation, dilation * (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        weight, length = self.whole(), x.shape[2]
        x, bias = x.to(weight.dtype), None if self.bias is None else self.bias.to(weight.dtype)
        if x.device.type != "cpu" or length <= TILE_SAMPLES:
            return self._convolved(x, weight, bias)
        whole = x.new_empty(len(x), length, len(weight)).transpose(1, 2)
        for first, last in tiles(length, self.padding):
            tile = self._convolved(x[:, :, first:last], weight, bias)
            begin = self.padding if first else 0  # before it, the tile's own zeros are heard
            whole[:, :, first + begin : last] = tile[:, :, begin:]
        return whole

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding, dilation = (0, self.padding), (1, self.dilation)
        return F.conv2d(
            x[:, :, None], weight[:, :, None], bias, padding=padding, dilation=dilation
        )[:, :, 0]


def tiles(length: int, padding: int) -> Iterator[tuple[int, int]]:
    """First and last sample of tiles of a long sound that overlap by twice the padding or more.

    >>> list(tiles(70_000, 5))
    [(0, 32768), (32758, 65526), (61808, 70000)]
    """
    first = last = 0
    while last < length:
        missing = length - first
        size = min(TILE_SAMPLES, math.ceil(missing / TILE_GRAIN) * TILE_GRAIN)
        first = min(first, length - size)
        last = first + size
        yield first, last
        first = last - 2 * padding


class Upsampling(Weights):
    """(B, C, T) -> (B, C', T * rate): a transposed convolution, its kernel twice the rate.

    As one product of matrices: every sample becomes 2 * rate rows, of which the second half
    overlaps with the next sample's first. torch's own spends longer on rearranging its 75 MB
    of weights than on multiplying.
    """

    def __init__(self, wide: int, narrow: int, rate: int, weight_norm: bool) -> None:
        super().__init__((wide, narrow, 2 * rate), narrow, weight_norm)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        weight, rate = self.whole(), self.rate
        batch, wide, length = x.shape
        rows = x.transpose(1, 2) @ weight.transpose(1, 2).reshape(wide, -1)
        rows = rows.view(batch, length, 2 * rate, -1)  # (B, T, 2 * rate, C')
        total = F.pad(rows[:, :, :rate], (0, 0, 0, 0, 0, 1))  # (B, T + 1, rate, C')
        total[:, 1:] += rows[:, :, rate:]
        if self.bias is not None:
            total += self.bias
        return total.flatten(1, 2)[:, rate // 2 : rate // 2 + length * rate].transpose(1, 2)
