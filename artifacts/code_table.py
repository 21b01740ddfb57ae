"""Codes on disk: one Parquet file, one row a sequence.

Columns: `sound` (place in the set), `role` (train, held_out, augmented, or whole:
what a model is refitted on when only tails were held out), `first` (its place in
the sound, in code frames), `ends`, `levels`, and `codes` (frames x levels int16, flat).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

Role = Literal["train", "held_out", "augmented", "whole"]


@dataclass(frozen=True, eq=False)
class CodeRow:
    sound: int
    role: Role
    first: int
    ends: bool
    codes: np.ndarray  # (F, L) int


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
            }
            for row in rows
        ]
    )
    table.to_parquet(path, engine="pyarrow", compression=None, index=False)


def read_codes(path: Path, role: Role) -> list[CodeRow]:
    """All rows of one role, in the order they were written."""
    table = pd.read_parquet(path, engine="pyarrow", filters=[("role", "==", role)])
    columns = (table[name].to_numpy() for name in ("sound", "first", "ends", "levels", "codes"))
    return [
        CodeRow(int(sound), role, int(first), bool(ends), flat.astype(np.int64).reshape(-1, levels))
        for sound, first, ends, levels, flat in zip(*columns, strict=True)
    ]
