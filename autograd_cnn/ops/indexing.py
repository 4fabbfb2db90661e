"""Operations that pick elements by an index, and their adjoints, which add at the index."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.shapes import reshape

__all__ = ["getitem", "scatter", "take"]


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
