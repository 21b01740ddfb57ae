"""Generating as a Prefect flow: `generate`."""

from typing import Any, Literal

from prefect import flow

import flows  # noqa: F401  # first: a worker loads this file by its path
from artifacts.library import Library
from core.sampling import Sampling
from flows.runs import recorded
from tasks.generate import Wish, fresh_seed, generated


@flow(name="generate")
def generate(
    model: str,
    count: int = 8,
    seconds: float | None = None,
    seed: int | None = None,
    creativity: float = 1.0,
    focus: int = 0,
    diversity: float = 1.0,
    vocoder: str = "auto",
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
        seed: of the first sound, the next have those that follow; empty draws one.
        out: a folder; empty is MODEL-sounds in the working directory.
    """
    wish = Wish(
        count,
        seconds,
        fresh_seed() if seed is None else seed,
        Sampling(creativity, focus, diversity),
        vocoder,
        rate,
        format,
    )
    kept = Library.at(store).store
    return recorded(kept, lambda: generated(model, wish, out, device, store))
