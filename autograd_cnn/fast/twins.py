"""Chooses, at each call, the NumPy pass over a tile or its compiled twin.

The twins are in the package `compiled`, and need Numba (``pip install "autograd_cnn[fast]"``). Numba compiles
each at its first call, and keeps it on disk. ``AUTOGRAD_CNN_KERNELS=numpy`` turns the twins off, and ``numba`` requires
them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from autograd_cnn.environment import command

from .mailbox import Plan, kept
from .threads import cut, each_part


@cache
def kernel_set() -> str:
    """The kernels that run: ``"numba"`` if Numba can be imported, else ``"numpy"``.

    The environment variable AUTOGRAD_CNN_KERNELS overrides this.

    Raises
    ------
    ValueError
        If the variable has another value than these two.
    ImportError
        If it is ``numba`` and Numba cannot be imported.
    """
    value = os.environ.get("AUTOGRAD_CNN_KERNELS", "")
    if value not in ("", "numpy", "numba"):
        raise ValueError(f"AUTOGRAD_CNN_KERNELS is {value!r}: set it to numpy or to numba, or unset it")
    if value == "numpy" or (not value and find_spec("numba") is None):
        return "numpy"
    try:
        from . import compiled  # noqa: F401
    except ImportError as error:
        if value:
            cure = command("-m", "pip", "install", "autograd_cnn[fast]")
            raise ImportError(f"AUTOGRAD_CNN_KERNELS is numba: {error}. {cure}") from error
        warnings.warn(f"Numba is installed, but {error}. NumPy's kernels run instead", stacklevel=2)
        return "numpy"
    return "numba"


def each_tile(
    tile_pass: Callable[..., None], count: int, *args: Any, whole: Collection[int] = (), products: bool = False
) -> None:
    """Run a NumPy pass, or its twin, on `count` equal parts of its arrays, cut along axis 0; those in `whole` uncut.

    The twin of `max_tile` in `pooling` is the function of this name in the file of that name in `compiled`, with the
    same parameters.
    """
    file = tile_pass.__module__.rpartition(".")[2]
    if not run_twin(f"{file}.{tile_pass.__name__}", args, count, whole):
        each_part(tile_pass, count, *args, whole=whole, products=products)


def run_twin(name: str, args: Sequence[Any], count: int = 1, whole: Collection[int] = (), only: str = "fd") -> bool:
    """Run the twin ``file.function`` on all parts (see `each_tile`), and return whether the arrays suit it.

    Arrays suit a twin if they are in C order and in the machine's byte order, and have one dtype, float32 or float64.
    Only places in a window are uint8 or uint16. `only` has the characters of the float dtypes that do: ``"f"`` is
    float32, ``"d"`` float64.
    """
    if kernel_set() == "numpy":
        return False
    key, arrays, real = [], [], ""
    for a in args:
        if not isinstance(a, np.ndarray):
            key.append(a)
            continue
        kind = a.dtype.char
        if not (a.flags.c_contiguous and (kind in only or kind in "BH") and a.dtype.isnative):
            return False
        if kind in "fd":
            if real not in ("", kind):
                return False
            real = kind
        key.append((kind, *a.shape))
        arrays.append(a)

    def plan() -> Plan:
        # Arrays of these shapes, whose memory nobody touches.
        given = [np.empty(k[1:], k[0]) if isinstance(k, tuple) and isinstance(k[0], str) else k for k in key]
        tiles = map(cut(given, count, whole), range(count))
        return Plan(compiled_pass(name), [*tiles], [a for a in given if isinstance(a, np.ndarray)])

    kept((name, *key, count, *whole), plan).run(*arrays)
    return True


@cache
def compiled_pass(name: str) -> Callable[..., Any]:
    """The function of `compiled` with the name ``file.function``."""
    file, function = name.split(".")
    return getattr(import_module(f"{__package__}.compiled.{file}"), function)
