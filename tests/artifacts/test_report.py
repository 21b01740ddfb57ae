import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from report_page import Page, attributes

from artifacts.report import MOST_BYTES, Clip, fitting, render_report
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
    figures = {"log_mel_l1": 0.1234, "mr_stft": 1.085, "level_db": -1.26}
    return Clip(sound, kind, vocoder, b"fLaC" + sign, b"\x89PNG" + sign, figures)


def comparison(sound: str = "snare") -> list[Clip]:
    pairs = [(kind, name) for name in ("griffinlim", "freev") for kind in ("model", "mel")]
    return [clip(sound), *(clip(sound, kind, name) for kind, name in pairs)]


def page(*clips: Clip, new: Sequence[Clip] = (), **changes: object) -> str:
    return render_report("kit", manifest(**changes), clips, new, {})


def test_page_reaches_for_nothing_outside_itself() -> None:
    text = page(*comparison(), new=[clip("seed 1")])
    for _, found in Page(text).tags:
        for key in ("src", "href", "action", "data", "srcset"):
            assert (found.get(key) or "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text


def policy_of(text: str) -> str:
    metas = attributes(text, "meta")
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    return policy


def test_policy_forbids_all_but_embedded_sounds_pictures_and_the_one_script() -> None:
    text = page(*comparison())
    (script,) = re.findall("<script>(.*)</script>", text, re.DOTALL)
    sign = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy_of(text) == (
        f"default-src 'none'; media-src data:; img-src data:; script-src 'sha256-{sign}'; "
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


def test_script_reaches_for_nothing_and_keeps_nothing() -> None:
    (script,) = re.findall("<script>(.*)</script>", page(*comparison()), re.DOTALL)
    for word in ("fetch", "XMLHttp", "WebSocket", "Beacon", "http", "Storage", "cookie", "import("):
        assert word not in script, word
    assert "innerHTML" not in script  # names of files are text


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
    text = render_report(HOSTILE, hostile, clips, [clip(HOSTILE)], {HOSTILE: 1.0})
    assert attributes(text, "script") == [{}]  # the page's own
    assert not any("onload" in found for _, found in Page(text).tags)
    assert "${title} $body" in text  # the template's signs are not filled in again


def test_sounds_and_pictures_are_embedded() -> None:
    text = page(clip())
    (src,) = [found["src"] for found in attributes(text, "audio") if "src" in found]
    assert src == ("data:audio/flac;base64," + b64encode(clip().audio).decode())
    assert attributes(text, "img")[0]["src"] == (
        "data:image/png;base64," + b64encode(clip().spectrogram_png).decode()
    )


def test_each_sound_shows_original_then_winner_then_the_others() -> None:
    text = page(*comparison("snare"), *comparison("kick"))
    players = [found for found in attributes(text, "audio") if "src" in found]
    labels = [found["aria-label"] for found in players]
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
    text = page(*comparison())
    assert "L1 0.12, MR 1.08, -1.3 dB" in text


def test_numbers_are_shown() -> None:
    text = page()
    for shown in ("12 sounds", "1 min 1 s", "tiny", "0.389", "0.423", "9.13", "16.00", "1.124"):
        assert shown in text
    assert re.search(r">2</td>.*50%.*>12<", text)  # level 2: half in use, perplexity 12


def test_a_page_without_held_out_sounds_has_no_test_and_no_script() -> None:
    text = page(new=[clip()])
    assert "Blind test" not in text
    assert "<script></script>" in text


def test_blind_test_knows_each_player_and_tells_none_beforehand() -> None:
    text = page(*comparison("snare"), *comparison("kick"))
    known = [
        tuple(found[f"data-{key}"] for key in ("sound", "name", "kind", "vocoder"))
        for found in attributes(text, "audio")
        if "data-sound" in found
    ]
    assert len(known) == len(set(known)) == 10
    assert known[:2] == [("1", "snare", "original", ""), ("1", "snare", "mel", "FreeV")]
    blind = re.findall('<section id="blind".*?</section>', text)[0]
    assert "FreeV" not in blind
    assert [found["aria-label"] for found in attributes(blind, "audio")] == ["Original", "A", "B"]


def test_everything_that_can_be_used_has_a_name() -> None:
    text = page(*comparison(), new=[clip("seed 1")])
    assert all(found.get("aria-label") for found in attributes(text, "audio"))
    assert all(found.get("alt") for found in attributes(text, "img"))
    assert [found["for"] for found in attributes(text, "label")] == ["blind-kind"]
    assert [found["id"] for found in attributes(text, "select")] == ["blind-kind"]
    assert len(re.findall(r"<button[^>]*>[^<]+", text)) == len(attributes(text, "button")) == 5


def test_every_id_that_the_script_asks_for_is_there_once() -> None:
    text = page(*comparison())
    (script,) = re.findall("<script>(.*)</script>", text, re.DOTALL)
    ids = [found["id"] for _, found in Page(text).tags if "id" in found]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'at\("([^"]+)"\)', script)) <= set(ids)


def large(sound: str, size: int) -> list[Clip]:
    return [Clip(sound, "original", "", b"x" * (size // 2), b"y" * (size // 2))]


def test_sounds_that_do_not_fit_are_left_out_whole_and_counted() -> None:
    clips = large("a", 60) + large("b", 50) + large("c", 40) + large("a", 0)
    assert [one.sound for one in fitting(clips, 100)] == ["a", "a", "c"]
    assert [one.sound for one in fitting(clips, 10)] == ["a", "a"]  # one at least
    text = page(*large("a", MOST_BYTES - 50), *large("b", 100))
    assert "Of 2 sounds the 1 that fit on this page" in text
    assert "that fit on this page" not in page(*large("a", 9), *large("b", 9))


def test_page_stays_below_five_megabytes() -> None:
    clips = [one for n in range(9) for one in large(str(n), 1_000_000)]
    text = render_report("kit", manifest(), clips, clips, {})
    assert 3_000_000 < len(text) < 5_000_000


ROW = {
    "log_mel_l1": 0.2, "mr_stft": 1.5, "spectral_convergence": 0.6, "level_db": -0.04,
    "crest_db": 2.51, "range_db": -3.0, "above_20k_db": 1.0, "mirrored": 0.02,
    "flat_tops": 0.0123, "buzz": 0.43, "bands_off": 0, "samples_off": -4902,
    "true_mel_mr_stft": 1.2,
}  # fmt: skip


def test_every_figure_of_a_vocoder_is_in_the_table_and_explained() -> None:
    manifest_now = manifest(metrics={"vocoders": {"freev": ROW}})
    text = render_report("kit", manifest_now, [], [], {"freev": 17.25})
    signed = ["+2.5", "-3.0", "+1.0", "+0.02", "+0.43", "-4902"]
    for shown in (">0.0<", "0.600", "1.23%", "17.2 x", *signed):
        assert shown in text, shown
    table = text[text.index("<h2>Vocoders") :]
    heads = re.findall(r'<th scope="col" class="num">([^<]+)<', table)
    assert len(heads) == 13
    assert re.findall(r"<dt>([^<]+)</dt>", table[table.index('"legend"') :])[:13] == heads


def test_bar_says_what_the_codes_add_to_a_vocoders_distance() -> None:
    text = page(metrics={"vocoders": {"freev": ROW}})
    assert "1.2 from the true mel, 1.5 from the model's: the codes add 0.30" in text
    assert 'style="width: 80.0%"' in text
    assert 'style="width: 20.0%"' in text


def test_failed_gate_is_red_and_says_what_to_do() -> None:
    text = page()
    assert '<li class="red">' in text
    assert "Add sounds." in text
    assert "Not ready: 1 of 1 check failed (copying)." in text


def test_empty_manifest_still_gives_a_page() -> None:
    assert "Unjudged" in render_report("kit", {}, [], [], {})


def test_malformed_manifest_still_gives_a_page() -> None:
    odd = dict.fromkeys(manifest(), 5) | {"metrics": {"vocoders": {"x": [], "y": {"z": None}}}}
    text = render_report("kit", odd, [], [], {})
    Page(text)
    assert "Unjudged" in text


def test_equal_contents_give_equal_pages() -> None:
    pages = {page(*comparison(), new=[clip()]) for _ in range(2)}
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
    text = page(
        parent={"name": HOSTILE, "sha256": "ab" * 32, "begun_anew": {}},
        metrics={"memory": {"old": figures, "new": figures}},
    )
    assert "goes on from &lt;/style&gt;" in text
    assert "(abababababab)" in text
    assert text.count("0.5 / 0.25") == 2
    assert attributes(text, "script") == [{}]  # the page's own, empty
