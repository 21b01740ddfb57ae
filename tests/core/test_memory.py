"""What the C library would keep goes back to the system; a lack of memory is known."""

import platform
from pathlib import Path

import pytest
import torch

from core.memory import give_back_memory, out_of_memory


def held_megabytes() -> float:
    """What Linux counts to this process."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    return float(line.split()[1]) / 1024


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps and knows how")
def test_memory_freed_between_what_is_in_use_is_given_back() -> None:
    few = [torch.ones(16_000) for _ in range(3000)]  # 64 kB each: 192 MB
    kept = few[::50]
    before = held_megabytes()
    del few
    give_back_memory()
    assert before - held_megabytes() > 150
    assert all(bool((one == 1).all()) for one in kept)


def test_a_lack_of_memory_is_told_from_other_errors() -> None:
    for ask in (lambda: torch.empty(2**58), lambda: bytearray(2**62)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            ask()
        assert out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not out_of_memory(other.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
