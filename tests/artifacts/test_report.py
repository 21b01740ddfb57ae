import re
from base64 import b64encode
from html.parser import HTMLParser
from typing import Any

import pytest

from artifacts.report import Clip, render_report
from artifacts.verdict import gates, overall, verdict

HOSTILE = "</style><script>alert(1)</script>\" onload='x' ${title} $body"


def manifest(**changes: object) -> dict[str, Any]:
    return {
        "name": "kit",
        "preset": "tiny",
        "seed": 7,
        "train": {"files": 12, "seconds_of_audio": 61.0},
        "vocoder": "freev",
        "health": {"utilisation": [1.0, 0.5], "perplexity": [24.2, 12.0]},
        "metrics": {
            "reconstruction": {"log_mel_l1": 0.389, "vae_log_mel_l1": 0.423},
            "prior": {"nats_per_frame": 9.13, "unigram_nats_per_frame": 16.0},
            "vocoders": {
                "freev": {"log_mel_l1": 0.109, "mr_stft": 1.085},
                "griffinlim": {"log_mel_l1": 0.117, "mr_stft": 1.124},
            },
        },
        "gates": {"copying": {"value": 0.4, "limit": 0.06, "passed": False, "text": "Add sounds."}},
        **changes,
    }


def clip(sound: str = "snare", kind: Any = "original", vocoder: str = "") -> Clip:
    sign = f"{sound}/{kind}/{vocoder}".encode()
    return Clip(sound, kind, vocoder, b"fLaC" + sign, b"\x89PNG" + sign, 0.1234, 1.085)


def comparison(sound: str = "snare") -> list[Clip]:
    pairs = [(kind, name) for name in ("griffinlim", "freev") for kind in ("model", "mel")]
    return [clip(sound), *(clip(sound, kind, name) for kind, name in pairs)]


class Page(HTMLParser):
    """Every tag with its attributes; fails on a tag closed in the wrong place."""

    VOID = frozenset({"meta", "img", "br", "!doctype"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def attributes(text: str, tag: str) -> list[dict[str, str | None]]:
    return [found for name, found in Page(text).tags if name == tag]


def test_page_reaches_for_nothing_outside_itself() -> None:
    text = render_report("kit", manifest(), comparison(), [clip("seed 1")])
    for _, found in Page(text).tags:
        for key in ("src", "href", "action", "data", "srcset"):
            assert (found.get(key) or "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text


def test_policy_forbids_all_but_embedded_sounds_and_pictures() -> None:
    metas = attributes(render_report("kit", manifest(), [], []), "meta")
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; media-src data:; img-src data:;")
    assert "script" not in policy


def test_hostile_names_stay_text() -> None:
    hostile = manifest(
        name=HOSTILE,
        vocoder=HOSTILE,
        gates={HOSTILE: {"value": 1, "limit": 2, "passed": False, "text": HOSTILE}},
        metrics={"vocoders": {HOSTILE: {HOSTILE: 1.0}}},
        versions={HOSTILE: HOSTILE},
        config={HOSTILE: HOSTILE},
    )
    clips = [clip(HOSTILE), clip(HOSTILE, "mel", HOSTILE)]
    text = render_report(HOSTILE, hostile, clips, [clip(HOSTILE)])
    assert attributes(text, "script") == []
    assert not any("onload" in found for _, found in Page(text).tags)
    assert "${title} $body" in text  # the template's signs are not filled in again


def test_sounds_and_pictures_are_embedded() -> None:
    text = render_report("kit", manifest(), [clip()], [])
    assert attributes(text, "audio")[0]["src"] == (
        "data:audio/flac;base64," + b64encode(clip().flac).decode()
    )
    assert attributes(text, "img")[0]["src"] == (
        "data:image/png;base64," + b64encode(clip().spectrogram_png).decode()
    )


def test_each_sound_shows_original_then_winner_then_the_others() -> None:
    text = render_report("kit", manifest(), comparison("snare") + comparison("kick"), [])
    labels = [found["aria-label"] for found in attributes(text, "audio")]
    assert labels == [
        label
        for sound in ("snare", "kick")
        for label in (
            f"{sound}: Original",
            f"{sound}, freev: From the true mel",
            f"{sound}, freev: From the model's mel",
            f"{sound}, griffinlim: From the true mel",
            f"{sound}, griffinlim: From the model's mel",
        )
    ]


def test_distances_stand_beside_the_clip() -> None:
    text = render_report("kit", manifest(), comparison(), [])
    assert "L1 0.1234, MR 1.085" in text


def test_numbers_are_shown() -> None:
    text = render_report("kit", manifest(), [], [])
    for shown in ("12 sounds", "1 min 1 s", "tiny", "0.389", "0.423", "9.13", "16.00", "1.124"):
        assert shown in text
    assert re.search(r">2</td>.*50%.*>12<", text)  # level 2: half in use, perplexity 12


def test_failed_gate_is_red_and_says_what_to_do() -> None:
    text = render_report("kit", manifest(), [], [])
    assert '<li class="red">' in text
    assert "Add sounds." in text
    assert "Not ready: 1 of 1 check failed (copying)." in text


def test_empty_manifest_still_gives_a_page() -> None:
    assert "Unjudged" in render_report("kit", {}, [], [])


def test_malformed_manifest_still_gives_a_page() -> None:
    odd = dict.fromkeys(manifest(), 5) | {"metrics": {"vocoders": {"x": [], "y": {"z": None}}}}
    text = render_report("kit", odd, [], [])
    Page(text)
    assert "Unjudged" in text


def test_equal_contents_give_equal_pages() -> None:
    pages = {render_report("kit", manifest(), comparison(), [clip()]) for _ in range(2)}
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("value", "limit", "passed", "colour"),
    [
        (0.5, 1.0, True, "green"),
        (0.95, 1.0, True, "yellow"),
        (1.05, 1.0, True, "yellow"),
        (2.0, 1.0, True, "green"),
        (0.95, 1.0, False, "red"),
        (0.0, 0.0, True, "green"),
        (None, None, True, "green"),
        (0.5, 1.0, "yes", "red"),
    ],
)
def test_gate_colour(value: object, limit: object, passed: object, colour: str) -> None:
    gate = {"value": value, "limit": limit, "passed": passed, "text": ""}
    assert gates({"gates": {"x": gate}})[0].colour == colour


def test_verdict_counts_failures_before_narrow_passes() -> None:
    checks = {
        "a": {"value": 0.1, "limit": 1.0, "passed": True},
        "b": {"value": 0.95, "limit": 1.0, "passed": True},
        "c": {"value": 2.0, "limit": 1.0, "passed": False},
    }
    assert verdict({"gates": checks}) == "Not ready: 1 of 3 checks failed (c)."
    assert overall({"gates": checks}) == "red"
    del checks["c"]
    assert verdict({"gates": checks}).startswith("Usable with care")
    del checks["b"]
    assert verdict({"gates": checks}) == "Good to use: it passed its one check."


def test_page_says_what_the_model_goes_on_from_and_what_it_kept() -> None:
    figures = {"sounds": 2, "log_mel_l1_before": 0.5, "log_mel_l1": 0.25}
    page = render_report(
        "kit",
        manifest(
            parent={"name": HOSTILE, "sha256": "ab" * 32, "begun_anew": {}},
            metrics={"memory": {"old": figures, "new": figures}},
        ),
        [],
        [],
    )
    Page(page)
    assert "goes on from &lt;/style&gt;" in page
    assert "(abababababab)" in page
    assert page.count("0.5 / 0.25") == 2
    assert "<script" not in page
