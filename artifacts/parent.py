"""The model that a build goes on from, unpacked into the store.

Its weights become blobs and the rest a small record, so that steps depend on a ref like
any other: the build hangs on the bytes of the file, wherever it lies.
"""

import dataclasses
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from artifacts.manifest import Manifest, names_at, number_at, table_at
from artifacts.model import Model
from artifacts.package import read_manifest
from artifacts.refs import Ref
from artifacts.store import Store, sha256_of
from artifacts.weights import load_weights
from core.config import BuildConfig, MelConfig
from core.errors import PackageError
from core.presets import from_json
from core.split import KNOWN_DIGITS, Heard

KNOWN = re.compile(f"[0-9a-f]{{{KNOWN_DIGITS}}}")


def unpacked(store: Store, path: Path) -> Ref:
    """Put the model at `path` into the store: its weights as parts `rvqvae`, `vocoder-freev`...

    Raises:
        PackageError: it is no whole model, of another mel contract, or does not say which
            sounds it was made from.
    """
    manifest = read_manifest(path)
    if table_at(manifest, "mel") != dataclasses.asdict(MelConfig()):
        raise PackageError(
            f"{path.name} has another mel contract than this Distill's; "
            "build without --from, or from a model of this Distill"
        )
    heard = heard_by(manifest)
    if not heard.trained:
        raise PackageError(
            f"{path.name} does not say which sounds it has heard, as models of older Distills; "
            "build it again, then go on from that"
        )
    model = Model(path)
    for vocoder in model.vocoders:
        model.instrument(vocoder, torch.device("cpu"))  # whatever does not fit is refused here
    record = {
        "name": model.name,
        "sha256": sha256_of(path),
        "config": dataclasses.asdict(model.config),
        "labels": model.labels,
        "gain": model.gain,
        "nats": number_at(manifest, "metrics", "prior", "nats_per_frame"),
        "heard": heard.to_json(),
    }
    weights = [name for name in model.package.names() if name.endswith(".safetensors")]
    parts = {
        name.removesuffix(".safetensors"): store.put_bytes(model.package.bytes(name))
        for name in weights
    }
    return Ref("parent", store.put_json("parent", record).digest, parts)


def heard_by(manifest: Manifest) -> Heard:
    """The sounds that a manifest names; none when it names none."""
    trained, held_out = (
        frozenset(filter(KNOWN.fullmatch, names_at(manifest, "train", "heard", role)))
        for role in ("trained", "held_out")
    )
    tails = number_at(manifest, "train", "heard", "tail_fraction") or 0.0
    return Heard(trained, held_out, tails if 0 < tails < 1 else 0.0)


@dataclass(frozen=True)
class Parent:
    """A model to go on from, read back."""

    store: Store
    ref: Ref

    @cached_property
    def record(self) -> dict[str, Any]:
        record = self.store.read_json(self.ref.digest)
        assert isinstance(record, dict)
        return record

    @cached_property
    def config(self) -> BuildConfig:
        return from_json(self.record["config"])

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def gain(self) -> float:
        return float(self.record["gain"])

    @property
    def labels(self) -> list[str]:
        return list(self.record["labels"])

    @property
    def heard(self) -> Heard:
        heard = self.record["heard"]
        return Heard(
            frozenset(heard["trained"]), frozenset(heard["held_out"]), heard["tail_fraction"]
        )

    def weights(self, model: str) -> dict[str, Tensor]:
        """Of one of its models; empty when it has none of that name."""
        digest = self.ref.parts.get(model)
        return {} if digest is None else load_weights(self.store, digest)
