"""Of a pass over a tile, which of two runs: the NumPy function, or its compiled twin of the same name.

The twins are in `compiled`, and need Numba (``pip install "autograd_cnn[fast]"``). They are compiled when first
called and kept on disk. ``AUTOGRAD_CNN_KERNELS=numpy`` turns them off; ``numba`` insists on them.

Imports NumPy, the standard library and, when the first pass runs, `compiled`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from inspect import signature
from typing import Any, TypeVar

import numpy as np

Pass = TypeVar("Pass", bound=Callable[..., None])


@cache
def kernel_set() -> str:
    """What runs: ``"numba"`` where it can be imported, else ``"numpy"``; or what AUTOGRAD_CNN_KERNELS says.

    Raises
    ------
    ValueError
        If it says something else.
    ImportError
        If it asks for Numba where there is none that works.
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
            raise ImportError(f'AUTOGRAD_CNN_KERNELS is numba: {error}. pip install "autograd_cnn[fast]"') from error
        warnings.warn(f"Numba is here, but {error}. NumPy's kernels run instead", stacklevel=2)
        return "numpy"
    return "numba"


def twin(*written: str) -> Callable[[Pass], Pass]:
    """Run the compiled twin of a pass instead, if there is one and the arrays suit it: C order, one real dtype.

    Parameters
    ----------
    written : str
        The parameters that the pass writes into; it only reads the others.
    """

    def decorate(function: Pass) -> Pass:
        reads = [name not in written for name in signature(function).parameters]

        @wraps(function)
        def run(*args: Any, **options: Any) -> None:
            if kernel_set() == "numpy":
                return function(*args, **options)
            passed = list(args)
            real = ""
            for i, a in enumerate(args):
                if not isinstance(a, np.ndarray):
                    continue
                kind = a.dtype.char
                if not a.flags.c_contiguous or kind not in "fdBH" or (kind in "fd" and real not in ("", kind)):
                    return function(*args, **options)
                real = kind if kind in "fd" else real
                if reads[i] and a.flags.writeable:  # or it would be compiled for both kinds
                    passed[i] = a.view()
                    passed[i].setflags(write=False)
            return _compiled(function.__name__)(*passed, **options)

        return run  # type: ignore[return-value]

    return decorate


@cache
def _compiled(name: str) -> Callable[..., None]:
    from . import compiled

    return getattr(compiled, name)
