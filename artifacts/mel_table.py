"""Mels on disk: one Parquet file, one row group a sound, read a sound at a time.

Columns: `sound` (sha256 of its samples), `frames`, `log_mel` (frames x bands
float32, flat). The mel contract stands in the file's metadata under `mel`.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.config import MelConfig
from core.errors import StoreError

COLUMNS = [("sound", pa.string()), ("frames", pa.int32()), ("log_mel", pa.list_(pa.float32()))]


def write_mels(path: Path, mel: MelConfig, rows: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write (sound digest, (F, M) float32) rows; memory of one sound.

    Raises:
        StoreError: a mel holds NaN or infinity.
    """
    contract = json.dumps(dataclasses.asdict(mel), sort_keys=True)
    schema = pa.schema(COLUMNS, metadata={"mel": contract})
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for sound, log_mel in rows:
            if not np.isfinite(log_mel).all():
                raise StoreError(
                    f"the mel of sound {sound[:12]} holds NaN or infinity; remove that sound"
                )
            flat = pa.array(log_mel.astype(np.float32).ravel())
            offsets = pa.array([0, len(flat)], pa.int32())
            columns = [
                pa.array([sound], pa.string()),
                pa.array([len(log_mel)], pa.int32()),
                pa.ListArray.from_arrays(offsets, flat),
            ]
            writer.write_table(pa.table(columns, schema=schema))


class MelTable:
    """A table of mels, opened without reading any.

    Raises:
        StoreError: the file is no mel table.
    """

    def __init__(self, path: Path):
        try:
            self.file = pq.ParquetFile(path)
            contract = json.loads(self.file.schema_arrow.metadata[b"mel"])
        except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{path.name} is no mel table ({error}); run the build again, it makes it anew"
            ) from error
        self.mel = MelConfig(**contract)
        head = self.file.read(columns=["sound", "frames"])
        self.sounds: list[str] = head["sound"].to_pylist()
        self.frames: list[int] = head["frames"].to_pylist()

    def __len__(self) -> int:
        return len(self.sounds)

    def log_mel(self, index: int) -> np.ndarray:
        """(F, M) float32 of one sound."""
        row = self.file.read_row_group(index, columns=["log_mel"])["log_mel"].combine_chunks()
        values: np.ndarray = row.values.to_numpy(zero_copy_only=False)
        return values.reshape(self.frames[index], self.mel.mel_bands)
