"""Operations that pick elements, and their adjoints, which write or add at an index; those that join and split arrays.

Many of NumPy's functions only move elements. Applied to an array of indices 0, 1, 2, ..., such a function returns the
source index of each output element, and `take` at these indices does the same to a Tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autograd_cnn.engine.arrays import is_complex
from autograd_cnn.engine.assignment import is_own
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import copied_index, plain, plain_array
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.arithmetic import where
from autograd_cnn.ops.axes import X, cut, of_first
from autograd_cnn.ops.shapes import broadcast_to, copy, expand_dims, moveaxis, reshape

__all__ = [
    "add_at", "array_split", "compress", "concat", "concatenate", "getitem", "pad_constant", "scatter", "set_at",
    "split", "stack", "take", "take_along_axis", "unstack",
]  # fmt: skip

Mode = Literal["raise", "wrap", "clip"]


def _repeats(index: Any) -> bool:
    """Return whether `index` may pick an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [np.asarray(i) for i in parts if not (i is None or i is ... or isinstance(i, (int, slice)))]
    if not arrays or any(a.dtype == bool for a in arrays):
        return len(arrays) > 1
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return not any(a.shape == shape and a.min(initial=0) >= 0 and np.unique(a).size == a.size for a in arrays)


def _add_at(buffer: Any, g: Any, index: Any) -> None:
    """Compute ``buffer[index] += g``, and add up where the index repeats, which takes longer."""
    if not _repeats(index):
        buffer[index] += g
    elif isinstance(index, np.ndarray) and buffer.flags.c_contiguous:  # NumPy's `add.at` is fast for one axis alone
        size = math.prod(buffer.shape[1:])
        places = (np.arange(len(buffer))[index][..., None] * size + np.arange(size)).ravel()
        np.add.at(buffer.reshape(-1), places, np.broadcast_to(g, (*index.shape, *buffer.shape[1:])).ravel())
    else:
        np.add.at(buffer, index, g)


@primitive(moves=True, symbol="[]")
def getitem(x: Any, index: Any) -> Any:
    """Picks the elements of `x` at an index.

    An index may be basic, boolean or an integer array. An element that is picked twice receives both gradients.
    """
    return x[index]


@primitive(complex=True, integers=True)
def scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Adds `x` to zeros of `shape`, at `index`.

    This is the adjoint of indexing.
    """
    out = np.zeros(shape, x.dtype)
    _add_at(out, x, index)
    return out


def _at_all(primitive: Any, args: Any, batched: set[int], size: int) -> Any:
    """Move the axis of the examples behind all others: an index leaves it alone there, and values align with it."""
    x, index, *values = args
    if 1 in batched:
        return NotImplemented
    parts = index if isinstance(index, tuple) else (index,)
    index = (*parts, slice(None)) if any(i is ... for i in parts) else index
    x = moveaxis(x if 0 in batched else broadcast_to(x, (size, *np.shape(x))), 0, -1)
    values = [moveaxis(v, 0, -1) if 2 in batched else expand_dims(v, -1) for v in values]
    return moveaxis(primitive(x, index, *values), -1, 0)


def _all_scattered(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    return _at_all(add_at, [np.zeros((len(x), *shape), x.dtype), index, x], {0, 2}, len(x))


getitem.batch, scatter.batch = _at_all, of_first(_all_scattered)
getitem.vjp(x=lambda g, index, x_shape: scatter(g, index, x_shape))
getitem.into(x=lambda buffer, g, index, x_shape: _add_at(buffer, g, index))
scatter.vjp(x=lambda g, index: g[index])


def _with_room(x: Any, index: Any, values: Any) -> Any:
    if values is None:
        raise TypeError("values is None")
    if is_complex(values) and not is_complex(x):
        raise TypeError("values are complex numbers, and x is of real ones\nWith room for both: x.astype(complex)")
    return x, index, values


def _copied(x: Any, values: Any) -> Any:
    """Return a copy of `x` to write `values` into; a number gets their dtype."""
    return np.array(x, getattr(x, "dtype", np.result_type(values)))


def _write(out: Any, index: Any, values: Any) -> Any:
    values = np.array(values) if np.may_share_memory(out, values) else values  # else a mask writes before it reads
    out[index] = np.broadcast_to(values, out[index].shape)
    return out


@primitive(moves=True, check=_with_room)
def set_at(x: Any, index: Any, values: Any) -> Any:
    """Replaces the elements at `index` by `values`, in a copy: ``x.at[index].set(values)``.

    If the index repeats, the last value is written, as in NumPy, and only that one receives a gradient.
    """
    return _write(_copied(x, values), index, values)


def _not_overwritten(g: Any, index: Any) -> Any:
    """Return a copy of ``g[index]``, but 0 for a value that was written over by a later one."""
    if not _repeats(index):
        return copy(g[index])
    last = np.zeros(g.shape, int)
    last[index] = order = np.arange(last[index].size).reshape(last[index].shape)
    return where(last[index] == order, g[index], 0)


set_at.accelerate(lambda f: lambda x, *a: _write(x, *a) if is_own(x) and x.flags.writeable else f(x, *a), exact=True)
set_at.vjp(x=lambda g, index: set_at(g, index, 0), values=lambda g, index: _not_overwritten(g, index))


@primitive(complex=True, integers=True, check=_with_room)
def add_at(x: Any, index: Any, values: Any) -> Any:
    """Adds `values` to the elements at `index`, in a copy: ``x.at[index].add(values)``.

    If the index repeats, all the values are added up.
    """
    out = _copied(x, values)
    _add_at(out, values, index)
    return out


set_at.batch = add_at.batch = _at_all
add_at.vjp(x=lambda g: g, values=lambda g, index: g[index])


class At:
    """The elements of a Tensor at an index, which are changed in a copy: ``x.at[index].set(values)``.

    This is assignment for recorded Tensors, whose arrays must not change. Gradients flow to `x` and to `values`, which
    broadcast. The index may be basic, boolean or integer arrays. Any other change is a `set`, too:
    ``x.at[index].set(f(x[index]))``.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = x.at[1:].set(0.0)
    >>> y.data
    array([1., 0., 0.])
    >>> y.sum().backward()
    >>> x.grad
    array([1., 0., 0.])
    """

    def __init__(self, x: Tensor, index: Any = ...) -> None:
        self.x, self.index = x, index

    def __getitem__(self, index: Any) -> At:
        return At(self.x, copied_index(index))

    def get(self) -> Tensor:
        """Return the elements: ``x[index]``."""
        return getitem(self.x, self.index)

    def set(self, values: Any) -> Tensor:
        """Replace the elements. If the index repeats, the last value is written."""
        return set_at(self.x, self.index, values)

    def add(self, values: Any) -> Tensor:
        """Add to the elements. If the index repeats, all the values are added up."""
        return add_at(self.x, self.index, values)


@primitive(moves=True)
def take(x: Any, indices: Any, axis: int | None = None, mode: Mode = "raise") -> Any:
    """Picks elements at integer `indices` along `axis`, or from the flattened `x`.

    Indices beyond the ends raise an error, or are wrapped or clipped, depending on `mode`.
    """
    if (dtype := np.asarray(indices).dtype).kind not in "iub" and np.size(indices):
        raise TypeError(f"indices are {dtype}, want integers")
    if mode == "wrap" and (n := np.size(x) if axis is None else np.shape(x)[axis]):
        indices = np.mod(indices, n)  # NumPy subtracts n again and again, for years if an index is large enough
    return np.take(x, indices, axis, mode=mode)


def _take_rule(g: Any, indices: Any, axis: int | None, x_shape: tuple[int, ...], mode: Mode) -> Any:
    shape = (math.prod(x_shape),) if axis is None else x_shape or (1,)
    axis = (axis or 0) % len(shape)
    indices = np.asarray(indices) if mode == "raise" else np.take(np.arange(shape[axis]), indices, mode=mode)
    gx = scatter(g, (*(slice(None),) * axis, indices) if axis else indices, shape)
    return gx if shape == x_shape else reshape(gx, x_shape)


def _all_taken(x: Any, indices: Any, axis: int | None, mode: Mode) -> Any:
    if axis is None or x.ndim == 1:  # a number is taken for a vector
        x, axis = reshape(x, (len(x), math.prod(x.shape[1:]))), axis or 0
    return take(x, indices, normalize_axis_index(axis, x.ndim - 1) + 1, mode)


take.batch = of_first(_all_taken)
take.vjp(x=_take_rule)


def positions(x: Any, start: int = 0) -> Any:
    """Return the position of each element of `x`, counted from `start`."""
    return start + np.arange(np.size(x)).reshape(np.shape(x))


def take_along_axis(x: X, indices: Any, axis: int | None = -1) -> X:
    """Picks elements at `indices` that differ for each row along `axis`: ``np.argsort`` returns such indices."""
    return take(x, np.take_along_axis(positions(x), plain_array(indices), axis))


def compress(condition: Any, x: X, axis: int | None = None) -> X:
    """Picks the entries along `axis`, or of the flattened `x`, for which `condition` holds."""
    return take(x, np.compress(plain(condition), positions(x), axis))


# Joining and splitting: the rules of both are each other's operations.


@primitive(moves=True)
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


@primitive(moves=True)
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


@primitive(moves=True)
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
