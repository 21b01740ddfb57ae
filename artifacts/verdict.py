"""What a manifest's numbers mean, in plain words; the card and the report both say it so."""

from dataclasses import dataclass
from typing import Literal

from artifacts.manifest import Manifest, number_at, numbers_at, table_at, text_at, value_at

Colour = Literal["green", "yellow", "red"]

_NARROW = 0.1  # a gate passed within this share of its limit is yellow
_DECIBELS_PER_NAT = 8.686  # 20 log10(e): log mels are natural logs of magnitude
_VOCODERS = {
    "griffinlim": "Griffin-Lim",
    "freev": "FreeV",
    "hifigan": "HiFi-GAN",
    "bigvgan": "BigVGAN-v2",
}


@dataclass(frozen=True)
class Gate:
    name: str
    colour: Colour
    value: float | None
    limit: float | None
    text: str  # what it means and what to do


@dataclass(frozen=True)
class Row:
    label: str
    value: str
    meaning: str


def gates(manifest: Manifest) -> list[Gate]:
    """Every gate, the failed ones first, then the narrow ones."""
    found = [_gate(name, manifest) for name in table_at(manifest, "gates")]
    return sorted(found, key=lambda g: (("red", "yellow", "green").index(g.colour), g.name))


def overall(manifest: Manifest) -> Colour:
    """The worst colour of all gates; yellow when there are none."""
    found = gates(manifest)
    return found[0].colour if found else "yellow"


def verdict(manifest: Manifest) -> str:
    """The model in one sentence.

    >>> verdict({"gates": {"prior": {"value": 9.0, "limit": 16.0, "passed": True}}})
    'Good to use: it passed its one check.'
    """
    found = gates(manifest)
    failed = [gate.name for gate in found if gate.colour == "red"]
    narrow = [gate.name for gate in found if gate.colour == "yellow"]
    if not found:
        return "Unjudged: this model carries no checks, so trust only your ears."
    if failed:
        return f"Not ready: {len(failed)} of {_checks(len(found))} failed ({_listed(failed)})."
    if narrow:
        return f"Usable with care: every check passed, but {_listed(narrow)} only narrowly."
    passed = "its one check" if len(found) == 1 else f"all {_checks(len(found))}"
    return f"Good to use: it passed {passed}."


def reconstruction_rows(manifest: Manifest) -> list[Row]:
    """How faithfully held-out sounds pass through the codes."""
    codes = number_at(manifest, "metrics", "reconstruction", "log_mel_l1")
    yardstick = number_at(manifest, "metrics", "reconstruction", "vae_log_mel_l1")
    rows = []
    if codes is not None:
        decibels = f"{codes * _DECIBELS_PER_NAT:.1f} dB"
        meaning = (
            f"Held-out sounds come back {decibels} off in the mean, per mel band. Lower is better."
        )
        rows.append(Row("Through the codes (log-mel L1)", f"{codes:.3f}", meaning))
    if yardstick is not None:
        meaning = "The same for a continuous VAE; the codes should be no worse."
        rows.append(Row("Yardstick without codes", f"{yardstick:.3f}", meaning))
    return rows


def prior_rows(manifest: Manifest) -> list[Row]:
    """What the model has learnt of how sounds unfold, and whether it copies."""
    rows = []
    for key, label, form, meaning in (
        ("nats_per_frame", "Surprise (nats a frame)", "{:.2f}",
         "How unexpected held-out sounds are to the model. Lower is better."),
        ("unigram_nats_per_frame", "Surprise of plain counting", "{:.2f}",
         "The same when codes are only counted; the model should be well below."),
        ("overlap_8gram", "Copied passages", "{:.1%}",
         "Generated runs of 8 codes that occur in the training sounds."),
        ("overlap_8gram_real", "Copied passages, real sounds", "{:.1%}",
         "The same for held-out real sounds: what is natural for this set."),
    ):  # fmt: skip
        number = number_at(manifest, "metrics", "prior", key)
        if number is not None:
            rows.append(Row(label, form.format(number), meaning))
    return rows


def realism_rows(manifest: Manifest) -> list[Row]:
    """How new sounds compare with held-out real ones, both against the training sounds."""
    rows = []
    for key, label, meaning in (
        ("frechet", "Frechet distance",
         "How otherwise they are spread than the training sounds, in frames and their changes. "
         "Lower is nearer."),
        ("density", "Density", "How deep they lie among the training sounds; about 1 is typical."),
        ("coverage", "Coverage", "Share of what the training sounds are that they reach."),
        ("nearest", "Nearest training sound",
         "How far the nearest one is, in the median. Near 0 is a copy."),
    ):  # fmt: skip
        new = number_at(manifest, "metrics", "realism", key)
        real = number_at(manifest, "metrics", "realism", f"{key}_real")
        if new is not None and real is not None:
            rows.append(Row(f"{label}, new / real", f"{plain(new)} / {plain(real)}", meaning))
    delta = number_at(manifest, "metrics", "realism", "frame_delta_ratio")
    if delta is not None:
        meaning = "Change from frame to frame beside that of the training sounds; 1 is alike."
        rows.append(Row("Restlessness", f"{delta:.2f}", meaning))
    return rows


def memory_rows(manifest: Manifest) -> list[Row]:
    """What a model that goes on from another kept of the old sounds, and knows of the new."""
    rows = []
    for group, which in (
        ("old", "that the model before held out too"),
        ("new", "that it did not know"),
    ):
        sounds = number_at(manifest, "metrics", "memory", group, "sounds")
        for key, label, meaning in (
            ("log_mel_l1", "through the codes (log-mel L1)", "Held out: {} {}."),
            ("nats_per_frame", "surprise (nats a frame)",
             "Held out: {} {}; each model in its own codes."),
        ):  # fmt: skip
            before = number_at(manifest, "metrics", "memory", group, f"{key}_before")
            now = number_at(manifest, "metrics", "memory", group, key)
            if sounds and before is not None and now is not None:
                said = meaning.format(f"{sounds:.0f}", which)
                value = f"{plain(before)} / {plain(now)}"
                rows.append(Row(f"{group.capitalize()} sounds {label}, before / now", value, said))
    return rows


def origin(manifest: Manifest) -> list[str]:
    """Which model this one goes on from, and what of it began anew; empty without one.

    >>> origin({"parent": {"name": "kit", "sha256": "0f" * 32, "begun_anew": {"prior": "why"}}})
    ['goes on from kit (0f0f0f0f0f0f)', 'prior began anew: why']
    """
    name, digest = text_at(manifest, "parent", "name"), text_at(manifest, "parent", "sha256")
    if not name:
        return []
    anew = table_at(manifest, "parent", "begun_anew")
    return [
        f"goes on from {name} ({digest[:12]})",
        *[f"{model} began anew: {why}" for model, why in sorted(anew.items())],
    ]


def level_nats(manifest: Manifest) -> list[tuple[float | None, ...]]:
    """Held-out, training, pair-counting and counting nats of each level, the coarsest first."""
    found = [
        numbers_at(manifest, "metrics", "prior", "per_level", key)
        for key in ("nats", "train_nats", "bigram_nats", "unigram_nats")
    ]
    count = max(len(one) for one in found)
    return [
        tuple(one[level] if level < len(one) else None for one in found) for level in range(count)
    ]


def vocoder_table(manifest: Manifest) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """The distances' names, then each vocoder's name and its distances."""
    vocoders = table_at(manifest, "metrics", "vocoders")
    known = ("log_mel_l1", "mr_stft", "true_mel_log_mel_l1", "true_mel_mr_stft")
    columns = [
        key for key in known if any(number_at(vocoders, name, key) is not None for name in vocoders)
    ]
    rows = [(name, [number_at(vocoders, name, column) for column in columns]) for name in vocoders]
    return columns, sorted(rows)


def level_health(manifest: Manifest) -> list[tuple[float | None, float | None]]:
    """(utilisation 0..1, perplexity) of each residual level, the coarsest first."""
    used = numbers_at(manifest, "health", "utilisation")
    perplexity = numbers_at(manifest, "health", "perplexity")
    return [
        (used[i] if i < len(used) else None, perplexity[i] if i < len(perplexity) else None)
        for i in range(max(len(used), len(perplexity)))
    ]


def vocoder_title(name: str) -> str:
    """A vocoder's name as people write it."""
    return _VOCODERS.get(name, name)


def minutes(seconds: float | None) -> str:
    """A length of audio for people.

    >>> minutes(42.0), minutes(754.0)
    ('42 s', '12 min 34 s')
    """
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def plain(value: float | None) -> str:
    """Four significant digits, or a dash.

    >>> plain(0.10912), plain(24000.0), plain(None)
    ('0.1091', '24000', '–')
    """
    if value is None:
        return "–"  # noqa: RUF001
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _gate(name: str, manifest: Manifest) -> Gate:
    value = number_at(manifest, "gates", name, "value")
    limit = number_at(manifest, "gates", name, "limit")
    colour: Colour = "red"
    if value_at(manifest, "gates", name, "passed") is True:
        narrow = value is not None and limit and abs(value - limit) <= _NARROW * abs(limit)
        colour = "yellow" if narrow else "green"
    return Gate(name, colour, value, limit, text_at(manifest, "gates", name, "text"))


def _checks(count: int) -> str:
    return "1 check" if count == 1 else f"{count} checks"


def _listed(names: list[str]) -> str:
    words = [name.replace("_", " ") for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
