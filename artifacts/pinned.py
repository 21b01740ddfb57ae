"""Pretrained models that Distill can use, by what their bytes must be.

A model is pinned by its commit on the Hugging Face hub and by the size and sha256 of each
file, so nothing is trusted on first use: neither the hub nor a mirror, neither its cache
nor a folder filled by hand can put other bytes in their place.
"""

from dataclasses import dataclass
from pathlib import Path

from artifacts.store import sha256_of
from core.errors import HubError


@dataclass(frozen=True)
class HubFile:
    """One file, by what its bytes must be."""

    name: str
    size_bytes: int
    sha256: str
    large: bool = False  # kept by the hub under its sha256 (git LFS), not in git


@dataclass(frozen=True)
class HubModel:
    """A model at one commit."""

    repo: str
    revision: str
    files: tuple[HubFile, ...]
    option: str  # what names a folder with the files placed by hand


# The config's digest was computed from its text (tests/golden). The weights' was not, since
# no copy was at hand: the hub publishes it (the ETag of a large file is its sha256), and it
# stands so, with the size, in several public projects that pin this commit.
BIGVGAN = HubModel(
    repo="nvidia/bigvgan_v2_44khz_128band_512x",
    revision="95a9d1dcb12906c03edd938d77b9333d6ded7dfb",
    files=(
        HubFile(
            "config.json",
            1_403,
            "65b7f487bfaf15256056a75f6667ef5f640214c981922a111927873705ea4ddb",
        ),
        HubFile(
            "bigvgan_generator.pt",
            489_041_291,
            "d9fe7ec6bd0b44ed9d66973d5012d8181c1570b01e5c72df51973e241dccd357",
            large=True,
        ),
    ),
    option="--bigvgan-dir",
)


def hand_placed(folder: Path, model: HubModel) -> Path:
    """The folder itself, if it holds all files of the model and they are the pinned ones.

    Raises:
        HubError: it is no folder, or a file is missing or another one.
    """
    if not folder.is_dir():
        raise HubError(f"{model.option} {folder} is not a folder; {by_hand(model)}")
    problems = [
        f"{file.name} {problem}"
        for file in model.files
        if (problem := problem_with(folder / file.name, file))
    ]
    if problems:
        raise HubError(f"in {folder} {' and '.join(problems)}; {by_hand(model)}")
    return folder


def problem_with(path: Path, file: HubFile) -> str | None:
    """Why a file is not the pinned one, as "is missing"; None if it is."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes != file.size_bytes:
            return f"has {size_bytes} bytes, not {file.size_bytes}"
        digest = sha256_of(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == file.sha256 else f"holds other bytes (its sha256 is {digest})"


def by_hand(model: HubModel) -> str:
    """What to do when a model cannot be fetched."""
    names = " and ".join(file.name for file in model.files)
    return (
        f"download {names} from https://huggingface.co/{model.repo}/tree/{model.revision} "
        f"into one folder and name it with {model.option}"
    )
