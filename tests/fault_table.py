"""Counts and the table of the fault harness in tests/faults."""

import os
import time
from dataclasses import dataclass, field

FULL = os.environ.get("DISTILL_FAULTS") == "full"


def count(short: int, full: int) -> int:
    """How many faults to put in: the short run is among the slow checks."""
    return full if FULL else short


@dataclass
class Tally:
    """One row of the table: how many faults were put in, how many were borne."""

    what: str
    tried: int = 0
    borne: int = 0
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def add(self, borne: bool) -> None:
        self.tried += 1
        self.borne += borne
        self.seconds = time.monotonic() - self.began

    def __str__(self) -> str:
        notes = "; ".join(self.notes)
        return f"{self.what:52} {self.tried:6} {self.borne:6} {self.seconds:8.0f}  {notes}"


HEAD = f"{'':52} {'tried':>6} {'borne':>6} {'seconds':>8}"
