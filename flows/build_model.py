"""The build: from a folder of sounds to a named model. `build-model` in Prefect."""

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import flow

import flows  # noqa: F401  # first: a worker loads this file by its path
from artifacts.audio_files import Rejected
from artifacts.library import Library
from artifacts.refs import Ref
from artifacts.store import json_bytes
from core.config import BuildConfig, VocoderName
from core.device import resolve_device
from core.errors import TrainingError
from core.presets import configured
from core.split import Split
from flows.dashboard import show_metrics
from flows.report import write_report
from flows.runs import recorded
from tasks.encode_codes import encode_codes
from tasks.ingest import gather_sounds, ingest_folder, labels_of, split_of
from tasks.judge import judge, read_by_judge
from tasks.mels import analyse_mels
from tasks.package import package_model
from tasks.progress import say
from tasks.step import Made, Run
from tasks.train_prior import train_prior
from tasks.train_rvqvae import train_rvqvae
from tasks.train_texture import train_texture
from tasks.train_vocoder import train_freev, train_hifigan
from tasks.training import NAMED_DIGITS
from tasks.validate import read_by_validation, validate


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
    """
    config = configured(preset, seed, settings or [])
    resolve_device(device)  # an unknown device fails here, before any work
    library = Library.at(store)
    library.check_name(name)

    def build() -> dict[str, Any]:
        return dataclasses.asdict(run_build(Path(audio_dir), name, config, device, library))

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
    audio_dir: Path, name: str, config: BuildConfig, device: str, library: Library
) -> Built:
    """Every stage in order, within a running flow."""
    began = time.monotonic()
    run = Run(str(library.store.folder), device)
    stages: dict[str, Made] = {}
    ingested = ingest_folder(run, audio_dir, config.ingest, as_tasks=True)
    tell_rejected(ingested.rejected)
    files = sorted((ref for _, ref in ingested.sounds), key=lambda ref: ref.digest)
    sounds = gather_sounds(run, files, config.ingest)
    split = split_of(run, sounds.ref, config.split)
    stages["ingest"] = Made(
        sounds.ref,
        sounds.cached and ingested.decoded_now == 0,
        time.monotonic() - began,
    )
    names = {ref.parts["audio"]: source for source, ref in ingested.sounds}
    labels = labels_of(run, sounds.ref, ingested.sounds)
    with files_named(names):
        vocoders = make_stages(run, name, sounds.ref, labels, len(files), split, config, stages)
    checked = stages["validate"].ref
    record = {"validation": checked.to_json(), "names": names}
    every = [
        *ingested.outcomes,
        labels,
        *(made.ref for made in stages.values()),
        *vocoders.values(),
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


def make_stages(
    run: Run,
    name: str,
    sounds: Ref,
    labels: Ref,
    files: int,
    split: Split,
    config: BuildConfig,
    stages: dict[str, Made],
) -> dict[VocoderName, Ref]:
    """Every stage after ingest, put into `stages` as soon as it is made; returns the vocoders."""
    stages["mels"] = analyse_mels(run, sounds, config.mel)
    inputs = (sounds, stages["mels"].ref)
    stages["rvqvae"] = train_rvqvae(
        run, *inputs, config.mel, config.rvqvae, config.augment, split, config.seed
    )
    rvqvae = stages["rvqvae"].ref
    stages["codes"] = encode_codes(
        run,
        *inputs,
        rvqvae,
        config.mel,
        config.rvqvae,
        config.prior.speeds,
        config.prior.equalisers,
        config.augment,
        split,
        config.seed,
    )
    codes = stages["codes"].ref
    stages["texture"] = train_texture(
        run,
        *inputs,
        rvqvae,
        config.mel,
        config.rvqvae,
        config.texture,
        config.augment,
        split,
        config.seed,
    )
    texture = stages["texture"].ref
    stages["prior"] = train_prior(run, codes, rvqvae, labels, config.prior, config.seed)
    prior = stages["prior"].ref
    stages["judge"] = judge(
        run, *inputs, rvqvae, texture, codes, prior, split, read_by_judge(config)
    )
    judged = stages["judge"].ref
    vocoders, stages["vocoder"] = train_vocoders(run, inputs, rvqvae, split, config)
    stages["validate"] = validate(
        run,
        *inputs,
        rvqvae,
        texture,
        prior,
        judged,
        vocoders,
        files,
        split,
        read_by_validation(config, vocoders),
    )
    checked = stages["validate"].ref
    stages["package"] = package_model(
        run, name, rvqvae, texture, prior, vocoders, judged, checked, config
    )
    return vocoders


def train_vocoders(
    run: Run, inputs: tuple[Ref, Ref], rvqvae: Ref, split: Split, config: BuildConfig
) -> tuple[dict[VocoderName, Ref], Made]:
    """Those that the config trains, and the stage as a whole."""
    made: dict[VocoderName, Made] = {}
    shared = (config.mel, config.rvqvae)
    if config.freev.train:
        made["freev"] = train_freev(run, *inputs, rvqvae, *shared, config.freev, split, config.seed)
    if config.hifigan.train:
        made["hifigan"] = train_hifigan(
            run, *inputs, rvqvae, *shared, config.hifigan, split, config.seed
        )
    refs = {name: one.ref for name, one in made.items()}
    every = json_bytes({name: ref.digest for name, ref in refs.items()})
    stage = Made(
        Ref("vocoder", hashlib.sha256(every).hexdigest()),
        all(one.cached for one in made.values()),
        sum(one.seconds for one in made.values()),
    )
    return refs, stage


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
