"""Reading a folder: the demo sounds as WAV files, decoded into a fresh store and known again."""

import tempfile
from pathlib import Path

from artifacts.audio_export import write_audio
from benchmarks.timing import Row, real_time, seconds_of
from core.config import IngestConfig
from core.demo_sounds import SAMPLE_RATE, demo_sounds
from tasks.ingest import ingest_folder
from tasks.step import Run


def write_demo(folder: Path) -> float:
    """Write the demo sounds; returns how many seconds of sound they are."""
    folder.mkdir()
    seconds = 0.0
    for name, wave in demo_sounds():
        write_audio(folder / f"{name}.wav", wave, SAMPLE_RATE, "wav", 16)
        seconds += len(wave) / SAMPLE_RATE
    return seconds


def rows() -> list[Row]:
    """The first time, with every file to decode, and again."""
    with tempfile.TemporaryDirectory() as name:
        folder, stores = Path(name, "sounds"), Path(name, "stores")
        audio_seconds = write_demo(folder)
        files = len(list(folder.iterdir()))

        def ingest(store: Path) -> None:
            found = ingest_folder(Run(str(store)), folder, IngestConfig(), as_tasks=False)
            assert len(found.sounds) == files

        def into_a_fresh_store() -> None:
            ingest(Path(tempfile.mkdtemp(dir=stores)))

        stores.mkdir()
        first = seconds_of(into_a_fresh_store, times=3)
        again = seconds_of(lambda: ingest(stores / "known"), times=3)
    what = f"{files} WAV files, {audio_seconds:.0f} s"
    return [
        Row("ingest", what, f"{files / first:,.0f} files/s", real_time(audio_seconds, first)),
        Row("", "again, all known", f"{files / again:,.0f} files/s", f"{first / again:.1f} x"),
    ]
