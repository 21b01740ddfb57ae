"""Folders that nobody would make on purpose, and files that change under ingest's hands."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from broken_sounds import tone

from artifacts.audio_decode import Decoded, decode
from artifacts.audio_files import Rejected, SourceFile, scan
from core.config import IngestConfig
from core.errors import AudioError
from tasks import ingest
from tasks.ingest import Ingested, ingest_folder
from tasks.step import Run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and odd names")
CONFIG = IngestConfig()
MOST_SECONDS = 20
permitted = pytest.mark.skipif(
    os.name == "posix" and os.geteuid() == 0, reason="root may read what is closed to others"
)


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """Whatever waits for a pipe or a loop is ended."""

    def late(*_: object) -> None:
        pytest.fail(f"not done in {MOST_SECONDS} s")  # no OSError, which ingest would catch

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One good sound."""
    path = tmp_path / "sounds"
    path.mkdir()
    write(path / "good.wav", 200)
    return path


def write(path: Path, hz: float) -> Path:
    soundfile.write(path, tone(0.2, 44_100, hz), 44_100, format="WAV")
    return path


def ingested(run: Run, folder: Path) -> Ingested:
    found = ingest_folder(run, folder, CONFIG, as_tasks=False)
    assert list(Path(run.folder, "blobs").glob("new-*")) == [], "something half done is left"
    return found


def reasons(found: Ingested) -> dict[str, str]:
    return {one.file: one.reason for one in found.rejected}


def test_links_that_lead_in_circles_end(run: Run, folder: Path) -> None:
    deep = folder
    for level in range(30):
        deep = deep / f"{level}"
        deep.mkdir()
        (deep / "top").symlink_to(folder)
        (deep / "up").symlink_to("..")
        (deep / "here").symlink_to(".")
    (folder / "one.wav").symlink_to("two.wav")
    (folder / "two.wav").symlink_to("one.wav")
    (folder / "left").symlink_to("right")
    (folder / "right").symlink_to("left")
    found = ingested(run, folder)
    assert [name for name, _ in found.sounds] == ["good.wav"]
    assert "leads back to itself" in reasons(found)["one.wav"]
    assert "leads back to itself" in reasons(found)["two.wav"]
    assert all("scanned already" in reasons(found)[f"0/{name}"] for name in ("top", "up", "here"))


def test_names_that_are_no_text_are_ingested_and_listed_apart(run: Run, folder: Path) -> None:
    odd = [b"new\nline.wav", b"caf\xe9.wav", b"caf\xe8.wav", b"\x1b[2J.wav", b"-rf.wav", b"*.wav"]
    for number, name in enumerate(odd):
        write(folder / "plain", 300 + 50 * number).rename(
            os.fsdecode(os.fsencode(folder) + b"/" + name)
        )
    (folder / "broken\udcff\r.wav").write_bytes(b"no sound")
    found = ingested(run, folder)
    names = [name for name, _ in found.sounds]
    assert len(set(names)) == len(odd) + 1
    assert [*reasons(found)] == ["broken\\udcff\\r.wav"]
    assert all(name.isprintable() for name in names)
    json.dumps([*names, *reasons(found)], ensure_ascii=False).encode()


def test_a_folder_of_an_odd_name_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "line\nfeed\x1b[2J\udcff"
    folder.mkdir()
    with pytest.raises(AudioError, match="holds no sound files") as caught:
        ingested(run, folder)
    assert str(caught.value).isprintable()


def test_pipes_and_devices_are_never_read(run: Run, folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    (folder / "endless.wav").symlink_to("/dev/zero")
    (folder / "linked.wav").symlink_to("pipe.wav")
    found = ingested(run, folder)
    assert [name for name, _ in found.sounds] == ["good.wav"]
    assert sorted(reasons(found)) == ["endless.wav", "linked.wav", "pipe.wav"]
    assert all("is a pipe, socket or device" in reason for reason in reasons(found).values())


@permitted
def test_what_is_closed_to_us_is_left_out(run: Run, folder: Path) -> None:
    write(folder / "closed.wav", 300).chmod(0)
    inner = folder / "inner.wav"
    inner.mkdir()
    write(inner / "hidden.wav", 400)
    inner.chmod(0)
    try:
        found = ingested(run, folder)
    finally:
        inner.chmod(0o700)
    assert [name for name, _ in found.sounds] == ["good.wav"]
    assert all("Permission denied" in reasons(found)[name] for name in ("closed.wav", "inner.wav"))


def vanish(path: Path) -> None:
    path.unlink()


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def become_another_sound(path: Path) -> None:
    write(path, 999)


def become_rubbish(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(100))


def shrink(path: Path) -> None:
    os.truncate(path, 1000)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(10_000))


@pytest.mark.parametrize(
    "change",
    [
        vanish,
        become_a_pipe,
        become_endless,
        become_a_folder,
        become_a_loop,
        become_another_sound,
        become_rubbish,
        shrink,
        grow,
    ],
)
def test_what_changes_after_the_scan_is_left_out_this_time_only(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    path = write(folder / "restless.wav", 300)

    def scanned(folder: Path) -> tuple[list[SourceFile], list[Rejected]]:
        found = scan(folder)
        change(path)
        return found

    monkeypatch.setattr(ingest, "scan", scanned)
    found = ingested(run, folder)
    assert [name for name, _ in found.sounds] == ["good.wav"]
    assert reasons(found)["restless.wav"].endswith("; run the build again")
    monkeypatch.undo()
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    write(path, 300)
    assert ingested(run, folder).rejected == []


def test_a_file_that_is_still_being_written_is_left_out(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = write(folder / "recording.wav", 300), threading.Event()

    def record() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(bytes(4096))
                done.wait(0.001)

    def while_recording(source: Path, target: Path, config: IngestConfig) -> Decoded:
        if source != path:
            return decode(source, target, config)
        size, writer = path.stat().st_size, threading.Thread(target=record)
        writer.start()
        try:
            while path.stat().st_size == size:
                pass  # it is growing before the first byte is read
            return decode(source, target, config)
        finally:
            done.set()
            writer.join()

    monkeypatch.setattr(ingest, "decode", while_recording)
    found = ingested(run, folder)
    assert [name for name, _ in found.sounds] == ["good.wav"]
    assert reasons(found) == {"recording.wav": "was changed while it was read; run the build again"}
