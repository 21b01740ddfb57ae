"""Ten requests in a row with BigVGAN in its full size hold no more memory than two."""

from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from bigvgan_golden import GOLDEN, pinned, placed

from artifacts.bigvgan import KeptBigvgan
from artifacts.model import Model
from core.bigvgan import BigvganGenerator
from core.bigvgan_config import BigvganConfig
from tasks import choose_vocoder
from tasks.generate import Wish, generated

pytestmark = pytest.mark.slow


def held_megabytes() -> float:
    """What Linux counts to this process."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    return float(line.split()[1]) / 1024


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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted by Linux")
def test_ten_requests_hold_no_more_than_two(model: Model, tmp_path: Path) -> None:
    config = (GOLDEN / "bigvgan_v2_44khz_config.json").read_bytes()
    folder = placed(tmp_path / "bigvgan", {"config.json": config})
    weights = BigvganGenerator(BigvganConfig()).state_dict()
    torch.save({"generator": weights}, folder / "bigvgan_generator.pt")
    with get_context("spawn").Pool(1) as process:
        *held, freed = process.apply(held_after_each, (str(model.path), folder, tmp_path / "out"))
    assert held[9] < 1.05 * held[1]
    assert freed < held[9] - 200
