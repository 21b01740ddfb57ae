"""The report of a finished build, written from its validation record and its package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.library import Library
from artifacts.manifest import text_at
from artifacts.out_folder import ready_folder
from artifacts.package import read_manifest
from artifacts.refs import Ref
from artifacts.report import Clip, render_report
from artifacts.store import Store, sha256_of, write_atomically
from core.errors import PackageError
from tasks.validate import record_of


def write_report(library: Library, name: str) -> Path:
    """Render the page into the store."""
    path = library.report_path(name)
    write_atomically(path, _page(library, name).encode())
    return path


def write_comparison(library: Library, model: Path, out: Path) -> dict[str, Any]:
    """The same page and its clips as files in a folder of the user's.

    Raises:
        PackageError: the model was not built in this library's store.
    """
    name = text_at(read_manifest(model), "name")
    validation = Ref.from_json(library.record(name)["validation"])
    store = library.store
    own = library.path(name)
    if not own.is_file() or sha256_of(own) != sha256_of(model):
        raise PackageError(
            f"{model.name} is not the {name} that was built in this store last; "
            "compare it where it was built"
        )
    ready_folder(out)
    clips = []
    for shown in record_of(store, validation)["clips"]:
        path = out / f"{shown['name']}.flac"
        path.write_bytes(store.read_bytes(validation.parts[path.name]))
        clips.append({**shown, "path": str(path)})
    report = out / "report.html"
    write_atomically(report, _page(library, name).encode())
    return {"report": str(report), "clips": clips}


def _page(library: Library, name: str) -> str:
    """The report. Files' names are looked up here: nothing cached knows them."""
    kept = library.record(name)
    validation, names = Ref.from_json(kept["validation"]), kept["names"]
    record = record_of(library.store, validation)
    clips = [_clip(library.store, validation, one, names) for one in record["clips"]]
    previews = [_clip(library.store, validation, one, names) for one in record["previews"]]
    return render_report(name, read_manifest(library.path(name)), clips, previews)


def _clip(store: Store, validation: Ref, shown: dict[str, Any], names: Mapping[str, str]) -> Clip:
    """One stored clip with its bytes and a name that a person knows."""
    return Clip(
        sound=names.get(shown["sound"], shown["sound"]),
        kind=shown["kind"],
        vocoder=shown["vocoder"],
        flac=store.read_bytes(validation.parts[f"{shown['name']}.flac"]),
        spectrogram_png=store.read_bytes(validation.parts[f"{shown['name']}.png"]),
        log_mel_l1=shown["log_mel_l1"],
        mr_stft=shown["mr_stft"],
    )
