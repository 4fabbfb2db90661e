"""How an operation runs on all examples of a `vmap` at once: a form for each word that a primitive declares.

A primitive declares how it treats an axis of examples in front of the others, ``@primitive(batch=...)``, by a word of
`FORMS`, or by a function of its own that is called as they are: ``form(primitive, args, batched, size)``. `args` are
flat, and in the places `batched` are all examples, with axis 0 in front; `size` is their number. A form calls
primitives, and returns all results, with axis 0 in front. A form that does not apply to a call returns NotImplemented.
Then, and if a primitive declares nothing, the operation runs on one example after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autograd_cnn.engine.registry import registry

Form = Callable[[Any, list[Any], set[int], int], Any]


def called(primitive: Any, args: list[Any]) -> Any:
    """Call a primitive with flat arguments."""
    return primitive(*primitive.grouped(args))


def aligned(x: Any, ndim: int) -> Any:
    """Give each example of `x` the number `ndim` of axes: axes of length 1 come after that of the examples."""
    missing = ndim - (x.ndim - 1)
    return registry["reshape"](x, (x.shape[0], *(1,) * missing, *x.shape[1:])) if missing > 0 else x


def expanded(x: Any, size: int) -> Any:
    """Return `x` for each example, as a view."""
    return registry["broadcast_to"](x, (size, *np.shape(x)))


def _elementwise(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Align the axes of the operands from the right, as broadcasting does."""
    ndim = max(np.ndim(a) - (i in batched) for i, a in enumerate(args) if not isinstance(a, type))
    return called(primitive, [aligned(a, ndim) if i in batched else a for i, a in enumerate(args)])


def _leading(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Align the axes before the last two, those of matrices. A vector is a row at first, or else a column."""
    places = [i for i, name in enumerate(primitive.parameters) if name in primitive.rules]
    ndims = [np.ndim(args[i]) - (i in batched) for i in places]
    if not batched <= {*places} or not min(ndims):
        return NotImplemented
    if batched == {0} and ndims[0] == 1 and max(ndims) < 3:
        return primitive(*args)  # the examples are the rows of a matrix
    gone = {i: (-2, -1)[i > 0] for i in batched if ndims[i] == 1}
    args = [registry["expand_dims"](a, gone[i]) if i in gone else a for i, a in enumerate(args)]
    result = primitive(*[aligned(a, max(2, *ndims)) if i in batched else a for i, a in enumerate(args)])
    return registry["squeeze"](result, tuple(gone.values())) if gone else result


def _along(primitive: Any, args: list[Any], batched: set[int], size: int, every: bool) -> Any:
    """Move the axes of the first operand, or of each of a sequence, by 1; `every` says that None stands for all."""
    names = primitive.flat_names(len(args))
    first, place = names.count(names[0]), names.index("axis")
    ndim, axis = max(np.ndim(a) - (i in batched) for i, a in enumerate(args[:first])), args[place]
    if axis is None and (every or {np.ndim(a) - (i in batched) for i, a in enumerate(args[:first])} == {1}):
        axis = tuple(range(ndim)) if every else 0
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    fits = axis is not None and all(-ndim <= a and (a < ndim or primitive.moves) for a in axes)
    if not fits or any(i >= first and names[i] != "where" for i in batched):
        return NotImplemented
    args = [aligned(a, ndim) if i in batched else expanded(a, size) if i < first else a for i, a in enumerate(args)]
    moved = tuple(a + (a >= 0) for a in axes)
    return called(primitive, [*args[:place], moved if axes is axis else moved[0], *args[place + 1 :]])


def _first(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Leave the call as it is: further axes in front of the first operand change nothing."""
    return called(primitive, args) if batched == {0} else NotImplemented


def _groups(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Let each example have groups of channels of its own: (B, ..., C) -> (..., B C) for every operand."""
    wide = dict(zip(primitive.parameters, args, strict=True))
    if not size or "groups" not in wide:
        return NotImplemented
    for i, (name, given) in enumerate(wide.items()):
        if name in primitive.rules and given is not None:
            a = registry["moveaxis"](given if i in batched else expanded(given, size), 0, -2)
            wide[name] = registry["reshape"](a, (*a.shape[:-2], size * a.shape[-1]))
    wide["groups"] *= size
    if "w_shape" in wide:
        wide["w_shape"] = (*wide["w_shape"][:-1], size * wide["w_shape"][-1])
    try:
        y = primitive(**wide)
    except ValueError:  # one example raises it again, and speaks of its own shapes
        return NotImplemented
    y = registry["reshape"](y, (*y.shape[:-1], size, y.shape[-1] // size))
    return registry["moveaxis"](y, -2, 0)


def _images(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Join the examples with the images of each, and with what there is for each image: (B, N, ...) -> (B N, ...)."""
    names = primitive.parameters
    joined = {i for i, name in enumerate(names) if not i or name == "argmax"}
    if not batched <= joined:
        return _groups(primitive, args, batched, size)
    each = [a if i in batched else expanded(a, size) if i in joined else a for i, a in enumerate(args)]
    n = each[0].shape[1]
    args = [registry["reshape"](a, (size * n, *a.shape[2:])) if i in joined else a for i, a in enumerate(each)]
    y = primitive(*((size * n, *a[1:]) if name == "shape" else a for a, name in zip(args, names, strict=True)))
    return registry["reshape"](y, (size, n, *y.shape[1:]))


def _reshape(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Give each example the shape that it gets alone."""
    if batched != {0} or args[1:][-1:] == ["F"]:
        return NotImplemented
    x = args[0]
    return registry["reshape"](x, (size, *np.shape(primitive.raw(np.empty(x.shape[1:], x.dtype), *args[1:]))))


def _losses(primitive: Any, args: list[Any], batched: set[int], size: int) -> Any:
    """Compute the losses of all elements, or rows, then their sum or mean for each example."""
    reduction, *weight = args[2:] or ["none"]
    if 2 in batched or reduction not in ("none", "sum", "mean"):
        return NotImplemented
    p, y = (a if i in batched else expanded(a, size) for i, a in enumerate(args[:2]))
    weight = [aligned(w, p.ndim - 1) if 3 in batched else w for w in weight]
    values = primitive(p, y, *args[2:3] and ["none"], *weight)
    return values if reduction == "none" else registry[reduction](values, tuple(range(1, values.ndim)))


FORMS: dict[str, Form] = {
    "elementwise": _elementwise, "leading": _leading, "axes": partial(_along, every=True), "losses": _losses,
    "axis": partial(_along, every=False), "first": _first, "reshape": _reshape, "images": _images,
    "groups": _groups,
}  # fmt: skip
