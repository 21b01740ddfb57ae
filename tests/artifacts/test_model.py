import dataclasses
from pathlib import Path

import pytest
import safetensors.torch
import torch

from artifacts.model import Model
from artifacts.package import write_package
from core.config import BuildConfig
from core.errors import ConfigError, PackageError

WEIGHTS = safetensors.torch.save({"w": torch.zeros(2)})
ENTRIES = {"rvqvae.safetensors": WEIGHTS, "prior.safetensors": WEIGHTS, "card.md": b"# kit\n"}
MANIFEST = {
    "name": "kit",
    "vocoder": "freev",
    "sizes": {"longest_code_frames": 90},
    "config": dataclasses.asdict(BuildConfig(seed=7)),
}
CPU = torch.device("cpu")


def model(tmp_path: Path, **changes: object) -> Model:
    path = tmp_path / "gift.distill"
    manifest = {name: value for name, value in {**MANIFEST, **changes}.items() if value is not None}
    write_package(path, manifest, {**ENTRIES, "vocoder-freev.safetensors": WEIGHTS})
    return Model(path)


def test_a_model_knows_its_name_settings_and_vocoders(tmp_path: Path) -> None:
    opened = model(tmp_path)
    assert opened.name == "kit"
    assert opened.config == BuildConfig(seed=7)
    assert opened.vocoders == ["griffinlim", "freev"]
    assert (opened.winner, opened.longest_frames) == ("freev", 90)


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "a/b", "..", ".hidden", "a b", "", "a\n", "a" * 65]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"gift\.distill calls itself .* do not use this file"):
        model(tmp_path, name=name)


@pytest.mark.parametrize("key", ["name", "vocoder", "sizes", "config"])
def test_a_package_without_what_a_model_needs_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(PackageError, match=r"gift\.distill lacks what a model needs"):
        model(tmp_path, **{key: None})


@pytest.mark.parametrize("vocoder", ["hifigan", "bigvgan", "card.md"])
def test_a_vocoder_that_is_not_there_is_refused(tmp_path: Path, vocoder: str) -> None:
    with pytest.raises(ConfigError, match=f"has no {vocoder} vocoder; use auto or griffinlim"):
        model(tmp_path).instrument(vocoder, CPU)


def test_weights_of_another_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="do not fit its settings") as caught:
        model(tmp_path).instrument("freev", CPU)
    assert "\n" not in str(caught.value)
