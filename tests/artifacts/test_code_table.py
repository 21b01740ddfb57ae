from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from artifacts.code_table import CodeRow, Role, read_codes, sequences, write_codes
from core.prior import UNKNOWN


def codes(frames: int, levels: int = 3) -> np.ndarray:
    return np.random.default_rng(frames).integers(0, 64, (frames, levels))


def row(sound: int, role: Role, first: int, ends: bool, frames: int) -> CodeRow:
    return CodeRow(sound, role, first, ends, codes(frames), described(sound))


def described(sound: int) -> np.ndarray:
    return sound + np.array([0.1, -2.0, np.pi, 7.0], np.float32)


ROWS = [
    row(1, "train", 0, False, 5),
    row(1, "augmented", 0, False, 6),
    row(0, "train", 0, True, 1),
    row(0, "augmented", 0, True, 2),
    row(1, "held_out", 4, True, 4),
    row(2, "train", 0, False, 9),
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
            assert one.descriptors.dtype == np.float32
            np.testing.assert_array_equal(one.descriptors, other.descriptors)


def test_a_role_without_rows_is_empty(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    assert read_codes(tmp_path / "codes", "whole") == []


def test_any_parquet_reader_can_read_it(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    rows = pd.read_parquet(tmp_path / "codes")
    assert rows["role"].tolist() == [row.role for row in ROWS]
    assert rows["codes"][0].dtype == np.int16
    np.testing.assert_array_equal(rows["codes"][0].reshape(-1, rows["levels"][0]), ROWS[0].codes)
    np.testing.assert_array_equal(rows["descriptors"][0], ROWS[0].descriptors)


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    write_codes(tmp_path / "a", ROWS)
    write_codes(tmp_path / "b", list(ROWS))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_sequence_has_the_label_of_its_sound(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    found = sequences(tmp_path / "codes", "train", labels=[3, UNKNOWN, 1])
    assert [one.label for one in found] == [UNKNOWN, 3, 1]  # of sounds 1, 0, 2
    assert [(one.first, one.ends) for one in found] == [(0, False), (0, True), (0, False)]
    assert torch.equal(found[0].codes, torch.from_numpy(ROWS[0].codes))


def test_a_tail_knows_what_was_trained_on_of_its_sound(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    (tail,) = sequences(tmp_path / "codes", "held_out")
    assert tail.before is not None
    assert torch.equal(tail.before, torch.from_numpy(ROWS[0].codes[:4]))
    assert [one.before for one in sequences(tmp_path / "codes", "train")] == [None] * 3


def test_a_sequence_is_ranked_on_the_scale(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    # Of descriptors from the first sound's to the last one's the middle sound's lie half way.
    scale = torch.stack([torch.linspace(low, low + 2, 33) for low in described(0).tolist()])
    found = sequences(tmp_path / "codes", "train", scale=scale)
    assert [one.ranks for one in found] == [
        pytest.approx((rank,) * 4, abs=1e-6) for rank in (0.5, 0, 1)
    ]


def test_a_sequence_of_which_nothing_is_told_is_unknown(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", ROWS)
    for one in sequences(tmp_path / "codes", "train"):
        assert one.label == UNKNOWN
        assert np.isnan(one.ranks).all()
