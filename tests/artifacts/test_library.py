import os
from pathlib import Path

import pytest

from artifacts.library import Library
from artifacts.refs import Ref
from artifacts.store import Store
from core.errors import ConfigError, PackageError


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(Store(tmp_path / "store"))


def package(library: Library, content: bytes) -> Ref:
    return Ref("package", library.store.put_bytes(content))


def test_a_model_is_found_by_name_and_by_path(library: Library, tmp_path: Path) -> None:
    added = library.add("kit", package(library, b"model"), {})
    assert library.find("kit") == added == library.path("kit")
    assert added.read_bytes() == b"model"
    elsewhere = tmp_path / "sent by a friend.distill"
    elsewhere.write_bytes(b"other")
    assert library.find(str(elsewhere)) == elsewhere


def test_names_are_listed_in_order_without_their_ending(library: Library) -> None:
    assert library.names() == []
    for name in ("kit", "bass-2", "v1.2"):
        library.add(name, package(library, b"model"), {})
    assert library.names() == ["bass-2", "kit", "v1.2"]


@pytest.mark.parametrize("name", ["kit", "K1t_2.x-y", "0", "a" * 64])
def test_good_names_are_taken(library: Library, name: str) -> None:
    library.check_name(name)
    library.add(name, package(library, b"model"), {})
    assert library.find(name).read_bytes() == b"model"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".kit", "-kit", "a/b", "../kit", "a\\b", "a b", "größe", "kit\n", "a" * 65],
)
def test_bad_names_are_refused(library: Library, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a model; use letters"):
        library.check_name(name)


@pytest.mark.parametrize(
    "model",
    ["nothing", "", ".", "../store/models/kit", pytest.param("a" * 9000, id="too long for a file")],
)
def test_what_is_not_there_is_an_error_that_lists_the_names(library: Library, model: str) -> None:
    with pytest.raises(PackageError, match="names in the library: none yet"):
        library.find(model)
    library.add("kit", package(library, b"model"), {})
    with pytest.raises(PackageError, match="names in the library: kit"):
        library.find(model)


def test_adding_replaces_model_and_record(library: Library) -> None:
    library.add("kit", package(library, b"old"), {"seed": 0})
    old = library.path("kit").open("rb")
    library.add("kit", package(library, b"new"), {"seed": 1})
    assert library.path("kit").read_bytes() == b"new"
    assert library.record("kit")["seed"] == 1
    with old:
        assert old.read() == b"old"  # who has it open keeps it whole


def test_the_stored_package_stays_when_the_model_is_changed(library: Library) -> None:
    ref = package(library, b"model")
    library.add("kit", ref, {}).write_bytes(b"changed")
    assert library.store.holds(ref.digest)


def test_a_model_from_elsewhere_has_no_record(library: Library) -> None:
    library.path("gift").write_bytes(b"model")
    with pytest.raises(PackageError, match="gift was not built in this store"):
        library.record("gift")


def test_the_library_lies_in_the_store_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILL_STORE", os.fspath(tmp_path / "default"))
    assert Library.at(None).store.folder == tmp_path / "default"
    assert Library.at(str(tmp_path / "other")).store.folder == tmp_path / "other"


def test_all_that_a_build_made_is_remembered(library: Library) -> None:
    mels, model = Ref("mels", "d1", {"a": "d2"}), package(library, b"model")
    library.add("kit", model, {}, [mels])
    assert library.refs("kit") == [mels, model]
    (library.store.folder / "models" / "sent.distill").write_bytes(b"from elsewhere")
    assert library.refs("sent") == []
