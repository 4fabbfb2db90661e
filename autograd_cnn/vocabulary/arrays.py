"""NumPy's other functions that make arrays, or join, cut, turn and fill them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_cnn.calculus.trees import tree_filled, tree_leaves
from autograd_cnn.engine.arrays import as_floats, numeric
from autograd_cnn.engine.numpy_calls import copied_index, plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.axes import Shape, X, fixed
from autograd_cnn.ops.indexing import concatenate, getitem, pad_constant, positions, scatter, split, take, widths_of

__all__ = [
    "append", "array", "asarray", "atleast_1d", "atleast_2d", "atleast_3d", "block", "broadcast_arrays", "choose",
    "column_stack", "delete", "diag", "diagflat", "dsplit", "dstack", "extract", "fliplr", "flipud", "geomspace",
    "hsplit", "hstack", "insert", "linspace", "logspace", "meshgrid", "pad", "resize", "rot90", "row_stack", "tile",
    "tril", "trim_zeros", "triu", "vsplit", "vstack",
]  # fmt: skip


def asarray(object: Any, dtype: Any = None) -> Any:
    """Joins the tensors and numbers in nested lists into one tensor, of NumPy's dtype for them; returns a tensor."""
    if isinstance(object, Tensor):
        return object if dtype in (None, object.dtype) else object.astype(dtype)
    if isinstance(object, (list, tuple)) and any(isinstance(leaf, Tensor) for leaf in tree_leaves(object)):
        return np.stack([asarray(part) for part in object], dtype=dtype)
    return np.asarray(numeric(object, "object"), dtype)


def array(object: Any, dtype: Any = None) -> Any:
    """Joins the tensors and numbers in nested lists into one tensor, of NumPy's dtype for them; copies a tensor."""
    return np.copy(made) if (made := asarray(object, dtype)) is object else made


def _atleast(f: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    """Reshape each array to the shape that NumPy's function `f` gives it."""
    made = tuple(np.reshape(x, f(np.broadcast_to(0, np.shape(x))).shape) for x in arrays)
    return made[0] if len(made) == 1 else made


def atleast_1d(*arrays: Any) -> Any:
    """Gives each array at least one axis: the array, or a tuple of several."""
    return _atleast(np.atleast_1d, arrays)


def atleast_2d(*arrays: Any) -> Any:
    """Gives each array at least two axes, new ones first: the array, or a tuple of several."""
    return _atleast(np.atleast_2d, arrays)


def atleast_3d(*arrays: Any) -> Any:
    """Gives each array at least three axes, (1, N, 1) or (M, N, 1): the array, or a tuple of several."""
    return _atleast(np.atleast_3d, arrays)


def fliplr(x: X) -> X:
    """Reverses the order of the columns, axis 1."""
    return np.flip(x, 1)


def flipud(x: X) -> X:
    """Reverses the order of the rows, axis 0."""
    return np.flip(x, 0)


def hstack(tup: Sequence[Any], dtype: Any = None) -> Any:
    """Joins arrays side by side: along axis 1, or axis 0 if they have only one."""
    parts = [atleast_1d(x) for x in tup]
    return concatenate(parts, int(all(np.ndim(x) > 1 for x in parts)), dtype)


def vstack(tup: Sequence[Any], dtype: Any = None) -> Any:
    """Joins arrays one below the other: along axis 0. An array of one axis is a row."""
    return concatenate([atleast_2d(x) for x in tup], 0, dtype)


row_stack = vstack


def dstack(tup: Sequence[Any]) -> Any:
    """Joins arrays one behind the other: along axis 2."""
    return concatenate([atleast_3d(x) for x in tup], 2)


def column_stack(tup: Sequence[Any]) -> Any:
    """Joins arrays side by side: along axis 1. An array of one axis is a column."""
    return concatenate([x if np.ndim(x) > 1 else atleast_2d(x).T for x in tup], 1)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """Joins `values` to the end of `x`, along `axis` or in one row."""
    return concatenate([x, values], axis)


def _numbered(arrays: Sequence[Any]) -> list[Any]:
    """Return the positions of the elements of each array in ``concatenate(arrays, None)``."""
    starts = np.cumsum([0, *map(np.size, arrays)])
    return [positions(x, start) for x, start in zip(arrays, starts, strict=False)]


def insert(x: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Puts `values` before the elements at `obj`, an index or several, along `axis` or into the flattened `x`.

    The result has the dtype of `x`.
    """
    numbers = _numbered([x, values])
    joined = concatenate([x, values], None, getattr(x, "dtype", None))
    return take(joined, np.insert(numbers[0], plain(obj), numbers[1], axis))


def choose(x: Any, choices: Sequence[Any], mode: Any = "raise") -> Any:
    """Takes each element from the array ``choices[i]``, where i is the integer in `x` at its place."""
    return take(concatenate([*choices], None), np.choose(plain(x), _numbered(choices), mode=mode))


def block(arrays: Any) -> Any:
    """Joins nested lists of blocks: the innermost lists along the last axis, the next along the last but one, ...

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.block([[np.eye(2), np.zeros((2, 1))], [np.ones((1, 2)), 5]])
    array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 1., 5.]])
    """
    leaves = tree_leaves(arrays)
    return take(concatenate(leaves, None), np.block(tree_filled(arrays, _numbered(leaves))))


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Any, ...]:
    """Makes the coordinates of a grid from those along its axes: one array for each axis.

    `sparse` leaves out the repetition along the other axes. With ``indexing="xy"``, the first two axes are exchanged.
    The results are copies, whatever `copy`.
    """
    grids = np.meshgrid(*map(positions, xi), sparse=sparse, indexing=indexing)
    return tuple(take(x, grid) for x, grid in zip(xi, grids, strict=True))


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cuts `x` along axis 1, or axis 0 if it has only one, as `split` does."""
    return split(x, indices_or_sections, int(np.ndim(x) > 1))


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cuts `x` along axis 0, as `split` does."""
    return split(x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Cuts `x` along axis 2, as `split` does."""
    return split(x, indices_or_sections, 2)


def resize(x: X, new_shape: Shape) -> X:
    """Fills an array of `new_shape` with the elements in their order, again and again."""
    return take(x, np.resize(positions(x), new_shape))


def delete(x: X, obj: Any, axis: int | None = None) -> X:
    """Leaves out the elements at `obj`, a slice, integers or a mask, along `axis` or from the flattened `x`."""
    return take(x, np.delete(positions(x), plain(obj), axis))


def extract(condition: Any, x: X) -> X:
    """Picks the elements for which `condition` holds."""
    return take(x, np.extract(plain(condition), positions(x)))


def diag(x: X, k: int = 0) -> X:
    """Picks the `k`-th diagonal of a matrix, or makes the matrix that has `x` on it."""
    return diagflat(x, k) if np.ndim(x) == 1 else take(x, np.diag(positions(x), k))


def diagflat(x: X, k: int = 0) -> X:
    """Makes the matrix that has the elements of `x` on its `k`-th diagonal, and 0 elsewhere."""
    i, n = np.arange(np.size(x)), np.size(x) + abs(k)
    return scatter(np.reshape(x, -1), (i + max(0, -k), i + max(0, k)), (n, n))


def tril(x: Any, k: int = 0) -> Any:
    """Sets the elements above the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return np.where(np.tril(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def triu(x: Any, k: int = 0) -> Any:
    """Sets the elements below the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return np.where(np.triu(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def rot90(x: X, k: int = 1, axes: tuple[int, int] = (0, 1)) -> X:
    """Turns the plane of two `axes` by `k` right angles, from the first axis towards the second."""
    return take(x, np.rot90(positions(x), fixed(k, "k"), axes))


def trim_zeros(x: X, trim: str = "fb", axis: int | tuple[int, ...] | None = None) -> X:
    """Leaves out zeros at the front ("f") and at the back ("b"), along `axis` or along all axes."""
    index, found = [slice(None)] * np.ndim(x), np.argwhere(plain(x))
    for d in range(len(index)) if axis is None else np.atleast_1d(axis):
        first, last = (found[:, d].min(), found[:, d].max() + 1) if found.size else (0, 0)
        index[d] = slice(first if "f" in trim.lower() else None, last if "b" in trim.lower() or not last else None)
    return getitem(x, tuple(index))


def tile(x: Any, reps: Shape) -> Any:
    """Lays copies of `x` side by side, `reps` along each axis.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.tile([1, 2], (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    return np.kron(np.ones(reps, bool), x)


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """Repeats the arrays until all have one shape."""
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(np.broadcast_to(x, shape) for x in arrays)


def pad(x: X, pad_width: Any, constant_values: Any = 0, mode: Any = "constant") -> X:
    """Puts a margin around `x`.

    Parameters
    ----------
    x : (...)
    pad_width : int, pair, one pair per axis, or dict
        The number of elements before and after. A dict has the axes to pad. One pair is for every axis, as in NumPy;
        in PyTorch it is for the last.
    constant_values : float, pair, or one pair per axis
        The elements of a margin with ``mode="constant"``.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap", "empty"}

    Returns
    -------
    (...)
    """
    if isinstance(constant_values, str):  # NumPy's third argument is the mode
        mode, constant_values = constant_values, 0
    if mode in ("constant", "empty"):
        return pad_constant(x, copied_index(pad_width), constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f'pad: mode is {mode!r}, want "constant", "edge", "reflect", "symmetric" or "wrap"')
    return take(x, np.pad(positions(x), widths_of(pad_width, np.ndim(x)) or 0, mode))


def _steps(span: Any, num: int, endpoint: bool) -> Any:
    return np.linspace(0, 1, num, endpoint, dtype=np.result_type(span.dtype, 1.0)).reshape(-1, *(1,) * np.ndim(span))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, evenly spaced along a new first axis."""
    span = np.subtract(*as_floats(stop, start))
    return start + span * _steps(span, num, endpoint)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0) -> Any:
    """Returns `num` numbers from ``base**start`` to ``base**stop``, each a constant multiple of the one before."""
    return np.power(base, linspace(start, stop, num, endpoint))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, each a constant multiple of the one before."""
    ratio = np.divide(stop, start)
    return start * np.power(ratio, _steps(ratio, num, endpoint))
