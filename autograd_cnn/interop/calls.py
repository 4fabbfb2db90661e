"""Lists the calls of primitives in a run of a function, and reads their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.engine.observe import Call, observing
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import axes


def calls_of(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[list[Call], Any]:
    """Run ``f(*args)`` without recording, and return its calls that made a Tensor, in order, and its result.

    Each array in a call is the same object wherever it occurs, so its `id` identifies it.
    """
    calls: list[Call] = []
    with observing(calls.append, recording=False):
        result = f(*args)
    return [call for call in calls if isinstance(call.out, Tensor)], result


def array_of(value: Any) -> np.ndarray | None:
    """Return the array of a Tensor or an array, and None for an option."""
    value = value.data if isinstance(value, Tensor) else value
    return value if isinstance(value, np.ndarray) else None


def arrays_of(call: Call) -> Iterator[tuple[str, np.ndarray]]:
    """Iterate over the names and arrays of the operands."""
    for name, value in zip(call.names, call.values, strict=True):
        array = array_of(value)
        if array is not None:
            yield name, array


def axes_of(call: Call) -> tuple[int, ...]:
    """Return the axes along which a call works: those of its option `axis`."""
    _, array = next(arrays_of(call))
    return axes.axes_of(call.arguments["axis"], array.ndim)


def parts_of(index: Any, ndim: int) -> tuple[Any, ...]:
    """Return an index as a tuple, with a slice for each axis that it leaves out."""
    parts = index if isinstance(index, tuple) else (index,)
    k = next((k for k, i in enumerate(parts) if i is ...), len(parts))
    # An array of bools takes as many axes as it has
    used = sum(np.ndim(i) if np.asarray(i).dtype == bool else 1 for i in parts if i is not None and i is not ...)
    return (*parts[:k], *[slice(None)] * (ndim - used), *parts[k + 1 :])
