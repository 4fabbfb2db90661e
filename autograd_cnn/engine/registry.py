"""Tables in which other rooms register things by name, so that the engine can use them without an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

registry: dict[str, Callable[..., Any]] = {}
"""Every operation by name. `primitive` adds it; Tensor's operators and methods and NumPy's functions look it up.

All of them call it with a Tensor, so the result is a Tensor.
"""


def enrol(room: dict[str, Any], prefix: str = "") -> None:
    """Register the functions in ``__all__`` of a module, so that NumPy's functions and Tensor's methods find them.

    For primitives this is done already; a function of primitives needs it: ``enrol(globals())`` at the end of the file.
    """
    registry.update({prefix + name: room[name] for name in room["__all__"]})


doors: dict[str, Callable[..., Any]] = {}
"""Functions of rooms above that a Tensor calls: ``graph`` returns its Graph, ``html`` its view in a notebook.

The others are attributes: ``t.at`` is ``doors["at"](t)``.
"""

advice: dict[str, str] = {}
"""For names of other libraries, and for some mistakes, the code to write instead. Errors quote it."""
