"""Chooses, at each call, the NumPy pass over a tile or its compiled twin.

The twins are in the package `compiled`, and need Numba (``pip install "autograd_cnn[fast]"``). Numba compiles
each at its first call, and keeps it on disk. ``AUTOGRAD_CNN_KERNELS=numpy`` turns the twins off, and ``numba`` requires
them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from autograd_cnn.environment import command

from .mailbox import Plan, kept
from .threads import cut, each_part

Pass = TypeVar("Pass", bound=Callable[..., None])


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


def twin(name: str, *, writes: tuple[str, ...]) -> Callable[[Pass], Pass]:
    """Decorate a NumPy pass: `each_tile` runs its compiled twin if the arrays suit it.

    Arrays suit a twin if they are in C order and in the machine's byte order, and have one dtype, float32 or float64.
    Only places in a window are uint8 or uint16. Other arrays are passed to the NumPy function.

    Parameters
    ----------
    name : str
        ``"pooling.max_tile"`` is the function `max_tile` of the file of that name and place in `compiled`.
    writes : tuple of str
        The parameters that the pass writes into; it only reads the others.
    """

    def decorate(function: Pass) -> Pass:
        parameters = [*signature(function).parameters]
        vars(function).update(compiled=partial(run_twin, name, written=frozenset(map(parameters.index, writes))))
        return function

    return decorate


def each_tile(tile_pass: Any, count: int, *args: Any, whole: Collection[int] = (), products: bool = False) -> None:
    """Call a pass with a twin on `count` equal parts of its arrays, cut along the first axis; those in `whole` uncut.

    Examples
    --------
    >>> x, y = np.ones((10, 2), np.float16), np.zeros((10, 2), np.float16)
    >>> double = twin("examples.double", writes=("y",))(lambda x, y: np.multiply(x, 2, out=y))
    >>> each_tile(double, 3, x, y)
    >>> y.sum().item()
    40.0
    """
    if not tile_pass.compiled(args, count=count, whole=whole):
        each_part(tile_pass, count, *args, whole=whole, products=products)


def run_twin(
    name: str,
    args: Sequence[Any],
    written: Collection[int],
    count: int = 1,
    whole: Collection[int] = (),
    only: str = "fd",
) -> bool:
    """Run the twin `name` on all parts (see `each_tile`), if the arrays suit it (see `twin`).

    `only` has the characters of the float dtypes that do: ``"f"`` is float32, ``"d"`` float64.
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
        return Plan(compiled_pass(name), [*tiles], [a for a in given if isinstance(a, np.ndarray)], written)

    kept((name, *key, count, *whole), plan).run(*arrays)
    return True


@cache
def compiled_pass(name: str) -> Callable[..., Any]:
    """The function of `compiled` that `twin` names."""
    file, function = name.split(".")
    return getattr(import_module(f"{__package__}.compiled.{file}"), function)
