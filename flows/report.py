"""The report of a finished build, written from its validation record and its package."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.library import Library
from artifacts.manifest import text_at
from artifacts.out_folder import ready_folder
from artifacts.package import read_manifest
from artifacts.refs import Ref
from artifacts.report import Clip, render_report
from artifacts.report_audio import playable
from artifacts.store import Store, sha256_of, write_atomically
from core.errors import PackageError
from tasks.validate import record_of


def write_report(library: Library, name: str) -> Path:
    """Render the page into the store."""
    path = library.report_path(name)
    write_atomically(path, _page(library, name).encode())
    return path


def known_speeds(library: Library, name: str, validation: Ref) -> dict[str, float]:
    """The vocoders' speeds as measured when this very model was built; empty if it was not."""
    with contextlib.suppress(PackageError):
        kept = library.record(name)
        if kept.get("validation") == validation.to_json():
            speeds: dict[str, float] = kept.get("speeds", {})
            return speeds
    return {}


def write_comparison(library: Library, model: Path, out: Path) -> dict[str, Any]:
    """The same page and its clips as files in a folder of the user's.

    Returns:
        where they are; of each copy every figure, of each vocoder the speed.
    Raises:
        PackageError: the model was not built in this library's store.
    """
    name = text_at(read_manifest(model), "name")
    kept = library.record(name)
    validation = Ref.from_json(kept["validation"])
    own = library.path(name)
    if not own.is_file() or sha256_of(own) != sha256_of(model):
        raise PackageError(
            f"{model.name} is not the {name} that was built in this store last; "
            "compare it where it was built"
        )
    shown = _validated(library.store, validation, name)["clips"]
    ready_folder(out)
    sounds = list(dict.fromkeys(one["sound"] for one in shown))
    clips = []
    for one in shown:
        path = out / f"{sounds.index(one['sound']) + 1:02d}-{_file_name(one)}.flac"
        path.write_bytes(library.store.read_bytes(validation.parts[f"{one['name']}.flac"]))
        clips.append(
            {
                "sound": kept["names"].get(one["sound"], one["sound"]),
                "kind": one["kind"],
                "vocoder": one["vocoder"],
                **one["figures"],
                "path": str(path),
            }
        )
    report = out / "report.html"
    write_atomically(report, _page(library, name).encode())
    return {"report": str(report), "clips": clips, "speeds": kept.get("speeds", {})}


def _page(library: Library, name: str) -> str:
    """The report. Files' names are looked up here: nothing cached knows them."""
    kept = library.record(name)
    validation, names = Ref.from_json(kept["validation"]), kept["names"]
    record = _validated(library.store, validation, name)
    clips = [_clip(library.store, validation, one, names) for one in record["clips"]]
    previews = [_clip(library.store, validation, one, names) for one in record["previews"]]
    manifest = read_manifest(library.path(name))
    return render_report(name, manifest, clips, previews, kept.get("speeds", {}))


def _validated(store: Store, validation: Ref, name: str) -> dict[str, Any]:
    """The validation's record.

    Raises:
        PackageError: it was written when clips were not equally loud yet.
    """
    record = record_of(store, validation)
    if not all("figures" in one for one in record["clips"]):
        raise PackageError(
            f"{name} was built by an older Distill, which compared otherwise; run its build "
            "again, it makes the comparison anew"
        )
    return record


def _clip(store: Store, validation: Ref, shown: dict[str, Any], names: Mapping[str, str]) -> Clip:
    """One stored clip with its bytes and a name that a person knows."""
    return Clip(
        sound=names.get(shown["sound"], shown["sound"]),
        kind=shown["kind"],
        vocoder=shown["vocoder"],
        audio=playable(store.read_bytes(validation.parts[f"{shown['name']}.flac"])),
        spectrogram_png=store.read_bytes(validation.parts[f"{shown['name']}.png"]),
        figures=shown["figures"],
    )


def _file_name(clip: Mapping[str, Any]) -> str:
    """What a clip is, as it stands in a file's name."""
    source = {"mel": "from-true-mel", "model": "from-model-mel"}
    return "original" if clip["kind"] == "original" else f"{clip['vocoder']}-{source[clip['kind']]}"
