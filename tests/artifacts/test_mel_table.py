import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from artifacts.mel_table import MelTable, write_mels
from core.config import MelConfig
from core.errors import StoreError

MEL = MelConfig(mel_bands=3)
MELS = {
    "b": np.arange(12, dtype=np.float32).reshape(4, 3) / 7,
    "a": np.full((1, 3), -11.512925, np.float32),
    "c": np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_mels(tmp_path / "mels", MEL, MELS.items())
    return tmp_path / "mels"


def test_a_mel_that_is_no_number_is_refused(tmp_path: Path) -> None:
    broken = np.full((2, 3), np.nan, np.float32)
    with pytest.raises(StoreError, match=r"^the mel of sound bad holds NaN or infinity; remove"):
        write_mels(tmp_path / "mels", MEL, [("bad", broken)])


def test_mels_are_read_back_bit_for_bit_in_any_order(path: Path) -> None:
    table = MelTable(path)
    assert table.sounds == ["b", "a", "c"]
    assert table.frames == [4, 1, 50]
    assert len(table) == 3
    for index in (2, 0, 1, 2):
        read = table.log_mel(index)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, MELS[table.sounds[index]])


def test_any_parquet_reader_can_read_it(path: Path) -> None:
    rows = pd.read_parquet(path)
    assert rows["sound"].tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(rows["log_mel"][0], MELS["b"].ravel())


def test_every_sound_is_a_row_group_of_its_own(path: Path) -> None:
    found = pq.ParquetFile(path).metadata
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [1, 1, 1]


def test_the_mel_contract_stands_in_the_file(path: Path) -> None:
    assert MelTable(path).mel == MEL
    contract = json.loads(pq.read_schema(path).metadata[b"mel"])
    assert contract == dataclasses.asdict(MEL)
    assert contract["mel_type"] == "slaney_logclamp"


def test_equal_mels_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    write_mels(tmp_path / "again", MEL, ((name, mel.copy()) for name, mel in MELS.items()))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_rows_are_written_one_by_one(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[str, np.ndarray]]:
        yield "a", MELS["a"]
        assert (tmp_path / "mels").stat().st_size > len(MELS["a"].tobytes())
        yield "b", MELS["b"]

    write_mels(tmp_path / "mels", MEL, rows())


@pytest.mark.parametrize("content", [None, b"", b"text, not Parquet", "cut", "foreign"])
def test_what_is_no_mel_table_is_refused(path: Path, content: bytes | str | None) -> None:
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif content == "foreign":
        pq.write_table(pa.table({"price": [1, 2]}), path)
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is no mel table .*; run the build again"):
        MelTable(path)
