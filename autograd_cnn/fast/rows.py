"""Softmax of rows, its logarithm and their gradients: compiled, or by the textbook's formulas on blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.rules import Accelerator

from .memory import empty
from .threads import map_tiles
from .tiles import SMALL, parts
from .twins import cut, run_twin

Array = NDArray[Any]

SHORT = 32  # numbers of a row that NumPy reduces faster as a column: it takes rows one at a time


def by_rows(name: str, numpy: Callable[..., None] | None = None) -> Accelerator:
    """Return an accelerator of a function of arrays and an axis, if that is the last one.

    The compiled pass ``elementwise.<name>_tile``, for float32, takes matrices, and a matrix for the result, as `numpy`
    does. Without `numpy`, the textbook's function takes its place. With it, small arrays go to the textbook.
    """

    def accelerator(textbook: Callable[..., Any]) -> Callable[..., Any]:
        def tile(*args: Any) -> None:
            *given, out = args
            if numpy:
                numpy(*args)
            elif out.shape[1] <= SHORT:
                out[...] = textbook(np.ascontiguousarray(given[0].T), 0).T
            else:
                out[...] = textbook(*given, -1)

        def applies(x: Any, *others: Any) -> bool:
            least = 1 if numpy is None else SMALL
            return x.ndim > 1 and others[-1] in (-1, x.ndim - 1) and x.size >= least and x.dtype.char in "fd"

        @wraps(textbook)
        def run(*args: Any) -> Any:
            if not applies(*args):
                return textbook(*args)
            x, given = args[0], args[:-1]
            out = empty(x.shape, x.dtype)
            matrices = [np.ascontiguousarray(a).reshape(-1, x.shape[-1]) for a in (*given, out)]
            count, written = parts(x.size, len(matrices[0])), frozenset({len(given)})
            if not run_twin(f"elementwise.{name}_tile", matrices, written, "f", count):
                part = cut(matrices, count)
                with np.errstate(invalid="ignore", divide="ignore"):
                    map_tiles(lambda index: tile(*part(index)), count, products=x.size >= SMALL)
            return out

        vars(run).update(applies=applies)
        return run

    return accelerator


def softmax_gradient(g: Array, y: Array, gx: Array) -> None:
    """Write ``y * (g - sum(g * y))`` into `gx`."""
    np.subtract(g, _sums(np.multiply(g, y, out=gx)), out=gx)
    gx *= y


def log_softmax_gradient(g: Array, y: Array, gx: Array) -> None:
    """Write ``g - exp(y) * sum(g)`` into `gx`."""
    np.exp(y, out=gx)
    gx *= _sums(g)
    np.subtract(g, gx, out=gx)


def _sums(x: Array) -> Array:
    """Sum over each row by a product with ones: 5 to 10 times as fast as a sum of short rows."""
    return (x @ np.ones(x.shape[1], x.dtype))[:, None]
