import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from artifacts import package_rules
from artifacts.manifest import names_at, table_at
from artifacts.package import Package, read_manifest, verify_package, write_package
from core.errors import PackageError

MANIFEST = {"name": "kit", "seed": 0, "metrics": {"prior": {"nats_per_frame": 9.13}}}
WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3)}

# printf '# kit\n' | sha256sum
CARD_SHA256 = "3edffc5a9f0e9fd3acc15e2db9bee20a59112c68d3235db5748b9ccf2a7900a4"


def entries() -> dict[str, bytes]:
    weights = safetensors.torch.save(WEIGHTS)
    return {
        "previews/one.flac": b"fLaC one",
        "vocoder-freev.safetensors": weights,
        "card.md": b"# kit\n",
        "prior.safetensors": weights,
        "texture.safetensors": weights,
        "rvqvae.safetensors": weights,
    }


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "kit.distill"
    write_package(path, MANIFEST, entries())
    return path


def rewritten(
    path: Path,
    manifest: bytes | None = None,
    added: dict[str, bytes] | None = None,
    left_out: str = "",
    compressed: str = "",
) -> Path:
    """`path` written again by the standard library's ZIP, with one thing changed."""
    with zipfile.ZipFile(path) as archive:
        old = [(name, archive.read(name)) for name in archive.namelist() if name != left_out]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*old, *(added or {}).items()]:
            kind = zipfile.ZIP_DEFLATED if name == compressed else zipfile.ZIP_STORED
            kept = content if name != "manifest.json" or manifest is None else manifest
            archive.writestr(name, kept, kind)
    return path


def manifest_with(path: Path, **changes: object) -> Path:
    return rewritten(path, json.dumps({**read_manifest(path), **changes}).encode())


def refusal(path: Path) -> str:
    """What opening says; verifying must find the same and not raise."""
    with pytest.raises(PackageError) as caught:
        Package(path)
    assert str(caught.value) in verify_package(path)
    return str(caught.value)


def test_what_was_written_is_read_back(package: Path) -> None:
    opened = Package(package)
    assert opened.bytes("card.md") == b"# kit\n"
    assert torch.equal(opened.tensors("rvqvae.safetensors")["w"], WEIGHTS["w"])
    assert opened.manifest["metrics"] == MANIFEST["metrics"]
    assert verify_package(package) == []


def test_manifest_says_format_version_and_digests(package: Path) -> None:
    manifest = read_manifest(package)
    assert (manifest["format"], manifest["version"]) == ("distill_model", 2)
    listed = manifest["entries"]
    assert isinstance(listed, dict)
    assert listed["card.md"] == {"bytes": 6, "sha256": CARD_SHA256}


def test_equal_content_gives_equal_bytes(package: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.distill"
    shuffled = dict(sorted(entries().items()))
    write_package(again, dict(reversed(list(MANIFEST.items()))), shuffled)
    assert again.read_bytes() == package.read_bytes()


def test_rewriting_what_was_read_gives_equal_bytes(package: Path, tmp_path: Path) -> None:
    opened, again = Package(package), tmp_path / "again.distill"
    write_package(again, opened.manifest, {name: opened.bytes(name) for name in opened.names()})
    assert again.read_bytes() == package.read_bytes()


def test_entries_are_stored_dated_1980_in_fixed_order(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == [
        "manifest.json",
        "rvqvae.safetensors",
        "texture.safetensors",
        "prior.safetensors",
        "vocoder-freev.safetensors",
        "card.md",
        "previews/one.flac",
    ]
    assert {(i.compress_type, i.date_time, i.create_system) for i in infos} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 3)
    }


def test_every_flipped_byte_is_noticed(package: Path) -> None:
    whole = package.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x21
        package.write_bytes(damaged)
        assert verify_package(package), f"byte {position} of {len(whole)}"


@pytest.mark.parametrize("name", [*entries()])
def test_changed_entry_is_named(package: Path, name: str) -> None:
    whole, content = package.read_bytes(), entries()[name]
    at = whole.index(content, whole.index(name.encode() + content[:4]))
    package.write_bytes(whole[:at] + bytes([content[0] ^ 1]) + whole[at + 1 :])
    assert any(name in problem for problem in verify_package(package))
    with pytest.raises(PackageError, match=name):
        Package(package).bytes(name)


def test_changed_entry_with_a_mended_crc_is_noticed(package: Path) -> None:
    rewritten(package, left_out="card.md", added={"card.md": b"# KIT\n"})
    with pytest.raises(PackageError, match=r"holds a changed card\.md"):
        Package(package).bytes("card.md")
    assert any("changed card.md" in problem for problem in verify_package(package))


def test_every_truncation_is_noticed(package: Path) -> None:
    whole = package.read_bytes()
    for kept in range(0, len(whole), 7):
        package.write_bytes(whole[:kept])
        assert verify_package(package), f"{kept} of {len(whole)}"


def test_another_layout_of_whole_entries_is_noticed_but_opens(package: Path) -> None:
    rewritten(package)  # the same entries, dated today
    assert Package(package).bytes("card.md") == b"# kit\n"
    assert "is not laid out as Distill writes it" in verify_package(package)[0]


def test_verify_lists_every_problem(package: Path) -> None:
    rewritten(package, left_out="prior.safetensors", added={"run.py": b"", "../x": b""})
    text = "\n".join(verify_package(package))
    assert all(word in text for word in ("lacks 'prior.safetensors'", "'run.py'", "'../x'"))


def test_missing_file_raises(tmp_path: Path) -> None:
    for read in (Package, read_manifest, verify_package):
        with pytest.raises(PackageError, match="does not exist; check the path"):
            read(tmp_path / "no.distill")


def test_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"RIFF....WAVE", "is not a .distill file"),
        (b'{"format": "distill_model"}', "is not a .distill file"),
    ],
)
def test_foreign_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "kit.distill"
    path.write_bytes(content)
    assert said in refusal(path)


def test_truncated_file_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-200])
    assert "is cut short" in refusal(package)


def test_bytes_after_the_end_are_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes() + b"more")
    assert "has 4 bytes after its end" in refusal(package)


def test_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kit.distill"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    assert "is a ZIP without manifest.json" in refusal(path)


def test_other_format_is_refused(package: Path) -> None:
    assert "no Distill model" in refusal(manifest_with(package, format="other"))


def test_future_version_is_refused(package: Path) -> None:
    said = refusal(manifest_with(package, version=3))
    assert said == "kit.distill is format version 3, this Distill reads version 2; upgrade Distill"


@pytest.mark.parametrize("version", [1, 0, "2", 2.0, None, True])
def test_unknown_version_is_refused(package: Path, version: object) -> None:
    assert "no known format version" in refusal(manifest_with(package, version=version))


@pytest.mark.parametrize("name", ["rvqvae", "texture", "prior"])
def test_missing_entry_is_refused(package: Path, name: str) -> None:
    left_out = f"{name}.safetensors"
    assert f"lacks '{left_out}'" in refusal(rewritten(package, left_out=left_out))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_entry_is_refused(package: Path) -> None:
    assert "'card.md' more than once" in refusal(rewritten(package, added={"card.md": b"x"}))


def test_unlisted_entry_is_refused(package: Path) -> None:
    said = refusal(rewritten(package, added={"previews/two.flac": b"x"}))
    assert "previews/two.flac, which its manifest does not list" in said


@pytest.mark.parametrize("name", ["../x.flac", "/etc/x", "C:/x", "previews/../../x.flac", "..\\x"])
def test_path_that_leads_outside_is_refused(package: Path, name: str) -> None:
    assert "a path that leads outside" in refusal(rewritten(package, added={name: b"x"}))


@pytest.mark.parametrize("name", ["run.py", "previews/.flac", "vocoder-.safetensors", "data.pkl"])
def test_other_names_are_refused(package: Path, name: str) -> None:
    assert "which has no place in a model" in refusal(rewritten(package, added={name: b"x"}))


@pytest.mark.parametrize("name", ["card.md", "manifest.json"])
def test_compressed_entry_is_refused(package: Path, name: str) -> None:
    assert f"'{name}' compressed" in refusal(rewritten(package, compressed=name))


def test_encrypted_entry_is_refused(package: Path) -> None:
    whole = bytearray(package.read_bytes())
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    package.write_bytes(whole)
    assert "'previews/one.flac' encrypted" in refusal(package)


@pytest.mark.parametrize("listed", [{}, {"bytes": 6}, {"bytes": "6", "sha256": "0" * 64}, 7])
def test_listing_without_size_and_digest_is_refused(package: Path, listed: object) -> None:
    names = {**table_at(read_manifest(package), "entries"), "card.md": listed}
    assert "without a size and a sha256" in refusal(manifest_with(package, entries=names))


def test_wrong_size_in_the_manifest_is_refused(package: Path) -> None:
    names = table_at(read_manifest(package), "entries")
    names["card.md"] = {**table_at(names, "card.md"), "bytes": 7}
    assert "holds 6 bytes of card.md, not 7" in refusal(manifest_with(package, entries=names))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b"[1]", "no JSON object"),
        (b"[" * 33 + b"]" * 33, "nested deeper"),
        (b"[" * 400_000 + b"]" * 400_000, "nested deeper"),
        (b'{"a": "' + b"x" * 1_000_000 + b'"}', "at most 1000000 are allowed"),
    ],
    ids=["cut", "bytes", "nan", "twice", "surrogate", "list", "deep", "very deep", "long"],
)
def test_bad_manifest_is_refused(package: Path, raw: bytes, said: str) -> None:
    assert said in refusal(rewritten(package, manifest=raw))


def test_sizes_beyond_the_file_are_refused_from_the_directory(package: Path) -> None:
    whole = bytearray(package.read_bytes())
    entry = whole.rindex(b"PK\x01\x02")  # the central directory's last entry
    struct.pack_into("<2L", whole, entry + 20, 4_000_000_000, 4_000_000_000)
    package.write_bytes(whole)
    assert any("bytes of entries in a file of" in problem for problem in verify_package(package))
    refusal(package)


def test_entries_that_lie_on_one_another_are_refused_unread(package: Path) -> None:
    content, card = package.read_bytes(), b"previews/one.flac"
    first, end = content.index(b"PK\x01\x02"), len(content) - 22
    last = content[content.rindex(b"PK\x01\x02") : end]  # its record in the directory
    assert last.endswith(card)
    large = last[:20] + struct.pack("<2L", 200, 200) + last[28:]
    count, size = 6 + 100, end - first + 100 * len(last)
    closing = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, first, 0)
    package.write_bytes(content[:end] + 100 * large + closing)
    assert "bytes of entries in a file of" in refusal(package)
    assert len(verify_package(package)) == 1


def test_too_many_entries_are_refused_before_they_are_listed(package: Path) -> None:
    whole = bytearray(package.read_bytes())
    struct.pack_into("<H", whole, len(whole) - 12, 60_000)
    package.write_bytes(whole)
    assert "lists 60000 entries" in refusal(package)


def test_file_over_50_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "kit.distill"
    with path.open("wb") as file:
        file.truncate(50_000_001)  # sparse
    assert "is 50.0 MB, at most 50 MB are allowed" in refusal(path)


def test_entry_that_is_no_safetensors_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "kit.distill"
    write_package(path, MANIFEST, {**entries(), "prior.safetensors": b"nonsense"})
    assert "prior.safetensors, which is no safetensors file" in verify_package(path)[0]
    with pytest.raises(PackageError, match="no safetensors file"):
        Package(path).tensors("prior.safetensors")


@pytest.mark.parametrize(
    "odd",
    [torch.tensor([1.0, float("nan")]), torch.tensor([float("inf")]), torch.zeros(2).double()],
    ids=["nan", "infinity", "float64"],
)
def test_weights_that_are_not_finite_float32_are_noticed(tmp_path: Path, odd: Tensor) -> None:
    path = tmp_path / "kit.distill"
    weights = safetensors.torch.save({**WEIGHTS, "odd": odd})
    write_package(path, MANIFEST, {**entries(), "prior.safetensors": weights})
    said = r"prior\.safetensors, whose 'odd' is not all finite float32 numbers"
    assert [bool(re.search(said, problem)) for problem in verify_package(path)] == [True]
    with pytest.raises(PackageError, match=said):
        Package(path).tensors("prior.safetensors")


def test_unknown_entry_is_named(package: Path) -> None:
    with pytest.raises(PackageError, match=r"has no 'vocoder-hifigan.safetensors'"):
        Package(package).tensors("vocoder-hifigan.safetensors")


class _Bomb:
    """Unpickling this creates a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_version_1_pickle_is_refused_and_never_runs(tmp_path: Path, protocol: int) -> None:
    path, target = tmp_path / "old.distill", tmp_path / "ran"
    model = {"format": "distill_model", "version": 1, "weights": _Bomb(target)}
    path.write_bytes(pickle.dumps(model, protocol))
    assert "is a version 1 model" in refusal(path)
    assert "rebuild it from its sounds with `distill build`" in refusal(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())  # the bomb is real
    assert target.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_version_1_saved_by_torch_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "old.distill"
    model = {"weights": torch.zeros(3), "format": "distill_model", "version": 1}
    torch.save(model, path, _use_new_zipfile_serialization=zipped)
    assert "is a version 1 model" in refusal(path)


def test_large_version_1_is_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / "old.distill"
    torch.save({"w": torch.zeros(13_000_000), "format": "distill_model", "version": 1}, path)
    assert "is a version 1 model" in refusal(path)


def test_other_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"w": torch.zeros(3)}, path)
    assert "is a Python pickle" in refusal(path)


@pytest.mark.parametrize("name", ["../x", "run.py", "manifest.json", "discriminator.safetensors"])
def test_writing_refuses_other_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageError, match="may not hold"):
        write_package(tmp_path / "kit.distill", MANIFEST, {**entries(), name: b""})


def test_writing_refuses_a_missing_prior(tmp_path: Path) -> None:
    partial = entries()
    del partial["prior.safetensors"]
    with pytest.raises(PackageError, match=r"lacks prior\.safetensors"):
        write_package(tmp_path / "kit.distill", MANIFEST, partial)


def test_writing_refuses_more_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_rules, "MOST_BYTES", 1_000_000)
    with pytest.raises(PackageError, match=r"is 1\.0 MB, at most 1 MB"):
        write_package(
            tmp_path / "kit.distill", MANIFEST, {**entries(), "previews/a.flac": bytes(999_000)}
        )
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_a_number_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="numbers must be finite"):
        write_package(tmp_path / "kit.distill", {"value": float("nan")}, entries())


def test_failed_write_keeps_the_old_file(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = package.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PackageError, match="No space left on device"):
        write_package(package, {"name": "other"}, entries())
    assert package.read_bytes() == before
    assert [path.name for path in package.parent.iterdir()] == ["kit.distill"]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"labels": ["kick", "snare"]}, ["kick", "snare"]),
        ({"labels": ["kick", 3, None, ["tom"], "snare"]}, ["kick", "snare"]),
        ({"labels": []}, []),
        ({"labels": "kick"}, []),
        ({"labels": {"kick": 1}}, []),
        ({}, []),
    ],
)
def test_names_in_a_manifest_are_the_texts_of_a_list(
    manifest: dict[str, object], expected: list[str]
) -> None:
    assert names_at(manifest, "labels") == expected
