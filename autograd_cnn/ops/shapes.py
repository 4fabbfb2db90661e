"""Operations that move elements: shapes and indexing. All are linear, and their rules move elements back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive

__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "flatten", "flip", "getitem", "pad", "reshape", "scatter",
    "squeeze", "stack", "take", "transpose",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 6)), (3, 4)), (rng.normal(size=(2, 6)), -1)])
def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """Arranges the same numbers in another `shape`.

    One extent may be -1.
    """
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3, 4)),), (rng.normal(size=(2, 3, 4)), (1, 2, 0))])
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Puts the axes in another order, reversed by default."""
    return np.transpose(x, axes)


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    """Returns the order of axes that undoes `axes`."""
    return None if axes is None else tuple(np.argsort(np.ravel(axes) % ndim).tolist())


transpose.vjp(x=lambda g, axes: transpose(g, _inverse(axes, len(g.shape))))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3, 4)),), (rng.normal(size=(2, 3, 4)), 1)])
def flatten(x: Any, start_axis: int = 0) -> Any:
    """Joins the axes from `start_axis` on into one: ``flatten(images, 1)`` has shape (N, H * W * C)."""
    return np.reshape(x, (*x.shape[:start_axis], int(np.prod(x.shape[start_axis:]))))


flatten.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 1, 3, 1)),), (rng.normal(size=(2, 1, 3, 1)), 1)])
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Drops axes of extent 1: all, or `axis`."""
    return np.squeeze(x, axis)


squeeze.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3)), 1), (rng.normal(size=(2, 3)), (0, -1))])
def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """Adds new axes of extent 1 at `axis`."""
    return np.expand_dims(x, axis)


expand_dims.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(3, 1)), (2, 3, 4)), (rng.normal(size=()), (2, 3))])
def broadcast_to(x: Any, shape: int | Sequence[int]) -> Any:
    """Repeats `x` until it has `shape`.

    Its rule returns `g`, which the walk sums over the repeated axes.
    """
    return np.broadcast_to(x, shape)


broadcast_to.vjp(x=lambda g: g)


@primitive(
    moves=True,
    examples=lambda rng: [([rng.normal(size=(2, 3)), rng.normal(size=(2, 1))], 1), ([rng.normal(size=(2, 3))] * 3,)],
)
def concatenate(tensors: Sequence[Any], axis: int | None = 0) -> Any:
    """Joins tensors along an existing axis."""
    return np.concatenate(tensors, axis)


def _slab(g: Any, position: int, shapes: Sequence[tuple[int, ...]], axis: int | None) -> Any:
    """Returns the part of `g` for the tensor at `position`."""
    if axis is None:
        sizes = [int(np.prod(shape)) for shape in shapes]
        start = int(np.sum(sizes[:position]))
        return reshape(g[start : start + sizes[position]], shapes[position])
    axis %= len(shapes[0])
    start = int(np.sum([shape[axis] for shape in shapes[:position]]))
    return g[(slice(None),) * axis + (slice(start, start + shapes[position][axis]),)]


concatenate.vjp(tensors=lambda g, position, tensors_shape, axis: _slab(g, position, tensors_shape, axis))


@primitive(
    moves=True,
    examples=lambda rng: [([rng.normal(size=(2, 3)), rng.normal(size=(2, 3))], -1), ([rng.normal(size=3)] * 2,)],
)
def stack(tensors: Sequence[Any], axis: int = 0) -> Any:
    """Joins tensors of one shape along a new axis."""
    return np.stack(tensors, axis)


stack.vjp(tensors=lambda g, position, axis: g[(slice(None),) * (axis % len(g.shape)) + (position,)])


def _pairs(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """Expands NumPy's shorthand for padding to one (before, after) pair per axis."""
    return [(int(before), int(after)) for before, after in np.broadcast_to(pad_width, (ndim, 2))]


@primitive(
    moves=True, examples=lambda rng: [(rng.normal(size=(2, 3)), ((1, 0), (2, 1))), (rng.normal(size=(2, 3)), 1, 0.5)]
)
def pad(x: Any, pad_width: Any, constant_values: Any = 0) -> Any:
    """Puts a margin of a constant around `x`.

    `pad_width` is an int, one (before, after) pair, or one pair per axis.
    """
    return np.pad(x, _pairs(pad_width, x.ndim), constant_values=constant_values)


def _crop(g: Any, shape: tuple[int, ...], pad_width: Any) -> Any:
    return g[
        tuple(slice(before, before + n) for (before, _), n in zip(_pairs(pad_width, len(shape)), shape, strict=True))
    ]


pad.vjp(x=lambda g, x_shape, pad_width: _crop(g, x_shape, pad_width))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3)),), (rng.normal(size=(2, 3)), 1)])
def flip(x: Any, axis: Axis = None) -> Any:
    """Reverses the order of the elements along `axis`, or along all axes."""
    return np.flip(x, axis)


flip.vjp(x=lambda g, axis: flip(g, axis))


def _indexing(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(4, 5))
    return [
        (x, (slice(1, 3), slice(None, None, 2))),
        (x, 2),
        (x, (..., None, 1)),
        (x, x > 0),
        (x, (np.array([0, 2, 0]), np.array([1, 1, 1]))),
    ]


@primitive(moves=True, symbol="[]", examples=_indexing)
def getitem(x: Any, index: Any) -> Any:
    """Picks elements: ``x[index]``.

    An index may be basic, boolean or an integer array. An element that is picked twice receives both gradients.
    """
    return x[index]


def _add_at(buffer: Any, g: Any, index: Any) -> None:
    """Computes ``buffer[index] += g``, and adds up where an integer index repeats."""
    basic = all(
        isinstance(i, (int, slice, type(None), type(...))) for i in (index if isinstance(index, tuple) else (index,))
    )
    if basic:
        buffer[index] += g
    else:
        np.add.at(buffer, index, g)


@primitive(examples=lambda rng: [(rng.normal(size=3), np.array([0, 2, 0]), (4,)), (rng.normal(size=3), 1, (2, 3))])
def scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Adds `x` to zeros of `shape`, at `index`.

    This is the adjoint of indexing.
    """
    out = np.zeros(shape, x.dtype)
    _add_at(out, x, index)
    return out


getitem.vjp(x=lambda g, index, x_shape: scatter(g, index, x_shape))
getitem.into(x=lambda buffer, g, index, x_shape: _add_at(buffer, g, index))
scatter.vjp(x=lambda g, index: g[index])


def _along(indices: Any, axis: int, ndim: int) -> tuple[Any, ...]:
    return (*(slice(None),) * (axis % ndim), np.asarray(indices))


@primitive(
    moves=True,
    examples=lambda rng: [
        (rng.normal(size=(3, 4)), np.array([[0, 2], [2, 2]]), 1),
        (rng.normal(size=(3, 4)), np.array([5, 0])),
    ],
)
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Picks elements at integer `indices` along `axis`, or from the flattened `x`."""
    return np.take(x, indices, axis)


take.vjp(
    x=lambda g, indices, axis, x_shape: (
        reshape(scatter(g, np.asarray(indices), (int(np.prod(x_shape)),)), x_shape)
        if axis is None
        else scatter(g, _along(indices, axis, len(x_shape)), x_shape)
    )
)
