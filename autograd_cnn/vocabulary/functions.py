"""NumPy's other functions: arrays joined, cut, turned and filled; elementary functions, quantiles, differences.

Most elementary functions are a line each: NumPy's ufunc, what it does, and its rules. They broadcast like NumPy's. The
others are functions of primitives. A quantile and a sort pick elements in the order of a stable argsort, so the one
that comes first has the lower place among ties, and the gradient goes where the number came from. Lengths of vectors,
which NumPy lacks, come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce, wraps
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd_cnn.calculus.trees import tree_filled, tree_leaves
from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import as_floats, is_complex, numeric
from autograd_cnn.engine.checks import flag
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import constant, copied_index, known, peek, plain, plain_array
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import counterparts
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import arithmetic, axes, indexing, reductions
from autograd_cnn.ops.arithmetic import chain, choice, clip, conjugated, live, masked, power, quotient, sign_of, where
from autograd_cnn.ops.axes import Axis, Shape, X, as_float, axes_of, cut, fixed, in_double, keepdims_shape, operand
from autograd_cnn.ops.indexing import concatenate, getitem, positions, scatter, split, take, take_along_axis
from autograd_cnn.ops.products import kron, matmul
from autograd_cnn.ops.reductions import count_of, cumprod, cumsum, in_range, keeps, mean, prod, std, sum, var
from autograd_cnn.ops.shapes import axes_last, broadcast_to, copy, flip, moveaxis, reshape, squeeze, together, transpose
from autograd_cnn.vocabulary.linalg import order_of_powers, vector_norm

__all__ = [
    "acos", "acosh", "angle", "append", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "array", "asarray", "asin", "asinh", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average",
    "bincount", "block", "broadcast_arrays", "cbrt", "choose", "column_stack", "convolve", "copysign", "corrcoef",
    "correlate", "cosh", "cosine_similarity", "cov", "cumulative_prod", "cumulative_sum", "deg2rad", "degrees",
    "delete", "diag", "diagflat", "diff", "divmod", "dsplit", "dstack", "ediff1d", "exp2", "extract", "fabs", "fliplr",
    "flipud", "float_power", "fmax", "fmin", "fmod", "frexp", "geomspace", "gradient",
    "hsplit", "hstack", "hypot", "insert", "interp", "ldexp", "linspace", "log2", "log10", "logaddexp", "logaddexp2",
    "logspace", "median", "meshgrid", "mod", "modf", "nan_to_num", "nancumprod", "nancumsum", "nanmax", "nanmean",
    "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "normalize", "pad",
    "partition", "percentile", "polyval", "positive", "ptp", "quantile", "rad2deg", "radians", "real_if_close",
    "reciprocal", "resize", "rot90", "row_stack", "select", "sinc", "sinh", "sort", "sort_complex", "tan", "tile",
    "trapezoid", "tril", "trim_zeros", "triu", "unwrap", "vander", "vsplit", "vstack",
]  # fmt: skip


# Arrays joined, cut, turned and filled


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
    return scatter(reshape(x, -1), (i + max(0, -k), i + max(0, k)), (n, n))


def tril(x: Any, k: int = 0) -> Any:
    """Sets the elements above the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return where(np.tril(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def triu(x: Any, k: int = 0) -> Any:
    """Sets the elements below the `k`-th diagonal of each matrix to 0, or to False if they are bools."""
    return where(np.triu(np.ones(np.shape(x)[-2:], bool), fixed(k, "k")), x, False)


def rot90(x: X, k: int = 1, axes: tuple[int, int] = (0, 1)) -> X:
    """Turns the plane of two `axes` by `k` right angles, from the first axis towards the second."""
    return take(x, np.rot90(positions(x), k, axes))


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
        return indexing.pad_constant(x, copied_index(pad_width), constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f'pad: mode is {mode!r}, want "constant", "edge", "reflect", "symmetric" or "wrap"')
    return take(x, np.pad(positions(x), indexing.widths_of(pad_width, np.ndim(x)) or 0, mode))


# Sliding products, and polynomials as the vectors of their coefficients

Ends = Literal["full", "same", "valid"]


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


def polyval(p: Any, x: Any) -> Any:
    """Evaluates the polynomial with the coefficients `p`, highest power first, at `x`."""
    return reduce(lambda y, coefficient: y * x + coefficient, p, np.zeros_like(x))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(reshape(x, (-1, 1)), powers if increasing else powers[::-1])


# Elementary functions


def _ufunc(ufunc: Any, doc: str, **rules: Any) -> Primitive[...]:
    """Make a primitive of NumPy's function.

    Those that NumPy has for complex numbers are holomorphic, except those that choose.
    """
    inputs = getattr(ufunc, "nin", 1)  # `sinc` is no ufunc
    function: Any = (lambda x, y: ufunc(x, y)) if inputs == 2 else (lambda x: ufunc(x))
    holomorphic = "DD->D"[2 - inputs :] in getattr(ufunc, "types", ["D->D"]) and choice not in rules.values()
    declare = primitive(elementwise=True, complex=holomorphic, name=ufunc.__name__)
    made: Primitive[...] = declare(function)
    made.__name__, made.__qualname__, made.__doc__ = made.name, made.name, doc
    made.vjp(**rules)
    return made


def _turn(g: Any, side: Any, x: Any, y: Any) -> Any:
    """Compute ``side / (x**2 + y**2)`` without overflow, but 0 at the origin and at infinity."""
    h = live(np.hypot(x, y), g)
    turn = where(np.isinf(h), 0, quotient(quotient(side, h), h))
    return where(np.logical_or(np.isnan(x), np.isnan(y)), np.nan, turn)


def _lean(x: Any, y: Any, out: Any) -> Any:
    """Compute ``x / out``, the slope of hypot, but 0 at the origin. Infinities count alike, and the rest as 0."""
    side = np.sign(x)
    return where(np.isinf(x), where(np.isinf(y), side * 0.5**0.5, side), where(np.isinf(y), 0, quotient(x, out)))


def _leg(x: Any) -> Any:
    """Compute ``sqrt(1 - x * x)``; for complex `x` on the side of the cut that the sign of its 0 says, as W. Kahan.

    ``x + 1`` would lose that sign, which ``x - -1`` keeps: the imaginary part of 1 is +0.
    """
    return np.sqrt(-(x - 1)) * np.sqrt(x - -1) if is_complex(x) else np.sqrt((1 - x) * (1 + x))


def _sinc_slope(x: Any, out: Any) -> Any:
    near, s = np.less(abs(x), 0.1), (math.pi * x) * (math.pi * x)
    series = 1 - s / 10 * (1 - s / 28 * (1 - s / 54 * (1 - s / 88)))  # the difference below would cancel
    series = x * series * (-math.pi * math.pi / 3)
    return where(near, series, (np.cos(math.pi * x) - out) / where(near, 1, x))


def _rise(x: Any, y: Any) -> Any:
    """Compute ``y - x``, and 0 where both are inf: they share the gradient, as in logsumexp."""
    rise = y - x
    return where(np.logical_and(x == np.inf, y == np.inf), 0, rise) if np.isnan(rise).any() else rise


# fmt: off
positive = _ufunc(np.positive, "Copies the numbers.", x=lambda g: g)
fabs = _ufunc(np.fabs, "Drops the sign.\n\nThe gradient at 0 and NaN is 0.", x=lambda g, x: g * sign_of(x))
reciprocal = _ufunc(np.reciprocal, "Computes ``1 / x``.", x=lambda g, out: chain(g, -out * out))
cbrt = _ufunc(np.cbrt, "Takes the cube root.", x=lambda g, out: chain(g, 1 / (3 * out * out)))
exp2 = _ufunc(np.exp2, "Raises 2 to the power `x`.", x=lambda g, out: chain(g, out * math.log(2)))
log2 = _ufunc(np.log2, "Takes the logarithm to base 2.", x=lambda g, x: chain(g, 1 / math.log(2) / x))
log10 = _ufunc(np.log10, "Takes the logarithm to base 10.", x=lambda g, x: chain(g, 1 / math.log(10) / x))
deg2rad = _ufunc(np.deg2rad, "Converts degrees to radians.", x=lambda g: g * (math.pi / 180))
rad2deg = _ufunc(np.rad2deg, "Converts radians to degrees.", x=lambda g: g * (180 / math.pi))
tan = _ufunc(np.tan, "Takes the tangent of an angle in radians.", x=lambda g, out: chain(g, 1 + out * out))
arcsin = _ufunc(np.arcsin, "Takes the angle from -pi/2 to pi/2 whose sine is `x`.",
                x=lambda g, x: chain(g, 1 / _leg(x)))
arccos = _ufunc(np.arccos, "Takes the angle from 0 to pi whose cosine is `x`.", x=lambda g, x: chain(g, -1 / _leg(x)))
arctan = _ufunc(np.arctan, "Takes the angle whose tangent is `x`.", x=lambda g, x: g / (1 + x * x))
sinh = _ufunc(np.sinh, "Takes the hyperbolic sine.", x=lambda g, x: chain(g, np.cosh(x)))
cosh = _ufunc(np.cosh, "Takes the hyperbolic cosine.", x=lambda g, x: chain(g, np.sinh(x)))
arcsinh = _ufunc(np.arcsinh, "Inverts the hyperbolic sine.",
                 x=lambda g, x: g / (np.sqrt(x * x - -1) if x.dtype.kind == "c" else np.hypot(1, x)))
arccosh = _ufunc(np.arccosh, "Inverts the hyperbolic cosine.",
                 x=lambda g, x: chain(g, 1 / (np.sqrt(x - 1) * np.sqrt(x - -1))))
arctanh = _ufunc(np.arctanh, "Inverts the hyperbolic tangent.", x=lambda g, x: chain(g, 1 / ((1 - x) * (1 + x))))
sinc = _ufunc(np.sinc, "Computes ``sin(pi * x) / (pi * x)``, which is 1 at 0.",
              x=lambda g, x, out: g * _sinc_slope(x, out))

hypot = _ufunc(np.hypot, "Computes the hypotenuse ``sqrt(x * x + y * y)``.\n\nThe gradient at (0, 0) is 0.",
               x=lambda g, x, y, out: chain(g, _lean(x, y, live(out, g))),
               y=lambda g, x, y, out: chain(g, _lean(y, x, live(out, g))))
arctan2 = _ufunc(np.arctan2, "Takes the angle of the point `x` above and `y` right of the origin, from -pi to pi.\n\n"
                 "The gradient at (0, 0) is 0.",
                 x=lambda g, x, y: chain(g, _turn(g, y, x, y)), y=lambda g, x, y: chain(g, -_turn(g, x, x, y)))
logaddexp = _ufunc(np.logaddexp, "Computes ``log(exp(x) + exp(y))`` without overflow.",
                   x=lambda g, x, y: chain(g, 1 / (1 + np.exp(_rise(x, y)))),
                   y=lambda g, x, y: chain(g, 1 / (1 + np.exp(_rise(y, x)))))
logaddexp2 = _ufunc(np.logaddexp2, "Computes ``log2(2**x + 2**y)`` without overflow.",
                    x=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(x, y)))),
                    y=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(y, x)))))
fmax = _ufunc(np.fmax, "Takes the larger of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
fmin = _ufunc(np.fmin, "Takes the smaller of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
copysign = _ufunc(np.copysign, "Gives `x` the sign of `y`.\n\n"
                  "The gradient of `x` is 0 where `x` is 0 or NaN, that of `y` is 0 everywhere.",
                  x=lambda g, x, out: g * (sign_of(x) * sign_of(out)), y=lambda g: where(False, g, 0))
fmod = _ufunc(np.fmod, "Computes the remainder of ``x / y`` with the sign of `x`.",
              x=lambda g: g, y=lambda g, x, y, out: chain(g, -np.rint((x - out) / y)))
# fmt: on


def angle(z: Any, deg: bool = False) -> Any:
    """Takes the angle of complex numbers, from -pi to pi, or in degrees. The gradient at 0 is 0."""
    return arctan2(np.imag(z), np.real(z)) * (180 / math.pi if deg else 1)


def real_if_close(x: Any, tol: float = 100) -> Any:
    """Takes the real part if no imaginary part exceeds `tol` times the precision, or else copies."""
    return positive(x) if is_complex(np.real_if_close(plain(x), tol)) else np.real(x)


@primitive(batch="elementwise")
def ldexp(x: Any, y: Any) -> Any:
    """Computes ``x * 2**y`` for integers `y`."""
    return np.ldexp(x, y)


ldexp.vjp(x=lambda g, y: ldexp(g, y))


def float_power(x: Any, y: Any) -> Any:
    """Raises `x` to the power `y` as floats, without converting float32 to float64."""
    dtypes = peek(x).dtype, peek(y).dtype
    return power(*map(in_double, (x, y)) if np.float16 in dtypes or "f" not in {d.kind for d in dtypes} else (x, y))


def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Returns the floor of the quotient, as a plain array, and the remainder."""
    return np.floor_divide(x, y), arithmetic.remainder(x, y)


def modf(x: Any) -> tuple[Any, Any]:
    """Returns the fraction, and the integral part as a plain array. The fraction of an infinity is 0."""
    finite = where(np.isinf(x), 0, x)
    return finite - np.trunc(finite), np.trunc(x)


def frexp(x: Any) -> tuple[Any, Any]:
    """Returns the mantissa, from 0.5 to 1, and the exponent of 2 as a plain array."""
    exponent = np.frexp(plain(x))[1]
    return ldexp(x, -exponent), exponent


# Choices, interpolation, spacing


def nan_to_num(x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replaces NaN and infinities, by default by 0 and the largest numbers. The gradient there is 0."""
    if is_complex(x):
        repaired = partial(nan_to_num, nan=nan, posinf=posinf, neginf=neginf)
        return repaired(np.real(x)) + 1j * repaired(np.imag(x))
    return where(np.isfinite(x), x, np.nan_to_num(plain(x), nan=nan, posinf=posinf, neginf=neginf))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Takes each element from the first choice whose condition holds, else `default`."""
    cases = [*zip(condlist, choicelist, strict=True)]
    return reduce(lambda rest, case: where(case[0], case[1], rest), reversed(cases), default)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """Interpolates linearly between the points (`xp`, `fp`), which are finite, with gradients for all three.

    At a point the slope is that to its right, at the last one that to its left. Outside, the gradient of `x` is 0.
    """
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError(f"interp: xp is {np.shape(xp)}, fp {np.shape(fp)}. Both are vectors of one length")
    (x, xp, fp), last = as_floats(x, xp, fp), len(xp) - 1
    i = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(last - 1, 0))
    x0, y0, x1, y1 = (take(p, k) for k in (i, np.minimum(i + 1, last)) for p in (xp, fp))
    out = y0 + arithmetic.ratio(where(np.isinf(x), 0, x) - x0, x1 - x0) * (y1 - y0)
    out = where(np.less(x, take(xp, 0)), take(fp, 0) if left is None else left, out)
    return where(np.greater(x, take(xp, last)), take(fp, last) if right is None else right, out)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Adds up the `weights` of each integer in `x`. Without weights it counts, into a plain array."""
    sums = np.bincount(plain(x), plain(weights), minlength)
    return sums if weights is None else scatter(in_double(weights), np.asarray(plain(x)), sums.shape)


def _steps(span: Any, num: int, endpoint: bool) -> Any:
    return np.linspace(0, 1, num, endpoint, dtype=np.result_type(span.dtype, 1.0)).reshape(-1, *(1,) * np.ndim(span))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, evenly spaced along a new first axis."""
    span = np.subtract(*as_floats(stop, start))
    return start + span * _steps(span, num, endpoint)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0) -> Any:
    """Returns `num` numbers from ``base**start`` to ``base**stop``, each a constant multiple of the one before."""
    return power(base, linspace(start, stop, num, endpoint))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, each a constant multiple of the one before."""
    ratio = np.divide(stop, start)
    return start * power(ratio, _steps(ratio, num, endpoint))


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Any:
    """Adds multiples of `period` along `axis`, so that no step exceeds half of it. The gradient is that of `p`."""
    wrapped = plain_array(p)
    return p + (np.unwrap(wrapped, discont, axis, period=period) - wrapped)


# Other names

acos, asin, atan, acosh, asinh, atanh, atan2 = arccos, arcsin, arctan, arccosh, arcsinh, arctanh, arctan2
degrees, radians, mod = rad2deg, deg2rad, arithmetic.remainder


# Averages, quantiles, sorted numbers, covariances


def average(x: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """Takes the weighted mean along `axis`, or of all numbers.

    Parameters
    ----------
    x : (...)
    axis : int or tuple of int, optional
    weights : array_like, optional
        They have the shape of `x`, or its extents along `axis`, and are differentiated too.
    returned : bool
        Return the sum of the weights as well.

    Raises
    ------
    ValueError
        If weights add up to 0.
    """
    x = operand(x)
    if weights is None:
        out = mean(x, axis, keepdims)
        return (out, np.full(out.shape, x.size / max(out.size, 1), out.dtype)) if returned else out
    (x, weights), axes = as_floats(x, operand(weights, x)), axes_of(axis, x.ndim)
    if weights.shape != x.shape:
        if axis is None or weights.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"weights are {weights.shape}\nWant the shape of x, {x.shape}, or its extents along axis")
        ordered = transpose(weights, np.argsort(axes).tolist())
        weights = reshape(ordered, [n if i in axes else 1 for i, n in enumerate(x.shape)])
    total = sum(weights, axis, keepdims)
    if known(total) and np.any(peek(total) == 0):
        raise ValueError("weights add up to 0")
    out = sum(x * weights, axis, keepdims) / total
    return (out, broadcast_to(total, out.shape)) if returned else out


def _in_order(x: Any, arranged: Any, axis: int | None) -> Any:
    """Pick the elements of `x` in the order in which `arranged` has them, ties in their order in `x`."""
    x, axis = (reshape(x, (-1,)), -1) if axis is None else (x, axis)
    order, places = (np.argsort(a, axis, kind="stable") for a in (plain(x), arranged))
    return take_along_axis(x, np.take_along_axis(order, np.argsort(places, axis), axis), axis)


def sort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """Sorts along `axis`, or the flattened array, and returns a new array. It is stable whatever `kind` is."""
    return _in_order(x, np.sort(plain(x), axis, kind, stable=stable), axis)


def sort_complex(a: Any) -> Any:
    """Sorts by the real parts, and equal ones by the imaginary parts, into complex numbers."""
    return sort(a.astype(np.result_type(a.dtype, np.complex64)))


def partition(x: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect") -> Any:
    """Moves numbers along `axis` so that element `kth` is where a sort puts it, the smaller before it."""
    return _in_order(x, np.partition(plain(x), kth, axis, kind), axis)


def _places(count: Any, n: int, q: Any, method: Any) -> Any:
    """Return the places of quantiles in rows of `n` numbers, of which the first `count` count."""
    count = np.asarray(count)
    place = np.full((*count.shape, q.size), n - 1.0)
    for c in np.unique(count[count > 0]):  # NumPy's quantile of 0, 1, 2, ... is the place, by every method
        place[count == c] = np.quantile(np.arange(float(c)), np.ravel(q), method=method)
    return place


def _quantile(x: Any, q: Any, axis: Any, method: Any, keepdims: bool, ignore_nan: bool) -> Any:
    """Mix the two elements around the place of the quantile in the sorted row, or pick a NaN."""
    flag(keepdims, "keepdims")
    if is_complex(x):
        raise errors.no_order()
    x, q = operand(x), np.asarray(q, float)
    axis = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rows = together(x, axis)
    if not rows.shape[-1]:
        rows = pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, 1)], constant_values=np.nan)
    n, number = rows.shape[-1], ~np.isnan(rows)
    order = np.argsort(plain(rows), -1, kind="stable")  # NaN come last
    count = number.sum(-1) if ignore_nan else n * number.all(-1)
    place = constant(_places, (count, n, q, method), {})
    parts = np.where(place % 1 == 0, 0.5, place % 1).astype(x.dtype if x.dtype.kind == "f" else float)
    picks = (np.take_along_axis(order, end(place).astype(int), -1) for end in (np.floor, np.ceil))
    below, above = (take_along_axis(rows, pick, -1) for pick in picks)
    out = moveaxis(below * (1 - parts) + above * parts, -1, 0)
    return reshape(out, q.shape + (keepdims_shape(x.shape, axis) if keepdims else count.shape))


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds the number below which a share `q` of the numbers along `axis` lies.

    Parameters
    ----------
    x : (...)
    q : array_like
        Shares from 0 to 1, constants. Their axes come first in the result.
    axis : int or tuple of int, optional
    method : str
        How to choose between two numbers: one of NumPy's.

    Returns
    -------
    array
        NaN where a number is, and for no numbers.
    """
    return _quantile(x, q, axis, method, keepdims, False)


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `quantile` of the numbers that are not NaN."""
    return _quantile(x, q, axis, method, keepdims, True)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `quantile`, with `q` in percent."""
    return _quantile(x, np.asarray(q) / 100, axis, method, keepdims, False)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `percentile` of the numbers that are not NaN."""
    return _quantile(x, np.asarray(q) / 100, axis, method, keepdims, True)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the number in the middle along `axis`, or the mean of the two in the middle."""
    return _quantile(x, 0.5, axis, "linear", keepdims, False)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the `median` of the numbers that are not NaN."""
    return _quantile(x, 0.5, axis, "linear", keepdims, True)


def _variables(x: Any, rowvar: bool) -> Any:
    """Return a matrix with one variable in each row."""
    x = operand(x)
    if x.ndim > 2:
        raise ValueError(
            f"x is {x.shape}, want a matrix of variables and observations\nOf many matrices: ag.vmap(ag.cov)"
        )
    return reshape(x, (1, -1)) if x.ndim < 2 else x if rowvar else transpose(x)


def cov(
    x: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, *, dtype: Any = None
) -> Any:
    """Computes the covariances of variables, one in each row of `x` (or column, without `rowvar`) and of `y`.

    Parameters
    ----------
    x, y : (variables, observations), or (observations,)
    bias : bool
        Divide by the number of observations, and not by one less. `ddof` overrides it.

    Returns
    -------
    (variables, variables), or ()
    """
    rows = _variables(x, rowvar)
    rows = rows if y is None else concatenate([rows, _variables(y, rowvar)])
    rows = in_double(rows) if dtype is None else rows.astype(dtype)
    lost = (0 if bias else 1) if ddof is None else ddof
    centred = rows - mean(rows, 1, keepdims=True)
    return squeeze(matmul(centred, transpose(conjugated(centred))) / max(rows.shape[1] - lost, 0))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """Computes the correlations of variables, which are given as in `cov`: covariances over standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(c[(np.arange(len(c)),) * 2])
    c = c / deviations[:, None] / deviations
    return clip(c.real, -1, 1) + 1j * clip(c.imag, -1, 1) if is_complex(c) else clip(c, -1, 1)


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Takes the largest number less the smallest, along `axis` or of all."""
    return reductions.max(x, axis, keeps(keepdims, axis)) - reductions.min(x, axis, keepdims)


def _without_nan(reduction: Primitive[...], initial: float | None = None) -> Callable[..., Any]:
    """Make NumPy's version of a reduction that ignores NaN. No numbers give NaN, except for a sum and a product.

    So do the variance and the standard deviation of at most `ddof` numbers.
    """

    @wraps(reduction.textbook)
    def f(*args: Any, **options: Any) -> Any:
        given = reduction.signature.bind(*args, **options).arguments
        x, axis, mask = given["x"], given.get("axis"), given.get("where", True)
        number = ~np.isnan(x)
        if not number.ndim:
            given["axis"] = axis = None  # these accept an axis of a number, unlike `mean`
        if not (known(number) and np.all(number)):
            if initial is not None and mask is True and given.get("initial") is None:
                number, given["initial"] = number | ~np.any(number, axis, keepdims=True), initial
            given["where"] = np.logical_and(number, mask)
        out, lost = reduction(**given), given.get("correction") or given.get("ddof", 0)
        enough = not lost or count_of(np.shape(x), axis, given.get("keepdims", False), number & mask) > lost
        return masked(out, enough, np.nan)

    f.__name__ = f.__qualname__ = f"nan{reduction.name}"
    f.__module__ = __name__  # where pickle looks for it
    f.__doc__ = f"Ignores NaN, and else does what `{reduction.name}` does, with the same parameters."
    return f


nansum, nanprod, nanmean, nanvar, nanstd = (_without_nan(f) for f in (sum, prod, mean, var, std))
nanmax, nanmin = _without_nan(reductions.max, -np.inf), _without_nan(reductions.min, np.inf)
counterparts.update({(np.fmax, "reduce"): "nanmax", (np.fmin, "reduce"): "nanmin"})


# Other forms of running sums and products, differences between neighbours


def _with_ends(x: Any, start: Any, end: Any, axis: int, dtype: Any = None) -> Any:
    """Join `start` and `end` to `x` along `axis`: each an array, a number, or None."""
    parts = [x if part is x else operand(part, x) for part in (start, x, end) if part is not None]
    parts = [part if part.ndim else broadcast_to(part, keepdims_shape(x.shape, axis)) for part in parts]
    return concatenate(parts, axis, dtype) if len(parts) > 1 else x


def _started(x: Any, axis: int | None, initial: float | None) -> tuple[Any, int]:
    x = operand(x)
    if axis is None and x.ndim > 1:
        raise ValueError(f"x is {x.ndim}-dimensional: axis is missing")
    x, axis = (reshape(x, (-1,)), 0) if axis is None else (x, axis)
    return _with_ends(x, initial if initial is None else x.dtype.type(initial), None, axis), axis


def cumulative_sum(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Adds up like `cumsum`, but flattens nothing; `include_initial` puts a 0 before the sums."""
    return cumsum(*_started(x, axis, 0 if include_initial else None), dtype)


def cumulative_prod(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Multiplies like `cumprod`, but flattens nothing; `include_initial` puts a 1 before the products."""
    return cumprod(*_started(x, axis, 1 if include_initial else None), dtype)


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Adds up like `cumsum`, with 0 in place of NaN."""
    return cumsum(masked(x, ~np.isnan(x)), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Multiplies like `cumprod`, with 1 in place of NaN."""
    return cumprod(masked(x, ~np.isnan(x), 1), axis, dtype)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtracts each number from the next one along `axis`, `n` times. `prepend` and `append` are joined before."""
    x = operand(x)
    if n < 0 or not x.ndim:
        raise ValueError(f"diff: n is {n}, x is {x.ndim}-dimensional\nWant n of 0 or more, and an axis")
    x = _with_ends(x, prepend, append, axis) if n else x
    for _ in range(min(n, x.shape[normalize_axis_index(axis, x.ndim)])):  # then nothing is left
        x = (np.not_equal if x.dtype == bool else np.subtract)(cut(x, axis, 1), cut(x, axis, None, -1))  # as NumPy
    return x


def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Subtracts each number of the flattened `x` from the next one, between `to_begin` and `to_end`."""
    x = reshape(operand(x), (-1,))
    return _with_ends(x[1:] - x[:-1], to_begin, to_end, 0, x.dtype)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """Average the slopes to both neighbours, each weighted with the distance to the other neighbour."""
    f, n = axes_last(f, axis), f.shape[axis]
    if edge_order not in (1, 2) or n <= edge_order:
        raise ValueError(f"axis {axis} has {n} points\nedge_order is 1 or 2, and wants more points than that")
    h = (diff(h) if h.ndim else h) * np.ones(n - 1, f.dtype)
    slopes = diff(f) / h
    bend = diff(slopes) / (h[:-1] + h[1:])
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:
        first, last = first - h[0] * bend[..., :1], last + h[-1] * bend[..., -1:]
    return moveaxis(concatenate([first, slopes[..., :-1] + h[:-1] * bend, last], -1), -1, axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Estimates the derivative of a function from its values at points of a grid, along each of its axes.

    The method ``t.gradient(x)`` is another thing: it differentiates `t` by `x`.

    Parameters
    ----------
    f : (...)
    *varargs : float or (n,)
        The distance of points for all axes, or for each axis its distance or the coordinates of its points.
    axis : int or tuple of int, optional
        Default: all.
    edge_order : int
        1 takes the slope to the one neighbour at the edges, 2 that of a parabola.

    Returns
    -------
    (...), or a tuple of them
        One for each axis.

    Raises
    ------
    TypeError, ValueError
        If there are too few points, or not as many distances as axes.
    """
    f = as_float(operand(f))
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacing = as_floats(*(operand(h, f) for h in varargs or (1.0,)))
    if len(spacing) == 1 and not spacing[0].ndim:
        spacing *= len(axes)
    if len(spacing) != len(axes):
        raise TypeError(f"{len(spacing)} distances for {len(axes)} axes")
    slopes = tuple(_slope(f, h, a, edge_order) for h, a in zip(spacing, axes, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrates along `axis` by the trapezoidal rule, over points `x`, or over points at distance `dx`."""
    y = axes_last(as_float(operand(y)), axis)
    if x is not None:
        dx = diff(axes_last(as_float(operand(x, y)), axis if np.ndim(x) > 1 else -1))
    return (dx * (y[..., 1:] + y[..., :-1]) / 2).sum(-1)


# Lengths of vectors


def cosine_similarity(x1: Any, x2: Any, axis: int | None = None, eps: float = 1e-8) -> Any:
    """Computes the cosine of the angle between vectors along `axis`, whose lengths count as at least `eps`.

    Vectors of zeros have similarity 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    x1, x2 = broadcast_arrays(*as_floats(x1, x2))
    axis = axes.channel_axis(x1) if axis is None else axis

    def squares(x: Any, s: Any) -> Any:
        return clip(sum(arithmetic.square(x), axis), (float(fixed(eps, "eps")) * s) ** 2, None)

    (x1, first, _), (x2, second, _) = (in_range(squares, x, axis) for x in (x1, x2))
    return sum(x1 * x2, axis) / (np.sqrt(first) * np.sqrt(second))


def normalize(x: Any, p: float = 2.0, axis: int | None = None, eps: float = 1e-12) -> Any:
    """Divides by the p-norm along `axis`, or by `eps` if that is larger.

    The gradient of the norm at 0 is 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    axis = axes.channel_axis(x) if axis is None else axis
    norm = partial(vector_norm, axis=axis, keepdims=True, ord=p)
    x, length, _ = in_range(lambda x, s: arithmetic.maximum(norm(x), eps * s), as_float(x), axis, order_of_powers(p))
    return x / length
