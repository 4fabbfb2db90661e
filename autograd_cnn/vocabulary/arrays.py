"""Arrays joined, cut, turned and filled in NumPy's other ways; products of vectors; and polynomials.

A polynomial is the vector of its coefficients, highest power first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Literal

import numpy as np

from autograd_cnn.calculus.trees import tree_filled, tree_leaves
from autograd_cnn.engine.arrays import numeric, precision
from autograd_cnn.engine.checks import count
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import copied_index, plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.arithmetic import conjugated, power, where
from autograd_cnn.ops.axes import Axis, Shape, X, fixed
from autograd_cnn.ops.indexing import concatenate, getitem, pad_constant, positions, scatter, split, take, widths_of
from autograd_cnn.ops.products import contract, diagonal, kron, matmul
from autograd_cnn.ops.shapes import axes_last, broadcast_to, copy, expand_dims, flip, moveaxis, reshape, squeeze

__all__ = [
    "append", "array", "asarray", "atleast_1d", "atleast_2d", "atleast_3d", "block", "broadcast_arrays", "choose",
    "column_stack", "convolve", "correlate", "cross", "delete", "diag", "diagflat", "dsplit", "dstack", "extract",
    "fliplr", "flipud", "hsplit", "hstack", "insert", "matvec", "meshgrid", "pad", "polyadd", "polyder", "polyint",
    "polyval", "resize", "roll", "roots", "rot90", "row_stack", "tile", "tril", "trim_zeros", "triu", "vander",
    "vecdot", "vecmat", "vsplit", "vstack",
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
    return copy(made) if (made := asarray(object, dtype)) is object else made


def _atleast(f: Callable[..., Any], arrays: tuple[Any, ...]) -> Any:
    """Reshape each array to the shape that NumPy's function `f` gives it."""
    made = tuple(reshape(x, f(np.broadcast_to(0, np.shape(x))).shape) for x in arrays)
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
    return flip(x, 1)


def flipud(x: X) -> X:
    """Reverses the order of the rows, axis 0."""
    return flip(x, 0)


@primitive(moves=True, batch="axis")
def roll(x: Any, shift: Shape, axis: Axis = None) -> Any:
    """Moves the elements by `shift` along `axis`; those that leave at the end come back at the start.

    Several axes take a shift each. Without `axis`, the elements move in the order of `ravel`.
    """
    return np.roll(x, shift, axis)


roll.vjp(x=lambda g, shift, axis: roll(g, np.negative(shift), axis))


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
    np.diag(np.broadcast_to(0, np.shape(x)), k)  # checks the arguments
    return diagflat(x, k) if np.ndim(x) == 1 else diagonal(x, k)


def diagflat(x: X, k: int = 0) -> X:
    """Makes the matrix that has the elements of `x` on its `k`-th diagonal, and 0 elsewhere."""
    i, n = np.arange(np.size(x)), np.size(x) + abs(k)
    return scatter(reshape(x, -1), (i + max(0, -k), i + max(0, k)), (n, n))


def tril(x: Any, k: int = 0) -> Any:
    """Sets the elements above the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return where(np.tril(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def triu(x: Any, k: int = 0) -> Any:
    """Sets the elements below the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return where(np.triu(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def rot90(x: X, k: int = 1, axes: tuple[int, int] = (0, 1)) -> X:
    """Turns the plane of two `axes` by `k` right angles, from the first axis towards the second."""
    np.rot90(np.broadcast_to(0, np.shape(x)), k, axes)  # checks the arguments
    for _ in range(k % 4):
        x = flip(np.swapaxes(x, *axes), axes[0])
    return x


def trim_zeros(x: X, trim: str = "fb", axis: int | tuple[int, ...] | None = None) -> X:
    """Leaves out zeros at the front ("f") and at the back ("b"), along `axis` or along all axes."""
    index, found = [slice(None)] * np.ndim(x), np.argwhere(plain(x))
    for d in range(len(index)) if axis is None else np.atleast_1d(axis):
        first, last = (found[:, d].min(), found[:, d].max() + 1) if found.size else (0, 0)
        index[d] = slice(first if "f" in trim.lower() else None, last if "b" in trim.lower() or not last else None)
    return getitem(x, tuple(index))


def tile(x: X, reps: Shape) -> X:
    """Lays copies of `x` side by side, `reps` along each axis.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.tile([1, 2], (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    return kron(np.ones(reps, bool), x)


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """Repeats the arrays until all have one shape."""
    shape = np.broadcast_shapes(*map(np.shape, arrays))
    return tuple(broadcast_to(x, shape) for x in arrays)


_STATISTICS: dict[str, Any] = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}


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
    mode : str
        NumPy's: "constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp", "mean", "median", "maximum",
        "minimum" or "empty". A "linear_ramp" ends at 0, and a "mean" (...) is that of a whole axis.

    Returns
    -------
    (...)
    """
    if isinstance(constant_values, str):  # NumPy's third argument is the mode
        mode, constant_values = constant_values, 0
    if mode in ("constant", "empty"):
        return pad_constant(x, copied_index(pad_width), constant_values)
    widths = widths_of(pad_width, np.ndim(x))
    if mode in ("edge", "wrap", "reflect", "symmetric"):
        return take(x, np.pad(positions(x), widths or 0, mode))
    if mode == "linear_ramp":
        return pad(x, pad_width, mode="edge") * np.pad(plain(np.ones_like(x) * 1.0), widths or 0, mode)
    if mode not in _STATISTICS:
        raise ValueError(f"pad: mode is {mode!r}, want one of NumPy's names")
    for axis, width in enumerate(widths):
        if any(width):
            n = np.shape(x)[axis]
            x = concatenate([x, _STATISTICS[mode](x, axis=axis, keepdims=True)], axis)
            x = take(x, np.pad(np.arange(n), width, constant_values=n), axis)
    return x


# Products of vectors, alone or in stacks

Ends = Literal["full", "same", "valid"]


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Multiplies vectors of 3 components to vectors at right angles to both: the cross product.

    For vectors of 2 components, add a third of 0.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = axes_last(a, axisa), axes_last(b, axisb)
    if (np.shape(a)[-1], np.shape(b)[-1]) != (3, 3):
        raise ValueError(f"cross: want vectors of 3 components, got {np.shape(a)} and {np.shape(b)}")
    return moveaxis(roll(a, -1, -1) * roll(b, 1, -1) - roll(a, 1, -1) * roll(b, -1, -1), -1, axisc)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums products over one axis of both: the dot products of stacks of vectors. `x1` is conjugated."""
    return contract("...i,...i->...", conjugated(axes_last(x1, axis)), axes_last(x2, axis))


def matvec(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of matrices by stacks of vectors."""
    return squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of vectors, which are conjugated, by stacks of matrices."""
    return squeeze(matmul(conjugated(expand_dims(x1, -2)), x2), -2)


def _convolve_rule(g: Any, other: Any, shape: tuple[int, ...]) -> Any:
    """Convolve `g`, completed by zeros to what mode "full" would give, with the other vector backwards."""
    missing = other.size + int(np.prod(shape)) - 1 - len(g)
    return convolve(pad(g, (missing // 2, missing - missing // 2)), flip(reshape(other, (-1,))), "valid")


@primitive(complex=True, flops=lambda a_shape, v_shape: 2 * a_shape[0] * v_shape[0])
def convolve(a: Any, v: Any, mode: Ends = "full") -> Any:
    """Slides one vector, reversed, along the other, and sums the products at each place.

    `mode` is ``"full"``, ``"same"`` or ``"valid"``, as in NumPy.
    """
    return np.convolve(a, v, mode)


convolve.vjp(
    a=lambda g, a_shape, v: _convolve_rule(g, v, a_shape),
    v=lambda g, a, v_shape: _convolve_rule(g, a, v_shape),
)


def correlate(a: Any, v: Any, mode: Ends = "valid") -> Any:
    """Slides `v`, conjugated, along `a`, and sums the products at each place."""
    v = conjugated(v)
    return flip(convolve(v, flip(a), mode)) if len(a) < len(v) else convolve(a, flip(v), mode)


# Polynomials


def polyval(p: Any, x: Any) -> Any:
    """Evaluates the polynomial with the coefficients `p`, highest power first, at `x`."""
    return reduce(lambda y, coefficient: y * x + coefficient, p, np.zeros_like(x))


def polyadd(a1: Any, a2: Any) -> Any:
    """Adds polynomials, given by their coefficients, highest power first."""
    longer = len(a2) - len(a1)
    return pad(a1, (max(longer, 0), 0)) + pad(a2, (max(-longer, 0), 0))


def polyder(p: Any, m: int = 1) -> Any:
    """Differentiates a polynomial `m` times."""
    for _ in range(min(count(m, "m", 0), len(p))):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def polyint(p: Any, m: int = 1, k: float = 0) -> Any:
    """Integrates a polynomial `m` times, with one constant `k`."""
    if count(m, "m", 0) > 10_000:
        raise ValueError(f"m is {m}, which gives a polynomial of {m} coefficients more")
    for _ in range(m):
        p = pad(p / np.arange(len(p), 0, -1), (0, 1), constant_values=float(fixed(k, "k")))
    return p


@primitive(complex=True)
def roots(p: Any) -> Any:
    """Computes the roots of a polynomial, given by its coefficients, highest power first.

    The gradient is undefined where roots are equal, and then inf or NaN.
    """
    return np.roots(p)


def _roots_rule(g: Any, p: Any, out: Any) -> Any:
    """Where p(r) = 0, a step dp moves the root by ``-dp(r) / p'(r)``."""
    degrees = np.arange(len(p) - 1, -1, -1, dtype=precision(p.dtype))
    powers = out[:, None] ** degrees
    return -(powers.mT @ (g / (powers[:, 1:] @ (p * degrees)[:-1])))


roots.vjp(p=_roots_rule)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(reshape(x, (-1, 1)), powers if increasing else powers[::-1])
