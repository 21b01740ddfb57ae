import dataclasses
import math
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
from core.config import BuildConfig, MelConfig, PriorConfig, RvqvaeConfig, TextureConfig
from core.errors import ConfigError, PackageError
from core.prior import Prior
from core.rvqvae import LinearStart, RvqVae
from core.texture import LAGS, Texture

WEIGHTS = safetensors.torch.save({"w": torch.zeros(2)})
ENTRIES = {
    "rvqvae.safetensors": WEIGHTS,
    "texture.safetensors": WEIGHTS,
    "prior.safetensors": WEIGHTS,
    "card.md": b"# kit\n",
}
MANIFEST = {
    "name": "kit",
    "vocoder": "freev",
    "labels": ["kick", "snare"],
    "train": {"gain": 1.5},
    "sizes": {"longest_code_frames": 90, "natural_temperature": 0.8},
    "config": dataclasses.asdict(BuildConfig(seed=7)),
}
CPU = torch.device("cpu")


def examples(dim: int) -> Tensor:
    """What new sounds are modelled on, with styles of this many numbers.

    20 frames, a kick, all ranks in the middle; 30 frames, no label.
    """
    rows = torch.tensor([[20, 0, 0.5, 0.5, 0.5, 0.5], [30, -1, 0, 0, 1, 1]])
    return torch.cat([rows, torch.linspace(-2, 2, 2 * dim).reshape(2, dim)], dim=1)


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
    assert (opened.labels, opened.gain) == (["kick", "snare"], 1.5)


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "a/b", "..", ".hidden", "a b", "", "a\n", "a" * 65]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackageError, match=r"gift\.distill calls itself .* do not use this file"):
        model(tmp_path, name=name)


@pytest.mark.parametrize("key", ["name", "vocoder", "labels", "train", "sizes", "config"])
def test_a_package_without_what_a_model_needs_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(PackageError, match=r"gift\.distill lacks what a model needs"):
        model(tmp_path, **{key: None})


@pytest.mark.parametrize("vocoder", ["hifigan", "bigvgan", "card.md"])
def test_a_vocoder_that_is_not_there_is_refused(tmp_path: Path, vocoder: str) -> None:
    with pytest.raises(ConfigError, match=f"has no {vocoder} vocoder; use auto, griffinlim"):
        model(tmp_path).instrument(vocoder, CPU)


def test_what_a_file_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    config = {**dataclasses.asdict(BuildConfig()), "prior": {"\x1b[2J": 1}}
    with pytest.raises(PackageError, match=r"\\x1b\[2J"):
        model(tmp_path, config=config)
    with pytest.raises(ConfigError, match=r"has no \\x1b\[2J vocoder"):
        model(tmp_path, vocoder="\x1b[2J").instrument("auto", CPU)


@pytest.mark.parametrize("gain", [0.0, -1.0, "inf", "nan"])
def test_a_gain_that_no_set_has_is_refused(tmp_path: Path, gain: object) -> None:
    with pytest.raises(PackageError, match=r"gift\.distill has a gain of "):
        model(tmp_path, train={"gain": gain})


def test_a_label_has_its_number(tmp_path: Path) -> None:
    opened = model(tmp_path)
    assert [opened.label("kick"), opened.label("snare")] == [0, 1]


def test_an_unknown_label_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        model(tmp_path).label("k\x1b[2Jck")
    assert str(caught.value) == r"gift.distill has no label k\x1b[2Jck; use kick, snare"


def test_a_model_without_labels_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no label kick; it was built from sounds in one"):
        model(tmp_path, labels=[]).label("kick")


def parts(codec_books: Tensor, prior_books: Tensor) -> dict[str, bytes]:
    """Entries with a whole codec, and of the prior what needs no net."""
    start = LinearStart(torch.zeros(128), torch.ones(()), torch.zeros(256, 64), codec_books)
    codec = RvqVae(start, MelConfig(), RvqvaeConfig()).state_dict()
    prior = {"codebooks": prior_books, "examples": examples(64), "scales": torch.zeros(4, 33)}
    return {
        **ENTRIES,
        "rvqvae.safetensors": weights_bytes(codec),
        "prior.safetensors": weights_bytes(prior),
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


# --- a whole model, and one tensor of it another

SMALL = BuildConfig(
    rvqvae=RvqvaeConfig(hidden=8, blocks=1, latent_dim=8),
    texture=TextureConfig(hidden=8, blocks=1),
    prior=PriorConfig(hidden=8),
)
BOOKS = torch.arange(48.0).reshape(2, 3, 8)
EXAMPLES = examples(8)
Tensors = dict[str, Tensor]


def nets() -> dict[str, Tensors]:
    """Two levels of three codes, two labels."""
    start = LinearStart(torch.zeros(128), torch.ones(()), torch.zeros(256, 8), BOOKS)
    texture = (torch.zeros(128), torch.ones(()), torch.ones(128), torch.ones(2 * LAGS + 1))
    prior = Prior(BOOKS, SMALL.prior, torch.zeros(4, 33), EXAMPLES, labels=2)
    return {
        "rvqvae": RvqVae(start, MelConfig(), SMALL.rvqvae).state_dict(),
        "texture": Texture(*texture, MelConfig(), SMALL.rvqvae, SMALL.texture).state_dict(),
        "prior": prior.state_dict(),
    }


def opened(tmp_path: Path, net: str = "prior", **changes: Tensor) -> Model:
    """The whole model, with tensors of this net replaced."""
    every = nets()
    every[net] = {**every[net], **{name.replace("__", "."): new for name, new in changes.items()}}
    entries = {f"{name}.safetensors": weights_bytes(tensors) for name, tensors in every.items()}
    return model(tmp_path, {**ENTRIES, **entries}, config=dataclasses.asdict(SMALL))


def test_a_whole_model_plays(tmp_path: Path) -> None:
    instrument = opened(tmp_path).instrument("griffinlim", CPU)
    assert (instrument.prior.labels, instrument.longest_frames) == (2, 90)
    assert instrument.temperature == 0.8
    assert torch.equal(instrument.prior.examples, EXAMPLES)
    assert instrument.texture.width == 256


def with_example(place: int, value: float) -> Tensor:
    examples = EXAMPLES.clone()
    examples[0, place] = value
    return examples


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"examples": torch.zeros(0, 14)}, "examples cannot have shape (0, 14)"),
        ({"examples": EXAMPLES[:, :13]}, "examples cannot have shape (2, 13)"),
        ({"examples": examples(9)}, "examples cannot have shape (2, 15)"),
        ({"examples": EXAMPLES[:, :6]}, "examples cannot have shape (2, 6)"),  # without styles
        ({"examples": EXAMPLES[0]}, "examples cannot have shape (14,)"),
        ({"examples": with_example(0, 0)}, "length is not in 1 to 1300"),
        ({"examples": with_example(0, 1301)}, "length is not in 1 to 1300"),
        ({"examples": with_example(1, 2)}, "label is none of the named"),
        ({"examples": with_example(1, -2)}, "label is none of the named"),
        ({"examples": with_example(2, -0.1)}, "rank is not in 0 to 1"),
        ({"examples": with_example(5, 1.1)}, "rank is not in 0 to 1"),
        ({"scales": torch.zeros(4, 32)}, "scales cannot have shape (4, 32)"),
        ({"scales": torch.zeros(5, 33)}, "scales cannot have shape (5, 33)"),
        ({"label__weight": torch.zeros(3, 8)}, "3 labels are learnt, 2 are named"),
        ({"label__weight": torch.zeros(0, 8)}, "0 labels are learnt, 2 are named"),
    ],
)
def test_a_prior_that_could_tell_no_sound_is_refused(
    tmp_path: Path, changes: Tensors, told: str
) -> None:
    with pytest.raises(PackageError, match="do not fit its settings") as caught:
        opened(tmp_path, "prior", **changes).instrument("griffinlim", CPU)
    assert told in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [6, 13])
def test_a_style_that_is_no_number_is_refused(tmp_path: Path, place: int, value: float) -> None:
    prior = safetensors.torch.save({"examples": with_example(place, value)})
    odd = model(tmp_path, {**ENTRIES, "prior.safetensors": prior})
    with pytest.raises(PackageError, match="'examples' is not all finite"):
        odd.instrument("griffinlim", CPU)


@pytest.mark.parametrize(
    "name", ["examples", "scales", "stays", "ends", "label.weight", "style_in"]
)
def test_a_prior_without_its_conditions_is_refused(tmp_path: Path, name: str) -> None:
    whole = nets()
    del whole["prior"][name]
    entries = {f"{net}.safetensors": weights_bytes(tensors) for net, tensors in whole.items()}
    cut = model(tmp_path, {**ENTRIES, **entries}, config=dataclasses.asdict(SMALL))
    with pytest.raises(PackageError, match="do not fit its settings"):
        cut.instrument("griffinlim", CPU)


@pytest.mark.parametrize("warm", [0.0, 0.049, 3.01, -1.0])
def test_a_natural_temperature_that_cannot_be_is_refused(tmp_path: Path, warm: float) -> None:
    sizes = {"longest_code_frames": 90, "natural_temperature": warm}
    with pytest.raises(PackageError, match="has a natural temperature of"):
        model(tmp_path, ENTRIES, sizes=sizes)


def test_labels_that_the_manifest_hides_are_refused(tmp_path: Path) -> None:
    entries = {f"{net}.safetensors": weights_bytes(tensors) for net, tensors in nets().items()}
    settings = dataclasses.asdict(SMALL)
    with pytest.raises(PackageError, match="2 labels are learnt, 0 are named"):
        model(tmp_path, {**ENTRIES, **entries}, config=settings, labels=[]).instrument(
            "griffinlim", CPU
        )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mean": torch.zeros(127)}, "mean has shape (127,), not (128,)"),
        ({"scale": torch.ones(1, 128)}, "scale has shape (1, 128), not (128,)"),
        ({"spread": torch.ones(1)}, "spread has shape (1,), not ()"),
    ],
)
def test_a_texture_of_another_mel_is_refused(tmp_path: Path, changes: Tensors, told: str) -> None:
    with pytest.raises(PackageError, match="do not fit its settings") as caught:
        opened(tmp_path, "texture", **changes).instrument("griffinlim", CPU)
    assert told in str(caught.value)


def test_a_texture_of_another_width_is_refused(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, texture=TextureConfig(hidden=9, blocks=1))
    entries = {f"{net}.safetensors": weights_bytes(tensors) for net, tensors in nets().items()}
    other = model(tmp_path, {**ENTRIES, **entries}, config=dataclasses.asdict(config))
    with pytest.raises(PackageError, match="do not fit its settings"):
        other.instrument("griffinlim", CPU)
