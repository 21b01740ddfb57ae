from pathlib import Path

import numpy as np
import pandas as pd

from artifacts.code_table import CodeRow, read_codes, write_codes


def codes(frames: int, levels: int = 3) -> np.ndarray:
    return np.random.default_rng(frames).integers(0, 64, (frames, levels))


ROWS = [
    CodeRow(1, "train", 0, False, codes(5)),
    CodeRow(1, "augmented", 0, False, codes(6)),
    CodeRow(0, "train", 0, True, codes(1)),
    CodeRow(0, "augmented", 0, True, codes(2)),
    CodeRow(1, "held_out", 40_000, True, codes(4)),
    CodeRow(2, "train", 7, False, codes(9)),
]


def test_rows_of_a_role_are_read_back_in_their_order(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    for role, count in (("train", 3), ("augmented", 2), ("held_out", 1)):
        read = read_codes(tmp_path / "codes", role)
        written = [row for row in ROWS if row.role == role]
        assert len(read) == len(written) == count
        for one, other in zip(read, written, strict=True):
            assert (one.sound, one.role, one.first, one.ends) == (
                other.sound,
                other.role,
                other.first,
                other.ends,
            )
            assert one.codes.dtype == np.int64
            np.testing.assert_array_equal(one.codes, other.codes)


def test_a_role_without_rows_is_empty(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    assert read_codes(tmp_path / "codes", "whole") == []


def test_any_parquet_reader_can_read_it(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    rows = pd.read_parquet(tmp_path / "codes")
    assert rows["role"].tolist() == [row.role for row in ROWS]
    assert rows["codes"][0].dtype == np.int16
    np.testing.assert_array_equal(rows["codes"][0].reshape(-1, rows["levels"][0]), ROWS[0].codes)


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    write_codes(tmp_path / "a", ROWS)
    write_codes(tmp_path / "b", list(ROWS))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
