"""Generate: new sounds from a packaged model, as files with a sidecar that can recreate each."""

import dataclasses
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artifacts.audio_decode import decoded_wave
from artifacts.audio_export import BitDepth, Container, placed
from artifacts.audio_files import printable
from artifacts.library import Library
from artifacts.model import Model
from artifacts.out_folder import ready_folder
from artifacts.store import sha256_of, write_atomically
from artifacts.tape import FileTape
from core.controls import Controls
from core.device import resolve_device
from core.errors import AudioError, ConfigError
from core.finishing import Sound
from core.generation import Instrument, Request, played_sounds
from core.mel import log_mel
from core.memory import give_back_memory
from core.sampling import Sampling
from tasks import choose_vocoder
from tasks.progress import bar

BATCH_SOUNDS = 8  # sampled together
MOST_SOUNDS = 10_000
MOST_SECONDS = 600.0
RATES = (8_000, 384_000)


def check_rate(sample_rate: int) -> None:
    """Raises ConfigError: no file of that rate is written."""
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise ConfigError(
            f"a sample rate of {sample_rate} Hz cannot be written; ask for {RATES[0]} to {RATES[1]}"
        )


@dataclass(frozen=True)
class Wish:
    """What to generate."""

    count: int = 8
    seconds: float | None = None  # None: each sound ends by itself
    seed: int = 0  # of the first sound; the next have the seeds that follow
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    controls: Controls = dataclasses.field(default_factory=Controls)
    like: str | None = None  # one of the model's labels
    prompt: str | None = None  # a sound file that every sound begins with
    vocoder: str = "auto"
    sample_rate: int = 48_000
    container: Container = "wav"
    bit_depth: BitDepth = 24

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SOUNDS:
            raise ConfigError(f"{self.count} sounds cannot be made; ask for 1 to {MOST_SOUNDS}")
        if self.seconds is not None and not 0.05 <= self.seconds <= MOST_SECONDS:
            raise ConfigError(
                f"a sound of {self.seconds} s cannot be made; ask for auto or 0.05 to "
                f"{MOST_SECONDS:.0f}"
            )
        check_rate(self.sample_rate)
        if not 0 <= self.seed < 2**62:
            raise ConfigError(f"seed {self.seed} is out of range; give 0 or more, below 2^62")


@dataclass(frozen=True)
class NewSound:
    """One file that was written."""

    path: str
    seconds: float
    sample_rate: int
    seed: int
    vocoder: str
    sha256: str
    sidecar: str


def generate_sounds(
    model: Model, wish: Wish, folder: Path, device: torch.device, bigvgan_dir: str | None = None
) -> Iterator[NewSound]:
    """Make ready, then write the sounds one by one; each is yielded when its file is whole.

    The first is sampled alone, so that there is soon something to hear. A file that
    exists with other content is left alone and the new one gets a number.
    """
    request = Request(
        wish.sampling,
        wish.controls,
        None if wish.like is None else model.label(wish.like),
        wish.seconds,
        None if wish.prompt is None else prompt_mel(model, wish),
    )
    instrument = choose_vocoder.chosen_instrument(model, wish.vocoder, bigvgan_dir, device)
    if wish.vocoder != "auto":  # another may play than was asked for, and belongs to the recipe
        wish = dataclasses.replace(wish, vocoder=instrument.vocoder.name)
    ready_folder(folder)
    return _sounds(model, wish, request, instrument, folder)


def _sounds(
    model: Model, wish: Wish, request: Request, instrument: Instrument, folder: Path
) -> Iterator[NewSound]:
    seeds = [wish.seed + number for number in range(wish.count)]
    batches = [seeds[:1]] + [
        seeds[first : first + BATCH_SOUNDS] for first in range(1, len(seeds), BATCH_SOUNDS)
    ]
    digest, tape = sha256_of(model.path), FileTape(folder)
    for batch in batches:
        played = played_sounds(instrument, batch, request, wish.sample_rate, tape.emptied)
        for seed, sound in zip(batch, played, strict=True):
            yield _written(model, digest, wish, instrument, seed, sound, folder)


def prompt_mel(model: Model, wish: Wish) -> Tensor:
    """(F, M) log mel of the prompt, as loud as ingest would have made it.

    Raises:
        AudioError: it cannot be read, or leaves nothing to go on with.
    """
    assert wish.prompt is not None
    mel = model.config.mel
    if not Path(wish.prompt).exists():
        raise AudioError(f"--prompt {printable(wish.prompt)} does not exist; check the path")
    wave = decoded_wave(Path(wish.prompt), model.config.ingest) * np.float32(model.gain)
    if wish.seconds is not None and len(wave) / mel.sample_rate >= wish.seconds:
        raise AudioError(
            f"{printable(Path(wish.prompt).name)} is {len(wave) / mel.sample_rate:.2f} s long; "
            "ask for --seconds beyond that"
        )
    return log_mel(torch.from_numpy(wave)[None], mel)[0].T


def _written(
    model: Model,
    digest: str,
    wish: Wish,
    instrument: Instrument,
    seed: int,
    sound: Sound,
    folder: Path,
) -> NewSound:
    path = folder / f"{model.name}-{seed:06d}.{wish.container}"
    path, sha256 = placed(path, sound.blocks(), wish.sample_rate, wish.container, wish.bit_depth)
    sidecar = path.with_name(f"{path.name}.json")  # kit-000001.flac has another
    new = NewSound(
        path=str(path),
        seconds=len(sound) / wish.sample_rate,
        sample_rate=wish.sample_rate,
        seed=seed,
        vocoder=instrument.vocoder.name,
        sha256=sha256,
        sidecar=str(sidecar),
    )
    recipe: dict[str, Any] = {
        "format": "distill_sound",
        "file": path.name,
        "sha256": sha256,
        "seconds": new.seconds,
        "model": {"name": model.name, "sha256": digest},
        "wish": dataclasses.asdict(dataclasses.replace(wish, count=1, seed=seed)),
        "vocoder": new.vocoder,
        "versions": {"distill": version("distill"), "torch": torch.__version__},
    }
    if new.vocoder == "bigvgan":  # whose weights are not the model's
        recipe["bigvgan"] = choose_vocoder.kept.identity()
    if wish.prompt is not None:
        recipe["prompt_sha256"] = sha256_of(Path(wish.prompt))
    write_atomically(sidecar, json.dumps(recipe, indent=1, sort_keys=True).encode())
    return new


def fresh_seed() -> int:
    """Six digits, for who gives no seed."""
    return secrets.randbelow(1_000_000)


def generated(
    name: str,
    wish: Wish,
    out: str | None,
    device: str,
    store: str | None,
    bigvgan_dir: str | None = None,
) -> dict[str, Any]:
    """Find the model, write the sounds, and say what was made, in the contract's words."""
    began = time.monotonic()
    model = Model(Library.at(store).find(name))
    folder = Path(out) if out else Path.cwd() / f"{model.name}-sounds"
    sounds = []
    coming = generate_sounds(model, wish, folder, resolve_device(device), bigvgan_dir)
    with bar("generate", wish.count) as progress:
        for sound in coming:
            sounds.append(dataclasses.asdict(sound))
            progress.update(len(sounds), "sounds")
    give_back_memory()  # a flow's process may live on
    return {"sounds": sounds, "seconds": time.monotonic() - began}
