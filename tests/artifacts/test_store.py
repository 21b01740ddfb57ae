import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from artifacts.refs import Ref
from artifacts.store import Store, default_folder, json_bytes, sha256_of, write_atomically
from core.errors import StoreError

# FIPS 180-4's examples of SHA-256: "abc", and a million times "a"
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
MILLION_A = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "altered":
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        case "truncated":
            path.write_bytes(data[:-1])
        case "extended":
            path.write_bytes(data + b"\0")
        case "emptied":
            path.write_bytes(b"")
        case "missing":
            path.unlink()
        case "replaced by a folder":
            path.unlink()
            path.mkdir()


DAMAGES = ["altered", "truncated", "extended", "emptied", "missing", "replaced by a folder"]


def leftovers(store: Store) -> list[str]:
    return [path.name for path in store.folder.rglob("*") if path.name.startswith((".", "new-"))]


def test_bytes_lie_under_their_sha256(store: Store) -> None:
    assert store.put_bytes(b"abc") == ABC
    assert (store.folder / "blobs" / "ba" / ABC).read_bytes() == b"abc"
    assert store.holds(ABC)
    assert store.read_bytes(ABC) == b"abc"


def test_a_digest_is_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 1_000_000)
    (tmp_path / "b").write_bytes(b"a" * 3_000_000)  # more than is read at a time
    assert sha256_of(tmp_path / "a") == MILLION_A != sha256_of(tmp_path / "b")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_blob_is_not_held_and_not_read(store: Store, how: str) -> None:
    damage(store.path(store.put_bytes(b"abc")), how)
    assert not store.holds(ABC)
    with pytest.raises(StoreError, match=f"{ABC[:12]} .*; run the same build again"):
        store.read_bytes(ABC)


def test_putting_the_same_bytes_again_mends_a_damaged_blob(store: Store) -> None:
    damage(store.path(store.put_bytes(b"abc")), "altered")
    store.put_bytes(b"abc")
    assert store.read_bytes(ABC) == b"abc"


def test_a_file_is_moved_into_the_store(store: Store) -> None:
    with store.new_file(".distill") as path:
        assert path.suffix == ".distill"
        path.write_bytes(b"abc")
        assert store.put_file(path) == ABC
        assert not path.exists()
    assert store.holds(ABC)
    assert leftovers(store) == []


def test_a_new_file_that_was_not_put_is_removed(store: Store) -> None:
    with store.new_file() as path, store.new_file() as other:
        assert path != other
        path.write_bytes(b"half of it")
    with suppress(ZeroDivisionError), store.new_file() as path:
        path.write_bytes(b"half of it")
        raise ZeroDivisionError
    assert leftovers(store) == []


def test_json_is_stored_and_read(store: Store) -> None:
    ref = store.put_json("sounds", {"b": [1, 2.5, None], "a": "Größe"})
    assert ref.kind == "sounds"
    assert store.read_json(ref.digest) == {"a": "Größe", "b": [1, 2.5, None]}


def test_json_is_canonical() -> None:
    # RFC 8785 (JCS) by hand: sorted keys, no spaces, UTF-8
    expected = '{"a":[1.5,null,true,"é"],"b":{"c":1,"d":2}}'.encode()
    assert json_bytes({"b": {"d": 2, "c": 1}, "a": (1.5, None, True, "é")}) == expected


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_refuses_what_is_no_number(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes({"loss": [number]})


def test_what_was_remembered_is_recalled(store: Store) -> None:
    ref = Ref("prior", store.put_bytes(b"record"), {"weights": store.put_bytes(b"weights")})
    store.remember("prior", "key", ref)
    assert store.recall("prior", "key") == ref
    assert store.recall("prior", "other key") is None
    assert store.recall("other step", "key") is None


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("content", [b"record", b"one", b"two"])
def test_recall_needs_every_part_whole(store: Store, content: bytes, how: str) -> None:
    parts = {"one": store.put_bytes(b"one"), "two": store.put_bytes(b"two")}
    store.remember("validate", "key", Ref("validation", store.put_bytes(b"record"), parts))
    damage(store.path(store.put_bytes(content)), how)
    assert store.recall("validate", "key") is None


@pytest.mark.parametrize(
    "memo", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b"{}", b'{"kind":"a","digest":"b"}']
)
def test_a_garbled_memo_is_forgotten(store: Store, memo: bytes) -> None:
    write_atomically(store.memo_path("mels", "key"), memo)
    assert store.recall("mels", "key") is None


def test_no_byte_of_a_memo_can_change_unnoticed(store: Store) -> None:
    ref = Ref("prior", store.put_bytes(b"record"), {"weights": store.put_bytes(b"weights")})
    store.remember("prior", "key", ref)
    path = store.memo_path("prior", "key")
    whole = path.read_bytes()
    for at in range(len(whole)):
        for changed in (whole[at] ^ 1, whole[at] ^ 32, 0, ord(" ")):
            path.write_bytes(whole[:at] + bytes([changed]) + whole[at + 1 :])
            assert store.recall("prior", "key") is None


def test_a_write_that_fails_keeps_the_old_memo(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = store.put_json("mels", "old"), store.put_json("mels", "new")
    store.remember("mels", "key", old)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.remember("mels", "key", new)
    assert store.recall("mels", "key") == old
    assert leftovers(store) == []


def test_readers_see_the_old_bytes_or_the_new_ones(tmp_path: Path) -> None:
    path, contents = tmp_path / "memo", {b"o" * 70_000, b"n" * 90_000}
    write_atomically(path, b"o" * 70_000)
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            for content in contents:
                write_atomically(path, content)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        assert {path.read_bytes() for _ in range(300)} <= contents
    finally:
        stop.set()
        writer.join()


def test_files_have_the_permissions_that_the_umask_leaves(store: Store) -> None:
    before = os.umask(0o027)
    try:
        digest = store.put_bytes(b"abc")
        store.remember("mels", "key", Ref("mels", digest))
    finally:
        os.umask(before)
    for path in (store.path(digest), store.memo_path("mels", "key")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_store_where_a_file_lies_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot be written .*; choose another with --store"):
        Store(tmp_path / "file" / "store")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_in_a_closed_folder_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        Store(tmp_path / "store")


def test_the_environment_moves_the_default_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILL_STORE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("DISTILL_STORE")
    assert default_folder() != tmp_path
