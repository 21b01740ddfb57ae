"""What ingest makes of one sound file; runs in fuzzing's own process."""

from pathlib import Path

import numpy as np
from fuzzing import Check

from artifacts.audio_decode import decode
from artifacts.store import sha256_of
from core.config import IngestConfig
from core.errors import AudioError

CONFIG = IngestConfig()


def start(folder: Path) -> Check:
    """Decode the intact `folder/whole.wav`, and return the check."""
    target, stderr = folder / "decoded.f32", folder / "stderr"

    def check(path: Path) -> str:
        spoken = stderr.stat().st_size
        try:
            decoded = decode(path, target, CONFIG)
        except AudioError as error:
            reason = str(error)
            assert not target.exists(), "a refused sound left its samples behind"
            assert reason.isprintable(), f"not one line: {reason!a}"
            assert "; " in reason, f"it does not say what to do: {reason}"
            said = "refused"
        else:
            wave = np.fromfile(target, "<f4")
            assert len(wave) == decoded.samples > 0
            assert decoded.peak == np.abs(wave).max() > 0
            assert np.isfinite([decoded.peak, decoded.rms]).all()
            assert sha256_of(target) == decoded.sha256
            target.unlink()
            said = "decoded"
        return f"{said}, with noise on stderr" if stderr.stat().st_size > spoken else said

    assert check(folder / "whole.wav") == "decoded"
    return check
