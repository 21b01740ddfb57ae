"""Fresh sounds from the library's models on a schedule: `regenerate`."""

import datetime
from pathlib import Path
from typing import Any

from prefect import flow

import flows  # noqa: F401  # first: a worker loads this file by its path
from artifacts.library import Library
from core.errors import ConfigError, DistillError
from core.sampling import Sampling
from flows.runs import recorded
from tasks.generate import Wish, generated
from tasks.progress import say

SEEDS_A_DAY = 1000


@flow(name="regenerate")
def regenerate(
    models: list[str] | None = None,
    count: int = 8,
    creativity: float = 1.0,
    out: str | None = None,
    device: str = "auto",
    store: str | None = None,
) -> dict[str, Any]:
    """A day's batch of new sounds from each model.

    The seed follows from the date, so every day brings other sounds, and the same
    day's batch again brings the same ones.

    Args:
        count: of each model, at most 1000 a day.
        models: library names; empty is every model in the library.
        out: a folder; each model and day get their own below it. Empty is `generated`
            in the store.
    """
    if not 1 <= count <= SEEDS_A_DAY:
        raise ConfigError(f"{count} sounds a day cannot be made; ask for 1 to {SEEDS_A_DAY}")
    library = Library.at(store)
    return recorded(
        library.store, lambda: regenerated(library, models, count, creativity, out, device)
    )


def regenerated(
    library: Library,
    models: list[str] | None,
    count: int,
    creativity: float,
    out: str | None,
    device: str,
) -> dict[str, Any]:
    """Today's new sounds of each model, by its name.

    Raises:
        DistillError: some could not be made; the others were.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    folder = Path(out) if out else library.store.folder / "generated"
    wish = Wish(count=count, seed=today.toordinal() * SEEDS_A_DAY, sampling=Sampling((creativity,)))
    made: dict[str, Any] = {}
    failed: list[str] = []
    for name in models or library.names():
        into = folder / name / today.isoformat()
        try:
            made[name] = generated(name, wish, str(into), device, str(library.store.folder))[
                "sounds"
            ]
        except DistillError as error:  # the others still get theirs
            failed.append(f"{name}: {error}")
            continue
        say(f"regenerate: {len(made[name])} sounds of {name} in {into}")
    if failed:
        raise DistillError("; ".join(failed))
    return made
