"""Operations that join arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.shapes import reshape

__all__ = ["concatenate", "pad", "stack"]


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
