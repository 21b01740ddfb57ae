"""A model that goes on from another: what it takes over, and what is said of its memory."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from broken_sounds import tone
from small_line import Line, built
from torch import Tensor

from artifacts.manifest import encode_manifest
from artifacts.model import Model
from artifacts.package import Package, write_package
from artifacts.parent import Parent, unpacked
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights, weights_bytes
from core.errors import PackageError
from core.rvqvae import RvqVae
from core.rvqvae_training import reconstruction_l1
from core.split import KNOWN_DIGITS
from tasks.memory import compare_with_parent, read_by_memory
from tasks.validate import record_of


@pytest.fixture(scope="module")
def few_more(sounds_folder: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Three tones more than the parent's six: ends of sounds are held out again."""
    return gone_on(sounds_folder, 3, 0.8, model.path, tmp_path_factory.mktemp("few-more"))


@pytest.fixture(scope="module")
def many_more(sounds_folder: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Ten tones more, louder ones: two of them are held out whole."""
    return gone_on(sounds_folder, 10, 1.2, model.path, tmp_path_factory.mktemp("many-more"))


def gone_on(old: Path, new: int, loud: float, parent: Path, folder: Path) -> Line:
    sounds = folder / "sounds"
    shutil.copytree(old, sounds)
    for number in range(new):
        wave = loud * tone(0.4, 44_100, 170 + 90 * number)
        soundfile.write(sounds / f"new {number}.wav", wave, 44_100)
    return built(sounds, folder / "store", "cpu", parent=parent)


def parent_of(line: Line, model: Model) -> Parent:
    return Parent(line.store, unpacked(line.store, model.path))


def data(line: Line) -> TrainingData:
    return TrainingData.open(line.store, line.sounds, line.mels, line.split)


def known(line: Line, model: Model, parts: list[Any]) -> list[bool]:
    heard = parent_of(line, model).heard
    return [heard.knows(digest) for digest in data(line).digests(parts)]


def manifest(line: Line) -> dict[str, Any]:
    return Package(line.store.path(line.package.digest)).manifest  # type: ignore[return-value]


# --- what a parent says


def test_a_package_says_which_sounds_it_has_heard(line: Line, model: Model) -> None:
    digests = {one.digest[:KNOWN_DIGITS] for one in data(line).sounds.sounds}
    heard = manifest(line)["train"]["heard"]
    assert set(heard["trained"]) == digests
    assert (heard["held_out"], heard["tail_fraction"]) == ([], 0.15)
    assert parent_of(line, model).heard == data(line).heard


def test_an_unpacked_parent_has_the_packages_weights(line: Line, model: Model) -> None:
    parent = parent_of(line, model)
    assert parent.config == line.config
    for name, ref in {"rvqvae": line.rvqvae, "prior": line.prior, "texture": line.texture}.items():
        assert parent.ref.parts[name] == ref.parts["weights"]
    assert (
        parent.weights("vocoder-freev").keys()
        == model.package.tensors("vocoder-freev.safetensors").keys()
    )


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    return change


def of_another_mel(manifest: dict[str, Any]) -> None:
    manifest["mel"]["mel_type"] = "htk_log1p"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("train", "heard"), "does not say which sounds it has heard"),
        (without("config"), "lacks what a model needs"),
        (of_another_mel, "another mel contract"),
    ],
)
def test_what_is_no_parent_is_refused(
    line: Line, model: Model, change: Callable[[dict[str, Any]], None], told: str, tmp_path: Path
) -> None:
    said = json.loads(encode_manifest(model.package.manifest))
    change(said)
    entries = {name: model.package.bytes(name) for name in model.package.names()}
    path = tmp_path / "old.distill"
    write_package(path, said, entries)
    with pytest.raises(PackageError, match=told):
        unpacked(line.store, path)


# --- the split


def test_the_old_ends_stay_held_out_beside_new_ones(
    few_more: Line, line: Line, model: Model
) -> None:
    assert few_more.split == line.split
    held_out = data(few_more).held_out
    old = [part for part, is_old in zip(held_out, known(few_more, model, held_out), strict=True)
           if is_old]  # fmt: skip
    assert [part.frames for part in old] == [part.frames for part in data(line).held_out]
    assert len(held_out) == len(old) + 3


def test_after_many_more_only_new_sounds_are_held_out(many_more: Line, model: Model) -> None:
    assert many_more.split.kind == "files"
    assert known(many_more, model, data(many_more).held_out) == [False, False]


# --- what is taken over


def begins(line: Line) -> dict[str, str]:
    trained = {"rvqvae": line.rvqvae, "texture": line.texture, "prior": line.prior}
    refs = {**trained, **line.vocoders}
    return {name: record_of(line.store, ref)["begins_anew"] for name, ref in refs.items()}


def test_all_that_fits_goes_on(many_more: Line) -> None:
    assert set(begins(many_more).values()) == {""}
    assert manifest(many_more)["parent"]["begun_anew"] == {}


def test_a_prior_that_has_heard_what_is_held_out_begins_anew(few_more: Line) -> None:
    why = {name: said for name, said in begins(few_more).items() if said}
    assert list(why) == ["prior"]
    assert "has heard the ends" in why["prior"]
    assert manifest(few_more)["parent"]["begun_anew"] == why


def test_the_parents_statistics_are_kept_at_the_new_gain(
    many_more: Line, line: Line, model: Model
) -> None:
    old, new = (load_weights(one.store, one.rvqvae.parts["weights"]) for one in (line, many_more))
    assert torch.equal(new["scale"], old["scale"])
    louder = torch.tensor(data(many_more).sounds.gain / data(line).sounds.gain).log()
    assert louder < -0.1  # the new ones were
    torch.testing.assert_close(new["mean"], old["mean"] + louder)
    assert len(new["codebooks"]) >= len(old["codebooks"])


def test_without_a_parent_nothing_is_said_of_one(line: Line) -> None:
    assert "begins_anew" not in record_of(line.store, line.rvqvae)
    assert "parent" not in manifest(line)
    assert "forgetting" not in manifest(line)["gates"]


# --- memory


def l1(line: Line, weights: dict[str, Tensor], mels: list[Tensor]) -> float:
    codec = RvqVae.from_weights(weights, line.config.mel, line.config.rvqvae)
    return reconstruction_l1(codec, mels)


def test_the_figures_are_what_both_models_give(few_more: Line, line: Line, model: Model) -> None:
    figures = manifest(few_more)["metrics"]["memory"]
    held_out, here = data(few_more).held_out, data(few_more)
    is_old = known(few_more, model, held_out)
    assert here.sounds.gain == data(line).sounds.gain  # the weights are then compared as they are
    both = {"": few_more, "_before": line}
    for group, wanted in {"old": True, "new": False}.items():
        chosen = [part for part, old in zip(held_out, is_old, strict=True) if old == wanted]
        mels = [here.log_mel(part) for part in chosen]
        assert figures[group]["sounds"] == len(chosen)
        for which, made in both.items():
            weights = load_weights(made.store, made.rvqvae.parts["weights"])
            assert figures[group][f"log_mel_l1{which}"] == pytest.approx(
                l1(made, weights, mels), rel=1e-6
            )


def test_the_parents_own_figures_are_those_of_its_package(few_more: Line, line: Line) -> None:
    old = manifest(few_more)["metrics"]["memory"]["old"]
    metrics = manifest(line)["metrics"]
    assert old["log_mel_l1_before"] == pytest.approx(metrics["reconstruction"]["log_mel_l1"])
    assert old["nats_per_frame_before"] == metrics["prior"]["nats_per_frame"]


def test_nats_of_old_and_new_sounds_make_up_those_of_all(few_more: Line) -> None:
    figures = manifest(few_more)["metrics"]["memory"]
    nats = record_of(few_more.store, few_more.prior)["nats_per_frame"]
    both = sorted(figures[group]["nats_per_frame"] for group in ("old", "new"))
    assert both[0] <= nats <= both[1]


def test_the_gate_is_in_the_manifest_and_says_what_it_is_judged_on(
    few_more: Line, many_more: Line
) -> None:
    assert "ends of the sounds" in manifest(few_more)["gates"]["forgetting"]["text"]
    assert "trained on by now" in manifest(many_more)["gates"]["forgetting"]["text"]


def test_a_wrecked_codec_has_forgotten_the_old_sounds(few_more: Line, model: Model) -> None:
    weights = load_weights(few_more.store, few_more.rvqvae.parts["weights"])
    weights["decoder_linear"] = 0.5 * weights["decoder_linear"]
    digest = few_more.store.put_bytes(weights_bytes(weights))
    wrecked = type(few_more.rvqvae)("rvqvae", few_more.rvqvae.digest, {"weights": digest})
    made = compare_with_parent.direct(
        few_more.run,
        few_more.sounds,
        few_more.mels,
        wrecked,
        few_more.prior,
        parent_of(few_more, model).ref,
        few_more.split,
        read_by_memory(few_more.config),
    )
    gate = record_of(few_more.store, made.ref)["gates"]["forgetting"]
    assert not gate["passed"]
    assert gate["value"] > 0.05
    assert "partly forgotten" in gate["text"]


def test_the_same_again_is_cached_and_the_same_file(
    few_more: Line, sounds_folder: Path, model: Model, tmp_path: Path
) -> None:
    elsewhere = shutil.copy(model.path, tmp_path / "moved.distill")
    sounds = Path(few_more.run.folder).parent / "sounds"
    again = built(sounds, Path(few_more.run.folder), "cpu", parent=Path(elsewhere))
    assert all(made.cached for made in again.made.values())
    anew = built(sounds, tmp_path / "store", "cpu", parent=model.path)
    assert anew.package == few_more.package
