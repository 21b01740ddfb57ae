"""The `.distill` file, version 2: one model in one ZIP that is safe to share.

Layout, in this order, ZIP "stored" (never compressed), every entry dated
1980-01-01 with permissions 0644 and ASCII names, no comment, no bytes before,
between or after; so equal content is an equal file:

    manifest.json               first; JSON, UTF-8, sorted keys, indent 1, at most 1 MB
    rvqvae.safetensors          required: encoder, codebooks, decoder; finite float32 numbers
    texture.safetensors         required: the grain beside the decoder's smooth mel
    prior.safetensors           required: the model over codes
    vocoder-NAME.safetensors    any number, by name; generators only
    card.md                     required: the model card, Markdown
    previews/NAME.flac          any number, by name

The manifest holds at least
    "format": "distill_model"
    "version": 2
    "entries": {entry: {"sha256": 64 hex digits, "bytes": size}}, every entry but itself
and what the model is: name, preset, seed, mel, sizes, health, metrics, vocoder,
gates, train, licences, config. Numbers are finite, nesting is at most 32 levels.

The whole file is at most 50 MB (50,000,000 bytes). A reader takes sizes from the
directory and refuses before it allocates; it refuses other names, doubled,
missing, compressed or encrypted entries and any entry whose size or SHA-256
differs. The manifest itself is covered by the ZIP's CRC-32. These sums show
damage, they do not prove who made the file. Nothing in it is unpickled,
executed or extracted to disk.

Version 1 was a Python pickle. It is recognised by its bytes, never loaded, and
refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipInfo

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from artifacts.manifest import encode_manifest
from artifacts.package_rules import (
    FORMAT,
    MANIFEST,
    REQUIRED,
    VERSION,
    check_size,
    checked_bytes,
    entry_problem,
    examine,
    place,
    sha256,
)
from artifacts.store import write_atomically
from artifacts.stored_zip import opened, zip_bytes
from core.errors import PackageError


def write_package(path: Path, manifest: Mapping[str, object], entries: dict[str, bytes]) -> None:
    """Write a package at `path`, whole or not at all.

    Args:
        manifest: JSON values; format, version and entries are added here.
        entries: content by name, without manifest.json.
    Raises:
        PackageError: a name is not allowed, a required one is missing, the file would be
            over 50 MB, the manifest is not plain JSON, or the disk refuses.
    """
    problems = [
        f"may not hold {name!a}; the allowed names are in artifacts.package"
        for name in entries
        if place(name) is None
    ]
    problems += [f"lacks {name}; add it" for name in REQUIRED if name not in entries]
    if problems:
        raise PackageError(f"{path.name} {problems[0]}")
    ordered = sorted(entries.items(), key=lambda item: (place(item[0]), item[0]))
    listing = {name: {"sha256": sha256(raw), "bytes": len(raw)} for name, raw in ordered}
    head = {"format": FORMAT, "version": VERSION, "entries": listing}
    try:
        check_size(sum(len(raw) for raw in entries.values()))
        content = zip_bytes([(MANIFEST, encode_manifest({**manifest, **head})), *ordered])
        check_size(len(content))
    except PackageError as error:
        raise PackageError(f"{path.name} {error}") from error
    try:
        write_atomically(path, content)
    except OSError as error:
        raise PackageError(
            f"{path} cannot be written ({error.strerror}); choose another folder or free space"
        ) from error


def read_manifest(path: Path) -> dict[str, object]:
    """The manifest of the package at `path`; no other entry is read."""
    return Package(path).manifest


class Package:
    """A package opened for reading: its manifest at once, each entry when asked for.

    Raises:
        PackageError: the file is missing, foreign, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        _check_exists(path)
        infos, self.manifest, problems = examine(path)
        if problems:
            raise PackageError(f"{path.name} {problems[0]}")
        self.path = path
        self._infos = {info.filename: info for info in infos}

    def names(self) -> list[str]:
        """Every entry but the manifest, in the file's order."""
        return [name for name in self._infos if name != MANIFEST]

    def bytes(self, name: str) -> bytes:
        """An entry's content, its SHA-256 checked."""
        if name not in self.names():
            raise PackageError(f"{self.path.name} has no {name!a}; it has {self.names()}")
        try:
            with opened(self.path) as archive:
                return checked_bytes(archive, self._infos[name], self.manifest)
        except PackageError as error:
            raise PackageError(f"{self.path.name} {error}") from error

    def tensors(self, name: str) -> dict[str, Tensor]:
        """An entry's tensors by name, on the CPU."""
        raw = self.bytes(name)
        try:
            return _tensors(name, raw)
        except PackageError as error:
            raise PackageError(f"{self.path.name} {error}") from error


def verify_package(path: Path) -> list[str]:
    """Every problem of the package as a sentence; empty when each byte is as written.

    Raises:
        PackageError: there is no such file; a damaged one never raises.
    """
    _check_exists(path)
    infos, manifest, problems = examine(path)
    contents: list[tuple[str, bytes]] = []
    if infos:
        contents, damage = _contents(path, infos, manifest)
        problems += damage
    if not problems and zip_bytes(contents) != path.read_bytes():
        problems.append("is not laid out as Distill writes it; copy or download it again")
    return [f"{path.name} {problem}" for problem in problems]


def _contents(
    path: Path, infos: Sequence[ZipInfo], manifest: Mapping[str, object]
) -> tuple[list[tuple[str, bytes]], list[str]]:
    """(name, content) of each whole entry, and what is wrong with the content of the others."""
    contents, problems = [], []
    with opened(path) as archive:
        for info in infos:
            if entry_problem(info, manifest):
                continue  # examine has said so
            try:
                raw = checked_bytes(archive, info, manifest)
                if info.filename.endswith(".safetensors"):
                    _tensors(info.filename, raw)
                contents.append((info.filename, raw))
            except PackageError as error:
                problems.append(str(error))
    return contents, problems


def _tensors(name: str, raw: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(raw)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise PackageError(f"holds {name}, which is no safetensors file; rebuild it") from error
    for key, tensor in sorted(tensors.items()):  # safetensors gives them in any order
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise PackageError(
                f"holds {name}, whose {key!a} is not all finite float32 numbers; get the file again"
            )
    return tensors


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise PackageError(f"{path} does not exist; check the path")
