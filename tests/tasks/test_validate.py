import io
import math
import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from small_line import Line, built
from torch import Tensor

from core import copies, finishing
from core.comparison import Distance
from core.config import VocoderName
from core.errors import VocoderError
from core.fidelity import MOST_BUZZ
from core.sound_gates import SOUND_GATES
from core.split import Part
from core.vocoder import Vocoder
from core.vocoder_data import spread
from tasks import mels
from tasks import validate as validation
from tasks.validate import read_by_validation, record_of, validate


def test_the_winner_is_nearest_to_the_held_out_sounds_from_the_models_own_mel(line: Line) -> None:
    record = record_of(line.store, line.validation)
    table = record["vocoders"]
    assert set(table) == {"griffinlim", "freev", "hifigan"}
    pure = [name for name in table if table[name]["buzz"] <= MOST_BUZZ]
    assert record["vocoder"] == min(pure, key=lambda name: table[name]["mr_stft"])
    assert all(math.isfinite(value) for row in table.values() for value in row.values())


def test_every_gate_has_a_value_a_limit_and_what_to_do(line: Line) -> None:
    gates = record_of(line.store, line.validation)["gates"]
    assert set(gates) == {
        "utilisation", "reconstruction", "prior", "counting", "copying", "nearness", "grain",
        "likeness", "variety", "vocoder", "mels", "duration", "pitch", "clipping", "images", "buzz",
    }  # fmt: skip
    for name, gate in gates.items():
        assert math.isfinite(gate["value"])
        assert math.isfinite(gate["limit"])
        if name not in {"utilisation", "grain", *SOUND_GATES}:  # of training sounds, of machinery
            assert "judged on little" in gate["text"]  # few files


def test_every_clip_is_stored_and_as_long_as_its_original(line: Line) -> None:
    record = record_of(line.store, line.validation)
    shown = record["clips"]
    assert [clip["kind"] for clip in shown] == ["original", *["mel", "model"] * 3]
    lengths = set()
    for clip in shown:
        flac = line.store.read_bytes(line.validation.parts[f"{clip['name']}.flac"])
        lengths.add(soundfile.info(io.BytesIO(flac)).frames)
        png = line.store.read_bytes(line.validation.parts[f"{clip['name']}.png"])
        assert png.startswith(b"\x89PNG")
    assert len(lengths) == 1
    assert lengths.pop() % 512 == 0


def test_files_and_seconds_are_of_the_set(line: Line) -> None:
    record = record_of(line.store, line.validation)
    assert record["files"] == 7  # a copy among them
    assert record["seconds_of_audio"] == pytest.approx(0.3 + 0.4 + 0.5 + 0.6 + 0.7 + 0.8)
    assert (record["split"], record["held_out_sounds"]) == ("tails", 6)


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(3, 12, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (7, 3, [0, 2, 4]), (5, 1, [0])],
)
def test_judged_sounds_are_spread_evenly(count: int, most: int, expected: list[int]) -> None:
    parts = [Part(number, 0, 10) for number in range(count)]
    assert [part.sound for part in spread(parts, most)] == expected


def test_the_gain_is_kept_so_that_a_prompt_can_be_made_as_loud(line: Line) -> None:
    # The loudest of the tones peaks at 0.95 after it.
    loudest = max(
        abs(soundfile.read(line.store.path(digest), samplerate=44_100, channels=1,
                           format="RAW", subtype="FLOAT")[0]).max()
        for digest in line.sounds.parts.values()
    )  # fmt: skip
    gain = record_of(line.store, line.validation)["gain"]
    assert gain * loudest == pytest.approx(0.95, rel=1e-6)


def test_labels_are_checked_where_there_are_labels(line: Line, labelled: Line) -> None:
    gates = record_of(labelled.store, labelled.validation)["gates"]
    nats = record_of(labelled.store, labelled.prior)["label_nats"]
    assert set(gates) - set(record_of(line.store, line.validation)["gates"]) == {"labels"}
    assert gates["labels"]["value"] == nats["right"]
    assert gates["labels"]["passed"] == (nats["right"] <= 0.99 * nats["wrong"])


# --- builds that went wrong on purpose


def judged_again(line: Line) -> dict[str, dict[str, Any]]:
    """The gates, measured anew."""
    asked = (len(line.files.sounds), line.split, read_by_validation(line.config, line.vocoders))
    trained = (line.rvqvae, line.texture, line.prior, line.judgement, line.vocoders)
    ref = validate.body(line.run, line.sounds, line.mels, *trained, *asked)
    gates: dict[str, dict[str, Any]] = record_of(line.store, ref)["gates"]
    return gates


def red(gates: Mapping[str, dict[str, Any]], *names: str) -> list[str]:
    """Those of the named gates that failed; by default those that hang on no training."""
    asked = names or ("mels", "duration", "clipping")
    return [name for name in asked if not gates[name]["passed"]]


def test_sound_build_is_green(line: Line) -> None:
    assert red(record_of(line.store, line.validation)["gates"]) == []


def test_build_whose_mels_are_shifted_by_one_band_is_red(
    sounds_folder: Path, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = mels.log_mel_in_chunks

    def shifted(*arguments: Any) -> np.ndarray:
        return np.roll(right(*arguments), 1, axis=1)

    store = tmp_path / "store"
    shutil.copytree(line.run.folder, store)
    shutil.rmtree(store / "memos" / "mels")
    monkeypatch.setattr(mels, "log_mel_in_chunks", shifted)
    wrong = built(sounds_folder, store, "cpu")
    gates = record_of(wrong.store, wrong.validation)["gates"]
    assert red(gates) == ["mels"]
    assert gates["mels"]["value"] > 0.1
    # Griffin-Lim gives what the mel says, so it is a band too high.
    assert red(gates, "pitch") == ["pitch"]


def test_44_khz_sound_that_is_passed_off_as_48_khz_is_red(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "resampled", lambda pieces, *_: pieces)
    gates = judged_again(line)
    assert red(gates) == ["duration"]
    assert red(gates, "pitch") == ["pitch"]
    assert "passed off as 48 kHz" in gates["duration"]["text"]


class Changed(Vocoder):
    """Another vocoder whose waves a subclass changes."""

    def __init__(self, inner: Vocoder):
        self.inner, self.name = inner, inner.name
        self.reach_frames, self.seam = inner.reach_frames, inner.seam


def played_by(
    change: type[Changed], changed: Container[VocoderName], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From now on the named vocoders are those of `change`."""
    whole = validation.vocoder_from_weights

    def made(name: VocoderName, *rest: Any) -> Vocoder:
        vocoder = whole(name, *rest)
        return change(vocoder) if name in changed else vocoder

    monkeypatch.setattr(validation, "vocoder_from_weights", made)


class Buzzing(Changed):
    """Another vocoder whose sounds repeat one frame of their own, at their level."""

    def wave(self, log_mel: Tensor, *drawn: Any) -> Tensor:
        wave = self.inner.wave(log_mel, *drawn)
        frame = torch.randn(512, generator=torch.Generator().manual_seed(1))
        return frame.repeat(len(log_mel)) * wave.square().mean().sqrt()


def test_vocoder_that_buzzes_does_not_win_however_near(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    played_by(Buzzing, {"freev", "hifigan"}, monkeypatch)
    monkeypatch.setattr(copies, "distance", lambda *_: Distance(1.0, 1.0))  # all are as near
    gates = judged_again(line)
    assert red(gates, "buzz") == ["buzz"]
    assert "griffinlim plays instead" in gates["buzz"]["text"]


class Overdriven(Changed):
    """Another vocoder, cut off at a third of its peak."""

    def wave(self, log_mel: Tensor, *drawn: Any) -> Tensor:
        wave = self.inner.wave(log_mel, *drawn)
        limit = float(wave.abs().max()) / 3
        return wave.clamp(-limit, limit)


@pytest.mark.parametrize("clipped", ["griffinlim", "freev"])
def test_clipped_vocoder_is_red(
    line: Line, monkeypatch: pytest.MonkeyPatch, clipped: VocoderName
) -> None:
    played_by(Overdriven, {clipped}, monkeypatch)
    gates = judged_again(line)
    assert red(gates) == ["clipping"]
    assert gates["clipping"]["text"].startswith(f"{clipped} clips")


class Wordless(Changed):
    """Another vocoder with one sample that is no number."""

    def wave(self, log_mel: Tensor, *drawn: Any) -> Tensor:
        wave = self.inner.wave(log_mel, *drawn).clone()
        wave[len(wave) // 2] = math.nan
        return wave


def test_vocoder_that_plays_no_numbers_is_named_with_what_to_do(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    played_by(Wordless, {"freev"}, monkeypatch)
    with pytest.raises(VocoderError, match=r"freev plays NaN.*--set freev\.train=false"):
        judged_again(line)
