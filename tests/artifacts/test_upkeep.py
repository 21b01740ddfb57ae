import os
import time
from pathlib import Path

import pytest

from artifacts.library import Library
from artifacts.locks import locked
from artifacts.package import write_package
from artifacts.refs import Ref
from artifacts.store import Store
from artifacts.upkeep import Size, problems, remove, sizes, unneeded
from core.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def made(store: Store, step: str, content: bytes) -> Ref:
    """What a step left behind: a blob, a part of it and a memo."""
    ref = Ref("mels", store.put_bytes(content), {"part": store.put_bytes(content + b" part")})
    store.remember(step, f"key{step}", ref)
    (store.folder / "results" / f"{step}-key{step}.json").write_text("{}")
    return ref


def kit(store: Store, *refs: Ref) -> Path:
    """A model in the library whose build made these."""
    package = store.folder / "kit.distill"
    weights = b"\x02\0\0\0\0\0\0\0{}"  # safetensors without a tensor
    needed = (f"{name}.safetensors" for name in ("rvqvae", "texture", "prior"))
    entries = {**dict.fromkeys(needed, weights), "card.md": b"# kit"}
    write_package(package, {"name": "kit"}, entries)
    ref = Ref("package", store.put_bytes(package.read_bytes()))
    package.unlink()
    return Library(store).add("kit", ref, {}, refs)


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 86_400
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def test_sizes_count_files_and_bytes_of_each_folder(store: Store) -> None:
    store.put_bytes(b"12345")
    store.put_bytes(b"123")
    assert sizes(store)["blobs"] == Size(2, 8)
    assert sizes(store)["memos"] == Size(0, 0)


def test_a_whole_store_has_no_problems(store: Store) -> None:
    kit(store, made(store, "mels", b"kept"))
    assert problems(store) == []


def test_every_damage_is_named(store: Store) -> None:
    model = kit(store, made(store, "mels", b"kept"))
    altered, gone = made(store, "a", b"altered"), made(store, "b", b"gone")
    store.path(altered.digest).write_bytes(b"alterer")
    store.path(gone.digest).unlink()
    store.memo_path("c", "torn").parent.mkdir()
    store.memo_path("c", "torn").write_text('{"kind": "me')
    (store.folder / "checkpoints" / "k").mkdir()
    (store.folder / "checkpoints" / "k" / "step-00000007.safetensors").write_bytes(b"torn")
    model.write_bytes(model.read_bytes()[:-1])
    found = problems(store)
    assert len(found) == 5
    for number, word in enumerate(
        [altered.digest, f"names blob {gone.digest}", "torn.json", "step-00000007", "kit.distill"]
    ):
        assert word in found[number]


def test_pruning_leaves_what_a_named_model_needs(store: Store) -> None:
    kept, lost = made(store, "kept", b"kept"), made(store, "lost", b"lost")
    shared = Ref("mels", kept.digest, {"other": lost.digest})  # half of it is still needed
    store.remember("shared", "key", shared)
    kit(store, kept)
    paths = unneeded(store, days=0)
    assert {path.name for path in paths} == {
        lost.digest, lost.parts["part"], "keylost.json", "lost-keylost.json", "key.json"
    }  # fmt: skip
    freed = remove(store, paths)
    assert freed.files == 5
    assert unneeded(store, days=0) == []
    assert store.recall("kept", "keykept") == kept
    assert store.recall("lost", "keylost") is None
    assert problems(store) == []


def test_pruning_removes_what_killed_builds_left(store: Store) -> None:
    left = [
        store.folder / "blobs" / "new-0123",
        store.folder / "memos" / "mels" / ".0123.part",
        store.folder / "checkpoints" / "key" / "vae" / "step-00000010.safetensors",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert unneeded(store, days=0) == sorted(left)
    remove(store, left)
    assert list((store.folder / "checkpoints").iterdir()) == []


def test_what_is_young_may_be_of_an_unfinished_build(store: Store) -> None:
    made(store, "old", b"old")
    age(store.folder, 8)
    made(store, "young", b"young")
    found = {path.name for path in unneeded(store, days=7)}
    assert "keyold.json" in found
    assert not any("young" in name for name in found)
    assert len(found) == 4


def test_nothing_is_pruned_while_a_build_is_under_way(store: Store) -> None:
    made(store, "lost", b"lost")
    with (
        locked(store.folder / "runs" / "1.json", lambda: None),
        pytest.raises(StoreError, match=r"is in use by a run; prune when it has ended"),
    ):
        unneeded(store, days=0)
    assert unneeded(store, days=0) != []


def test_nothing_is_pruned_when_a_model_does_not_say_what_it_needs(store: Store) -> None:
    kit(store, made(store, "kept", b"kept"))
    record = store.folder / "models" / "kit.json"
    record.write_text(record.read_text()[:-9])
    with pytest.raises(StoreError, match=r"does not say what kit was made from; build it again"):
        unneeded(store, days=0)


def test_a_memo_goes_before_what_it_names(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, "lost", b"lost")
    gone: list[str] = []
    unlink = Path.unlink

    def noted(path: Path, missing_ok: bool = False) -> None:
        gone.append(path.relative_to(store.folder).parts[0])
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    remove(store, unneeded(store, days=0))
    assert gone[0] == "memos"
    assert gone.count("memos") == 1
