"""Compiled passes over tiles, as plain loops: one file for each file of `fast` with such passes.

A public function is the twin of the NumPy function of the same file and name, and has the same parameters (see
`fast.twins`). The twins of those in `elementwise` and `updates` are functions of the textbook. Those of `products`
belong to `fast.direct` and `fast.fused`, and have no pass in NumPy. Innermost loops run over channels, which are
adjacent in memory, so that the compiler turns them into vector instructions. The twins keep no sum across channels. The
functions release the interpreter's lock: tiles run on all cores.

No file calls a function of another one: Numba keeps compiled code on disk until the file of the function changes, and
does not look at the files of the functions that it calls. For the same reason, delete `__pycache__` here after a change
of the matrices in `fast.winograd`, which are constants of the code of `products`.

Only `twins` imports this package.
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
