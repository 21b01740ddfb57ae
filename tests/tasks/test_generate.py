import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from broken_sounds import tone

from artifacts.model import Model
from artifacts.store import sha256_of
from artifacts.tape import FileTape
from core import generation
from core.controls import Controls
from core.errors import AudioError, ConfigError
from core.mel import log_mel
from core.sampling import Sampling
from tasks import generate as generating
from tasks.generate import NewSound, Wish, fresh_seed, generate_sounds, prompt_mel

CPU = torch.device("cpu")


def generated(model: Model, folder: Path, wish: Wish) -> list[NewSound]:
    return list(generate_sounds(model, wish, folder, CPU))


@pytest.mark.parametrize("count", [1, 10_000])
@pytest.mark.parametrize("seconds", [None, 0.05, 600.0])
@pytest.mark.parametrize("seed", [0, 2**62 - 1])
@pytest.mark.parametrize("rate", [8_000, 384_000])
def test_a_wish_within_the_ranges_is_taken(
    count: int, seconds: float | None, seed: int, rate: int
) -> None:
    assert Wish(count, seconds, seed, sample_rate=rate).count == count


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"count": 0}, "0 sounds cannot be made; ask for 1 to 10000"),
        ({"count": -1}, "-1 sounds"),
        ({"count": 10_001}, "10001 sounds"),
        ({"seconds": 0.049}, "0.049 s cannot be made; ask for auto or 0.05 to 600"),
        ({"seconds": -1.0}, "-1.0 s"),
        ({"seconds": 600.1}, "600.1 s"),
        ({"seconds": float("nan")}, "nan s"),
        ({"seconds": float("inf")}, "inf s"),
        ({"sample_rate": 7_999}, "7999 Hz cannot be written; ask for 8000 to 384000"),
        ({"sample_rate": 384_001}, "384001 Hz"),
        ({"seed": -1}, "seed -1 is out of range; give 0 or more"),
        ({"seed": 2**62}, "below 2^62"),
    ],
)
def test_a_wish_out_of_range_is_refused(wrong: dict, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Wish(**wrong)
    assert told in str(caught.value)


def test_a_fresh_seed_has_at_most_six_digits() -> None:
    seeds = {fresh_seed() for _ in range(1000)}
    assert len(seeds) > 990  # 1000 of a million: 0.5 pairs meet in the mean
    assert min(seeds) >= 0
    assert max(seeds) < 1_000_000


def test_sounds_have_the_seeds_that_follow_and_a_whole_file_each(
    model: Model, tmp_path: Path
) -> None:
    made = generated(model, tmp_path, Wish(3, 0.2, seed=41, sample_rate=22_050))
    assert [one.seed for one in made] == [41, 42, 43]
    assert [Path(one.path).name for one in made] == [f"kit-0000{n}.wav" for n in (41, 42, 43)]
    for one in made:
        wave, rate = soundfile.read(one.path)
        assert (len(wave), rate, one.seconds) == (4410, 22_050, 0.2)
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() < 1
        assert one.sha256 == sha256_of(Path(one.path))
    assert len({one.sha256 for one in made}) == 3
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * 3 + [".wav"] * 3


def test_sounds_wait_on_one_tape_beside_their_files(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []
    seconds: list[float] = []

    class Noted(FileTape):
        def __init__(self, folder: Path):
            super().__init__(folder)
            folders.append(folder)

        def emptied(self) -> FileTape:
            seconds.append(len(self) / 48_000)
            return super().emptied()

    monkeypatch.setattr(generating, "FileTape", Noted)
    made = generated(model, tmp_path, Wish(3, seed=2))
    assert folders == [tmp_path]
    assert {one.seconds for one in made[:2]} <= set(seconds)


def test_a_disk_that_is_full_leaves_the_sounds_that_are_whole(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FileTape.write

    def refused(self: FileTape, piece: np.ndarray) -> None:
        if any(tmp_path.glob("*.json")):  # the first is done
            raise OSError(28, "No space left on device")
        write(self, piece)

    monkeypatch.setattr(FileTape, "write", refused)
    with pytest.raises(OSError, match="No space"):
        generated(model, tmp_path, Wish(2, seed=2))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["kit-000002.wav", "kit-000002.wav.json"]


def test_the_same_wish_gives_the_same_files_again(model: Model, tmp_path: Path) -> None:
    wish = Wish(2, seed=5, sampling=Sampling(temperature=(0.8,)))
    assert generated(model, tmp_path, wish) == generated(model, tmp_path, wish)
    assert len(list(tmp_path.glob("*.wav"))) == 2


def test_a_sidecar_recreates_its_sound_alone(model: Model, tmp_path: Path) -> None:
    made = generated(model, tmp_path / "many", Wish(4, 0.3, seed=7, container="flac"))
    recipe = json.loads(Path(made[3].sidecar).read_text())
    assert recipe["file"] == Path(made[3].path).name
    assert recipe["model"] == {"name": "kit", "sha256": sha256_of(model.path)}
    wish = recipe["wish"]
    parts = {"sampling": Sampling(**wish["sampling"]), "controls": Controls(**wish["controls"])}
    again = Wish(**{**wish, **parts})
    (alone,) = generated(model, tmp_path / "alone", again)
    assert alone.sha256 == made[3].sha256 == recipe["sha256"]


def test_every_sound_keeps_its_own_sidecar(model: Model, tmp_path: Path) -> None:
    sounds = [
        *generated(model, tmp_path, Wish(1, 0.2, seed=1)),
        *generated(model, tmp_path, Wish(1, 0.2, seed=1, container="flac")),
        *generated(model, tmp_path, Wish(1, 0.3, seed=1)),
    ]
    for one in sounds:
        assert json.loads(Path(one.sidecar).read_text())["sha256"] == one.sha256


def test_the_winner_is_the_automatic_vocoder(model: Model, tmp_path: Path) -> None:
    assert generated(model, tmp_path, Wish(1, 0.1))[0].vocoder == model.winner
    named = generated(model, tmp_path, Wish(1, 0.1, vocoder="griffinlim"))
    assert named[0].vocoder == "griffinlim"


def test_a_vocoder_that_the_model_lacks_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"has no hum vocoder; use auto, griffinlim, freev.*, or b"
    ):
        generated(model, tmp_path / "out", Wish(1, vocoder="hum"))
    assert not (tmp_path / "out").exists()


def test_the_file_may_be_renamed_and_the_sounds_keep_the_models_name(
    model: Model, tmp_path: Path
) -> None:
    shutil.copy(model.path, tmp_path / "renamed.distill")
    (made,) = generated(Model(tmp_path / "renamed.distill"), tmp_path, Wish(1, 0.1, seed=3))
    assert Path(made.path).name == "kit-000003.wav"


# --- what is asked of them


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[float]]]:
    """The labels, and the ranks of the first sound, that the prior is told at each drawing."""
    heard: list[tuple[list[int], list[float]]] = []
    sample = generation.sample_codes

    def listening(*arguments: Any) -> list[torch.Tensor]:
        conditions = arguments[4]
        heard.append((conditions.label.tolist(), conditions.ranks[0].tolist()))
        return sample(*arguments)

    monkeypatch.setattr(generation, "sample_codes", listening)
    return heard


@pytest.mark.parametrize(("name", "number"), [("high", 0), ("low", 1)])
def test_like_tells_the_prior_the_label(
    labelled_model: Model, tmp_path: Path, told: list, name: str, number: int
) -> None:
    generated(labelled_model, tmp_path, Wish(3, 0.1, like=name))
    assert {label for labels, _ in told for label in labels} == {number}


def test_a_label_that_the_model_lacks_is_refused(labelled_model: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no label middle; use high, low"):
        generated(labelled_model, tmp_path / "out", Wish(1, like="middle"))
    assert not (tmp_path / "out").exists()


def test_a_model_of_one_folder_knows_no_labels(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no label low; it was built from .* one folder"):
        generated(model, tmp_path, Wish(1, like="low"))


def test_controls_tell_the_prior_the_ranks(model: Model, tmp_path: Path, told: list) -> None:
    controls = Controls(brightness=0.0, loudness=0.25, noisiness=0.5, attack=1.0)
    generated(model, tmp_path, Wish(1, 0.1, controls=controls))
    assert told[0][1] == [0.0, 0.25, 0.5, 1.0]


def test_what_is_not_asked_is_told_as_of_a_training_sound(
    model: Model, tmp_path: Path, told: list
) -> None:
    generated(model, tmp_path, Wish(1, 0.1))
    ranks = model.instrument("griffinlim", torch.device("cpu")).prior.examples[:, 2:6]
    assert told[0][1] in ranks.tolist()


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    """A tone of 0.2 s."""
    path = tmp_path / "prompt.wav"
    soundfile.write(path, tone(0.2, 44_100, 240), 44_100)
    return str(path)


def test_every_sound_goes_on_from_the_prompt(
    model: Model, tmp_path: Path, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[torch.Tensor] = []
    sample = generation.sample_codes

    def listening(*arguments: Any) -> list[torch.Tensor]:
        drawn.extend(sample(*arguments))
        return drawn[-len(arguments[1]) :]

    monkeypatch.setattr(generation, "sample_codes", listening)
    wish = Wish(6, prompt=prompt, vocoder="griffinlim")
    generated(model, tmp_path, wish)
    instrument = model.instrument("griffinlim", CPU)
    known = instrument.rvqvae.encode(prompt_mel(model, wish)[None])[0]
    assert len(known) == 9  # 17 mel frames of 512 samples
    assert all(torch.equal(codes[:9], known) for codes in drawn)
    assert max(len(codes) for codes in drawn) > 9


def test_a_prompt_is_heard_as_loud_as_the_set_would_have_made_it(model: Model, prompt: str) -> None:
    wave, _ = soundfile.read(prompt, dtype="float32")
    as_loud = torch.from_numpy(wave * model.gain)[None]
    expected = log_mel(as_loud, model.config.mel)[0].T
    torch.testing.assert_close(prompt_mel(model, Wish(prompt=prompt)), expected, atol=1e-4, rtol=0)


def test_a_sidecar_says_which_prompt_it_was(model: Model, tmp_path: Path, prompt: str) -> None:
    (made,) = generated(model, tmp_path / "out", Wish(1, 0.4, prompt=prompt))
    recipe = json.loads(Path(made.sidecar).read_text())
    assert recipe["prompt_sha256"] == hashlib.sha256(Path(prompt).read_bytes()).hexdigest()
    (without,) = generated(model, tmp_path / "out", Wish(1, 0.4))
    assert "prompt_sha256" not in json.loads(Path(without.sidecar).read_text())


def test_an_exact_length_counts_the_prompt(model: Model, tmp_path: Path, prompt: str) -> None:
    (made,) = generated(model, tmp_path / "out", Wish(1, 0.4, prompt=prompt, sample_rate=44_100))
    assert soundfile.info(made.path).frames == 17_640


@pytest.mark.parametrize("seconds", [0.1, 0.2])
def test_a_prompt_that_leaves_nothing_to_go_on_with_is_refused(
    model: Model, tmp_path: Path, prompt: str, seconds: float
) -> None:
    with pytest.raises(AudioError) as caught:
        generated(model, tmp_path / "out", Wish(1, seconds, prompt=prompt))
    assert str(caught.value) == "prompt.wav is 0.20 s long; ask for --seconds beyond that"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ""),
        (b"no sound at all", ""),
        ("silent", "silent"),
        ("short", "0.010 s long"),
    ],
)
def test_a_prompt_that_is_no_sound_is_refused_by_its_name(
    model: Model, tmp_path: Path, content: bytes | str, reason: str
) -> None:
    path = tmp_path / "my prompt.wav"
    match content:
        case bytes():
            path.write_bytes(content)
        case "silent":
            soundfile.write(path, np.zeros(9000), 44_100)
        case "short":
            soundfile.write(path, tone(0.01, 44_100, 300), 44_100)
    with pytest.raises(AudioError, match=rf"^my prompt\.wav .*{reason}.*; ") as caught:
        generated(model, tmp_path / "out", Wish(1, prompt=str(path)))
    assert "\n" not in str(caught.value)


def test_a_prompt_that_is_not_there_is_said_to_be_missing(model: Model, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav does not exist; check the path$"):
        generated(model, tmp_path / "out", Wish(1, prompt=str(tmp_path / "gone.wav")))


def test_levels_may_be_drawn_each_in_its_own_way(model: Model, tmp_path: Path) -> None:
    safe = Sampling(top_k=(1,))  # the likeliest code, whatever the seed
    both = [
        generated(model, tmp_path / name, Wish(2, 0.3, sampling=sampling))
        for name, sampling in (
            ("safe", safe),
            ("named", Sampling(top_k=(1, 1, 1))),
            ("free below", Sampling(top_k=(1, 0))),
        )
    ]
    sums = [[one.sha256 for one in made] for made in both]
    assert sums[0] == sums[1] != sums[2]
