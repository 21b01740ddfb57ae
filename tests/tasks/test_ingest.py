import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken_sounds import tone, write_broken_sounds, write_good_sounds

from artifacts.audio_decode import Decoded, ReadError, decode
from artifacts.refs import Ref
from artifacts.sound_set import Sound, SoundSet
from core.config import IngestConfig
from core.errors import AudioError
from core.prior import UNKNOWN
from tasks import ingest
from tasks.ingest import Ingested, gather_sounds, ingest_folder, labels_of
from tasks.step import Run

CONFIG = IngestConfig()
Decode = Callable[[Path, Path, IngestConfig], Decoded]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three different sounds in two folders."""
    path = tmp_path / "sounds"
    (path / "inner").mkdir(parents=True)
    for name, hz in (("a", 200), ("b", 300), ("inner/c", 400)):
        soundfile.write(path / f"{name}.wav", tone(0.2, 44_100, hz), 44_100)
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded, as it happens."""
    names: list[str] = []

    def counting(source: Path, target: Path, config: IngestConfig) -> Decoded:
        names.append(source.name)
        return decode(source, target, config)

    monkeypatch.setattr(ingest, "decode", counting)
    return names


def ingested(run: Run, folder: Path) -> Ingested:
    return ingest_folder(run, folder, CONFIG, as_tasks=False)


def sound_set(run: Run, folder: Path) -> SoundSet:
    files = [ref for _, ref in ingested(run, folder).sounds]
    return SoundSet.load(run.store, gather_sounds.direct(run, files, CONFIG).ref)


def test_the_good_are_used_and_each_broken_one_is_listed_with_its_reason(
    run: Run, tmp_path: Path, decoded: list[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good, broken = write_good_sounds(folder), write_broken_sounds(folder)
    found = ingested(run, folder)
    assert sorted(name for name, _ in found.sounds) == good
    assert [one.file for one in found.rejected] == sorted(broken)
    for one in found.rejected:
        assert broken[one.file] in one.reason, one.file
    assert list(Path(run.folder, "blobs").glob("new-*")) == []
    decoded.clear()
    again = ingested(run, folder)
    assert (again.sounds, again.rejected) == (found.sounds, found.rejected)
    assert decoded == []  # neither good nor broken


def test_a_sound_is_kept_as_decoding_leaves_it(run: Run, folder: Path, tmp_path: Path) -> None:
    expected = decode(folder / "a.wav", tmp_path / "a.f32", CONFIG)
    ref = dict(ingested(run, folder).sounds)["a.wav"]
    assert ref.parts == {"audio": expected.sha256}
    assert run.store.read_bytes(ref.parts["audio"]) == (tmp_path / "a.f32").read_bytes()


def test_moving_renaming_and_touching_decode_nothing(
    run: Run, folder: Path, decoded: list[str]
) -> None:
    before = sound_set(run, folder)
    decoded.clear()
    moved = folder.rename(folder.with_name("moved"))
    (moved / "a.wav").rename(moved / "inner" / "z.WAV")
    os.utime(moved / "b.wav", (1, 1))
    found = ingested(run, moved)
    assert [name for name, _ in sorted(found.sounds)] == ["b.wav", "inner/c.wav", "inner/z.WAV"]
    assert found.decoded_now == len(decoded) == 0
    assert sound_set(run, moved) == before


def test_an_added_file_is_the_only_one_decoded(run: Run, folder: Path, decoded: list[str]) -> None:
    ingested(run, folder)
    decoded.clear()
    soundfile.write(folder / "d.wav", tone(0.2, 44_100, 500), 44_100)
    found = ingested(run, folder)
    assert decoded == ["d.wav"]
    assert (found.decoded_now, len(found.sounds)) == (1, 4)


def test_a_sound_that_the_store_lost_is_decoded_again(
    run: Run, folder: Path, decoded: list[str]
) -> None:
    ref = dict(ingested(run, folder).sounds)["b.wav"]
    run.store.path(ref.parts["audio"]).write_bytes(b"altered")
    decoded.clear()
    assert dict(ingested(run, folder).sounds)["b.wav"] == ref
    assert decoded == ["b.wav"]
    assert run.store.holds_all(ref)


def test_other_settings_decode_again(run: Run, folder: Path, decoded: list[str]) -> None:
    ingested(run, folder)
    at_22k = ingest_folder(run, folder, IngestConfig(sample_rate=22_050), as_tasks=False)
    assert sorted(decoded) == ["a.wav", "a.wav", "b.wav", "b.wav", "c.wav", "c.wav"]
    audio = at_22k.sounds[0][1].parts["audio"]
    assert run.store.path(audio).stat().st_size == 4 * 4410


def test_equal_files_are_decoded_once_and_equal_samples_are_one_sound(
    run: Run, folder: Path, decoded: list[str]
) -> None:
    shutil.copy(folder / "a.wav", folder / "copy.wav")
    wave, rate = soundfile.read(folder / "a.wav", dtype="int16")
    soundfile.write(folder / "lossless.flac", wave, rate)
    assert len(ingested(run, folder).sounds) == 5
    assert len(decoded) == 4
    found = sound_set(run, folder)
    assert len(found.sounds) == 3


def test_the_loudest_sound_of_the_set_peaks_at_0_95(run: Run, folder: Path) -> None:
    soundfile.write(folder / "loud.wav", 7 * tone(0.2, 44_100, 700), 44_100, "FLOAT")
    found = sound_set(run, folder)
    peaks = [np.abs(found.wave(run.store, n)).max() for n in range(len(found.sounds))]
    assert max(peaks) == pytest.approx(0.95, rel=1e-6)
    assert sorted(peaks)[-2] < 0.2  # loudness stays relative


def test_a_folder_with_nothing_usable_is_one_line(run: Run, tmp_path: Path) -> None:
    write_broken_sounds(tmp_path / "broken")
    with pytest.raises(AudioError, match=r"none of the 20 sound files in .* is usable") as caught:
        ingested(run, tmp_path / "broken")
    assert "\n" not in str(caught.value)


def test_a_folder_without_sounds_says_which_it_wants(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no sound")
    with pytest.raises(AudioError, match="holds no sound files; give a folder with WAV"):
        ingested(run, tmp_path / "empty")


def unreadable(_source: Path, _target: Path, _config: IngestConfig) -> Decoded:
    raise ReadError(errno.EIO, "Input/output error")


def gone(source: Path, target: Path, config: IngestConfig) -> Decoded:
    source.unlink()
    return decode(source, target, config)


def rewritten(source: Path, target: Path, config: IngestConfig) -> Decoded:
    found = decode(source, target, config)
    source.write_bytes(source.read_bytes() + b"\0")
    return found


@pytest.mark.parametrize(
    ("accident", "reason"),
    [
        (unreadable, "cannot be read (Input/output error)"),
        (gone, "cannot be read (No such file or directory)"),
        (rewritten, "was changed while it was read"),
    ],
)
def test_what_a_file_s_bytes_are_not_to_blame_for_is_tried_again(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, accident: Decode, reason: str
) -> None:
    ingested(run, folder)
    path = folder / "d.wav"
    soundfile.write(path, tone(0.2, 44_100, 500), 44_100)
    content = path.read_bytes()
    monkeypatch.setattr(ingest, "decode", accident)
    (left_out,) = ingested(run, folder).rejected
    assert left_out.file == "d.wav"
    assert left_out.reason.startswith(reason)
    monkeypatch.setattr(ingest, "decode", decode)
    path.write_bytes(content)
    assert ingested(run, folder).rejected == []


# --- labels


def told(run: Run, *names: str, copies: tuple[str, ...] = ()) -> tuple[list[str], dict[str, str]]:
    """The labels of a set of sounds of these names, and each sound's by its name.

    Args:
        copies: more files, each with the samples of the last name.
    """
    digests = {name: f"{number:064x}" for number, name in enumerate(names)}
    named = [(name, Ref("sound", "", {"audio": digest})) for name, digest in digests.items()]
    named += [(name, named[-1][1]) for name in copies]
    order = sorted(digests.values())
    sounds = SoundSet(44_100, 1.0, tuple(Sound(digest, 9, 1.0) for digest in order))
    found = run.store.read_json(labels_of(run, sounds.store(run.store), named).digest)
    assert isinstance(found, dict)
    of = dict(zip(order, found["of"], strict=True)) if found["of"] else {}
    labels = {name: found["names"][of[digest]] for name, digest in digests.items()
              if of.get(digest, UNKNOWN) != UNKNOWN}  # fmt: skip
    return found["names"], labels


def test_a_sounds_label_is_the_name_of_its_folder(run: Run) -> None:
    names, labels = told(run, "snare/1.wav", "kick/1.wav", "kick/2.wav")
    assert names == ["kick", "snare"]
    assert labels == {"snare/1.wav": "snare", "kick/1.wav": "kick", "kick/2.wav": "kick"}


def test_the_outermost_folder_counts(run: Run) -> None:
    assert told(run, "kick/soft/1.wav", "snare/soft/1.wav")[0] == ["kick", "snare"]


def test_a_sound_outside_the_folders_has_no_label(run: Run) -> None:
    names, labels = told(run, "kick/1.wav", "snare/1.wav", "loose.wav")
    assert names == ["kick", "snare"]
    assert "loose.wav" not in labels


@pytest.mark.parametrize(
    "names", [("1.wav", "2.wav"), ("kick/1.wav", "kick/2.wav"), ("kick/1.wav", "loose.wav")]
)
def test_without_two_folders_there_are_no_labels(run: Run, names: tuple[str, ...]) -> None:
    assert told(run, *names) == ([], {})


def test_a_sound_in_two_folders_has_the_label_that_is_first_in_the_alphabet(run: Run) -> None:
    names, labels = told(run, "kick/1.wav", "tom/1.wav", "snare/1.wav", copies=("kick/9.wav",))
    assert labels["snare/1.wav"] == "kick"
    assert names == ["kick", "tom"]  # no sound is left that is a snare alone


def test_a_sound_that_lies_outside_the_folders_too_has_the_label_of_its_folder(run: Run) -> None:
    _, labels = told(run, "snare/1.wav", "kick/1.wav", copies=("a.wav", "z.wav"))
    assert labels["kick/1.wav"] == "kick"


def test_of_more_than_64_folders_those_of_the_fewest_sounds_are_no_labels(run: Run) -> None:
    common = [f"{folder:02}/{sound}.wav" for folder in range(1, 65) for sound in range(2)]
    names, labels = told(run, "00/rare.wav", *common)
    assert names == [f"{folder:02}" for folder in range(1, 65)]
    assert "00/rare.wav" not in labels
    assert len(labels) == 128


def test_labels_do_not_hang_on_the_order_of_the_files(run: Run, folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "a.wav").rename(folder / "other" / "a.wav")
    found = ingested(run, folder)
    sounds = gather_sounds.direct(run, [ref for _, ref in found.sounds], CONFIG).ref
    assert labels_of(run, sounds, found.sounds) == labels_of(run, sounds, found.sounds[::-1])
