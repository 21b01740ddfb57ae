"""Ten requests in a row with any vocoder in its full size hold no more memory than two."""

import dataclasses
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import pytest
import torch
from bigvgan_golden import GOLDEN, pinned, placed
from small_line import Line
from torch import nn

from artifacts.bigvgan import KeptBigvgan
from artifacts.model import Model
from artifacts.refs import Ref
from artifacts.weights import weights_bytes
from core.bigvgan import BigvganGenerator
from core.bigvgan_config import BigvganConfig
from core.config import FreevConfig, HifiganConfig, VocoderName
from core.freev import FreevNet
from core.hifigan import HifiganGenerator
from tasks import choose_vocoder
from tasks.generate import Wish, generated
from tasks.package import package_model

pytestmark = pytest.mark.slow
# With nothing bounded it is 1.17 with HiFi-GAN and 1.6 with BigVGAN.
MOST_GROWTH = 1.05
ON_LINUX = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is counted by Linux"
)


def held_megabytes() -> float:
    """What Linux counts to this process."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    return float(line.split()[1]) / 1024


def held_after_each_of_own(model: str, vocoder: str, out: Path) -> list[float]:
    """Megabytes after each of ten requests with one of the model's own vocoders."""
    torch.set_num_threads(1)
    held = []
    for number in range(10):
        wish = Wish(2, seed=2 * number, vocoder=vocoder)  # each sound of its own length
        made = generated(model, wish, str(out), "cpu", str(out / "store"), None)
        assert {one["vocoder"] for one in made["sounds"]} == {vocoder}
        held.append(held_megabytes())
    return held


@pytest.fixture(scope="module")
def full_sized(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model with its vocoders in the presets' sizes and with random weights."""
    config = dataclasses.replace(line.config, freev=FreevConfig(), hifigan=HifiganConfig())
    torch.manual_seed(0)
    hifigan = HifiganGenerator(config.hifigan, weight_norm=False)
    nn.init.constant_(hifigan.conv_post.bias, 0.5)  # a silent sound would be drawn again
    nets = {"freev": FreevNet(config.freev, config.mel), "hifigan": hifigan}
    refs = {
        name: Ref("vocoder", "0" * 64, {"weights": line.store.put_bytes(weights_bytes(weights))})
        for name, weights in ((name, net.state_dict()) for name, net in nets.items())
    }
    parts = (line.rvqvae, line.texture, line.prior, refs, line.judgement, line.validation)
    package = package_model.direct(line.run, "full", *parts, config).ref
    path = tmp_path_factory.mktemp("full") / "full.distill"
    path.write_bytes(line.store.read_bytes(package.digest))
    return path


def held_after_each(model: str, folder: Path, out: Path) -> list[float]:
    """Megabytes after each of ten requests, and then after BigVGAN is freed."""
    torch.set_num_threads(1)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    choose_vocoder.kept = KeptBigvgan(pinned(files))
    del files
    held = []
    for number in range(10):
        wish = Wish(2, seed=2 * number, vocoder="bigvgan")  # each sound of its own length
        made = generated(model, wish, str(out), "cpu", str(out / "store"), str(folder))
        assert {one["vocoder"] for one in made["sounds"]} == {"bigvgan"}
        held.append(held_megabytes())
    choose_vocoder.kept.free()
    return [*held, held_megabytes()]


@ON_LINUX
@pytest.mark.parametrize("vocoder", get_args(VocoderName))
def test_ten_requests_hold_no_more_than_two(vocoder: str, full_sized: Path, tmp_path: Path) -> None:
    with get_context("spawn").Pool(1) as process:
        held = process.apply(held_after_each_of_own, (str(full_sized), vocoder, tmp_path))
    assert held[9] < MOST_GROWTH * held[1]


@ON_LINUX
def test_ten_requests_of_bigvgan_hold_no_more_than_two(model: Model, tmp_path: Path) -> None:
    config = (GOLDEN / "bigvgan_v2_44khz_config.json").read_bytes()
    folder = placed(tmp_path / "bigvgan", {"config.json": config})
    weights = BigvganGenerator(BigvganConfig()).state_dict()
    torch.save({"generator": weights}, folder / "bigvgan_generator.pt")
    with get_context("spawn").Pool(1) as process:
        *held, freed = process.apply(held_after_each, (str(model.path), folder, tmp_path / "out"))
    assert held[9] < MOST_GROWTH * held[1]
    assert freed < held[9] - 200
