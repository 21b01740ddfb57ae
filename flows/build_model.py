"""The build: from a folder of sounds to a named model. `build-model` in Prefect."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import flow

import flows  # noqa: F401  # first: a worker loads this file by its path
from artifacts.audio_files import Rejected
from artifacts.library import Library
from artifacts.parent import unpacked
from core.config import BuildConfig
from core.device import resolve_device
from core.errors import TrainingError
from core.presets import configured
from flows.dashboard import show_metrics
from flows.report import known_speeds, write_report
from flows.runs import recorded
from flows.stages import make_stages
from tasks.ingest import gather_sounds, ingest_folder, labels_of, split_of
from tasks.progress import say
from tasks.speed import vocoder_speeds
from tasks.step import Made, Run
from tasks.training import NAMED_DIGITS


@dataclass
class Built:
    """What a build gave."""

    model: str
    report: str
    seconds: float
    stages: dict[str, dict[str, Any]]
    rejected: list[dict[str, str]] = field(default_factory=list)
    ingested_now: int = 0


@flow(name="build-model", validate_parameters=True)
def build_model(
    audio_dir: str,
    name: str,
    preset: str = "quick",
    seed: int = 0,
    device: str = "auto",
    store: str | None = None,
    settings: list[str] | None = None,
    parent: str | None = None,
) -> dict[str, Any]:
    """Build a model from the sounds in a folder.

    Args:
        audio_dir: the folder, on the machine where this runs.
        name: under which the model stands in the library.
        preset: tiny, quick, standard or high.
        seed: the same sounds, seed, preset and machine give the same model.
        device: auto, cpu, cuda or mps; not part of what is made.
        store: where everything lies; empty for the default.
        settings: single changes, each SECTION.FIELD=VALUE.
        parent: a `.distill` file or a library name to go on from, whose sounds are in the
            folder too; empty begins anew.
    """
    config = configured(preset, seed, settings or [])
    resolve_device(device)  # an unknown device fails here, before any work
    library = Library.at(store)
    library.check_name(name)
    path = None if parent is None else library.find_parent(parent, name)

    def build() -> dict[str, Any]:
        return dataclasses.asdict(run_build(Path(audio_dir), name, config, device, library, path))

    return recorded(library.store, build)


@contextlib.contextmanager
def files_named(names: dict[str, str]) -> Iterator[None]:
    """A training's error names files, not digests.

    Args:
        names: a file of each digest.
    """
    try:
        yield
    except TrainingError as error:
        message = str(error)
        for digest, name in names.items():
            message = message.replace(digest[:NAMED_DIGITS], name)
        raise TrainingError(message, error.batch) from error


def run_build(
    audio_dir: Path,
    name: str,
    config: BuildConfig,
    device: str,
    library: Library,
    parent_file: Path | None = None,
) -> Built:
    """Every stage in order, within a running flow."""
    began = time.monotonic()
    run = Run(str(library.store.folder), device)
    parent = None if parent_file is None else unpacked(library.store, parent_file)
    stages: dict[str, Made] = {}
    ingested = ingest_folder(run, audio_dir, config.ingest, as_tasks=True)
    tell_rejected(ingested.rejected)
    files = sorted((ref for _, ref in ingested.sounds), key=lambda ref: ref.digest)
    sounds = gather_sounds(run, files, config.ingest)
    split = split_of(run, sounds.ref, config.split, parent)
    stages["ingest"] = Made(
        sounds.ref,
        sounds.cached and ingested.decoded_now == 0,
        time.monotonic() - began,
    )
    names = {ref.parts["audio"]: source for source, ref in ingested.sounds}
    labels = labels_of(run, sounds.ref, ingested.sounds)
    with files_named(names):
        vocoders = make_stages(
            run, name, sounds.ref, labels, len(files), split, config, stages, parent
        )
    checked = stages["validate"].ref
    speeds = known_speeds(library, name, checked) or vocoder_speeds(
        run, sounds.ref, stages["mels"].ref, vocoders, split, config
    )
    record = {"validation": checked.to_json(), "names": names, "speeds": speeds}
    every = [
        *ingested.outcomes,
        labels,
        *(made.ref for made in stages.values()),
        *vocoders.values(),
        *([] if parent is None else [parent]),
    ]
    model = library.add(name, stages["package"].ref, record, every)
    report = write_report(library, name)
    show_metrics(library, name)
    return Built(
        model=str(model),
        report=str(report),
        seconds=time.monotonic() - began,
        stages={stage: summary(made) for stage, made in stages.items()},
        rejected=[dataclasses.asdict(one) for one in ingested.rejected],
        ingested_now=ingested.decoded_now,
    )


def tell_rejected(rejected: list[Rejected]) -> None:
    """One line for each file that is left out."""
    for one in rejected:
        say(f"left out: {one.file} {one.reason}")


def summary(made: Made) -> dict[str, Any]:
    """A stage as the contract's JSON shows it."""
    return {
        "cached": made.cached,
        "seconds": round(made.seconds, 3),
        "digest": made.ref.digest,
    }
