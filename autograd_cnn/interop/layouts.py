"""Converts weights between the layouts here and in PyTorch, and follows layouts back through operations on weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.interop.axes import Axis, mixed, same, tidy
from autograd_cnn.interop.calls import Call, array_of

RESHAPES = {"reshape", "flatten", "squeeze", "expand_dims"}
TRANSPOSITIONS = {"transpose", "permute_dims"}
REDUCTIONS = {"sum", "prod", "mean", "var", "std", "max", "min", "logsumexp"}
ALONG = {"softmax", "log_softmax", "standardize"}  # whose results do not depend on the order of the elements


@dataclass(frozen=True)
class Layout:
    """Converts a weight: the factors of each axis get PyTorch's order, then the axes do.

    While it is being found, `axes` and each of the `rows` may be None, for any.
    """

    axes: tuple[int, ...] | None
    rows: tuple[Axis | None, ...]

    @property
    def trivial(self) -> bool:
        """Whether PyTorch has the weight as it is."""
        return self.axes == same(len(self.rows)) and not any(axis and mixed(axis) for axis in self.rows)

    def both(self, other: Layout) -> Layout | None:
        """Return the layout that satisfies two, or None."""
        rows = [(a, b) for a, b in zip(self.rows, other.rows, strict=True) if a is not None and b is not None]
        if (None not in (self.axes, other.axes) and self.axes != other.axes) or any(
            tidy(a) != tidy(b) for a, b in rows
        ):
            return None
        axes = other.axes if self.axes is None else self.axes
        return Layout(axes, tuple(b if a is None else a for a, b in zip(self.rows, other.rows, strict=True)))

    def _factors(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Return the shape by factors, and their order in PyTorch when each axis stays in its place."""
        parts: list[int] = []
        order: list[int] = []
        for axis, extent in zip(self.rows, shape, strict=True):
            factors = axis or ((extent, 0),)
            order += [len(parts) + k for k in sorted(range(len(factors)), key=lambda k: factors[k][1])]
            parts += [n for n, _ in factors]
        return parts, order

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of this package."""
        parts, order = self._factors(array.shape)
        return array.reshape(parts).transpose(order).reshape(array.shape).transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        array = array.transpose(None if self.axes is None else np.argsort(self.axes))
        parts, order = self._factors(array.shape)
        return array.reshape([parts[k] for k in order]).transpose(np.argsort(order)).reshape(array.shape)


def as_it_is(ndim: int) -> Layout:
    """Return the layout of a weight that is the same in PyTorch."""
    return Layout(same(ndim), (None,) * ndim)


def axes_of(call: Call, ndim: int) -> tuple[int, ...]:
    """Return the axes along which a call works: those of its option `axis`."""
    axis = dict(zip(call.names, call.values, strict=True))["axis"]
    given = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(int(a) % ndim for a in given)


def is_elementwise(call: Call) -> bool:
    """Find by experiment whether a number of the result depends on the operands' numbers at its own place only.

    The operation runs on random numbers, then on the same numbers in another order.
    """
    shape, rng = call.out.shape, np.random.default_rng(0)
    shapes = [a.shape for _, a in call.arrays()]
    if call.primitive.sequence or not shapes or not all(_fits(s, shape) for s in shapes):
        return False
    order = rng.permutation(math.prod(shape))
    runs: list[list[Any]] = [[], []]
    for value in call.values:
        array = array_of(value)
        if array is None or not array.ndim:
            numbers = shuffled = value if array is None else array
        else:
            numbers = np.array(np.broadcast_to(array, shape))
            numbers = rng.uniform(0.1, 0.9, shape).astype(array.dtype) if array.dtype.kind == "f" else numbers
            shuffled = numbers.ravel()[order].reshape(shape)
        runs[0].append(numbers)
        runs[1].append(shuffled)
    try:
        with np.errstate(all="ignore"):
            results = [call.primitive.raw(*values) for values in runs]
        want, got = (np.asarray(r[0] if call.primitive.byproducts else r) for r in results)
        return np.allclose(want.ravel()[order].reshape(shape), got, rtol=1e-5, atol=1e-7, equal_nan=True)
    except Exception:  # it wants other shapes
        return False


def _fits(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array broadcasts to a shape."""
    pairs = zip(shape[::-1], whole[::-1], strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)


def before(call: Call, array: np.ndarray, layout: Layout) -> Layout | None:
    """Return the layout of an operand, from that of the result of a call; None if it is unknown."""
    name, n = call.primitive.name, array.ndim
    if name in RESHAPES:
        return _before_ones(array.shape, call.out.shape, layout)
    if name in TRANSPOSITIONS:  # PyTorch may have the weight as it is here, and omit the transposition
        axes = tuple(a % n for a in call.values[1] or range(-1, -n - 1, -1))
        as_here = layout.axes == same(n) and n < 3
        return Layout(layout.axes if as_here else None, tuple(layout.rows[axes.index(k)] for k in range(n)))
    if name in REDUCTIONS:
        gone, rows = axes_of(call, n), list(layout.rows)
        if call.out.ndim < n:
            rows = [None if k in gone else rows.pop(0) for k in range(n)]
        return Layout(None, tuple([None if k in gone else row for k, row in enumerate(rows)]))
    if name in ALONG:
        return layout
    if name == "concatenate":
        axis, *_ = axes_of(call, n)
        others = (*layout.rows[:axis], None, *layout.rows[axis + 1 :])
        return None if mixed(layout.rows[axis] or ()) else Layout(layout.axes, others)
    if name == "getitem":
        return _before_index(call, array.shape, layout)
    return _before_broadcast(array.shape, layout) if is_elementwise(call) else None


def _before_ones(shape: tuple[int, ...], out: tuple[int, ...], layout: Layout) -> Layout | None:
    """Follow a layout back through a reshape that adds or removes axes of extent 1."""
    old, new = ([k for k, m in enumerate(s) if m != 1] for s in (shape, out))
    if [shape[k] for k in old] != [out[k] for k in new]:
        return None
    rows: list[Axis | None] = [None] * len(shape)
    for k, m in zip(old, new, strict=True):
        rows[k] = layout.rows[m]
    if layout.axes is None or len(shape) == len(out):
        return Layout(layout.axes, tuple(rows))
    axes = tuple(old[new.index(a)] for a in layout.axes if a in new)
    return Layout(axes, tuple(rows)) if len(axes) == len(shape) else None


def _before_index(call: Call, shape: tuple[int, ...], layout: Layout) -> Layout | None:
    """Follow a layout back through slices."""
    index = call.values[1] if isinstance(call.values[1], tuple) else (call.values[1],)
    if not all(isinstance(i, slice) or i is ... for i in index):
        return None
    at = next((k for k, i in enumerate(index) if i is ...), len(index))
    index = (*index[:at], *[slice(None)] * (len(shape) - len(index) + 1), *index[at + 1 :])
    rows = list(layout.rows)
    for k, (n, part) in enumerate(zip(shape, index, strict=False)):
        if range(n)[part] != range(n):
            if mixed(rows[k] or ()):
                return None
            rows[k] = None
    return Layout(layout.axes, tuple(rows))


def _before_broadcast(shape: Sequence[int], layout: Layout) -> Layout | None:
    """Follow a layout back to an operand of an elementwise operation."""
    lost = len(layout.rows) - len(shape)
    rows = tuple(None if n == 1 else layout.rows[k + lost] for k, n in enumerate(shape))
    if not lost or layout.axes is None:
        return Layout(layout.axes, rows)
    axes = tuple(a - lost for a in layout.axes if a >= lost)
    return Layout(axes, rows) if axes == same(len(axes)) else None
