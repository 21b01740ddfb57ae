"""Fuzzed `.distill` files: which damage one has, and every byte of it, follows from its seed.

The first kinds damage bytes, so that the file's own sums must tell. The others make
another file whose sums are right: only what it says is absurd.
"""

import bz2
import io
import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import torch
from fuzzed_manifests import changed_manifest, large_settings
from fuzzed_weights import absurd_header, changed_weights, large_codebooks
from fuzzed_zips import (
    MANIFEST,
    Kit,
    bomb,
    cut,
    flipped,
    lying_directory,
    other_entries,
    overlapping,
    rebuilt,
    spliced,
)

from artifacts.stored_zip import zip_bytes


def escape(kit: Kit, dice: random.Random) -> bytes:
    """An entry, the model or its vocoder named as a path that leads outside."""
    path = dice.choice((
        "../escaped", "../../escaped.wav", "previews/../../escaped.flac", "..\\escaped",
        f"{kit.outside}/escaped", f"{kit.outside}/escaped.flac", "C:\\escaped", "//host/escaped",
        "previews/./../escaped.flac", "~/escaped", "previews//escaped.flac", "%2e%2e/escaped",
        "‥/escaped", "../" * 40 + "tmp/escaped",
    ))  # fmt: skip
    match dice.randrange(4):
        case 0:
            return rebuilt(kit.manifest, {**kit.entries, path: b"escaped"})
        case 1:
            manifest = json.dumps(kit.manifest).encode()
            return zip_bytes([(MANIFEST, manifest), (path, b"escaped"), *kit.entries.items()])
        case 2:
            return rebuilt({**kit.manifest, "name": path}, kit.entries)
        case _:
            return rebuilt({**kit.manifest, "vocoder": path}, kit.entries)


class _Runs:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def pickled(kit: Kit, dice: random.Random) -> bytes:
    """A version 1 model that would run code: bare, saved by torch, or in a version 2."""
    model = {"format": "distill_model", "version": 1, "weights": _Runs(kit.outside / "ran")}
    if dice.random() < 0.3:
        del model["format"]
    bare = pickle.dumps(model, dice.randrange(pickle.HIGHEST_PROTOCOL + 1))
    match dice.randrange(5):
        case 0:
            return bare
        case 1:
            buffer = io.BytesIO()
            torch.save(model, buffer, _use_new_zipfile_serialization=dice.random() < 0.5)
            return buffer.getvalue()
        case 2:
            return rebuilt(kit.manifest, {**kit.entries, dice.choice(list(kit.entries)): bare})
        case 3:
            return rebuilt(kit.manifest, {**kit.entries, "data.pkl": bare, "kit/data.pkl": bare})
        case _:
            return bare[: dice.randrange(len(bare))] + kit.whole


def other_version(kit: Kit, dice: random.Random) -> bytes:
    version = dice.choice((0, 1, 3, 4, 10**30, -2, 2.0, 2.5, "2", "3", None, True, [2], {"2": 2}))
    more = {**kit.entries, "codec.bin": b"x"} if dice.random() < 0.5 else kit.entries
    return rebuilt({**kit.manifest, "version": version, "needs": ["codec-v3"]}, more)


def foreign(kit: Kit, dice: random.Random) -> bytes:
    """Another file under the name."""
    return dice.choice((
        b"", b"P", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18,
        kit.entries["previews/1.flac"], kit.entries["prior.safetensors"], bytes(10_000),
        dice.randbytes(dice.randrange(5000)), bz2.compress(kit.whole[:5000]), b"\x1f\x8b\x08",
        json.dumps(kit.manifest).encode(), b"PK\x03\x04" + dice.randbytes(2000) + kit.whole[-22:],
    ))  # fmt: skip


def absurd_safetensors(kit: Kit, dice: random.Random) -> bytes:
    name = dice.choice([name for name in kit.entries if name.endswith(".safetensors")])
    return rebuilt(kit.manifest, {**kit.entries, name: absurd_header(kit.entries[name], dice)})


def other_weights(kit: Kit, dice: random.Random) -> bytes:
    return rebuilt(kit.manifest, changed_weights(kit.entries, dice))


def other_manifest(kit: Kit, dice: random.Random) -> bytes:
    return zip_bytes([(MANIFEST, changed_manifest(kit.manifest, dice)), *kit.entries.items()])


def large_model(kit: Kit, dice: random.Random) -> bytes:
    """A few kilobytes whose settings, each of them allowed, ask for terabytes of weights."""
    make = dice.choice((changed_weights, large_codebooks, lambda entries, _: entries))
    return rebuilt(large_settings(kit.manifest, dice), make(kit.entries, dice))


Damage = Callable[[Kit, random.Random], bytes]
BYTES: tuple[Damage, ...] = (flipped, cut, spliced, lying_directory)
CONTENT: tuple[Damage, ...] = (
    other_entries, bomb, overlapping, escape, pickled, other_version, foreign,
    *3 * (absurd_safetensors, other_weights, other_manifest), other_manifest, large_model,
)  # fmt: skip
KINDS = 2 * BYTES + CONTENT


def fuzzed(kit: Kit, seed: int) -> tuple[Damage, bytes]:
    """The kind of damage, and the file."""
    kind = KINDS[seed % len(KINDS)]
    return kind, kind(kit, random.Random(seed))
