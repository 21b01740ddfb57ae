"""The small models that the tests of tasks share: of one folder, and of two."""

import shutil
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


@pytest.fixture(scope="session")
def labelled(line: Line, sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The same sounds in two folders, one of them in neither; only the prior is made again."""
    folder = tmp_path_factory.mktemp("sorted")
    for place, numbers in {"high": "345", "low": "012"}.items():
        (folder / place).mkdir()
        for number in numbers:
            shutil.copy(sounds_folder / f"{number}.wav", folder / place)
    shutil.move(folder / "low" / "2.wav", folder / "loose.wav")
    return built(folder, Path(line.run.folder), "cpu")


@pytest.fixture(scope="session")
def labelled_model(labelled: Line, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("models") / "kit.distill"
    path.write_bytes(labelled.store.read_bytes(labelled.package.digest))
    return Model(path)
