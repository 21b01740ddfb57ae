"""A check for the fuzz harness's own test: each file says how to misbehave."""

import os
import signal
import time
from pathlib import Path

from fuzzing import MOST_BYTES, Check


def start(_folder: Path) -> Check:
    """The check."""
    return misbehave


def misbehave(path: Path) -> str:
    """Do what the file says."""
    match path.read_text():
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(600)
        case "hoard":
            return f"held {len(b'x' * (MOST_BYTES + 2**27))}"
        case "leave":
            os._exit(0)
        case "raise":
            raise ValueError("a fault of ours")
        case "stop":
            raise KeyboardInterrupt
    return "fine"
