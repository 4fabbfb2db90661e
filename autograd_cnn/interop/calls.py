"""Lists the calls of primitives in a run of a function, for its neighbours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import PACKAGE, here, spell
from autograd_cnn.engine.mode import current, in_mode
from autograd_cnn.engine.tensor import Tensor

_COMPOSITES = os.path.join(PACKAGE, "ops", ""), os.path.join(PACKAGE, "vocabulary", "")
_WITHIN = (*_COMPOSITES, os.path.join(PACKAGE, "engine", ""), os.path.join(PACKAGE, "fast", ""))


@dataclass(slots=True, eq=False)
class Call:
    """A call of a primitive that returned a Tensor.

    `names` and `values` are the flat arguments: Tensors, arrays and options. `function` is the name of the
    function of `ops` that made the call, or "" if the user's code did; `place` is the user's line, and `scope` the path
    of the module around it.
    """

    primitive: Any
    names: list[str]
    values: list[Any]
    out: Tensor
    place: str
    function: str
    scope: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name; of a sequence, the last."""
        return dict(zip(self.names, self.values, strict=True))

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Iterate over the names and arrays of the operands."""
        for name, value in zip(self.names, self.values, strict=True):
            array = array_of(value)
            if array is not None:
                yield name, array


def array_of(value: Any) -> np.ndarray | None:
    """Return the array of a Tensor or an array, and None for an option."""
    value = value.data if isinstance(value, Tensor) else value
    return value if isinstance(value, np.ndarray) else None


def parts_of(index: Any, ndim: int) -> tuple[Any, ...]:
    """Return an index as a tuple, with a slice for each axis that it leaves out."""
    parts = index if isinstance(index, tuple) else (index,)
    k = next((k for k, i in enumerate(parts) if i is ...), len(parts))
    # An array of bools takes as many axes as it has
    used = sum(np.ndim(i) if np.asarray(i).dtype == bool else 1 for i in parts if i is not None and i is not ...)
    return (*parts[:k], *[slice(None)] * (ndim - used), *parts[k + 1 :])


def calls_of(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[list[Call], Any]:
    """Run ``f(*args)`` without recording, and return its calls, in order, and its result.

    Each array in a call is the same object wherever it occurs, so its `id` identifies it.
    """
    calls: list[Call] = []
    plain = current.get().call

    def call(primitive: Any, args: tuple[Any, ...], options: dict[str, Any], mode: Any) -> Any:
        out = plain(primitive, args, dict(options), mode)
        if isinstance(out, Tensor):
            values, elements = primitive.bind(args, dict(options))
            function = ""
            frame: Any = sys._getframe(2)
            while frame.f_code.co_filename.startswith(_WITHIN):
                function = frame.f_code.co_name if frame.f_code.co_filename.startswith(_COMPOSITES) else function
                frame = frame.f_back
            names, scope = primitive.flat_names(elements), current.get().scope
            calls.append(Call(primitive, names, list(values), out, spell(here()), function, scope[0] if scope else ""))
        return out

    with in_mode(call=call, recording=False):
        return calls, f(*args)
