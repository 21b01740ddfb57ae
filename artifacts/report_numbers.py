"""The report's gates and tables, as HTML fragments."""

from collections.abc import Sequence
from html import escape

from artifacts.manifest import Manifest
from artifacts.verdict import (
    Gate,
    Row,
    gates,
    level_health,
    level_nats,
    memory_rows,
    plain,
    prior_rows,
    realism_rows,
    reconstruction_rows,
)

_BADGES = {"green": "passed", "yellow": "narrowly", "red": "failed"}


def gate_section(manifest: Manifest) -> str:
    """Every check with its colour, the failed ones first."""
    found = gates(manifest)
    if not found:
        return ""
    return (
        '<section><h2>Checks</h2><p class="lead">Green: as good as it should be. Yellow: passed, '
        "but by less than a tenth of the limit; listen before you trust it. Red: failed; do what "
        "the line says.</p>"
        f'<ul class="sheet gates">{"".join(_gate(gate) for gate in found)}</ul></section>'
    )


def number_section(manifest: Manifest) -> str:
    """Reconstruction, prior and codebooks, each as a table."""
    sheets = [
        _sheet("Reconstruction", _rows(reconstruction_rows(manifest))),
        _sheet("Prior", _rows(prior_rows(manifest))),
        _sheet("New sounds beside real ones", _rows(realism_rows(manifest))),
        _sheet("Sounds added to an earlier model", _rows(memory_rows(manifest))),
        _sheet("Codebooks, level by level", _health(level_health(manifest))),
        _sheet("Surprise, level by level (nats)", _nats(level_nats(manifest))),
    ]
    if not any(sheets):
        return ""
    return (
        '<section><h2>Numbers</h2><p class="lead">Distances and surprise are measured on '
        "sounds that were kept out of training.</p>"
        f'<div class="columns">{"".join(sheets)}</div></section>'
    )


def _gate(gate: Gate) -> str:
    text = f'<span class="text">{escape(gate.text)}</span>' if gate.text else ""
    return (
        f'<li class="{gate.colour}"><span class="badge">{_BADGES[gate.colour]}</span>'
        f"<div><strong>{escape(gate.name.replace('_', ' '))}</strong>{text}</div>"
        f'<span class="num">{plain(gate.value)} '
        f'<span class="quiet">limit {plain(gate.limit)}</span></span></li>'
    )


def _sheet(title: str, table: str) -> str:
    return (
        f'<div class="sheet"><h3>{title}</h3><div class="scroll">{table}</div></div>'
        if table
        else ""
    )


def _rows(rows: Sequence[Row]) -> str:
    body = "".join(
        f"<tr><td>{escape(row.label)}<small>{escape(row.meaning)}</small></td>"
        f'<td class="num">{escape(row.value)}</td></tr>'
        for row in rows
    )
    return f"<table>{body}</table>" if rows else ""


def _health(levels: Sequence[tuple[float | None, float | None]]) -> str:
    if not levels:
        return ""
    body = []
    for level, (used, perplexity) in enumerate(levels, start=1):
        share = min(max(used or 0.0, 0.0), 1.0)
        bar = f'<span class="bar"><i style="width: {share:.0%}"></i></span>'
        percent = plain(None) if used is None else f"{used:.0%}"
        body.append(
            f'<tr><td class="num">{level}</td><td>{bar}</td><td class="num">{percent}</td>'
            f'<td class="num">{plain(perplexity)}</td></tr>'
        )
    head = (
        '<tr><th class="num">level</th><th>codes in use</th><th></th>'
        '<th class="num">perplexity</th></tr>'
    )
    return f"<table>{head}{''.join(body)}</table>"


def _nats(levels: Sequence[tuple[float | None, ...]]) -> str:
    if not levels:
        return ""
    heads = ("level", "held-out", "training", "counting pairs", "counting")
    head = "".join(f'<th class="num">{one}</th>' for one in heads)
    body = []
    for level, nats in enumerate(levels, start=1):
        cells = "".join(f'<td class="num">{plain(one)}</td>' for one in nats)
        body.append(f'<tr><td class="num">{level}</td>{cells}</tr>')
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"
