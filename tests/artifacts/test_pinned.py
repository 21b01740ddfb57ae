"""Files placed by hand are taken only if they are the pinned ones; the pins themselves."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from artifacts.pinned import BIGVGAN, HubFile, HubModel, hand_placed
from core.errors import HubError

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {"config.json": b"{}", "weights.pt": bytes(range(256))}
MODEL = HubModel(
    "someone/model",
    40 * "0",
    tuple(
        HubFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items()
    ),
    "--model-dir",
)


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """A folder with the files, placed by hand."""
    folder = tmp_path / "placed"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def test_files_placed_by_hand_are_taken_as_they_are(placed: Path) -> None:
    assert hand_placed(placed, MODEL) == placed


def test_all_that_is_wrong_with_placed_files_is_said_at_once(placed: Path) -> None:
    (placed / "config.json").unlink()
    (placed / "weights.pt").write_bytes(bytes(100))
    with pytest.raises(
        HubError,
        match=r"in .*placed config\.json is missing and weights\.pt has 100 bytes, not 256; "
        r"download config\.json and weights\.pt from https://.* name it with --model-dir",
    ):
        hand_placed(placed, MODEL)


def test_placed_files_of_the_right_size_and_other_bytes_are_refused(placed: Path) -> None:
    (placed / "weights.pt").write_bytes(FILES["weights.pt"][::-1])
    with pytest.raises(HubError, match=r"weights\.pt holds other bytes \(its sha256 is [0-9a-f]"):
        hand_placed(placed, MODEL)


@pytest.mark.parametrize("name", ["nowhere", "placed/config.json"])
def test_a_folder_that_is_none_is_named(name: str, placed: Path, tmp_path: Path) -> None:
    with pytest.raises(HubError, match=f"--model-dir .*{name} is not a folder"):
        hand_placed(tmp_path / name, MODEL)


def test_a_placed_file_that_cannot_be_read_is_named(placed: Path) -> None:
    (placed / "weights.pt").unlink()
    (placed / "weights.pt").symlink_to("weights.pt")
    with pytest.raises(HubError, match=rf"cannot be read \({os.strerror(errno.ELOOP)}\)"):
        hand_placed(placed, MODEL)


def test_the_pinned_config_is_the_official_one() -> None:
    # The official file's text, which has the pinned digest, and the digest that git gives it.
    data = (GOLDEN / "bigvgan_v2_44khz_config.json").read_bytes()
    config = BIGVGAN.files[0]
    assert (config.size_bytes, config.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    blob = hashlib.sha1(b"blob 1403\0" + data).hexdigest()
    assert blob == "624a661dcef98677775b0b16d36dc9adb02a74bd"
    assert json.loads(data)["sampling_rate"] == 44_100


def test_the_pinned_weights_have_room_for_the_generator_and_little_else() -> None:
    # 122,184,529 parameters of 4 bytes, the filters' taps, and a header for each of 783 tensors.
    assert 0 < BIGVGAN.files[1].size_bytes - 4 * 122_184_529 < 1_000_000
