"""What is kept to listen to, and what the comparison makes of it for a person."""

import dataclasses
import io
import math
import re
import shutil
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import soundfile
from report_page import attributes
from small_line import Line, shelved

from artifacts.library import Library
from artifacts.training_data import TrainingData
from core.config import BuildConfig
from core.errors import PackageError
from core.split import Part
from flows.report import write_comparison
from tasks.held_out import audible
from tasks.speed import vocoder_speeds
from tasks.step import Run
from tasks.validate import record_of

FIGURES = {
    "log_mel_l1", "mr_stft", "spectral_convergence", "level_db", "crest_db", "range_db",
    "above_20k_db", "mirrored", "flat_tops", "buzz", "bands_off", "samples_off",
}  # fmt: skip


def played(uri: str | None) -> tuple[np.ndarray, int]:
    """Samples and rate of a data: URI that holds a FLAC, or a short WAV."""
    assert uri is not None
    kind, _, content = uri.partition(",")
    wave, rate = soundfile.read(io.BytesIO(b64decode(content, validate=True)))
    assert kind == f"data:audio/{'flac' if len(wave) > 4096 else 'wav'};base64"
    return wave, rate


def rms_db(wave: np.ndarray) -> float:
    return 20 * math.log10(math.sqrt(np.mean(wave**2)))


@pytest.fixture(scope="module")
def own_line(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The small model in a store of its own, in the library there."""
    store = tmp_path_factory.mktemp("own") / "store"
    shutil.copytree(line.run.folder, store)
    own = dataclasses.replace(line, run=Run(str(store), "cpu"))
    shelved(own)
    return own


@pytest.fixture(scope="module")
def page(own_line: Line) -> str:
    return Library(own_line.store).report_path("kit").read_text()


def test_every_player_of_the_page_holds_a_sound_that_decodes(page: str, own_line: Line) -> None:
    record = record_of(own_line.store, own_line.validation)
    embedded = [found for found in attributes(page, "audio") if "src" in found]
    assert len(embedded) == len(record["clips"]) + len(record["previews"]) == 8
    for found in embedded:
        wave, rate = played(found["src"])
        assert rate == 44_100
        assert len(wave) > 0
        assert np.abs(wave).max() < 10 ** (-1 / 20)


def test_copies_are_as_long_and_as_loud_as_their_original(page: str, own_line: Line) -> None:
    clips = record_of(own_line.store, own_line.validation)["clips"]
    compared = [found for found in attributes(page, "audio") if "data-sound" in found]
    original, *copies = [played(found["src"])[0] for found in compared]
    assert len(copies) == 6  # three vocoders, two kinds of mel
    further_off = 0
    for clip in clips[1:]:
        further_off += abs(clip["figures"]["level_db"]) > 20  # its noise is left low
    for copy in copies:
        assert len(copy) == len(original)
    apart = [abs(rms_db(copy) - rms_db(original)) for copy in copies]
    assert sum(one > 0.5 for one in apart) <= further_off
    assert further_off < 6


def test_comparison_writes_every_clip_under_a_name_that_says_what_it_is(
    own_line: Line, tmp_path: Path
) -> None:
    library = Library(own_line.store)
    made = write_comparison(library, library.path("kit"), tmp_path / "ab")
    assert sorted(path.name for path in (tmp_path / "ab").iterdir()) == sorted(
        [
            "report.html",
            "01-original.flac",
            *(
                f"01-{vocoder}-from-{kind}-mel.flac"
                for vocoder in ("freev", "griffinlim", "hifigan")
                for kind in ("true", "model")
            ),
        ]
    )
    assert {one["sound"] for one in made["clips"]} <= {f"{n}.wav" for n in range(6)} | {"copy.wav"}
    for one in made["clips"]:
        assert soundfile.info(one["path"]).samplerate == 44_100
        measured = {} if one["kind"] == "original" else FIGURES
        assert one.keys() == {"sound", "kind", "vocoder", "path", *measured}
    report = Path(made["report"]).read_text()
    assert report == library.report_path("kit").read_text()


def test_comparison_of_an_older_distill_says_what_to_do(
    own_line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = {"clips": [{"name": "clip-000", "sound": "x", "kind": "original"}]}
    monkeypatch.setattr("flows.report.record_of", lambda *_: older)
    library = Library(own_line.store)
    with pytest.raises(PackageError, match="run its build again"):
        write_comparison(library, library.path("kit"), tmp_path)


def test_speeds_are_of_every_vocoder_and_in_no_model(own_line: Line, page: str) -> None:
    line = own_line
    speeds = vocoder_speeds(
        line.run, line.sounds, line.mels, line.vocoders, line.split, line.config
    )
    assert speeds.keys() == {"griffinlim", "freev", "hifigan"}
    assert all(0 < speed < 1e6 for speed in speeds.values())
    assert not re.search("times real time", page)  # they were not measured for this one


class Levels(TrainingData):
    """Held-out sounds of 100 frames, each of one level in dBFS."""

    def __init__(self, *levels: float) -> None:
        self.levels = levels

    @property
    def held_out(self) -> list[Part]:
        return [Part(sound, 0, 100) for sound in range(len(self.levels))]

    def wave(self, part: Part) -> np.ndarray:
        return np.full(512 * part.frames, 10 ** (self.levels[part.sound] / 20), np.float32)


@pytest.mark.parametrize(
    ("levels", "heard"),
    [((-20.0, -61.0, -59.0), [0, 2]), ((-70.0, -90.0), [0, 1])],
    ids=["some are silent", "all are silent"],
)
def test_silent_originals_are_left_out_while_there_are_others(
    levels: tuple[float, ...], heard: list[int]
) -> None:
    assert [part.sound for part in audible(Levels(*levels), BuildConfig())] == heard
