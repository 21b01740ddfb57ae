"""What each command of the command line does once its options are parsed."""

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from artifacts.audio_export import write_audio
from artifacts.audio_files import printable, scan
from artifacts.library import Library
from artifacts.manifest import Manifest, names_at, number_at, text_at
from artifacts.out_folder import ready_folder
from artifacts.package import read_manifest, verify_package
from artifacts.parent import unpacked
from artifacts.store import write_atomically
from artifacts.verdict import gates, origin, plain
from core.controls import Controls
from core.demo_sounds import SAMPLE_RATE, demo_takes
from core.device import resolve_device
from core.errors import AudioError, ConfigError
from core.sampling import Sampling
from flows.answers import Arguments, show
from flows.cache_command import cache
from flows.prefect_api import prefect_session, reachable_api
from tasks.generate import Wish, fresh_seed, generated
from tasks.ingest import none_usable
from tasks.interrupt import stop_if_asked, stoppable
from tasks.plan import Plan, make_plan
from tasks.progress import say
from tasks.step import Run
from tasks.vocode import Vocoding, vocoded

Number = TypeVar("Number", int, float)


def plan(asked: Arguments) -> None:
    from core.presets import configured

    config = configured(asked.preset, asked.seed, asked.settings)
    resolve_device(asked.device)
    run = Run(str(Library.at(asked.store).store.folder), asked.device)
    made = make_plan(run, Path(asked.sounds), config)
    data = dataclasses.asdict(made)
    lines = [
        f"{made.usable} usable sounds, {made.seconds_of_audio:.1f} s in all; "
        f"{len(made.rejected)} left out",
        *[f"  left out: {one['file']} {one['reason']}" for one in made.rejected],
        *reasons(made),
        *made.warnings,
        f"about {minutes(made.estimate_seconds['total'])} on this machine:",
        *[
            f"  {stage:9} {minutes(seconds)}"
            for stage, seconds in made.estimate_seconds.items()
            if stage != "total"
        ],
    ]
    show(asked, data, lines)


def reasons(made: Plan) -> list[str]:
    """What the models will be like, and why."""
    sizes, frames = made.sizes, made.sizes["code_frames"]
    held_out = {
        "files": "one sound in ten is held out, to judge by",
        "tails": "the sounds are too few to spare one: their ends are held out, to judge by",
    }
    lost = {"files": "no more than", "tails": "clearly less than"}
    return [
        f"codebooks of {sizes['codebook_size']}: there are {frames} code frames to train on, "
        f"{frames // sizes['codebook_size']} for each code",
        f"up to {sizes['levels']} levels: as many as it takes to lose {lost[made.held_out]} a "
        "continuous VAE does, found out while building",
        f"the prior's training: {sizes['prior_steps']} steps, for there are so many code frames",
        held_out[made.held_out],
    ]


def minutes(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def build(asked: Arguments) -> None:
    from core.presets import configured

    # What is plainly wrong is said before Prefect starts up.
    configured(asked.preset, asked.seed, asked.settings)
    library = Library.at(asked.store)
    library.check_name(asked.name)
    resolve_device(asked.device)
    parent = None if asked.parent is None else library.find_parent(asked.parent, asked.name)
    if parent is not None:
        unpacked(library.store, parent)  # and fails here, if it does
    out = Path(asked.out) if asked.out else None
    if out is not None and ready_folder(out.parent) and out.is_dir():
        raise ConfigError(f"--out {out} is a folder; give a file name in it, ending in .distill")
    folder = Path(asked.sounds)
    sources, rejected = scan(folder)
    if not sources:
        raise AudioError(none_usable(folder, rejected))
    with stoppable(), prefect_session(verbose=asked.verbose):
        stop_if_asked()
        from flows.build_model import build_model

        built = build_model(
            audio_dir=str(folder.absolute()),
            name=asked.name,
            preset=asked.preset,
            seed=asked.seed,
            device=asked.device,
            store=str(library.store.folder),
            settings=asked.settings,
            parent=None if parent is None else str(parent.absolute()),
        )
    if out is not None:
        try:
            write_atomically(out, Path(built["model"]).read_bytes())
        except OSError as error:
            raise ConfigError(
                f"--out {out} cannot be written ({error.strerror}); the model is {built['model']}"
            ) from error
        built["model"] = str(out)
    cached = [stage for stage, one in built["stages"].items() if one["cached"]]
    manifest = read_manifest(Path(built["model"]))
    lines = [
        f"model   {built['model']}",
        f"report  {built['report']}",
        f"{minutes(built['seconds'])}; from cache: {', '.join(cached) or 'nothing'}",
        *gate_lines(manifest),
        f"now: distill generate {asked.name}",
    ]
    show(asked, built, lines)


def gate_lines(manifest: Manifest) -> list[str]:
    """Each gate in one line."""
    return [
        f"{'FAIL' if gate.colour == 'red' else 'ok  '} {gate.name}: {gate.text} "
        f"({plain(gate.value)}, limit {plain(gate.limit)})"
        for gate in gates(manifest)
    ]


def generate(asked: Arguments) -> None:
    wish = Wish(
        count=asked.count,
        seconds=seconds_asked(asked.seconds),
        seed=fresh_seed() if asked.seed is None else asked.seed,
        sampling=Sampling(
            numbers_asked("--creativity", asked.creativity, float),
            numbers_asked("--focus", asked.focus, int),
            numbers_asked("--diversity", asked.diversity, float),
        ),
        controls=Controls(asked.bright, asked.loud, asked.noisy, asked.attack),
        like=asked.like,
        prompt=None if asked.prompt is None else str(Path(asked.prompt).absolute()),
        vocoder=asked.vocoder,
        sample_rate=asked.rate,
        container=asked.format,
    )
    bigvgan_dir = None if asked.bigvgan_dir is None else str(Path(asked.bigvgan_dir).absolute())
    api = reachable_api()
    if api is None:
        if asked.verbose:
            say("no Prefect API is running: generating directly, nothing is recorded")
        made = generated(asked.model, wish, asked.out, asked.device, asked.store, bigvgan_dir)
    else:
        if asked.verbose:
            say(f"recording this run at {api}")
        with prefect_session(verbose=asked.verbose):
            from flows.generate import generate as generate_flow

            made = generate_flow(
                model=asked.model,
                count=wish.count,
                seconds=wish.seconds,
                seed=wish.seed,
                creativity=list(wish.sampling.temperature),
                focus=list(wish.sampling.top_k),
                diversity=list(wish.sampling.top_p),
                like=wish.like,
                brightness=wish.controls.brightness,
                loudness=wish.controls.loudness,
                noisiness=wish.controls.noisiness,
                attack=wish.controls.attack,
                prompt=wish.prompt,
                vocoder=wish.vocoder,
                bigvgan_dir=bigvgan_dir,
                rate=wish.sample_rate,
                format=wish.container,
                out=asked.out,
                device=asked.device,
                store=asked.store,
            )
    show(asked, made, sound_lines(made))


def vocode(asked: Arguments) -> None:
    wish = Vocoding(asked.mel_type, asked.vocoder, asked.bigvgan_dir, asked.rate, asked.format)
    made = vocoded(asked.model, asked.mels, wish, asked.out, asked.device, asked.store)
    show(asked, made, sound_lines(made))


def sound_lines(made: dict[str, Any]) -> list[str]:
    return [f"{one['path']}  {one['seconds']:.2f} s" for one in made["sounds"]]


def seconds_asked(text: str) -> float | None:
    """None for `auto`."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--seconds cannot be {text!r}; give auto or a number") from None


def numbers_asked(option: str, text: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """One number for all levels, or several with commas, one a level."""
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"{option} cannot be {text!r}; give a number, or one for each level with commas"
        ) from None


def inspect(asked: Arguments) -> None:
    manifest = read_manifest(Library.at(asked.store).find(asked.model))
    text = partial(text_at, manifest)  # "" where the file says nothing
    lines = [
        f"{text('name')}: {text('train', 'files')} sounds, "
        f"{plain(number_at(manifest, 'train', 'seconds_of_audio'))} s, "
        f"preset {text('preset')}, seed {text('seed')}",
        f"codes: {text('sizes', 'levels')} levels of {text('sizes', 'codebook_size')}",
        f"vocoder: {text('vocoder')}",
        *origin(manifest),
        *[f"labels: {', '.join(labels)}" for labels in [names_at(manifest, "labels")] if labels],
        *gate_lines(manifest),
    ]
    show(asked, manifest, [printable(line) for line in lines])


def verify(asked: Arguments) -> None:
    path = Library.at(asked.store).find(asked.model)
    problems = verify_package(path)
    show(asked, {"ok": not problems, "problems": problems}, problems or [f"{path.name} is whole"])
    if problems:
        sys.exit(2)


def compare(asked: Arguments) -> None:
    from flows.report import write_comparison

    library = Library.at(asked.store)
    path = library.find(asked.model)
    out = Path(asked.out) if asked.out else Path.cwd() / f"{path.stem}-compare"
    data = write_comparison(library, path, out)
    show(asked, data, [f"report  {data['report']}", f"{len(data['clips'])} clips beside it"])


def write_demo_sounds(asked: Arguments) -> None:
    folder = ready_folder(Path(asked.folder))
    paths = []
    for name, wave in demo_takes():
        path = folder / f"{name}.wav"
        write_audio(path, wave, SAMPLE_RATE, "wav", 16)
        paths.append(str(path))
    show(asked, {"sounds": paths}, [f"{len(paths)} sounds in {folder}"])


COMMANDS: dict[str, Callable[[Arguments], None]] = {
    "plan": plan,
    "build": build,
    "generate": generate,
    "vocode": vocode,
    "inspect": inspect,
    "verify": verify,
    "compare": compare,
    "cache": cache,
    "demo-sounds": write_demo_sounds,
}
