"""Operations that change a shape or the order of elements. All are linear, and their rules move elements back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.axes import Axis, Shape, X, axes_of, of_first

__all__ = [
    "broadcast_to", "copy", "expand_dims", "flatten", "flip", "matrix_transpose", "moveaxis", "permute_dims", "ravel",
    "reshape", "roll", "rollaxis", "squeeze", "swapaxes", "transpose",
]  # fmt: skip

Order = Literal["C", "F"]


def _shape_and_order(x: Any, shape: Shape, order: Order) -> tuple[Any, ...]:
    if isinstance(order, (int, np.integer)):
        raise TypeError(f"the shape is one argument\n({shape}, {order}, ...), as in ag.reshape(x, ({shape}, {order}))")
    if order not in ("C", "F"):
        raise ValueError(f"reshape: order is {order!r}, want 'C' or 'F'. The memory of a Tensor has no order to follow")
    return x, shape, order


@primitive(moves=True, check=_shape_and_order)
def reshape(x: Any, shape: Shape, order: Order = "C") -> Any:
    """Arranges the same numbers in another `shape`.

    One extent may be -1. `order` is "C" or "F": whether the last index changes fastest, or the first.
    """
    return np.reshape(x, shape, order)


reshape.vjp(x=lambda g, x_shape, order: reshape(g, x_shape, order))


def ravel(x: X, order: Order = "C") -> X:
    """Arranges the numbers along one axis, as `reshape` does.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.ravel([[1, 2], [3, 4]], "F")
    array([1, 3, 2, 4])
    """
    return reshape(x, -1, order)


def _all_axes(x: Any, axes: Sequence[int] | None) -> tuple[Any, ...]:
    if axes is not None and np.size(axes) != np.ndim(x):
        cure = f"\nTo exchange two: x.swapaxes{tuple(axes)}" if np.size(axes) == 2 else ""
        raise ValueError(f"x {np.shape(x)} has {np.ndim(x)} axes, and axes {axes} puts {np.size(axes)} in order{cure}")
    return x, axes


@primitive(moves=True, check=_all_axes)
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Puts the axes in another order, reversed by default."""
    return np.transpose(x, axes)


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    """Return the order of axes that undoes `axes`."""
    return None if axes is None else tuple(np.argsort(np.ravel(axes) % ndim).tolist())


transpose.batch = of_first(
    lambda x, axes: transpose(x, (0, *(a + 1 for a in np.transpose(np.empty(range(x.ndim - 1)), axes).shape)))
)
transpose.vjp(x=lambda g, axes: transpose(g, _inverse(axes, len(g.shape))))
permute_dims = transpose


def _reordered(x: X, f: Callable[..., Any], *options: Any) -> X:
    """Transpose `x` as NumPy's function `f` does.

    Axis i of an empty array has extent i, so the shape of its result shows which axis goes where.
    """
    return transpose(x, f(np.empty(range(np.ndim(x))), *options).shape)


def swapaxes(x: X, axis1: int, axis2: int) -> X:
    """Exchanges two axes."""
    return _reordered(x, np.swapaxes, axis1, axis2)


def moveaxis(x: X, source: Shape, destination: Shape) -> X:
    """Moves axes to other positions; the others keep their order."""
    return _reordered(x, np.moveaxis, source, destination)


def rollaxis(x: X, axis: int, start: int = 0) -> X:
    """Moves `axis` before the axis `start`."""
    return _reordered(x, np.rollaxis, axis, start)


def matrix_transpose(x: X) -> X:
    """Exchanges the last two axes: ``x.mT``."""
    return _reordered(x, np.matrix_transpose)


@primitive(moves=True)
def flatten(x: Any, start_axis: int = 0) -> Any:
    """Joins the axes from `start_axis` on into one: ``flatten(images, 1)`` has a row of all numbers for each image."""
    if isinstance(start_axis, str) or not -x.ndim <= start_axis <= x.ndim:
        raise ValueError(f"x {x.shape} has no axis {start_axis!r}\nx.flatten(1) keeps the first. Order: x.ravel('F')")
    return np.reshape(x, (*x.shape[:start_axis], prod(x.shape[start_axis:])))


@primitive(moves=True)
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Drops axes of extent 1: all, or `axis`."""
    return np.squeeze(x, axis)


@primitive(moves=True)
def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """Adds new axes of extent 1 at `axis`."""
    return np.expand_dims(x, axis)


for _operation in (flatten, squeeze, expand_dims):
    _operation.vjp(x=lambda g, x_shape: reshape(g, x_shape))
reshape.batch = flatten.batch = squeeze.batch = expand_dims.batch = "reshape"


@primitive(moves=True)
def broadcast_to(x: Any, shape: Shape) -> Any:
    """Repeats `x` until it has `shape`.

    Its rule returns `g`, which the walk sums over the repeated axes.
    """
    return np.broadcast_to(x, shape)


def _all_repeated(x: Any, shape: Shape) -> Any:
    return moveaxis(broadcast_to(moveaxis(x, 0, -1), (*np.broadcast_shapes(shape), len(x))), -1, 0)


broadcast_to.batch = of_first(_all_repeated)
broadcast_to.vjp(x=lambda g: g)


@primitive(moves=True, batch="axes")
def flip(x: Any, axis: Axis = None) -> Any:
    """Reverses the order of the elements along `axis`, or along all axes."""
    return np.flip(x, axis)


flip.vjp(x=lambda g, axis: flip(g, axis))


@primitive(moves=True, batch="axis")
def roll(x: Any, shift: Shape, axis: Axis = None) -> Any:
    """Moves the elements by `shift` along `axis`; those that leave at the end come back at the start.

    Several axes take a shift each. Without `axis`, the elements move in the order of `ravel`.
    """
    return np.roll(x, shift, axis)


roll.vjp(x=lambda g, shift, axis: roll(g, np.negative(shift), axis))


@primitive(moves=True, batch="elementwise")
def copy(x: Any, order: Literal["K", "A", "C", "F"] = "K") -> Any:
    """Copies the numbers to a new array; `order` is that of its memory."""
    return np.copy(x, order)


copy.vjp(x=lambda g: g)


def as_images(x: Any) -> Any:
    """Turn sequences (N, L, C) into images one pixel high."""
    if np.ndim(x) != 3:
        raise ValueError(f"x is {np.ndim(x)}-dimensional, want (N, L, C)\nOne sequence (L, C): x[None]")
    return expand_dims(x, 1)


def together(x: Any, axis: Any) -> Any:
    """Join the axes in `axis` into a last one."""
    axes = axes_of(axis, len(x.shape))
    others = tuple(i for i in range(len(x.shape)) if i not in axes)
    return reshape(transpose(x, (*others, *axes)), (*(x.shape[i] for i in others), prod(x.shape[a] for a in axes)))


def apart(rows: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Undo `together`."""
    axes = axes_of(axis, len(shape))
    order = (*(i for i in range(len(shape)) if i not in axes), *axes)
    return transpose(reshape(rows, tuple(shape[i] for i in order)), np.argsort(order).tolist())


def axes_last(x: Any, *axes: int) -> Any:
    """Move `axes`, in this order, behind the others."""
    last = range(np.ndim(x) - len(axes), np.ndim(x))
    return x if normalize_axis_tuple(axes, np.ndim(x)) == (*last,) else moveaxis(x, axes, last)
