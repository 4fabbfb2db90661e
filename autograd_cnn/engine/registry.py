"""Tables in which other rooms register things by name, so that the engine can use them without an import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

registry: dict[str, Callable[..., Any]] = {}
"""Every operation by name. `primitive` adds it; Tensor's operators and methods and NumPy's functions look it up.

All of them call it with a Tensor, so the result is a Tensor.
"""

doors: dict[str, Callable[..., Any]] = {}
"""Functions of rooms above that a Tensor calls: ``graph`` returns its Graph, ``html`` its view in a notebook."""

advice: dict[str, str] = {}
"""For names of other libraries, and for some mistakes, the code to write instead. Errors quote it."""
