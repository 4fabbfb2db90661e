"""How an operation runs on all examples of a `vmap` at once: a form for each word that a primitive declares.

A primitive declares how it treats an axis of examples in front of the others, ``@primitive(batch=...)``, by a word of
`FORMS`, or by a function of its own that is called as they are: ``form(primitive, args, batched, size)``. `args` are
flat, and in the places `batched` are all examples, with axis 0 in front; `size` is their number. A form calls
primitives, and returns all results, with axis 0 in front. Or it returns a function of arrays,
``function(primitive, *args)``, in which axis 0 of each operand counts the examples: then the rules are those of one
example (`vmap.each`). A form that does not apply to a call returns NotImplemented. Then, and if a primitive declares
nothing, the operation runs on one example after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_cnn.engine.registry import registry

Form = Callable[[Any, list[Any], set[int], int], Any]


def called(primitive: Any, args: list[Any]) -> Any:
    """Call a primitive with flat arguments."""
    elements = len(args) - len(primitive.parameters) + 1 if primitive.sequence else 0
    return primitive(*primitive.grouped(args, elements))


def aligned(x: Any, ndim: int) -> Any:
    """Give each example of `x` the number `ndim` of axes: axes of length 1 come after that of the examples."""
    missing = ndim - (x.ndim - 1)
    return registry["reshape"](x, (x.shape[0], *(1,) * missing, *x.shape[1:])) if missing > 0 else x


def _elementwise(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Align the axes of the operands from the right, as broadcasting does."""
    ndim = max(np.ndim(a) - (i in batched) for i, a in enumerate(args) if i in batched or not isinstance(a, str))
    return called(primitive, [aligned(a, ndim) if i in batched else a for i, a in enumerate(args)])


def _leading(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Align leading axes, if each operand has the last two: those of matrices."""
    operands = [i for i, name in enumerate(primitive.parameters) if name in primitive.rules and args[i] is not None]
    if primitive.sequence or not batched <= {*operands} or min(np.ndim(args[i]) - (i in batched) for i in operands) < 2:
        return NotImplemented
    ndim = max(np.ndim(args[i]) - (i in batched) for i in operands)
    return primitive(*[aligned(a, ndim) if i in batched else a for i, a in enumerate(args)])


def moved(axis: Any, ndim: int) -> Any:
    """Return the place of an axis, or of some, of an example with `ndim` axes behind that of the examples."""
    if isinstance(axis, (tuple, list)):
        return tuple(moved(a, ndim) for a in axis)
    return axis + 1 if axis >= 0 else axis


def _axes(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Move the axes of the first operand by 1. None stands for all of them."""
    ndim, place = np.ndim(args[0]) - 1, primitive.parameters.index("axis")
    if batched != {0} or ndim == 0:
        return NotImplemented
    axis = range(ndim) if args[place] is None else args[place]
    return primitive(*args[:place], moved(tuple(axis) if axis is not args[place] else axis, ndim), *args[place + 1 :])


def _first(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Leave the call as it is: further axes in front of the first operand change nothing."""
    return called(primitive, args) if batched == {0} else _with_shared_weights


def operands(primitive: Any, args: Any) -> list[int]:
    """Return the positions of the operands of a call."""
    return [i for i, name in enumerate(primitive.parameters) if name in primitive.rules and args[i] is not None]


def _with_shared_weights(primitive: Any, *args: Any) -> Any:
    """Call a primitive once if all operands but the first are repeated, as are the variables of a `grad` inside."""
    weights = operands(primitive, args)[1:]
    shared = [a[0] if i in weights else a for i, a in enumerate(args)]
    if all(args[i].strides[0] == 0 for i in weights):
        return FORMS[primitive.batch](primitive, [args[0], *shared[1:]], {0}, len(args[0]))
    each = operands(primitive, args)
    return np.stack([primitive(*(a[b] if i in each else a for i, a in enumerate(args))) for b in range(len(args[0]))])


def _images(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Join the examples with the images of each: (B, N, H, W, C) -> (B N, H, W, C)."""
    if batched != {0}:
        return _with_shared_weights
    x = args[0]
    y = primitive(registry["reshape"](x, (size * x.shape[1], *x.shape[2:])), *args[1:])
    return registry["reshape"](y, (size, x.shape[1], *y.shape[1:]))


FORMS: dict[str, Form] = {
    "elementwise": _elementwise, "leading": _leading, "axes": _axes, "first": _first, "images": _images,
}  # fmt: skip
