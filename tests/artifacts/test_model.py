import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from fuzzing import forget_peak, peak_bytes
from torch import Tensor

from artifacts.model import Model
from artifacts.package import write_package
from artifacts.weights import weights_bytes
from core.config import BuildConfig, MelConfig, PriorConfig, RvqvaeConfig
from core.errors import ConfigError, PackageError
from core.rvqvae import LinearStart, RvqVae

WEIGHTS = safetensors.torch.save({"w": torch.zeros(2)})
ENTRIES = {"rvqvae.safetensors": WEIGHTS, "prior.safetensors": WEIGHTS, "card.md": b"# kit\n"}
MANIFEST = {
    "name": "kit",
    "vocoder": "freev",
    "sizes": {"longest_code_frames": 90},
    "config": dataclasses.asdict(BuildConfig(seed=7)),
}
CPU = torch.device("cpu")


def model(tmp_path: Path, entries: Mapping[str, bytes] = ENTRIES, /, **changes: object) -> Model:
    path = tmp_path / "gift.distill"
    manifest = {name: value for name, value in {**MANIFEST, **changes}.items() if value is not None}
    write_package(path, manifest, {**entries, "vocoder-freev.safetensors": WEIGHTS})
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


def test_what_a_file_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    config = {**dataclasses.asdict(BuildConfig()), "prior": {"\x1b[2J": 1}}
    with pytest.raises(PackageError, match=r"\\x1b\[2J"):
        model(tmp_path, config=config)
    with pytest.raises(ConfigError, match=r"has no \\x1b\[2J vocoder"):
        model(tmp_path, vocoder="\x1b[2J").instrument("auto", CPU)


def parts(codec_books: Tensor, prior_books: Tensor) -> dict[str, bytes]:
    """Entries with a whole codec, and of the prior its codebooks alone."""
    start = LinearStart(torch.zeros(128), torch.ones(()), torch.zeros(256, 64), codec_books)
    codec = RvqVae(start, MelConfig(), RvqvaeConfig()).state_dict()
    return {
        **ENTRIES,
        "rvqvae.safetensors": weights_bytes(codec),
        "prior.safetensors": weights_bytes({"codebooks": prior_books}),
    }


def test_settings_that_ask_for_more_than_the_weights_take_no_memory(tmp_path: Path) -> None:
    books = torch.zeros(1, 20_000, 64)  # 5 MB; a prior of that width would take 1.2 GB
    config = dataclasses.replace(BuildConfig(), prior=PriorConfig(hidden=4096))
    opened = model(tmp_path, parts(books, books), config=dataclasses.asdict(config))
    forget_peak()
    before = peak_bytes()
    with pytest.raises(PackageError, match="do not fit its settings"):
        opened.instrument("griffinlim", CPU)
    assert peak_bytes() - before < 100e6


def test_a_prior_for_other_codes_is_refused(tmp_path: Path) -> None:
    opened = model(tmp_path, parts(torch.zeros(2, 8, 64), torch.zeros(2, 9, 64)))
    with pytest.raises(PackageError, match="the prior and the codec have different codebooks"):
        opened.instrument("griffinlim", CPU)


@pytest.mark.parametrize("shape", [(0, 8, 64), (2, 0, 64), (2, 8, 5), (8, 64), ()])
def test_codebooks_of_an_impossible_shape_are_refused(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    books = torch.zeros(shape)
    entries = parts(torch.zeros(2, 8, 64), books)
    codec = {**safetensors.torch.load(entries["rvqvae.safetensors"]), "codebooks": books}
    opened = model(tmp_path, {**entries, "rvqvae.safetensors": weights_bytes(codec)})
    with pytest.raises(PackageError, match="do not fit its settings"):
        opened.instrument("griffinlim", CPU)


def test_weights_of_another_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="do not fit its settings") as caught:
        model(tmp_path).instrument("freev", CPU)
    assert "\n" not in str(caught.value)
