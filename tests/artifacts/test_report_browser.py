"""The report as a browser shows it, opened from the file alone."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from chromium import Tab, opened, program

from artifacts.report import Clip, render_report
from artifacts.report_audio import playable
from artifacts.spectrogram import spectrogram_png

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium on this machine")

SOUNDS = 7
SHORT = 0.02  # seconds: less than a block of FLAC
WITH_BOTH = 2  # of them, copies from the true mel too; the others from the model's alone
VOICES = {"freev": "FreeV", "griffinlim": "Griffin-Lim"}
CLIPS = 3 * SOUNDS + 2 * WITH_BOTH + 1  # with a new sound


def clip(sound: str, kind: Any, vocoder: str, hz: float, seconds: float = 0.2) -> Clip:
    """A tone; each is another one."""
    wave = 0.2 * np.sin(2 * np.pi * hz * np.arange(44_100 * seconds) / 44_100)
    flac = io.BytesIO()
    soundfile.write(flac, wave, 44_100, format="FLAC")
    picture = spectrogram_png(np.full((17, 128), -5.0, np.float32), 420, 160)
    return Clip(sound, kind, vocoder, playable(flac.getvalue()), picture, {"log_mel_l1": 0.1})


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    copies = [(kind, name) for kind in ("model", "mel") for name in VOICES]
    every = [("original", ""), *copies]
    made = [
        (f"sound {n}", kind, name)
        for n in range(SOUNDS)
        for kind, name in (every if n < WITH_BOTH else every[:3])
    ]
    clips = [clip(*what, hz=300 + 10 * number) for number, what in enumerate(made)]
    rows = {name: {"log_mel_l1": 0.2, "mr_stft": 1.5, "true_mel_mr_stft": 1.2} for name in VOICES}
    gate = {"value": 0.2, "limit": 0.05, "passed": False, "text": "The model copies."}
    manifest = {"vocoder": "freev", "metrics": {"vocoders": rows}, "gates": {"copying": gate}}
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "report.html"
    new = [clip("a short one", "model", "freev", 200, SHORT)]
    page.write_text(render_report("kit", manifest, clips, new, {"freev": 17.0}))
    with opened(page, folder / "profile") as tab:
        yield tab


def test_page_asks_for_nothing_but_itself(tab: Tab) -> None:
    urls = {event["request"]["url"] for event in tab.of("Network.requestWillBeSent")}
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "about"}
    assert len({url for url in urls if url.startswith("file:")}) == 1


def test_page_complains_of_nothing(tab: Tab) -> None:
    complaints = [*tab.of("Log.entryAdded"), *tab.of("Runtime.exceptionThrown")]
    assert complaints == []


def test_every_player_plays_to_its_end(tab: Tab) -> None:
    seconds = tab.value(
        """(async () => {
             const played = [];
             for (const player of document.querySelectorAll("figure audio")) {
               const ended = new Promise((done) => player.addEventListener("ended", done));
               const given_up = new Promise((done) => setTimeout(done, 5000));
               await player.play();
               await Promise.race([ended, given_up]);
               played.push(player.ended ? player.currentTime : null);
             }
             return played;
           })()"""
    )
    assert seconds == pytest.approx([SHORT, *[0.2] * (CLIPS - 1)], abs=0.005)


def test_one_sound_plays_at_a_time(tab: Tab) -> None:
    paused = tab.value(
        """(async ([first, second]) => {
             await first.play();
             await second.play();
             return [first.paused, second.paused];
           })(document.querySelectorAll("figure audio"))"""
    )
    assert paused == [True, False]


def test_pictures_are_shown(tab: Tab) -> None:
    widths = tab.value(
        """Promise.all([...document.images].map(async (image) => {
             image.loading = "eager";
             await image.decode();
             return image.naturalWidth;
           }))"""
    )
    assert widths == [420] * CLIPS


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_page_is_no_wider_than_the_window(tab: Tab, width: int) -> None:
    tab.ask("Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False)  # fmt: skip
    assert tab.value("document.documentElement.scrollWidth") <= width


# --- the blind test

# Who a player of the test is, told by the sound that it holds.
WHO = """(id) => ({...[...document.querySelectorAll("audio[data-sound]")]
           .find((one) => one.src === document.getElementById(id).src).dataset})"""

RESULT = 'document.getElementById("blind-result").innerText'


def begin(tab: Tab, test: int = 0) -> int:
    """Begin one of the tests; returns how many rounds it has."""
    tab.value(f'document.getElementById("blind-kind").value = "{test}"')
    tab.value('document.getElementById("blind-start").requestSubmit()')
    progress = str(tab.value('document.getElementById("blind-progress").textContent'))
    assert progress.startswith("Round 1 of ")
    return int(progress.rpartition(" ")[2])


def listen(tab: Tab, *players: str) -> None:
    for player in players:
        tab.value(
            f"""(async (player) => {{ await player.play(); player.pause(); }})
                (document.getElementById("blind-{player}"))"""
        )


def can_choose(tab: Tab) -> bool:
    disabled = tab.value('[...document.querySelectorAll("[data-choice]")].map((b) => b.disabled)')
    assert len(set(disabled)) == 1
    return not disabled[0]


def choose(tab: Tab, choice: str) -> None:
    tab.value(f"""document.querySelector('[data-choice="{choice}"]').click()""")


def press(tab: Tab, key: str) -> None:
    tab.value(f'document.dispatchEvent(new KeyboardEvent("keydown", {{key: "{key}"}}))')


def stop(tab: Tab) -> str:
    """What the page then says."""
    tab.value('document.getElementById("blind-stop").click()')
    return str(tab.value(RESULT))


def tally(tab: Tab) -> list[list[str]]:
    rows: list[list[str]] = tab.value(
        """[...document.querySelectorAll("#blind-result > table tr")]
             .map((row) => [...row.cells].map((cell) => cell.textContent))"""
    )
    return rows


def test_blind_test_counts_what_was_chosen(tab: Tab) -> None:
    rounds = begin(tab)
    assert rounds == SOUNDS  # two vocoders are one pair a sound
    asked = []
    for number in range(rounds):
        listen(tab, "original", "a", "b")
        a, b, original = (tab.value(f'({WHO})("blind-{one}")') for one in ("a", "b", "original"))
        assert {a["vocoder"], b["vocoder"]} == set(VOICES.values())
        assert a["sound"] == b["sound"] == original["sound"]
        assert (a["kind"], original["kind"]) == ("model", "original")
        asked.append(a["sound"])
        liked = "FreeV" if number < 5 else "Griffin-Lim"
        choose(tab, "none" if number == 6 else "a" if a["vocoder"] == liked else "b")
    assert sorted(asked) == sorted(str(n + 1) for n in range(SOUNDS))
    assert tally(tab) == [
        ["", "nearer", "farther", "no difference"],
        ["FreeV", "5", "1", "1"],
        ["Griffin-Lim", "1", "5", "1"],
    ]
    said = tab.value(RESULT)
    # Six fair coins fall 5 : 1 or more unevenly in 2 (1 + 6) of 64 cases.
    assert "FreeV 5 : 1 Griffin-Lim" in said
    assert "in 22 % of all tests" in said


def test_choice_waits_until_both_copies_were_heard(tab: Tab) -> None:
    begin(tab)
    assert not can_choose(tab)
    listen(tab, "original", "a")
    assert not can_choose(tab)
    press(tab, "1")
    listen(tab, "b")
    assert can_choose(tab)
    assert "No round was decided." in stop(tab)


def test_keys_choose_and_a_stop_counts_what_was_decided(tab: Tab) -> None:
    assert begin(tab, 2) == 2 * WITH_BOTH  # each vocoder from either mel
    for key in ("1", "2", "0"):
        listen(tab, "a", "b")
        press(tab, key)
    stop(tab)
    _, *rows = tally(tab)
    assert {row[0] for row in rows} == {"from the true mel", "from the model's mel"}
    assert sum(int(row[1]) for row in rows) == 2  # two were nearer, so two farther
    assert sum(int(row[2]) for row in rows) == 2
    assert [row[3] for row in rows] == ["1", "1"]


def test_nothing_tells_who_is_who_before_the_end(tab: Tab) -> None:
    begin(tab)
    listen(tab, "a", "b")
    choose(tab, "a")
    frame = 'document.getElementById("blind").innerText'
    assert not any(name in tab.value(frame) for name in VOICES.values())
    stop(tab)
    assert all(name in tab.value(frame) for name in VOICES.values())
