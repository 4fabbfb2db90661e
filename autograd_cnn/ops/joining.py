"""Operations that join arrays, and those that split them. The rules of both are each other's operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.axes import cut, of_first, with_options
from autograd_cnn.ops.indexing import getitem
from autograd_cnn.ops.shapes import moveaxis, reshape

__all__ = ["array_split", "concat", "concatenate", "pad_constant", "split", "stack", "unstack"]


@primitive(moves=True, examples=lambda rng: [([*rng.normal(size=(3, 2, 4))], axis) for axis in (0, -1, None)])
def concatenate(tensors: Sequence[Any], axis: int | None = 0, dtype: Any = None) -> Any:
    """Joins tensors along an existing axis, or all their elements if `axis` is None."""
    return np.concatenate(tensors, axis, dtype=dtype)


def _slab(g: Any, position: int, tensors_shape: Sequence[tuple[int, ...]], axis: int | None) -> Any:
    """Return the part of `g` for the tensor at `position`."""
    sizes = [math.prod(shape) if axis is None else shape[axis] for shape in tensors_shape]
    start = sum(sizes[:position])
    slab = cut(g, axis or 0, start, start + sizes[position])
    return reshape(slab, tensors_shape[position]) if axis is None else slab


concatenate.vjp(tensors=_slab)
concat = concatenate


@primitive(moves=True, examples=lambda rng: [([*rng.normal(size=(3, 2, 4))], axis) for axis in (0, -1)])
def stack(tensors: Sequence[Any], axis: int = 0, dtype: Any = None) -> Any:
    """Joins tensors of one shape along a new axis."""
    return np.stack(tensors, axis, dtype=dtype)


concatenate.batch = stack.batch = "axis"
stack.vjp(tensors=lambda g, position, axis: g[(slice(None),) * (axis % len(g.shape)) + (position,)])


def _split(f: Callable[..., Any], x: Any, indices_or_sections: Any, axis: int) -> list[Any]:
    """Return the slices of `x` whose ends NumPy's function `f` finds."""
    axis = normalize_axis_index(axis, np.ndim(x))
    n, cuts = np.shape(x)[axis], plain(indices_or_sections)
    if np.ndim(cuts) == 0 and f is np.split and n % cuts:
        raise ValueError(
            f"axis {axis} of {np.shape(x)} has length {n}, which {cuts} equal parts do not divide\n"
            f"Unequal parts: ag.array_split(x, {cuts}, {axis}); parts of {cuts} each: range({cuts}, {n}, {cuts})"
        )
    parts = [p.tolist() for p in f(np.arange(n), cuts)]
    before = (slice(None),) * axis
    return [getitem(x, (*before, slice(p[0], p[-1] + 1) if p else slice(0))) for p in parts]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cuts `x` along `axis` into so many equal parts, or before each of several indices.

    An int is the number of parts, as in NumPy; in PyTorch it is their length.
    """
    return _split(np.split, x, indices_or_sections, axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cuts `x` along `axis` into so many parts, the first of which may be longer by one, or before several indices."""
    return _split(np.array_split, x, indices_or_sections, axis)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """Returns the parts of `x` along `axis`, which they lack."""
    return tuple(moveaxis(x, axis, 0))


def widths_of(values: Any, ndim: int) -> Any:
    """Expand NumPy's shorthand for padding to one (before, after) pair per axis."""
    if isinstance(values, dict):
        pairs = np.full((ndim, 2), 0, object)
        for axis, width in values.items():
            pairs[axis] = width
        return pairs.tolist()
    try:
        return np.broadcast_to(values, (ndim, 2)).tolist()
    except ValueError:
        text = f"{values} is not one (before, after) pair for each of {ndim} axes"
        raise ValueError(text + _of_torch(values, ndim)) from None


def _of_torch(values: Any, ndim: int) -> str:
    """Return PyTorch's margins, (left, right, top, bottom) of images, as those of NHWC."""
    if np.ndim(values) != 1 or len(values) not in (4, 6) or ndim != len(values) // 2 + 2:
        return ""
    pairs = [tuple(values[i : i + 2]) for i in range(0, len(values), 2)]
    return f"\nPyTorch's order is the opposite; here {((0, 0), *pairs[::-1], (0, 0))}"


@primitive(moves=True, examples=with_options((((1, 0), (2, 1), (0, 0)),), (1, 0.5)))
def pad_constant(x: Any, pad_width: Any, constant_values: Any = 0) -> Any:
    """Puts a margin of a constant around `x`.

    `pad_width` is an int, one (before, after) pair, or one pair per axis.
    """
    return np.pad(x, widths_of(pad_width, x.ndim) or 0, constant_values=constant_values)


def _crop(g: Any, x_shape: tuple[int, ...], pad_width: Any) -> Any:
    pairs = widths_of(pad_width, len(x_shape))
    return g[tuple(slice(before, before + n) for (before, _), n in zip(pairs, x_shape, strict=True))]


def _all_padded(x: Any, pad_width: Any, value: Any) -> Any:
    return NotImplemented if np.ndim(value) else pad_constant(x, ((0, 0), *widths_of(pad_width, x.ndim - 1)), value)


pad_constant.batch = of_first(_all_padded)
pad_constant.vjp(x=_crop)
