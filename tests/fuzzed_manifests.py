"""Manifests that say absurd things in valid, or nearly valid, JSON."""

import copy
import json
import random
from typing import Any

from fuzzing import drawn
from hypothesis import strategies as st

NUMBERS = (
    -1, 0, 1, 2, 3, 64, 4096, 4097, 10**9, 2**31, 2**53, 2**63, 2**64, 10**100, 10**400, 10**4200,
    -0.0, 0.5, 1e-320, 1e300, 1e308, -1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\n", "\x1b[2J", "\u2028", "\ud800", "\u202e", "../x", "/etc/passwd",
    "a" * 70_000, "griffinlim", "freev", "hifigan", "bigvgan", "tiny", "NaN", "1e999", "9" * 4000,
    "9" * 5000, "<script>", "{0.__class__}", "%s%n", "None", "true",
)  # fmt: skip
KEYS = ("passed", "value", "limit", "text", "name", "bytes", "sha256", "hidden", "__class__")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(NUMBERS)
    | st.sampled_from(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=15,
)
actions = st.sampled_from(("set", "set", "set", "drop", "add", "wrap", "scale"))
changes = st.lists(st.tuples(st.integers(0, 2**16), actions, values), min_size=1, max_size=4)


def changed_manifest(manifest: dict[str, Any], dice: random.Random) -> bytes:
    """Another manifest: changed here and there, any JSON at all, or damaged JSON."""
    match dice.randrange(10):
        case 0:
            return json.dumps(drawn(values, dice)).encode()
        case 1:
            return _damaged(json.dumps(manifest, indent=1), dice)
        case _:
            return json.dumps(_changed(manifest, drawn(changes, dice))).encode()


def _changed(manifest: dict[str, Any], wishes: list[tuple[int, str, Any]]) -> dict[str, Any]:
    new = copy.deepcopy(manifest)
    for number, action, value in wishes:
        known = _places(new)
        if not known:
            return new
        *way, last = known[number % len(known)]
        holder: Any = new
        for key in way:
            holder = holder[key]
        match action:
            case "set":
                holder[last] = value
            case "drop":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[f"{last}s"] = value
            case "wrap":
                holder[last] = [holder[last]] if number % 2 else {str(last): holder[last]}
            case "scale" if isinstance(holder[last], int | float):
                holder[last] *= (-1, 0, 2, 10, 1000, 1e-9)[number % 6]
    return new


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a JSON tree but the root."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = [(*path, key) for key, _ in items]
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


def _damaged(text: str, dice: random.Random) -> bytes:
    """JSON with bytes changed, keys doubled, values nested deep or numbers made long."""
    raw, value_at = bytearray(text.encode()), text.index(": ", dice.randrange(len(text) // 2)) + 2
    deep = dice.choice((10, 30, 33, 500, 20_000, 400_000))
    match dice.randrange(6):
        case 0:
            for _ in range(dice.choice((1, 3, 20))):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        case 1:
            raw[value_at:value_at] = b"[" * deep
        case 2:
            nest = dice.choice((b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep))
            raw[value_at:value_at] = nest + b', "more": '
        case 3:
            raw[1:1] = b'"format": "distill_model", "version": 2,'
        case 4:
            digits = b"9" * dice.choice((300, 4000, 4400, 900_000))
            number = dice.choice((digits, b"-0." + digits, b"1e" + digits))
            raw[value_at:value_at] = number + b', "more": '
        case _:
            before = (b"\xef\xbb\xbf", b"\xff\xfe", b"/**/", b"\0", b" " * 990_000)
            raw[:0] = dice.choice(before)
    return bytes(raw)


WIDTHS = (
    "rvqvae.hidden", "prior.hidden", "freev.channels", "freev.hidden", "hifigan.channels",
    "rvqvae.latent_dim", "rvqvae.stack_frames", "rvqvae.vae_dim", "texture.hidden",
)  # fmt: skip


def large_settings(manifest: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Settings that are allowed (or nearly) one by one, and together ask for terabytes."""
    new = copy.deepcopy(manifest)
    config = new["config"]
    for name in dice.sample(WIDTHS, dice.randrange(1, len(WIDTHS))):
        section, field = name.split(".")
        usual = config[section][field]
        config[section][field] = dice.choice((1, 2, 256, 4096, 4096, 4097, usual, usual))
    deep = ("rvqvae", "freev", "texture")
    for section in dice.sample(deep, dice.randrange(len(deep) + 1)):
        config[section]["blocks"] = dice.choice((1, 64, 64, 65, 4096))
    hifigan = config["hifigan"]
    if dice.random() < 0.4:
        count = dice.choice((1, 16, 16, 17, 20_000))
        hifigan["resblock_kernels"] = [dice.choice((1, 3, 4095))] * count
        hifigan["resblock_dilations"] = [[1] * dice.choice((0, 1, 16))] * count
    if dice.random() < 0.3:
        ones = dice.choice((1, 3, 11, 20_000))
        hifigan["upsample_rates"] = [512] + [1] * ones
        hifigan["upsample_kernels"] = [512] + [dice.choice((1, 3, 4095))] * ones
        hifigan["channels"] = 4096
    if dice.random() < 0.2:
        config["texture"]["sampling_steps"] = dice.choice((1, 3, 4096, 4097, 10**9))
    if dice.random() < 0.2:
        new["sizes"]["longest_code_frames"] = dice.choice((1, 1300, 1301, 10**9))
    if dice.random() < 0.2:
        new["sizes"]["natural_temperature"] = dice.choice((0, 0.7, 3.1, 1e300, "warm"))
    if dice.random() < 0.2:
        new["labels"] = ["kick"] * dice.choice((0, 1, 64, 10_000))
    if dice.random() < 0.2:
        new["train"]["gain"] = dice.choice((0, 1e-300, 1, 1e300, 10**400))
    new["vocoder"] = dice.choice(("griffinlim", "freev", "hifigan"))
    return new
