"""The one decorator: a pure function of refs and config becomes a cached, resumable step.

A step's key is a hash of its name, its version, the digests of the refs it is
given and every config value it is given. `Run` (where, how fast) stays out of it.
The store remembers key -> ref; Prefect's own cache mirrors that so that the
dashboard shows it. A remembered ref whose blobs are missing or altered is made
again, that step alone.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec

import torch

from artifacts.locks import locked
from artifacts.refs import Ref
from artifacts.store import Store, json_bytes
from core.device import resolve_device
from tasks.interrupt import stop_if_asked
from tasks.progress import say

P = ParamSpec("P")


@dataclass(frozen=True)
class Run:
    """Where a step runs and how fast: never part of what it makes."""

    folder: str  # the store's
    device_name: str = "auto"
    key: str = ""  # of the step under way

    @property
    def store(self) -> Store:
        return Store(Path(self.folder))

    @property
    def device(self) -> torch.device:
        return resolve_device(self.device_name)

    @property
    def checkpoints(self) -> Path:
        """Where the step under way keeps its checkpoints."""
        return Path(self.folder).absolute() / "checkpoints" / self.key


@dataclass(frozen=True)
class Made:
    """What a step gave, and what it took."""

    ref: Ref
    cached: bool
    seconds: float


class Step(Generic[P]):
    """A named, versioned function (Run, inputs...) -> Ref.

    Raise `version` whenever the same inputs would give something else than before.
    """

    def __init__(self, name: str, version: int, body: Callable[Concatenate[Run, P], Ref]):
        self.name, self.version, self.body = name, version, body
        self.__doc__ = body.__doc__

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Hex digest of everything that decides what the step makes."""
        parts = [self.name, self.version, [identity(one) for one in args]]
        parts.append({name: identity(one) for name, one in kwargs.items()})
        return hashlib.sha256(json_bytes(parts)).hexdigest()

    def direct(self, run: Run, *args: P.args, **kwargs: P.kwargs) -> Made:
        """Make or recall, without Prefect."""
        began = time.monotonic()
        key = self.key(*args, **kwargs)
        store = run.store
        known = store.recall(self.name, key)
        if known is not None:
            return Made(known, True, time.monotonic() - began)

        told = False

        def waiting() -> None:
            nonlocal told
            if not told:
                say(f"{self.name}: another process is making this; waiting for it")
            told = True
            stop_if_asked()

        with locked(store.folder / "locks" / f"{key}.lock", waiting):
            made = store.recall(self.name, key)
            waited_for = made is not None
            stop_if_asked()
            if made is None:
                made = self.body(dataclasses.replace(run, key=key), *args, **kwargs)
                store.remember(self.name, key, made)
                shutil.rmtree(dataclasses.replace(run, key=key).checkpoints, ignore_errors=True)
        return Made(made, waited_for, time.monotonic() - began)

    def __call__(self, run: Run, *args: P.args, **kwargs: P.kwargs) -> Made:
        """The same as a Prefect task of the flow under way."""
        from prefect import Task
        from prefect.cache_policies import CacheKeyFnPolicy

        began = time.monotonic()
        key = self.key(*args, **kwargs)
        known = run.store.recall(self.name, key)

        made: Made | None = None

        def as_task(step: str, key: str) -> dict[str, object]:  # noqa: ARG001
            nonlocal made
            made = self.direct(run, *args, **kwargs)
            return made.ref.to_json()

        prefect_task = Task(
            as_task,
            name=self.name,
            description=self.body.__doc__,
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _context, inputs: inputs["key"]),
            persist_result=True,
            result_serializer="json",
            result_storage=run.store.folder / "results",
            result_storage_key=f"{self.name}-{key}.json",
            refresh_cache=known is None,
        )
        prefect_task(self.name, key)
        # The store's word counts; Prefect's result is there for the dashboard.
        if made is not None:
            return made
        assert known is not None, "without a memo, Prefect's cache is not asked"
        return Made(known, True, time.monotonic() - began)


def step(name: str, version: int) -> Callable[[Callable[Concatenate[Run, P], Ref]], Step[P]]:
    """Decorate a body (Run, inputs...) -> Ref; see `Step`."""

    def decorate(body: Callable[Concatenate[Run, P], Ref]) -> Step[P]:
        return Step(name, version, body)

    return decorate


def identity(value: object) -> object:
    """What of an argument enters a key: digests of refs, all fields of configs, plain values."""
    match value:
        case Ref():
            return {"kind": value.kind, "digests": sorted(set(value.digests()))}
        case list() | tuple():
            return [identity(one) for one in value]
        case dict():
            return {str(name): identity(one) for name, one in value.items()}
        case str() | int() | float() | None:
            return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return identity(dataclasses.asdict(value))
    raise TypeError(f"a {type(value).__name__} cannot be part of a cache key")
