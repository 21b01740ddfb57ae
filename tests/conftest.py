"""For every test: one torch thread, because small products on two threads mostly wait."""

from pathlib import Path

import pytest
import torch

from tasks.step import Run

torch.set_num_threads(1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """With an empty store."""
    return Run(str(tmp_path / "store"), "cpu")
