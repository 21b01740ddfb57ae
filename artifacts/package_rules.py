"""What a `.distill` file must be before its entries are read (see artifacts.package).

Every problem is a sentence without its subject, the file: "lacks card.md; rebuild it".
"""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from artifacts.manifest import MOST_MANIFEST_BYTES, decode_manifest, table_at, value_at
from artifacts.pickles import refuse_pickle
from artifacts.stored_zip import (
    directory_problems,
    opened,
    read_directory,
    read_entry,
    storage_problem,
)
from core.errors import PackageError

FORMAT = "distill_model"
VERSION = 2
MOST_BYTES = 50_000_000
MANIFEST = "manifest.json"
REQUIRED = ("rvqvae.safetensors", "texture.safetensors", "prior.safetensors", "card.md")

_ORDER = (  # the allowed names, and the order they lie in
    re.compile(r"rvqvae\.safetensors"),
    re.compile(r"texture\.safetensors"),
    re.compile(r"prior\.safetensors"),
    re.compile(r"vocoder-[A-Za-z0-9_-]{1,64}\.safetensors"),
    re.compile(r"card\.md"),
    re.compile(r"previews/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\.flac"),
)


def place(name: str) -> int | None:
    """Where an entry of this name lies in the order, or None where it is not allowed."""
    return next((i for i, pattern in enumerate(_ORDER) if pattern.fullmatch(name)), None)


def name_problem(name: str) -> str | None:
    """Why no entry may have this name, or None where it may."""
    if name == MANIFEST or place(name) is not None:
        return None
    if name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name):
        return f"holds {name!a}, a path that leads outside; do not use this file"
    return f"holds {name!a}, which has no place in a model; do not use this file"


def check_size(size: int) -> None:
    """Refuse an empty file and one over the limit."""
    if size == 0:
        raise PackageError("is empty; copy or download it again")
    if size > MOST_BYTES:
        raise PackageError(
            f"is {size / 1e6:.1f} MB, at most {MOST_BYTES // 1_000_000} MB are allowed; "
            "build with fewer vocoders or a smaller preset"
        )


def sha256(raw: bytes) -> str:
    """SHA-256 in 64 hex digits."""
    return hashlib.sha256(raw).hexdigest()


def examine(path: Path) -> tuple[list[ZipInfo], dict[str, object], list[str]]:
    """Directory, manifest, and every problem to be seen without reading the other entries."""
    try:
        infos = _directory(path)
    except PackageError as error:
        return [], {}, [str(error)]
    problems = directory_problems(infos)
    try:
        manifest = _read_manifest(path, infos)
    except PackageError as error:  # not ours to judge further
        return [], {}, [str(error), *problems]
    held = {info.filename for info in infos}
    for name in {**dict.fromkeys(REQUIRED), **table_at(manifest, "entries")}:
        if name not in held:
            problems.append(f"lacks {name!a}; rebuild or download it again")
    problems += [problem for info in infos if (problem := entry_problem(info, manifest))]
    return infos, manifest, problems


def _directory(path: Path) -> list[ZipInfo]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            refuse_pickle(file)
            check_size(size)
            return read_directory(file)
    except OSError as error:
        raise PackageError(f"cannot be read ({error.strerror}); check the file") from error


def _read_manifest(path: Path, infos: list[ZipInfo]) -> dict[str, object]:
    info = next((info for info in infos if info.filename == MANIFEST), None)
    if info is None:
        raise PackageError("is a ZIP without manifest.json; choose a .distill file")
    if problem := storage_problem(info):
        raise PackageError(problem)
    if info.file_size > MOST_MANIFEST_BYTES:
        raise PackageError(
            f"has a manifest of {info.file_size} bytes, at most {MOST_MANIFEST_BYTES} are "
            "allowed; it is no Distill model"
        )
    with opened(path) as archive:
        manifest = decode_manifest(read_entry(archive, info))
    kind, version = value_at(manifest, "format"), value_at(manifest, "version")
    if kind != FORMAT:
        raise PackageError("is a ZIP but no Distill model; choose a .distill file")
    if type(version) is int and version > VERSION:
        raise PackageError(
            f"is format version {version}, this Distill reads version {VERSION}; upgrade Distill"
        )
    if type(version) is not int or version != VERSION:
        raise PackageError("gives no known format version; rebuild it with `distill build`")
    return manifest


def entry_problem(info: ZipInfo, manifest: Mapping[str, object]) -> str | None:
    """What is wrong with an entry as the directory and the manifest describe it."""
    name = info.orig_filename
    problem = name_problem(name) or storage_problem(info)
    if problem or name == MANIFEST:
        return problem
    listed = value_at(manifest, "entries", name)
    if listed is None:
        return f"holds {name}, which its manifest does not list; download it again"
    size, digest = value_at(manifest, "entries", name, "bytes"), _listed_digest(manifest, name)
    if type(size) is not int or digest is None:
        return f"lists {name} without a size and a sha256; download it again"
    if size != info.file_size:
        return f"holds {info.file_size} bytes of {name}, not {size}; download it again"
    return None


def checked_bytes(archive: ZipFile, info: ZipInfo, manifest: Mapping[str, object]) -> bytes:
    """An entry's content, equal to what the manifest's SHA-256 says."""
    raw = read_entry(archive, info)
    if info.filename != MANIFEST and sha256(raw) != _listed_digest(manifest, info.filename):
        raise PackageError(f"holds a changed {info.filename}; copy or download it again")
    return raw


def _listed_digest(manifest: Mapping[str, object], name: str) -> str | None:
    digest = value_at(manifest, "entries", name, "sha256")
    return digest if isinstance(digest, str) and len(digest) == 64 else None
