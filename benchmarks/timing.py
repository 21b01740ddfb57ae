"""Measuring: medians over several runs, and two contenders in turns.

A machine's speed drifts from minute to minute, so what is compared is run
alternately, and a ratio is the median of the ratios of neighbours.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    part: str
    what: str
    measured: str
    beside: str = ""


def seconds_once(work: Work) -> float:
    """How long one run takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def seconds_of(work: Work, times: int = 5) -> float:
    """Median of `times` runs, after one that warms up."""
    work()
    return statistics.median(seconds_once(work) for _ in range(times))


def core_seconds_of(work: Work, times: int = 5) -> float:
    """Median of `times` runs on one thread, in seconds of its core, after one that warms up.

    What else the machine does meanwhile is not counted.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work()
        return statistics.median(_core_seconds_once(work) for _ in range(times))
    finally:
        torch.set_num_threads(threads)


def _core_seconds_once(work: Work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds_in_turns(ours: Work, theirs: Work, times: int = 9) -> tuple[float, float, float]:
    """Each run alternately after a warm-up.

    Returns:
        median seconds of ours, of theirs, and how many of ours fit into one of theirs.
    """
    return _in_turns(ours, theirs, times, seconds_once)


def core_seconds_in_turns(ours: Work, theirs: Work, times: int = 3) -> tuple[float, float, float]:
    """`seconds_in_turns` on one thread, in seconds of its core: for where a machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _in_turns(ours, theirs, times, _core_seconds_once)
    finally:
        torch.set_num_threads(threads)


def _in_turns(
    ours: Work, theirs: Work, times: int, once: Callable[[Work], float]
) -> tuple[float, float, float]:
    ours()
    theirs()
    pairs = [(once(ours), once(theirs)) for _ in range(times)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[1] / pair[0] for pair in pairs),
    )


def real_time(audio_seconds: float, seconds: float) -> str:
    """Speed as a multiple of playing the sound."""
    speed = audio_seconds / seconds
    return f"{speed:,.{1 if speed >= 10 else 2}f} x real time"
