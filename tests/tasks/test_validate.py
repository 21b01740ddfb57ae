import io
import math

import pytest
import soundfile
from small_line import Line

from core.split import Part
from tasks.validate import record_of, spread


def test_the_winner_is_nearest_to_the_held_out_sounds_from_the_models_own_mel(line: Line) -> None:
    record = record_of(line.store, line.validation)
    table = record["vocoders"]
    assert set(table) == {"griffinlim", "freev", "hifigan"}
    assert record["vocoder"] == min(table, key=lambda name: table[name]["mr_stft"])
    assert all(math.isfinite(value) for row in table.values() for value in row.values())


def test_every_gate_has_a_value_a_limit_and_what_to_do(line: Line) -> None:
    gates = record_of(line.store, line.validation)["gates"]
    assert set(gates) == {
        "utilisation", "reconstruction", "prior", "counting", "copying", "nearness", "grain",
        "likeness", "variety", "vocoder",
    }  # fmt: skip
    for name, gate in gates.items():
        assert math.isfinite(gate["value"])
        assert math.isfinite(gate["limit"])
        if name not in ("utilisation", "grain"):  # which are of the training sounds
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
