"""Running `distill` as a process of its own, and sounds to run it on."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.audio_export import write_audio
from core.demo_sounds import SAMPLE_RATE, demo_sounds

COMMAND = [sys.executable, "-c", "import sys; from flows.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        data = json.loads(self.out)
        assert isinstance(data, dict)
        return data


Distill = Callable[..., Answer]


def write_demo(folder: Path, count: int) -> Path:
    """The first `count` demo sounds as WAV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, (name, wave) in zip(range(count), demo_sounds(), strict=False):
        write_audio(folder / f"{name}.wav", wave, SAMPLE_RATE, "wav", 16)
    return folder
