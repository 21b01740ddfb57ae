"""manifest.json: written strictly, read warily, looked up with types.

A manifest comes from anyone's file, so a lookup never trusts its shape: what is
absent or of another type is None, "" or empty. Errors continue "FILE ...".
"""

import json
import math
from collections.abc import Mapping
from typing import NoReturn

from core.errors import PackageError

MOST_MANIFEST_BYTES = 1_000_000
DEEPEST = 32  # levels of nesting

Manifest = Mapping[str, object]


def encode_manifest(manifest: Manifest) -> bytes:
    """Sorted keys, one space of indent, UTF-8: equal manifests give equal bytes."""
    try:
        text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        raw = text.encode()
    except ValueError as error:  # NaN, infinity, half a surrogate pair
        raise PackageError(
            f"cannot hold this manifest ({error}); numbers must be finite and text valid Unicode"
        ) from error
    decode_manifest(raw)  # nothing is written that could not be read
    return raw


def decode_manifest(raw: bytes) -> dict[str, object]:
    """The manifest in `raw`, after checking its size, its depth and its JSON."""
    if len(raw) > MOST_MANIFEST_BYTES:
        raise PackageError(
            f"has a manifest of {len(raw)} bytes, at most {MOST_MANIFEST_BYTES} are allowed; "
            "it is no Distill model"
        )
    try:
        manifest = json.loads(
            raw.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
        too_deep = _depth(manifest) > DEEPEST
        # Whole characters, and no number too large to be one?
        json.dumps(None if too_deep else manifest, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise PackageError(
            f"has a manifest that is not valid JSON ({str(error)!a}); download it again"
        ) from error
    except RecursionError:
        too_deep = True
    if too_deep:
        raise PackageError(
            f"has a manifest nested deeper than {DEEPEST} levels; it is no Distill model"
        )
    if not isinstance(manifest, dict):
        raise PackageError("has a manifest that is no JSON object; it is no Distill model")
    return manifest


def value_at(manifest: Manifest, *keys: str) -> object | None:
    """manifest[key][key]..., or None where that leads nowhere.

    >>> value_at({"prior": {"nats": 9.1}}, "prior", "nats")
    9.1
    """
    value: object = manifest
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def number_at(manifest: Manifest, *keys: str) -> float | None:
    """The finite number there, or None."""
    return _number(value_at(manifest, *keys))


def numbers_at(manifest: Manifest, *keys: str) -> list[float]:
    """The numbers of the list there; empty when there is none."""
    value = value_at(manifest, *keys)
    found = [_number(item) for item in value] if isinstance(value, list | tuple) else []
    return [item for item in found if item is not None]


def names_at(manifest: Manifest, *keys: str) -> list[str]:
    """The texts of the list there; empty when there is none."""
    value = value_at(manifest, *keys)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text_at(manifest: Manifest, *keys: str) -> str:
    """The text or number there as text, "" when there is none."""
    value = value_at(manifest, *keys)
    return str(value) if isinstance(value, str | int | float) else ""


def table_at(manifest: Manifest, *keys: str) -> dict[str, object]:
    """The object there; empty when there is none."""
    value = value_at(manifest, *keys)
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _depth(value: object) -> int:
    depth, layer = 0, [value]
    while layer:
        depth += 1
        layer = [child for parent in layer for child in _children(parent)]
    return depth


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
