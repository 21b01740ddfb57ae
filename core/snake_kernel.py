"""core.snake's alias-free snake on a CPU: one compiled pass over memory instead of five.

    x (T, C)  --12 taps-->  2 T samples  --snake-->  2 T samples  --12 taps-->  y (T, C)

What lies between x and y never leaves the cache: a block of some rows and channels is
upsampled into its even and its odd samples, and those into the block's rows of y. Blocks
are held flat, so that a tap is a fixed distance in one long array, which is what lets
the compiler use vector instructions. bfloat16 is read and written as its bits, which are
the upper half of a float32's. Importing this compiles nothing; the first call does (a few
seconds).
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.compiled import compiled

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.unsignedinteger]  # of 32 bits for float32, of 16 for bfloat16

BLOCK = 3072  # elements, so that five arrays of them stay in a core's fastest cache
WIDEST = 96  # channels in a block
MARGIN = 6  # rows on either side that are read; y depends on 5 of them
LEAST_PER_THREAD = 32_768  # elements: 50 us of work, the price of a thread

# sin²(r) / r² as a polynomial of r²: fitted at Chebyshev nodes over a period, off by 2e-8.
S0, S1, S2, S3, S4, S5 = np.array(
    [
        0.9999999908369871, -0.3333330654707689, 0.04444317369051103,
        -0.003172392576452134, 0.0001393459901900485, -3.6304285768648205e-06,
    ],
    np.float32,
)  # fmt: skip
PER_PERIOD = np.float32(1 / math.pi)
ROUNDER = np.float32(1.5 * 2**23)  # added and taken away again it leaves a whole number
# pi in three parts; the first two are short, so small multiples are exact (Cody & Waite 1980).
PI_1, PI_2, PI_3 = np.array([3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7], np.float32)


@compiled
def _snake(x: np.float32, frequency: np.float32, size: np.float32) -> np.float32:
    """x + size * sin²(frequency * x)."""
    angle = x * frequency
    periods = (angle * PER_PERIOD + ROUNDER) - ROUNDER
    rest = angle - periods * PI_1
    rest = rest - periods * PI_2
    rest = rest - periods * PI_3
    square = rest * rest
    ratio = S5 * square + S4
    ratio = ratio * square + S3
    ratio = ratio * square + S2
    ratio = ratio * square + S1
    ratio = ratio * square + S0
    snaked: np.float32 = x + size * (ratio * square)
    return snaked


@compiled
def _upsample_and_snake(
    x: Floats, width: int, count: int, f: Floats, frequency: Floats, size: Floats,
    even: Floats, odd: Floats,
) -> None:  # fmt: skip
    """Row r of `even` and of `odd` from rows r to r + 6 of x; flat, rows of `width`."""
    w1 = np.uintp(width)  # unsigned, as a signed index might count from the end
    w2 = w1 + w1
    w3, w4 = w2 + w1, w2 + w2
    w5, w6 = w4 + w1, w4 + w2
    f0, f1, f2, f3, f4, f5 = f[0], f[1], f[2], f[3], f[4], f[5]
    f6, f7, f8, f9, f10, f11 = f[6], f[7], f[8], f[9], f[10], f[11]
    for p in range(np.uintp(count)):
        x0, x1, x2, x3 = x[p], x[p + w1], x[p + w2], x[p + w3]
        x4, x5, x6 = x[p + w4], x[p + w5], x[p + w6]
        a = f1 * x5 + f3 * x4 + f5 * x3 + f7 * x2 + f9 * x1 + f11 * x0
        b = f0 * x6 + f2 * x5 + f4 * x4 + f6 * x3 + f8 * x2 + f10 * x1
        even[p] = _snake(a, frequency[p], size[p])
        odd[p] = _snake(b, frequency[p], size[p])


@compiled
def _downsample(even: Floats, odd: Floats, width: int, count: int, f: Floats, y: Floats) -> None:
    """Row r of y from rows r to r + 5 of `odd` and r + 1 to r + 6 of `even`."""
    w1 = np.uintp(width)
    w2 = w1 + w1
    w3, w4 = w2 + w1, w2 + w2
    w5, w6 = w4 + w1, w4 + w2
    f0, f1, f2, f3, f4, f5 = f[0], f[1], f[2], f[3], f[4], f[5]
    f6, f7, f8, f9, f10, f11 = f[6], f[7], f[8], f[9], f[10], f[11]
    for p in range(np.uintp(count)):
        a = f0 * odd[p] + f2 * odd[p + w1] + f4 * odd[p + w2]
        b = f6 * odd[p + w3] + f8 * odd[p + w4] + f10 * odd[p + w5]
        c = f1 * even[p + w1] + f3 * even[p + w2] + f5 * even[p + w3]
        d = f7 * even[p + w4] + f9 * even[p + w5] + f11 * even[p + w6]
        y[p] = (a + b) + (c + d)


@compiled
def _read(x: Bits, first: int, rows: int, channel: int, width: int, block: Bits) -> None:
    """Rows of x into a flat block of float32's bits; beyond its ends x stays as it ends."""
    shift = np.uint32(0 if x.itemsize == 4 else 16)
    for row in range(rows):
        source = x[min(max(first + row, 0), len(x) - 1), channel : channel + width]
        target = block[row * width : (row + 1) * width]
        for c in range(width):
            target[c] = np.uint32(source[c]) << shift


@compiled
def _write(block: Bits, first: int, rows: int, channel: int, width: int, y: Bits) -> None:
    """A flat block of float32's bits into rows of y, rounded to even where y is bfloat16."""
    for row in range(rows):
        source = block[row * width : (row + 1) * width]
        target = y[first + row, channel : channel + width]
        if y.itemsize == 4:
            for c in range(width):
                target[c] = source[c]
        else:
            for c in range(width):
                bits = source[c]
                odd = (bits >> np.uint32(16)) & np.uint32(1)
                target[c] = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)


@compiled
def _rows(
    x: Bits, y: Bits, first: int, last: int, frequency: Floats, size: Floats,
    up: Floats, down: Floats,
) -> None:  # fmt: skip
    """Rows `first` to `last` of y (T, C) from the whole of x (T, C)."""
    length, channels = x.shape
    widest = min(WIDEST, channels)
    most = BLOCK // widest
    x_bits = np.empty((most + 2 * MARGIN) * widest, np.uint32)
    even = np.empty((most + MARGIN) * widest, np.float32)
    odd, frequencies, sizes = np.empty_like(even), np.empty_like(even), np.empty_like(even)
    y_bits = np.empty(most * widest, np.uint32)
    for channel in range(0, channels, widest):
        width = min(widest, channels - channel)
        for p in range((most + MARGIN) * width):
            frequencies[p], sizes[p] = frequency[channel + p % width], size[channel + p % width]
        for start in range(first, last, most):
            rows = min(last - start, most)
            _read(x, start - MARGIN, rows + 2 * MARGIN, channel, width, x_bits)
            upsampled = rows + MARGIN  # from row start - 3 of x
            _upsample_and_snake(
                x_bits.view(np.float32), width, upsampled * width, up, frequencies, sizes, even, odd
            )
            # Beyond its ends the upsampled signal, too, stays as it ends.
            begin, end = max(0, 3 - start), min(upsampled, length - start + 3)
            for p in range(begin * width):
                even[p] = odd[p] = even[begin * width + p % width]
            for p in range(end * width, upsampled * width):
                even[p] = odd[p] = odd[(end - 1) * width + p % width]
            _downsample(even, odd, width, rows * width, down, y_bits.view(np.float32))
            _write(y_bits, start, rows, channel, width, y)


def _fill(x: Bits, y: Bits, values: Sequence[Floats], rows: tuple[int, int]) -> None:
    frequency, size, up, down = values
    _rows(x, y, rows[0], rows[1], frequency, size, up, down)


def _bits(rows: Tensor) -> Bits:
    """(T, C) float32 or bfloat16 as unsigned integers in the same memory."""
    bits: Bits = rows.view(torch.uint32 if rows.dtype == torch.float32 else torch.uint16).numpy()
    return bits


def alias_free_snake(
    x: Tensor, out_type: torch.dtype, frequency: Tensor, size: Tensor, up: Tensor, down: Tensor
) -> Tensor:
    """Upsampled twice, through the snake, downsampled; on as many threads as torch uses.

    Args:
        x: (B, C, T) float32 or bfloat16 on the CPU, quickest with stride 1 along C.
        out_type: float32 or bfloat16.
        frequency, size: (C,) of x + size * sin²(frequency * x).
        up, down: (12,) filters; `up` makes up for the zeros between samples.
    Returns:
        (B, C, T) with stride 1 along C.
    """
    source = x.detach().transpose(1, 2).contiguous()  # (B, T, C)
    result = torch.empty_like(source, dtype=out_type)
    length = source.shape[1]
    pieces = min(torch.get_num_threads(), max(1, source[0].numel() // LEAST_PER_THREAD))
    edges = [number * length // pieces for number in range(pieces + 1)]
    values = [one.detach().float().contiguous().numpy() for one in (frequency, size, up, down)]
    for rows_in, rows_out in zip(source, result, strict=True):
        fill = partial(_fill, _bits(rows_in), _bits(rows_out), values)
        if pieces == 1:
            fill((0, length))
        else:  # threads of its own, as torch has no way to lend its
            with ThreadPoolExecutor(pieces) as threads:
                list(threads.map(fill, pairwise(edges)))
    return result.transpose(1, 2)
