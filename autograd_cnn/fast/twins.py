"""Chooses, at each call, the NumPy pass over a tile or its compiled twin.

The twins are in the package `compiled`, and need Numba (``pip install "autograd_cnn[fast]"``). Numba compiles
each at its first call, and keeps it on disk. ``AUTOGRAD_CNN_KERNELS=numpy`` turns the twins off, and ``numba`` requires
them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from autograd_cnn.environment import command

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


def twin(name: str, *, writes: tuple[str, ...], only: str = "fd") -> Callable[[Pass], Pass]:
    """Decorate a NumPy pass: calls run its compiled twin if the arrays suit it.

    Arrays suit a twin if they are in C order and in the machine's byte order, and have one dtype, float32 or float64.
    Only places in a window are uint8 or uint16. Other arrays are passed to the NumPy function.

    Parameters
    ----------
    name : str
        ``"file.function"``, the twin's place in `compiled`.
    writes : tuple of str
        The parameters that the pass writes into; it only reads the others.
    only : str
        The characters of the float dtypes that suit it: ``"f"`` is float32, ``"d"`` float64.
    """

    def decorate(function: Pass) -> Pass:
        parameters = [*signature(function).parameters]
        if unknown := set(writes).difference(parameters):
            raise TypeError(f"twin({name!r}): {function.__name__} has no parameter {', '.join(unknown)}")
        written = {parameters.index(name) for name in writes}

        @wraps(function)
        def run(*args: Any, **options: Any) -> None:
            if not run_twin(name, args, written, only, **options):
                function(*args, **options)

        return run  # type: ignore[return-value]

    return decorate


def run_twin(name: str, args: tuple[Any, ...], written: Collection[int], only: str, **options: Any) -> bool:
    """Run the twin `name`, which writes into the arguments at `written`, if the arrays suit it: see `twin`."""
    if kernel_set() == "numpy":
        return False
    passed, real = list(args), ""
    for i, a in enumerate(args):
        if not isinstance(a, np.ndarray):
            continue
        kind = a.dtype.char
        if not (a.flags.c_contiguous and (kind in only or kind in "BH") and a.dtype.isnative):
            return False
        if kind in "fd":
            if real not in ("", kind):
                return False
            real = kind
        if i not in written and a.flags.writeable:  # Numba would compile again for each mix of read-only arguments
            passed[i] = a.view()
            passed[i].setflags(write=False)
    compiled_pass(name)(*passed, **options)
    return True


@cache
def compiled_pass(name: str) -> Callable[..., None]:
    """The function of `compiled` that `twin` names."""
    file, function = name.split(".")
    return getattr(import_module(f"{__package__}.compiled.{file}"), function)
