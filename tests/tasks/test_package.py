"""The package step, and what the whole line of steps promises."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from small_line import Line, built
from torch import nn

from artifacts.checkpoint import Checkpoints
from artifacts.model import Model
from artifacts.package import verify_package
from artifacts.weights import weights_bytes
from core.config import PresetName
from core.freev import FreevNet
from core.hifigan import HifiganGenerator
from core.presets import preset
from core.training import TrainingState
from tasks.step import Run
from tasks.train_prior import train_prior
from tasks.validate import record_of


def test_the_package_is_whole_and_holds_what_was_trained(line: Line, model: Model) -> None:
    assert verify_package(model.path) == []
    package, store = model.package, line.store
    for name, ref in {
        "rvqvae": line.rvqvae,
        "texture": line.texture,
        "prior": line.prior,
        "vocoder-freev": line.vocoders["freev"],
        "vocoder-hifigan": line.vocoders["hifigan"],
    }.items():
        assert package.bytes(f"{name}.safetensors") == store.read_bytes(ref.parts["weights"])
    preview = record_of(store, line.validation)["previews"][0]["name"]
    flac = store.read_bytes(line.validation.parts[f"{preview}.flac"])
    assert package.bytes("previews/1.flac") == flac
    assert package.bytes("card.md").decode().startswith("# kit\n")


def test_vocoder_entries_hold_the_players_weights_and_nothing_else(
    line: Line, model: Model
) -> None:
    nets: dict[str, nn.Module] = {
        "freev": FreevNet(line.config.freev, line.config.mel),
        "hifigan": HifiganGenerator(line.config.hifigan, weight_norm=False),
    }
    entries = [name for name in model.package.names() if name.startswith("vocoder-")]
    assert entries == [f"vocoder-{name}.safetensors" for name in nets]
    for name, net in nets.items():
        expected = {key: tensor.shape for key, tensor in net.state_dict().items()}
        tensors = model.package.tensors(f"vocoder-{name}.safetensors")
        assert {key: tensor.shape for key, tensor in tensors.items()} == expected


@pytest.mark.parametrize("name", get_args(PresetName))
def test_vocoder_entries_are_at_most_20_megabytes(name: str) -> None:
    config = preset(name)
    for net in (
        FreevNet(config.freev, config.mel),
        HifiganGenerator(config.hifigan, weight_norm=False),
    ):
        assert len(weights_bytes(net.state_dict())) <= 20_000_000


def test_the_manifest_has_the_contracts_keys(line: Line, model: Model) -> None:
    manifest = model.manifest
    assert (manifest["format"], manifest["version"]) == ("distill_model", 2)
    assert manifest["mel"]["mel_type"] == "slaney_logclamp"
    assert len(manifest["health"]["utilisation"]) == manifest["sizes"]["levels"]
    assert len(manifest["health"]["perplexity"]) == manifest["sizes"]["levels"]
    metrics = manifest["metrics"]
    assert metrics["reconstruction"].keys() >= {"log_mel_l1", "vae_log_mel_l1"}
    assert metrics["prior"].keys() >= {
        "nats_per_frame", "unigram_nats_per_frame", "overlap_8gram", "overlap_8gram_real",
    }  # fmt: skip
    assert metrics["realism"] == record_of(line.store, line.judgement)["realism"]
    for row in metrics["vocoders"].values():
        assert row.keys() >= {"log_mel_l1", "mr_stft"}
    assert manifest["vocoder"] in metrics["vocoders"]
    for gate in manifest["gates"].values():
        assert gate.keys() >= {"value", "limit", "passed"}
    assert manifest["train"].keys() >= {"files", "seconds_of_audio", "gain"}
    assert manifest["labels"] == []  # all sounds lie in one folder
    assert model.config == line.config


def test_the_same_sounds_elsewhere_give_the_same_model_byte_for_byte(
    line: Line, sounds_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "other names"
    for number, path in enumerate(sorted(sounds_folder.iterdir(), reverse=True)):
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder / f"sound {number}.wav")
    again = built(folder, tmp_path / "store", "auto")
    stages = ("sounds", "mels", "rvqvae", "codes", "texture", "labels", "prior", "judgement")
    for stage in (*stages, "vocoders", "validation"):
        assert getattr(again, stage) == getattr(line, stage), stage
    assert again.package == line.package


@pytest.mark.parametrize("saves", [1, 2, 4])
def test_a_training_cut_short_ends_as_if_it_never_was(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    store = tmp_path / "store"
    shutil.copytree(line.run.folder, store)
    shutil.rmtree(store / "memos" / "prior")
    run = Run(str(store), "cpu")
    arguments = (line.codes, line.rvqvae, line.labels, line.config.prior, 0)
    monkeypatch.setattr(Checkpoints, "save", cut_after(saves, Checkpoints.save))
    with pytest.raises(KeyboardInterrupt):
        train_prior.direct(run, *arguments)
    assert len(list(store.glob("checkpoints/*/prior*/*"))) >= 1
    monkeypatch.undo()
    made = train_prior.direct(run, *arguments)
    assert (made.ref, made.cached) == (line.prior, False)
    assert list(store.glob("checkpoints/*")) == []


Save = Callable[[Checkpoints, TrainingState], None]


def cut_after(saves: int, save: Save) -> Save:
    done = 0

    def cut(self: Checkpoints, state: TrainingState) -> None:
        nonlocal done
        save(self, state)
        done += 1
        if done == saves:
            raise KeyboardInterrupt

    return cut
