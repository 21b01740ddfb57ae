"""The report's table of vocoders: every figure, from the true mel and from the model's."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from artifacts.manifest import Manifest, number_at, table_at, text_at
from artifacts.verdict import plain, vocoder_title

_SOURCES = (("true_mel_", "true mel"), ("", "model's mel"))  # as the manifest's keys begin


@dataclass(frozen=True)
class _Figure:
    key: str
    head: str
    form: str
    meaning: str


_FIGURES = (
    _Figure("log_mel_l1", "L1", "{:.3f}", "mean difference of log mels, in nats"),
    _Figure("mr_stft", "MR-STFT", "{:.3f}", "multi-resolution STFT distance; the least "
            "without a buzz wins"),
    _Figure("spectral_convergence", "conv.", "{:.3f}", "spectral convergence: how large the "
            "difference of the magnitudes is beside the original's"),
    _Figure("level_db", "level", "{:+.1f}", "dB louder than the original, before the players "
            "were made equally loud"),
    _Figure("crest_db", "crest", "{:+.1f}", "dB of peak over level, less the original's"),
    _Figure("range_db", "range", "{:+.1f}", "dB between soft and loud, less the original's"),
    _Figure("above_20k_db", "> 20 kHz", "{:+.1f}", "dB more energy above 20 kHz"),
    _Figure("mirrored", "mirror", "{:+.2f}", "how much the highs are a mirror image of the "
            "lows (imaging), less the original's; images at -20 dB give 0.2"),
    _Figure("flat_tops", "clipped", "{:.2%}", "share of samples that are cut flat"),
    _Figure("buzz", "buzz", "{:+.2f}", "how much hiss above 2 kHz repeats within four frames, a "
            "buzz at 22 to 86 Hz; less the original's"),
    _Figure("bands_off", "pitch", "{:+.0f}", "mel bands too high, 3 % of frequency each"),
    _Figure("samples_off", "length", "{:+.0f}", "samples too long at 48 kHz, the worst copy"),
)  # fmt: skip


def vocoder_section(manifest: Manifest, speeds: Mapping[str, float]) -> str:
    """All figures of all vocoders on held-out sounds, and where the distance comes from.

    Args:
        speeds: seconds of sound a second, by vocoder, as measured where the page was made.
    """
    names = sorted(table_at(manifest, "metrics", "vocoders"))
    shown = [one for one in _FIGURES
             if any(_number(manifest, name, one.key) is not None for name in names)]  # fmt: skip
    if not shown:
        return ""
    meanings = [(one.head, one.meaning) for one in shown]
    if speeds:
        meanings.append(("speed", "times real time, measured where this page was made"))
    legend = "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in meanings)
    return (
        '<section><h2>Vocoders</h2><p class="lead">Means over '
        f"{_held_out(manifest)}. A sound from the true mel has passed the vocoder alone, one from "
        "the model's mel the codes too; 0 is alike but for the speed.</p>"
        f'<div class="sheet">{_shares(manifest, names)}<div class="scroll">'
        f"{_table(manifest, names, shown, speeds)}</div>"
        f'<dl class="legend">{legend}</dl></div></section>'
    )


def _held_out(manifest: Manifest) -> str:
    """How many there are, and of what.

    >>> _held_out({"train": {"held_out_sounds": 7, "held_out": "tails"}})
    'held-out sounds (the ends of 7)'
    """
    count = number_at(manifest, "train", "held_out_sounds")
    ends = "the ends of " if text_at(manifest, "train", "held_out") == "tails" else ""
    return f"held-out sounds ({ends}{count:.0f})" if count else "held-out sounds"


def _table(
    manifest: Manifest, names: list[str], shown: list[_Figure], speeds: Mapping[str, float]
) -> str:
    winner = text_at(manifest, "vocoder")
    heads = "".join(f'<th scope="col" class="num">{escape(one.head)}</th>' for one in shown)
    speed_head = '<th scope="col" class="num">speed</th>' if speeds else ""
    body = []
    for name in sorted(names, key=lambda name: name != winner):
        best = ' <span class="badge green">best</span>' if name == winner else ""
        title = f'<th scope="rowgroup" rowspan="2">{escape(vocoder_title(name))}{best}</th>'
        speed = f'<td rowspan="2" class="num">{_speed(speeds.get(name))}</td>' if speeds else ""
        for before, source in _SOURCES:
            cells = "".join(
                f'<td class="num">{_formed(one, _number(manifest, name, before + one.key))}</td>'
                for one in shown
            )
            body.append(f"<tr>{title}<td>{source}</td>{cells}{speed}</tr>")
            title = speed = ""
    return (
        f'<table class="figures"><thead><tr><th scope="col">vocoder</th><th scope="col">from</th>'
        f"{heads}{speed_head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _shares(manifest: Manifest, names: list[str]) -> str:
    """A bar a vocoder: how much of its MR-STFT is its own, how much the codes add."""
    pairs = {name: (_number(manifest, name, "true_mel_mr_stft"), _number(manifest, name, "mr_stft"))
             for name in names}  # fmt: skip
    known = {name: (own, whole) for name, (own, whole) in pairs.items()
             if own is not None and whole is not None}  # fmt: skip
    longest = max((max(pair) for pair in known.values()), default=0.0)
    if longest <= 0:
        return ""
    bars = []
    for name, (own, whole) in sorted(known.items(), key=lambda item: item[1][1]):
        added = max(0.0, whole - own)
        bars.append(
            f"<dt>{escape(vocoder_title(name))}</dt><dd>"
            f'<span class="bar"><i style="width: {min(own, whole) / longest:.1%}"></i>'
            f'<i class="codes" style="width: {added / longest:.1%}"></i></span>'
            f"<small>{plain(own)} from the true mel, {plain(whole)} from the model's: "
            f"{_share(own, whole)}</small></dd>"
        )
    return (
        f'<h3>Where the distance comes from (MR-STFT)</h3><dl class="shares">{"".join(bars)}</dl>'
    )


def _share(own: float, whole: float) -> str:
    if own >= whole:
        return "the codes add nothing"
    return f"the codes add {whole - own:.2f}, the rest is the vocoder's"


def _number(manifest: Manifest, name: str, key: str) -> float | None:
    return number_at(manifest, "metrics", "vocoders", name, key)


def _formed(figure: _Figure, value: float | None) -> str:
    """The figure in its own form; no minus before a zero.

    >>> _formed(_FIGURES[3], -0.04), _formed(_FIGURES[3], -1.26)
    ('0.0', '-1.3')
    """
    if value is None:
        return plain(None)
    text = figure.form.format(value)
    return text.lstrip("+-") if not text.strip("+-0.%") else text


def _speed(times: float | None) -> str:
    return plain(None) if times is None else f"{times:.3g} x"
