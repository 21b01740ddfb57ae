"""card.md: the model in Markdown. It says nothing that changes between equal builds."""

import re

from artifacts.manifest import Manifest, number_at, table_at, text_at
from artifacts.verdict import (
    Row,
    gates,
    level_health,
    memory_rows,
    minutes,
    origin,
    plain,
    prior_rows,
    realism_rows,
    reconstruction_rows,
    verdict,
    vocoder_table,
    vocoder_title,
)

_COLOURS = {"green": "passed", "yellow": "passed narrowly", "red": "FAILED"}


def card(manifest: Manifest) -> str:
    """The model card of a manifest, ending in a newline; names in it cannot break the Markdown."""
    sections = [
        _opening(manifest),
        _usage(manifest),
        _section("Checks", _gate_lines(manifest)),
        _section("Sizes", _listed(table_at(manifest, "sizes"))),
        _section("Codebooks", _health(manifest)),
        _section("Reconstruction", _rows(reconstruction_rows(manifest))),
        _section("Prior", _rows(prior_rows(manifest))),
        _section("New sounds beside real ones", _rows(realism_rows(manifest))),
        _section("Sounds added to an earlier model", _memory(manifest)),
        _section("Vocoders", _vocoders(manifest)),
        _section("Licences", _listed(table_at(manifest, "licences"))),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _opening(manifest: Manifest) -> str:
    files = number_at(manifest, "train", "files")
    sounds = "an unknown number of sounds" if files is None else f"{files:.0f} sounds"
    length = minutes(number_at(manifest, "train", "seconds_of_audio"))
    made = f"preset {_text(manifest, 'preset')}, seed {_text(manifest, 'seed')}"
    return (
        f"# {_text(manifest, 'name')}\n\n"
        f"A Distill model: it makes new sounds of the kind it was made from, {sounds} "
        f"({length} of audio). Built with {made}, Distill {_text(manifest, 'distill_version')}.\n\n"
        f"**{_escaped(verdict(manifest))}**"
    )


def _usage(manifest: Manifest) -> str:
    rate = text_at(manifest, "mel", "sample_rate")
    best = vocoder_title(text_at(manifest, "vocoder"))
    return (
        "## Use\n\n"
        "    distill generate FILE.distill -n 8     # eight new sounds\n"
        "    distill inspect FILE.distill           # this card in full\n"
        "    distill verify FILE.distill            # is every byte as it was written?\n\n"
        f"It works at {_escaped(rate) or '?'} Hz; files are 48000 Hz unless `--rate` says "
        "otherwise. "
        f"The vocoder that did best on held-out sounds is {_escaped(best) or 'unknown'}."
    )


def _gate_lines(manifest: Manifest) -> str:
    lines = []
    for gate in gates(manifest):
        name = _escaped(gate.name.replace("_", " "))
        measured = f"{plain(gate.value)}, limit {plain(gate.limit)}"
        text = f": {_escaped(gate.text)}" if gate.text else ""
        lines.append(f"- **{name}** {_COLOURS[gate.colour]} ({measured}){text}")
    return "\n".join(lines)


def _health(manifest: Manifest) -> str:
    levels = level_health(manifest)
    if not levels:
        return ""
    lines = ["| level | codes in use | perplexity |", "|---:|---:|---:|"]
    for level, (used, perplexity) in enumerate(levels, start=1):
        share = plain(None) if used is None else f"{used:.0%}"
        lines.append(f"| {level} | {share} | {plain(perplexity)} |")
    return (
        "\n".join(lines) + "\n\n"
        "Perplexity is how many codes are in use as if all were equally frequent; "
        "it cannot exceed the codebook size."
    )


def _vocoders(manifest: Manifest) -> str:
    columns, rows = vocoder_table(manifest)
    if not rows:
        return ""
    heads = [_escaped(column.replace("_", " ")) for column in columns]
    lines = [f"| {' | '.join(['vocoder', *heads])} |", "|---" + "|---:" * len(heads) + "|"]
    for name, numbers in rows:
        cells = [_escaped(vocoder_title(name)), *(plain(number) for number in numbers)]
        lines.append(f"| {' | '.join(cells)} |")
    return (
        "\n".join(lines) + "\n\n"
        "Measured on held-out sounds; lower is better for log mel l1 and mr stft, "
        "and mr stft is the fairer to Griffin-Lim's rivals."
    )


def _memory(manifest: Manifest) -> str:
    lines = [f"- {_escaped(line)}" for line in origin(manifest)]
    return "\n".join([*lines, *filter(None, [_rows(memory_rows(manifest))])])


def _rows(rows: list[Row]) -> str:
    return "\n".join(f"- {row.label}: {row.value}. {row.meaning}" for row in rows)


def _listed(table: dict[str, object]) -> str:
    return "\n".join(
        f"- {_escaped(key.replace('_', ' '))}: {_escaped(str(value))}"
        for key, value in sorted(table.items())
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _text(manifest: Manifest, key: str) -> str:
    return _escaped(text_at(manifest, key)) or "unknown"


def _escaped(text: str) -> str:
    """`text` on one line, with nothing left that Markdown or HTML would act on."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!])", r"\\\1", " ".join(text.split()))
