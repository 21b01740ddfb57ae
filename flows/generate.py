"""Generating as a Prefect flow: `generate`."""

from typing import Any, Literal, TypeVar

from prefect import flow

import flows  # noqa: F401  # first: a worker loads this file by its path
from artifacts.library import Library
from core.controls import Controls
from core.sampling import Sampling
from flows.runs import recorded
from tasks.generate import Wish, fresh_seed, generated

Number = TypeVar("Number", int, float)


def each(value: Number | list[Number]) -> tuple[Number, ...]:
    """One value for all levels, or one for each."""
    return tuple(value) if isinstance(value, list) else (value,)


@flow(name="generate")
def generate(
    model: str,
    count: int = 8,
    seconds: float | None = None,
    seed: int | None = None,
    creativity: float | list[float] = 1.0,
    focus: int | list[int] = 0,
    diversity: float | list[float] = 1.0,
    like: str | None = None,
    brightness: float | None = None,
    loudness: float | None = None,
    noisiness: float | None = None,
    attack: float | None = None,
    prompt: str | None = None,
    vocoder: str = "auto",
    bigvgan_dir: str | None = None,
    rate: int = 48_000,
    format: Literal["wav", "flac", "ogg", "mp3"] = "wav",
    out: str | None = None,
    device: str = "auto",
    store: str | None = None,
) -> dict[str, Any]:
    """New sounds from a model.

    Args:
        model: a `.distill` file or a library name.
        seconds: of each sound; empty lets every sound end by itself.
        creativity, focus, diversity: one value, or one for each level of codes.
        like: one of the model's labels, the folders its sounds lay in.
        brightness, loudness, noisiness, attack: 0 for the least of the model's sounds, 1 for
            the most; empty leaves it open.
        prompt: a sound file that every new sound goes on from.
        vocoder: auto is the one that won the model's A/B.
        bigvgan_dir: a folder with BigVGAN's files; empty fetches them once.
        seed: of the first sound, the next have those that follow; empty draws one.
        out: a folder; empty is MODEL-sounds in the working directory.
    """
    wish = Wish(
        count,
        seconds,
        fresh_seed() if seed is None else seed,
        Sampling(each(creativity), each(focus), each(diversity)),
        Controls(brightness, loudness, noisiness, attack),
        like,
        prompt,
        vocoder,
        rate,
        format,
    )
    kept = Library.at(store).store
    return recorded(kept, lambda: generated(model, wish, out, device, store, bigvgan_dir))
