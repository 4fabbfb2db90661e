"""What other rooms register with the engine, by name: the engine looks it up here and imports none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograd_cnn.engine.tensor import Tensor

registry: dict[str, Callable[..., Tensor]] = {}
"""Every operation: `primitive` adds it, Tensor's operators and methods and NumPy's functions find it.

All of them look it up for a Tensor, so the result is one.
"""

doors: dict[str, Callable[..., Any]] = {}
"""What a Tensor opens in rooms above: ``graph`` (Tensor -> Graph) and ``html`` (Tensor -> text for a notebook)."""

advice: dict[str, str] = {}
"""For a name of another library, how the same is written here: added to the errors about names that are missing."""
