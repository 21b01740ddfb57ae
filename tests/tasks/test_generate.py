import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from artifacts.model import Model
from artifacts.store import sha256_of
from core.errors import ConfigError
from core.sampling import Sampling
from tasks.generate import NewSound, Wish, free_path, fresh_seed, generate_sounds

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


def test_a_free_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert free_path(tmp_path / "a.wav", "any") == tmp_path / "a.wav"


def test_a_path_with_the_same_bytes_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"same")
    assert free_path(path, sha256_of(path)) == path


def test_other_content_is_left_alone_and_the_new_gets_a_number(tmp_path: Path) -> None:
    for name in ("a.wav", "a-2.wav"):
        (tmp_path / name).write_bytes(b"other")
    assert free_path(tmp_path / "a.wav", "new") == tmp_path / "a-3.wav"
    (tmp_path / "a-3.wav").write_bytes(b"new")
    digest = sha256_of(tmp_path / "a-3.wav")
    assert free_path(tmp_path / "a.wav", digest) == tmp_path / "a-3.wav"


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


def test_the_same_wish_gives_the_same_files_again(model: Model, tmp_path: Path) -> None:
    wish = Wish(2, seed=5, sampling=Sampling(temperature=0.8))
    assert generated(model, tmp_path, wish) == generated(model, tmp_path, wish)
    assert len(list(tmp_path.glob("*.wav"))) == 2


def test_a_sidecar_recreates_its_sound_alone(model: Model, tmp_path: Path) -> None:
    made = generated(model, tmp_path / "many", Wish(4, 0.3, seed=7, container="flac"))
    recipe = json.loads(Path(made[3].sidecar).read_text())
    assert recipe["file"] == Path(made[3].path).name
    assert recipe["model"] == {"name": "kit", "sha256": sha256_of(model.path)}
    wish = recipe["wish"]
    again = Wish(**{**wish, "sampling": Sampling(**wish["sampling"])})
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
    with pytest.raises(ConfigError, match=r"has no bigvgan vocoder; use auto or griffinlim, freev"):
        generated(model, tmp_path / "out", Wish(1, vocoder="bigvgan"))
    assert not (tmp_path / "out").exists()


def test_the_file_may_be_renamed_and_the_sounds_keep_the_models_name(
    model: Model, tmp_path: Path
) -> None:
    shutil.copy(model.path, tmp_path / "renamed.distill")
    (made,) = generated(Model(tmp_path / "renamed.distill"), tmp_path, Wish(1, 0.1, seed=3))
    assert Path(made.path).name == "kit-000003.wav"
