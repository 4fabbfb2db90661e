"""Tables in which other rooms register things by name, so that the engine can use them without an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

registry: dict[str, Any] = {}
"""Every operation by name. `primitive` adds it; Tensor's operators and methods look it up.

All of them call it with a Tensor, so the result is a Tensor.
"""

counterparts: dict[Any, str] = {}
"""The name here of each function of NumPy that is recorded, by the function itself: anyone may use its name.

A pair of a ufunc and the name of its method stands for the method.
"""


composites: dict[Any, Callable[..., Any]] = {}
"""Each public function of primitives, by its code: so an observer can tell which one the user's line called."""


def numpys(name: str) -> Any:
    """Return NumPy's function ``np.<name>``, such as ``linalg.inv``, or None if there is none."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None


hooks: dict[str, Callable[..., Any]] = {}
"""Functions of rooms above that a Tensor calls: ``graph`` returns its Graph.

The others are attributes: ``t.at`` is ``hooks["at"](t)``.
"""

Textbook = TypeVar("Textbook", bound=Callable[..., Any])

accelerators: dict[str, Callable[[Any], Any]] = {}
"""By module and name, what makes a function faster that is no operation, such as ``optim.algorithms.sgd_update``."""


def accelerated(textbook: Textbook) -> Textbook:
    """Return what is registered in `accelerators` in the place of a function, or the function itself."""
    place = f"{textbook.__module__}.{textbook.__name__}".removeprefix("autograd_cnn.")
    return accelerators.get(place, lambda function: function)(textbook)


def kernels() -> str:
    """Return the name of the functions that compute: the textbook's, if none are registered."""
    named = accelerated(kernels)
    return "textbook" if named is kernels else named()


advice: dict[str, str] = {}
"""For names of other libraries, and for some mistakes, the code to write instead. Errors quote it."""
