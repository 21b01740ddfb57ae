"""The report: one HTML page to read, listen and compare, with nothing outside it.

No network, no font to fetch; sounds and pictures are data: URIs, the one script is that
of the blind test, and a Content-Security-Policy forbids the rest. The frame is
report.html.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import Literal

from artifacts.manifest import Manifest, number_at, table_at, text_at
from artifacts.report_audio import audio_uri
from artifacts.report_blind import blind_script, blind_section, script_source
from artifacts.report_numbers import gate_section, number_section
from artifacts.report_vocoders import vocoder_section
from artifacts.verdict import minutes, origin, overall, verdict, vocoder_title

ClipKind = Literal["original", "mel", "model"]

MOST_BYTES = 3_300_000  # of sounds and pictures: a page of 4.5 MB in base64

_SOURCES = {"mel": "from the true mel", "model": "from the model's mel"}
_FIGURES = (("log_mel_l1", "L1 {:.2f}"), ("mr_stft", "MR {:.2f}"), ("level_db", "{:+.1f} dB"))


@dataclass(frozen=True)
class Clip:
    """One sound to play, with its picture."""

    sound: str  # the name shown
    kind: ClipKind  # the original, or vocoded from its true mel, or from the model's own mel
    vocoder: str  # "" for an original
    audio: bytes  # FLAC or WAV, see artifacts.report_audio
    spectrogram_png: bytes
    figures: Mapping[str, float] = field(default_factory=dict)


def render_report(
    title: str,
    manifest: Manifest,
    clips: Sequence[Clip],
    generated: Sequence[Clip],
    speeds: Mapping[str, float],
) -> str:
    """The page as text, of 5 MB at most unless one sound alone has more.

    Args:
        title: of the page.
        manifest: as written in the package; whatever it lacks is left out.
        clips: the A/B of held-out sounds, grouped here by `sound` and `vocoder`; whole
            sounds are left out where the page would be too large.
        generated: new sounds; their `kind` is not looked at. They may fill a third.
        speeds: of the vocoders, in times real time; empty where they were not measured.
    """
    new = fitting(generated, MOST_BYTES // 3)
    shown = fitting(clips, MOST_BYTES - sum(map(_size, new)))
    body = "\n".join(
        [
            _opening(title, manifest),
            gate_section(manifest),
            _generated(new),
            blind_section() if shown else "",
            _comparison(shown, text_at(manifest, "vocoder"), len(_sounds(clips))),
            vocoder_section(manifest, speeds),
            number_section(manifest),
            _closing(manifest),
        ]
    )
    frame = Template(files("artifacts").joinpath("report.html").read_text(encoding="utf-8"))
    script = blind_script() if shown else ""
    return frame.substitute(
        title=escape(title), body=body, script=script, script_source=script_source(script)
    )


def fitting(clips: Sequence[Clip], most_bytes: int) -> list[Clip]:
    """All clips of the first sound and of each later one that still fits, in their order."""
    kept: list[Clip] = []
    for sound in _sounds(clips):
        more = [clip for clip in clips if clip.sound == sound]
        if not kept or sum(map(_size, [*kept, *more])) <= most_bytes:
            kept += more
    return kept


def _size(clip: Clip) -> int:
    return len(clip.audio) + len(clip.spectrogram_png)


def _sounds(clips: Sequence[Clip]) -> list[str]:
    return list(dict.fromkeys(clip.sound for clip in clips))


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


def _comparison(clips: Sequence[Clip], winner: str, compared: int) -> str:
    """One sheet for each sound: the original at the left, each vocoder's pair beside it."""
    if not clips:
        return ""
    sounds = _sounds(clips)
    sheets = "".join(
        _sound_sheet(number, sound, [clip for clip in clips if clip.sound == sound], winner)
        for number, sound in enumerate(sounds, 1)
    )
    left_out = (
        f" Of {compared} sounds the {len(sounds)} that fit on this page are here; "
        "<code>distill compare</code> writes all as files."
        if len(sounds) < compared
        else ""
    )
    return (
        "<section><h2>Original and copy</h2>"
        '<p class="lead">Sounds, or ends of sounds, that the model never trained on. '
        "From the true mel you hear the vocoder alone; from the model's mel you hear codes and "
        "vocoder together. L1 and MR measure the distance to the original: lower is closer. "
        "All are played equally loud; dB is how much louder a copy was before. "
        f"{left_out}</p>{sheets}</section>"
    )


def _sound_sheet(number: int, sound: str, clips: Sequence[Clip], winner: str) -> str:
    vocoders = list(dict.fromkeys(clip.vocoder for clip in clips if clip.kind != "original"))
    vocoders.sort(key=lambda name: name != winner)  # stable: the winner first
    cells = [
        f'<div class="original">{_figure(clip, "Original", "", sound, number)}</div>'
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
                caption = _SOURCES[clip.kind].capitalize()
                figure = _figure(clip, caption, _distances(clip), f"{sound}, {name}", number)
                cells.append(f'<div class="{clip.kind}">{figure}</div>')
    rows = max(1, 2 * len(vocoders))
    return (
        f'<article class="sheet"><h3>{escape(sound)}</h3>'
        f'<div class="ab" style="--rows: {rows}">{"".join(cells)}</div></article>'
    )


def _distances(clip: Clip) -> str:
    return ", ".join(
        form.format(clip.figures[key]) for key, form in _FIGURES if key in clip.figures
    )


def _figure(clip: Clip, caption: str, note: str, what: str, held_out: int | None = None) -> str:
    """A captioned spectrogram with its player; that of a held-out sound has its number."""
    picture = b64encode(clip.spectrogram_png).decode()
    label = escape(f"{what}: {caption}")
    data = (
        ""
        if held_out is None
        else f'data-sound="{held_out}" data-name="{escape(clip.sound)}" data-kind="{clip.kind}" '
        f'data-vocoder="{escape(vocoder_title(clip.vocoder))}" '
    )
    return (
        f"<figure><figcaption><span>{escape(caption)}</span>"
        f'<span class="quiet num">{escape(note)}</span></figcaption>'
        f'<img loading="lazy" alt="Spectrogram of {label}" src="data:image/png;base64,{picture}">'
        f'<audio controls preload="metadata" aria-label="{label}" {data}'
        f'src="{audio_uri(clip.audio)}"></audio></figure>'
    )


def _closing(manifest: Manifest) -> str:
    versions = {"distill": text_at(manifest, "distill_version"), **table_at(manifest, "versions")}
    made_with = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    config = json.dumps(table_at(manifest, "config"), indent=1, sort_keys=True, ensure_ascii=False)
    return (
        "<details><summary>How it was made</summary>"
        f"<p>{escape(made_with)}</p><pre>{escape(config)}</pre></details>"
    )
