"""Compiled passes over tiles, as plain loops: one file for each file of `kernels` with such passes.

A public function is the twin of the NumPy function of the same file and name, and has the same parameters (see
`kernels.twins`). Innermost loops run over channels, which are adjacent in memory, and keep no sum across them, so that
the compiler turns them into vector instructions. The functions release the interpreter's lock: tiles run on all cores.

No file calls a function of another one: Numba keeps compiled code on disk until the file of the function changes, and
does not look at the files of the functions that it calls.

Imports Numba; only `twins` imports this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., None]) -> Any:
    """Compile a function when it is first called, and keep the result on disk if there is a writable folder."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no writable folder
        return numba.njit(**options)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers into the loops of its file that call it; a product and its sum may be one step."""
    return numba.njit(error_model="numpy", fastmath={"contract"})(function)
