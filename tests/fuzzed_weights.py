"""Safetensors that lie about their tensors, or hold tensors that nothing could play."""

import json
import random
import struct
from typing import Any

import numpy as np
import safetensors.numpy

DTYPES = (
    "BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "I16", "F16", "BF16", "I32", "F32", "F64", "I64",
    "U64", "C64", "F4", "F128", "f32", "", None, 7,
)  # fmt: skip
NUMBERS = (-1, 0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, "1", None, True, [1])
SHAPES = (
    [], [0], [-1], [2**40], [2**62, 2**62], [2**40, 0], [0, 2**62], [1] * 65, [1] * 5000, [1.0],
    ["1"], None, "F32", {},
)  # fmt: skip
LENGTHS = (0, 1, 7, 100, 100_000_000, 100_000_001, 2**31, 2**63, 2**64 - 1)
ODD = (np.nan, np.inf, -np.inf, 0.0, 1e38, -1e38, 1e-40, 1e10, -1.0)


def absurd_header(raw: bytes, dice: random.Random) -> bytes:
    """The same tensors under a header that lies."""
    (length,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    for _ in range(dice.choice((1, 1, 2, 5))):
        name = dice.choice(list(header))
        header[name] = _absurd_row(header, header[name], dice)
        if not isinstance(header[name], dict) or len(header[name]) < 3:
            break  # nothing is left that could be changed further
    text = json.dumps(header).encode()
    if dice.random() < 0.15:
        text = dice.choice((b"[" * 50_000, b"", b"null", text[:-1], text * 2, b" " * 10**6 + text))
    claimed = dice.choice(LENGTHS) if dice.random() < 0.15 else len(text)
    tail = dice.choice((data, data, data, b"", data[:-4], data + bytes(4), data * 2))
    return struct.pack("<Q", claimed) + text + tail


def _absurd_row(header: dict[str, Any], old: dict[str, Any], dice: random.Random) -> object:
    """One tensor's line of the header, changed; or another line added to the header."""
    row = dict(old)
    match dice.randrange(8):
        case 0:
            row["dtype"] = dice.choice(DTYPES)
        case 1:
            row["shape"] = dice.choice(SHAPES)
        case 2:
            shape = row["shape"] if isinstance(row["shape"], list) else []
            other = (shape[::-1], [*shape, 1], [1, *shape], [size - 1 for size in shape[:1]])
            row["shape"] = dice.choice(other)
        case 3:
            row["data_offsets"] = [dice.choice(NUMBERS), dice.choice(NUMBERS)]
        case 4:
            taken = dice.choice(list(header.values()))["data_offsets"]
            row["data_offsets"] = dice.choice((taken, taken[::-1], taken * 2, taken[:1]))
        case 5:
            del row[dice.choice(list(row))]
        case 6:
            header[dice.choice(("__metadata__", "", "x" * 99_999, "scale", "a\0b"))] = dict(old)
        case _:
            return dice.choice(([], None, 1, "x", {"a": 1}, {"format": 3}, {"dtype": "F32"}))
    return row


def changed_weights(entries: dict[str, bytes], dice: random.Random) -> dict[str, bytes]:
    """The entries with tensors of one to three files changed, the files themselves whole."""
    new = dict(entries)
    names = [name for name in entries if name.endswith(".safetensors")]
    for name in dice.sample(names, dice.choice((1, 1, 1, 2, 3))):
        tensors = _loaded(new[name])
        for _ in range(dice.choice((1, 1, 2, 10))):
            _change(tensors, dice)
        new[name] = safetensors.numpy.save(tensors)
    if dice.random() < 0.1:
        new[dice.choice(names)] = new[dice.choice(names)]
    return new


def large_codebooks(entries: dict[str, bytes], dice: random.Random) -> dict[str, bytes]:
    """The codec and the prior with the same codebooks, of very many codes."""
    new, codes = dict(entries), dice.choice((1, 1000, 100_000))
    for name in ("rvqvae.safetensors", "prior.safetensors"):
        tensors = _loaded(new[name])
        levels, _, dim = tensors["codebooks"].shape
        tensors["codebooks"] = np.ones((levels, codes, dim), np.float32)
        new[name] = safetensors.numpy.save(tensors)
    return new


def _loaded(raw: bytes) -> dict[str, np.ndarray]:
    """The tensors in the order of their names; safetensors gives them in any."""
    return dict(sorted(safetensors.numpy.load(raw).items()))


def _change(tensors: dict[str, np.ndarray], dice: random.Random) -> None:
    if not tensors:
        return
    checked = ("codebooks", "scale", "mean", "spread", "examples", "scales", "label.weight")
    likely = [name for name in checked if name in tensors]
    name = dice.choice([*tensors, *5 * likely])
    old = tensors[name]
    match dice.randrange(9):
        case 0:
            tensors[name] = np.full_like(old, dice.choice(ODD) if old.dtype.kind == "f" else 1)
        case 1:
            new = old.flatten()
            if new.size:
                new[dice.randrange(new.size)] = dice.choice(ODD) if new.dtype.kind == "f" else 1
            tensors[name] = new.reshape(old.shape)
        case 2:
            kinds = (np.float64, np.float16, np.int64, np.uint8, np.bool_)
            with np.errstate(all="ignore"):
                tensors[name] = old.astype(dice.choice(kinds))
        case 3:
            del tensors[name]
        case 4:
            tensors[dice.choice(("more", "codebooks", "scale", ""))] = old
        case 5:
            tensors[name] = np.resize(old, _other_shape(old.shape, dice))
        case 6:  # no bytes, and yet a trillion rows
            sizes = [0, 2**40, 1, 1, 1][: max(1, old.ndim)]
            dice.shuffle(sizes)
            tensors[name] = np.zeros(sizes, np.float32)
        case 7:
            bits = np.frombuffer(dice.randbytes(4 * old.size), np.float32)
            tensors[name] = bits.reshape(old.shape)
        case _:
            other = dice.choice(list(tensors))
            tensors[name], tensors[other] = tensors[other], old


def _other_shape(shape: tuple[int, ...], dice: random.Random) -> tuple[int, ...]:
    """A shape that is a little or much larger or smaller, 20 MB at most."""
    new = list(shape) or [1]
    place = dice.randrange(len(new))
    new[place] = dice.choice((0, 1, 2, new[place] + 1, new[place] * 2, new[place] * 100))
    if dice.random() < 0.2:
        new = dice.choice(([*new, 1], new[1:], [1, *new], [1, 500_000, 1]))
    return tuple(new) if np.prod(new, dtype=float) < 5e6 else shape
