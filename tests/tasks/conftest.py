"""One small model that the tests of tasks share."""

from pathlib import Path

import pytest
from broken_sounds import write_tones
from small_line import Line, built

from artifacts.model import Model


@pytest.fixture(scope="session")
def sounds_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tones of 0.3 to 0.8 s, and a second copy of one."""
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder, 6)
    (folder / "copy.wav").write_bytes((folder / "3.wav").read_bytes())
    return folder


@pytest.fixture(scope="session")
def line(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Line:
    return built(sounds_folder, tmp_path_factory.mktemp("store"), "cpu")


@pytest.fixture(scope="session")
def model(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("models") / "kit.distill"
    path.write_bytes(line.store.read_bytes(line.package.digest))
    return Model(path)
