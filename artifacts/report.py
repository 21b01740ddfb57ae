"""The report: one HTML page to read, listen and compare, with nothing outside it.

No script, no network, no font to fetch; sounds and pictures are data: URIs and
a Content-Security-Policy forbids the rest. The frame is report.html.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import Literal

from artifacts.manifest import Manifest, number_at, table_at, text_at
from artifacts.report_numbers import gate_section, number_section
from artifacts.verdict import minutes, origin, overall, plain, verdict, vocoder_title

ClipKind = Literal["original", "mel", "model"]

_SOURCES = {"mel": "from the true mel", "model": "from the model's mel"}


@dataclass(frozen=True)
class Clip:
    """One sound to play, with its picture."""

    sound: str  # the name shown
    kind: ClipKind  # the original, or vocoded from its true mel, or from the model's own mel
    vocoder: str  # "" for an original
    flac: bytes
    spectrogram_png: bytes
    log_mel_l1: float | None = None
    mr_stft: float | None = None


def render_report(
    title: str, manifest: Manifest, clips: Sequence[Clip], generated: Sequence[Clip]
) -> str:
    """The page as text.

    Args:
        title: of the page.
        manifest: as written in the package; whatever it lacks is left out.
        clips: the A/B of held-out sounds, grouped here by `sound` and `vocoder`.
        generated: new sounds; their `kind` is not looked at.
    """
    body = "\n".join(
        [
            _opening(title, manifest),
            gate_section(manifest),
            _generated(generated),
            _comparison(clips, text_at(manifest, "vocoder")),
            number_section(manifest),
            _closing(manifest),
        ]
    )
    frame = Template(files("artifacts").joinpath("report.html").read_text(encoding="utf-8"))
    return frame.substitute(title=escape(title), body=body)


def _opening(title: str, manifest: Manifest) -> str:
    count = number_at(manifest, "train", "files")
    facts = [
        ("Model", text_at(manifest, "name")),
        (
            "Made from",
            "" if count is None else f"{count:.0f} {'sound' if count == 1 else 'sounds'}",
        ),
        ("Length", minutes(number_at(manifest, "train", "seconds_of_audio"))),
        ("Preset", text_at(manifest, "preset")),
        ("Seed", text_at(manifest, "seed")),
        ("Best vocoder", vocoder_title(text_at(manifest, "vocoder"))),
        *[("Origin", line) for line in origin(manifest)],
    ]
    pairs = "".join(
        f"<div><dt>{label}</dt><dd>{escape(value)}</dd></div>" for label, value in facts if value
    )
    return (
        f'<header><p class="eyebrow">Distill model report</p><h1>{escape(title)}</h1>'
        f'<p class="verdict {overall(manifest)}">{escape(verdict(manifest))}</p>'
        f'<dl class="facts">{pairs}</dl></header>'
    )


def _generated(clips: Sequence[Clip]) -> str:
    if not clips:
        return ""
    figures = "".join(
        _figure(clip, clip.sound, vocoder_title(clip.vocoder), "new sound") for clip in clips
    )
    return (
        '<section><h2>New sounds</h2><p class="lead">Made by this model, none of them chosen.</p>'
        f'<div class="sheet clips">{figures}</div></section>'
    )


def _comparison(clips: Sequence[Clip], winner: str) -> str:
    """One sheet for each sound: the original at the left, each vocoder's pair beside it."""
    if not clips:
        return ""
    sounds = "".join(
        _sound_sheet(sound, [clip for clip in clips if clip.sound == sound], winner)
        for sound in dict.fromkeys(clip.sound for clip in clips)
    )
    return (
        "<section><h2>Original and copy</h2>"
        '<p class="lead">Sounds, or ends of sounds, that the model never trained on. '
        "From the true mel you hear the vocoder alone; from the model's mel you hear codes and "
        "vocoder together. L1 and MR measure the "
        f"distance to the original: lower is closer.</p>{sounds}</section>"
    )


def _sound_sheet(sound: str, clips: Sequence[Clip], winner: str) -> str:
    vocoders = list(dict.fromkeys(clip.vocoder for clip in clips if clip.kind != "original"))
    vocoders.sort(key=lambda name: name != winner)  # stable: the winner first
    cells = [
        f'<div class="original">{_figure(clip, "Original", "", sound)}</div>'
        for clip in clips
        if clip.kind == "original"
    ]
    for name in vocoders:
        best = ' <span class="badge green">best</span>' if name == winner else ""
        first = " first" if name == vocoders[0] else ""
        head = escape(vocoder_title(name))
        cells.append(f'<div class="head{first}">{head}{best}</div>')
        for clip in sorted(clips, key=lambda clip: clip.kind):  # "mel" before "model"
            if clip.vocoder == name and clip.kind != "original":
                source = _SOURCES[clip.kind]
                figure = _figure(clip, source.capitalize(), _distances(clip), f"{sound}, {name}")
                cells.append(f'<div class="{clip.kind}">{figure}</div>')
    rows = max(1, 2 * len(vocoders))
    return (
        f'<article class="sheet"><h3>{escape(sound)}</h3>'
        f'<div class="ab" style="--rows: {rows}">{"".join(cells)}</div></article>'
    )


def _distances(clip: Clip) -> str:
    pairs = (("L1", clip.log_mel_l1), ("MR", clip.mr_stft))
    return ", ".join(f"{label} {plain(value)}" for label, value in pairs if value is not None)


def _figure(clip: Clip, caption: str, note: str, what: str) -> str:
    """A captioned spectrogram with its player."""
    picture = b64encode(clip.spectrogram_png).decode()
    audio = b64encode(clip.flac).decode()
    label = escape(f"{what}: {caption}")
    return (
        f"<figure><figcaption><span>{escape(caption)}</span>"
        f'<span class="quiet num">{escape(note)}</span></figcaption>'
        f'<img loading="lazy" alt="Spectrogram of {label}" src="data:image/png;base64,{picture}">'
        f'<audio controls preload="metadata" aria-label="{label}" '
        f'src="data:audio/flac;base64,{audio}"></audio></figure>'
    )


def _closing(manifest: Manifest) -> str:
    versions = {"distill": text_at(manifest, "distill_version"), **table_at(manifest, "versions")}
    made_with = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    config = json.dumps(table_at(manifest, "config"), indent=1, sort_keys=True, ensure_ascii=False)
    return (
        "<details><summary>How it was made</summary>"
        f"<p>{escape(made_with)}</p><pre>{escape(config)}</pre></details>"
    )
