"""`python -m benchmarks.run`: how fast the parts are on this machine, in one table."""

import os
import platform

import torch

from benchmarks import bigvgan, hifigan, ingest, mel, rebuild, sampling, vocoders
from benchmarks.timing import Row

TOPICS = (mel, ingest, sampling, vocoders, hifigan, bigvgan, rebuild)


def table(rows: list[Row]) -> str:
    """The rows in aligned columns."""
    cells = [(row.part, row.what, row.measured, row.beside) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure everything, then print."""
    rows = [row for topic in TOPICS for row in topic.rows()]
    cores, threads = os.cpu_count(), torch.get_num_threads()
    machine = f"{platform.machine()}, {cores} cores, {threads} torch threads"
    print(f"{machine}, torch {torch.__version__}, Python {platform.python_version()}\n")
    print(table(rows))


if __name__ == "__main__":
    main()
