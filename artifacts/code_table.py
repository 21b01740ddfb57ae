"""Codes on disk: one Parquet file, one row a sequence.

Columns: `sound` (place in the set), `role` (train, held_out, augmented, or whole:
what a model is refitted on when only tails were held out), `first` (its place in
the sound, in code frames), `ends`, `levels`, `codes` (frames x levels int16, flat) and
`descriptors` (4 float32, core.descriptors), `digest` of the sound.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from core.code_windows import CodeSequence
from core.descriptors import ranks

Role = Literal["train", "held_out", "augmented", "whole"]


@dataclass(frozen=True, eq=False)
class CodeRow:
    sound: int
    role: Role
    first: int
    ends: bool
    codes: np.ndarray  # (F, L) int
    descriptors: np.ndarray  # (4,) float32
    digest: str = ""  # of the sound


def write_codes(path: Path, rows: Iterable[CodeRow]) -> None:
    """Write all rows."""
    table = pd.DataFrame(
        [
            {
                "sound": row.sound,
                "role": row.role,
                "first": row.first,
                "ends": row.ends,
                "levels": row.codes.shape[1],
                "codes": row.codes.astype(np.int16).ravel(),
                "descriptors": row.descriptors.astype(np.float32),
                "digest": row.digest,
            }
            for row in rows
        ]
    )
    table.to_parquet(path, engine="pyarrow", compression=None, index=False)


def sequences(
    path: Path, role: Role, labels: Sequence[int] = (), scale: Tensor | None = None
) -> list[CodeSequence]:
    """The code sequences of one role.

    Args:
        labels: of each sound of the set; empty when no sound has one.
        scale: (4, QUANTILES) to rank the descriptors on; None leaves the ranks unknown.
    """
    found = []
    rows = read_codes(path, role)
    heads: dict[int, Tensor] = {}
    if any(row.first for row in rows):  # tails: the rest of their sounds is what was trained on
        heads = {row.sound: torch.from_numpy(row.codes) for row in read_codes(path, "train")}
    for row in rows:
        before = heads[row.sound][: row.first] if row.first else None
        one = CodeSequence(torch.from_numpy(row.codes), before, row.ends, sound=row.sound)
        if labels:
            one = dataclasses.replace(one, label=labels[row.sound])
        if scale is not None:
            ranked = ranks(torch.from_numpy(row.descriptors), scale)
            one = dataclasses.replace(one, ranks=tuple(ranked.tolist()))
        found.append(one)
    return found


def read_codes(path: Path, role: Role) -> list[CodeRow]:
    """All rows of one role, in the order they were written."""
    table = pd.read_parquet(path, engine="pyarrow", filters=[("role", "==", role)])
    names = ("sound", "first", "ends", "levels", "codes", "descriptors", "digest")
    columns = (table[name].to_numpy() for name in names)
    return [
        CodeRow(
            int(sound),
            role,
            int(first),
            bool(ends),
            flat.astype(np.int64).reshape(-1, levels),
            descriptors.astype(np.float32),
            str(digest),
        )
        for sound, first, ends, levels, flat, descriptors, digest in zip(*columns, strict=True)
    ]
