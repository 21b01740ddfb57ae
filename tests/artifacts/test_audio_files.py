import hashlib
import json
import os
from pathlib import Path

import pytest
from broken_sounds import write_broken_sounds, write_good_sounds

from artifacts.audio_files import scan
from core.errors import AudioError

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and odd names")


def test_all_good_sounds_are_found_in_nested_folders(tmp_path: Path) -> None:
    names = write_good_sounds(tmp_path)
    sources, rejected = scan(tmp_path)
    assert sorted(source.name for source in sources) == names
    assert len(names) == 10
    assert rejected == []


def test_sources_are_sorted_by_the_sha256_of_their_bytes(tmp_path: Path) -> None:
    write_good_sounds(tmp_path)
    sources, _ = scan(tmp_path)
    digests = [hashlib.sha256(source.path.read_bytes()).hexdigest() for source in sources]
    assert [source.digest for source in sources] == digests == sorted(digests)


def test_duplicates_are_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav"):
        (tmp_path / name).write_bytes(b"same")
    assert [source.name for source in scan(tmp_path)[0]] == ["a.wav", "b.wav"]


def test_other_extensions_are_no_candidates(tmp_path: Path) -> None:
    for name in ("notes.txt", "cover.png", "wav", "a.wav.bak"):
        (tmp_path / name).write_bytes(b"x")
    assert scan(tmp_path) == ([], [])


@posix
def test_what_is_no_regular_file_is_rejected_and_never_opened(tmp_path: Path) -> None:
    expected = write_broken_sounds(tmp_path)
    rejected = {one.file: one.reason for one in scan(tmp_path)[1]}
    names = {"empty.wav", "folder.wav", "nowhere.wav", "loop.wav", "pipe.wav"}
    assert rejected.keys() == names
    assert all(expected[name] in rejected[name] for name in names)


@posix
def test_a_folder_named_like_a_sound_is_rejected_and_searched(tmp_path: Path) -> None:
    (tmp_path / "x.wav").mkdir()
    (tmp_path / "x.wav" / "y.wav").write_bytes(b"y")
    sources, rejected = scan(tmp_path)
    assert [source.name for source in sources] == ["x.wav/y.wav"]
    assert [(one.file, one.reason) for one in rejected] == [
        ("x.wav", "is a folder, not a sound file; rename it")
    ]


@posix
def test_linked_folders_are_scanned_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.wav").write_bytes(b"a")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to("real")
    sources, rejected = scan(tmp_path)
    assert [source.name for source in sources] == ["real/a.wav"]
    assert [one.file for one in rejected] == ["again", "real/up"]


@posix
def test_a_linked_folder_from_elsewhere_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.wav").write_bytes(b"a")
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "link").symlink_to(tmp_path / "elsewhere")
    assert [source.name for source in scan(tmp_path / "sounds")[0]] == ["link/a.wav"]


@posix
def test_odd_names_become_printable_json(tmp_path: Path) -> None:
    odd = [b"new\nline.wav", b"latin\xe9.wav", "größe.wav".encode(), b"back\\slash.wav"]
    for name in odd:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    names = {source.name for source in scan(tmp_path)[0]}
    assert names == {"new\\nline.wav", "latin\\udce9.wav", "größe.wav", "back\\\\slash.wav"}
    json.dumps(sorted(names), ensure_ascii=False).encode()


@posix
def test_hidden_sounds_are_rejected_and_hidden_folders_not_entered(tmp_path: Path) -> None:
    (tmp_path / "._kick.wav").write_bytes(b"x")
    (tmp_path / ".Trash").mkdir()
    (tmp_path / ".Trash" / "old.wav").write_bytes(b"x")
    sources, rejected = scan(tmp_path)
    assert sources == []
    assert [one.file for one in rejected] == ["._kick.wav"]


def test_an_unreadable_file_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")

    def refuse(*_: object) -> None:  # root may read everything, so permissions prove nothing
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("artifacts.audio_files.hashlib.file_digest", refuse)
    [one] = scan(tmp_path)[1]
    assert one.reason == "cannot be read (Permission denied); check its permissions"


@pytest.mark.parametrize("name", ["missing", "file.wav"])
def test_what_is_no_folder_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.wav").write_bytes(b"x")
    with pytest.raises(AudioError, match=r"is not a folder.*; give the folder with your sounds$"):
        scan(tmp_path / name)
