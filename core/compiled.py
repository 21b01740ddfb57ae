"""Python compiled to machine code, for loops that no array operation can express."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compiled when first called, without Python's lock; from the cache the next time.

    The cache lies on disk beside the function's file or in the user's cache folder.
    """
    compile_ = partial(numba.njit, nogil=True, error_model="numpy", fastmath={"contract"})
    try:
        fast: Callable[P, R] = compile_(cache=True)(function)
    except RuntimeError:  # no folder can be written to: every process compiles for itself
        fast = compile_()(function)
    return fast
