"""Products of matrices, and of arrays in general.

Copies of an array are a product, too: the Kronecker product with ones.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.engine.checks import count
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.arithmetic import astype, multiply, power, where
from autograd_cnn.ops.axes import Shape, X, normal
from autograd_cnn.ops.indexing import getitem, positions, take
from autograd_cnn.ops.joining import pad, stack
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import expand_dims, flip, matrix_transpose, moveaxis, reshape, squeeze

__all__ = [
    "contract", "convolve", "correlate", "cross", "dot", "einsum", "inner", "kron", "linear", "matmul", "matvec",
    "outer", "polyadd", "polyder", "polyint", "polyval", "repeat", "tensordot", "tile", "vander", "vdot", "vecdot",
    "vecmat",
]  # fmt: skip

Mode = Literal["full", "same", "valid"]


def axes_last(x: Any, *axes: int) -> Any:
    """Move `axes`, in this order, behind the others."""
    last = range(np.ndim(x) - len(axes), np.ndim(x))
    return x if normalize_axis_tuple(axes, np.ndim(x)) == (*last,) else moveaxis(x, axes, last)


def _as_matrices(g: Any, x_ndim: int, y_ndim: int) -> Any:
    """Restore the axes of `g` that NumPy drops for one-dimensional operands."""
    g = expand_dims(g, -1) if y_ndim == 1 else g
    return expand_dims(g, -2) if x_ndim == 1 else g


def _left(g: Any, x_shape: tuple[int, ...], y: Any) -> Any:
    g = _as_matrices(g, len(x_shape), len(y.shape))
    return matmul(g, y.mT if len(y.shape) > 1 else expand_dims(y, 0))


def _right(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    g = _as_matrices(g, len(x.shape), len(y_shape))
    result = matmul(x.mT if len(x.shape) > 1 else expand_dims(x, 1), g)
    return squeeze(result, -1) if len(y_shape) == 1 else result


def _flops(out_shape: tuple[int, ...], x_shape: tuple[int, ...]) -> int:
    return 2 * math.prod(out_shape) * x_shape[-1]


_matrices = normal(
    ((2, 3), (3, 4)), (3, 3), ((2, 3), 3), (3, (3, 4)), ((5, 2, 3), (3, 4)), ((2, 1, 2, 3), (5, 3, 2)), (3, (5, 3, 2))
)


def _matching(x: Any, y: Any) -> tuple[Any, Any]:
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim and y.ndim and x.shape[-1] != y.shape[-min(y.ndim, 2)]:
        raise ValueError(f"{x.shape} @ {y.shape}: {x.shape[-1]} is not {y.shape[-min(y.ndim, 2)]}")
    return x, y


@primitive(symbol="@", strict=True, flops=_flops, examples=_matrices, check=_matching)
def matmul(x: Any, y: Any) -> Any:
    """Multiplies matrices, rows by columns: ``x @ y``.

    Vectors and stacks of matrices follow NumPy's rules.
    """
    return np.matmul(x, y)


matmul.vjp(
    x=lambda g, x_shape, y: matmul(g, y.T) if len(x_shape) == len(y.shape) == 2 else _left(g, x_shape, y),
    y=lambda g, x, y_shape: matmul(x.T, g) if len(x.shape) == len(y_shape) == 2 else _right(g, x, y_shape),
)


def _flat(x: Any) -> Any:
    """Join all axes but the last: (..., n) -> (rows, n)."""
    return reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _misfit(x: tuple[int, ...], w: tuple[int, ...]) -> str:
    """Return the problem and the cure for an `x` and a `w` that do not fit each other."""
    if len(w) != 2:
        return f"w is {len(w)}-dimensional, want (in, out)"
    problem = f"x {x} @ w {w}: {x[-1] if x else 'no axis'} is not {w[0]}\n"
    if len(x) > 2 and math.prod(x[1:]) == w[0]:
        return problem + f"ag.flatten(x, 1) first: {'*'.join(map(str, x[1:]))} = {w[0]}"
    order = ". w looks like (out, in): w.T" if x and x[-1:] == w[1:] else ""
    return problem + "x's last axis and w's first must have the same length" + order


def _connected(x: Any, w: Any, b: Any) -> tuple[Any, Any, Any]:
    if w.ndim != 2 or x.shape[-1:] != w.shape[:1]:
        raise ValueError(_misfit(x.shape, w.shape))
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"b is {b.shape}, w {w.shape} has {w.shape[1]} outputs\nb needs shape ({w.shape[1]},)")
    return x, w, b


@primitive(strict=True, flops=_flops, check=_connected, examples=normal(((2, 3), (3, 4), (4,)), ((2, 5, 3), (3, 4))))
def linear(x: Any, w: Any, b: Any = None) -> Any:
    """Multiplies by weights and adds a bias: ``x @ w + b``.

    Parameters
    ----------
    x : (..., in)
    w : (in, out)
    b : (out,), optional

    Returns
    -------
    (..., out)

    Raises
    ------
    ValueError
        If the shapes do not match.
    """
    return x @ w if b is None else x @ w + b


linear.vjp(
    x=lambda g, w: matmul(g, w.T) if len(g.shape) == 2 else linear(g, w.T),
    w=lambda g, x: matmul(x.T, g) if len(x.shape) == 2 else matmul(_flat(x).T, _flat(g)),
    b=lambda g: sum(g, axis=0 if len(g.shape) == 2 else tuple(range(len(g.shape) - 1))),
)


def letters(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """Return the subscripts of each operand, and of the output, with letters in place of the ellipsis."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    if not arrow:
        once = [c for c in sorted({*inputs} - {*",."}) if inputs.count(c) == 1]
        output = "".join(["..."] * ("..." in inputs) + once)
    terms = inputs.split(",")
    hidden = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]
    spare = "".join([c for c in string.ascii_letters if c not in subscripts][: max(hidden)])
    terms = [term.replace("...", spare[len(spare) - n :]) for term, n in zip(terms, hidden, strict=True)]
    return terms, output.replace("...", spare)


def _contract_rule(
    g: Any, position: int, operands: Sequence[Any], operands_shape: Sequence[tuple[int, ...]], subscripts: str
) -> Any:
    """Contract `g` with the other operands, which gives the axes that have a letter in common with them.

    The result is repeated along the others, and put on the diagonal of axes that have the same letter.
    """
    terms, output = letters(subscripts, operands_shape)
    term, shape = terms.pop(position), operands_shape[position]
    shared = [c for c in dict.fromkeys(term) if c in output + "".join(terms)]
    others = (*operands[:position], *operands[position + 1 :])
    result = contract(",".join((output, *terms)) + "->" + "".join(shared), g, *others)
    if result.shape == shape:
        return result
    extents = dict(zip(shared, result.shape, strict=True))
    result = reshape(result, [extents.pop(c, 1) for c in term])
    places = np.indices(shape, sparse=True)
    diagonal = [places[i] == places[term.index(c)] for i, c in enumerate(term)]
    return where(reduce(np.logical_and, diagonal), result, 0)


def _contract_flops(subscripts: str, operands_shape: Sequence[tuple[int, ...]]) -> int:
    """Count a multiplication and an addition for every combination of the letters."""
    terms, _ = letters(subscripts, operands_shape)
    pairs = sorted(p for term, shape in zip(terms, operands_shape, strict=True) for p in zip(shape, term, strict=True))
    return 2 * math.prod({c: n for n, c in pairs}.values())


def _contractions(rng: np.random.Generator) -> list[Any]:
    x, y, z = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 3))
    return [("ij,jk->ik", x, y), ("...ij,...jk", z, y), ("...ii->i...", z), ("ij,jk->", x[:, :1], y)]


@primitive(examples=_contractions, flops=_contract_flops)
def contract(subscripts: str, *operands: Any) -> Any:
    """Multiplies operands and sums over axes, named by letters: ``contract("ij,jk->ik", x, y)`` is ``x @ y``.

    This is Einstein summation with ellipses and repeated indices. `einsum` calls it, and takes NumPy's other forms.
    """
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


contract.vjp(operands=_contract_rule)


def einsum(*operands: Any, optimize: Any = None, dtype: Any = None) -> Any:
    """Multiplies operands and sums over axes, in any of NumPy's forms: Einstein summation.

    ``einsum("ij,jk->ik", x, y)`` and ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` are ``x @ y``. The order of three or more
    operands is always optimised, so `optimize` changes nothing.
    """
    subscripts, *arrays = operands
    if not isinstance(subscripts, str):
        terms = ["".join("..." if i is ... else _LABELS[i] for i in term) for term in (*operands[1::2], operands[-1])]
        arrays = [*operands[: len(operands) - 1 : 2]]
        subscripts = ",".join(terms[: len(arrays)]) + (f"->{terms[-1]}" if len(operands) % 2 else "")
    return contract(subscripts, *(arrays if dtype is None else [astype(x, dtype) for x in arrays]))


_LABELS = string.ascii_uppercase + string.ascii_lowercase  # in the order of NumPy's implicit output


def dot(a: Any, b: Any) -> Any:
    """Sums products over the last axis of `a` and the second-last of `b`: ``a @ b`` for vectors and matrices."""
    if not (np.ndim(a) and np.ndim(b)):
        return multiply(a, b)
    return matmul(a, b) if np.ndim(b) < 3 else tensordot(a, b, (-1, -2))


def vdot(a: Any, b: Any) -> Any:
    """Sums the products of all elements, in flattened order."""
    return matmul(reshape(a, -1), reshape(b, -1))


def inner(a: Any, b: Any) -> Any:
    """Sums products over the last axes of `a` and `b`."""
    return dot(a, matrix_transpose(b) if np.ndim(a) and np.ndim(b) > 1 else b)


def outer(a: Any, b: Any) -> Any:
    """Multiplies each element of `a` by each element of `b`, both flattened."""
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sums products over `axes`: a pair of axes, or of lists of them, or the number of axes that `a` and `b` share."""
    pair = (range(-axes, 0), range(axes)) if isinstance(axes, (int, np.integer)) else axes
    left, right = (normalize_axis_tuple(part, np.ndim(x)) for x, part in zip((a, b), pair, strict=True))
    a, b = axes_last(a, *left), axes_last(b, *right)
    rows, columns = np.shape(a)[: np.ndim(a) - len(left)], np.shape(b)[: np.ndim(b) - len(right)]
    summed, others = np.shape(a)[len(rows) :], np.shape(b)[len(columns) :]
    if summed != others:
        raise ValueError(f"tensordot: axes {left} of a have the extents {summed}, axes {right} of b {others}")
    a, b = (reshape(x, (math.prod(kept), math.prod(summed))) for x, kept in ((a, rows), (b, columns)))
    return reshape(matmul(a, b.T), (*rows, *columns))


def kron(a: Any, b: Any) -> Any:
    """Puts a copy of `b`, times the element, in the place of each element of `a`: the Kronecker product."""
    ndim = max(np.ndim(a), np.ndim(b))
    pairs = [*zip(*((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b)), strict=True)]
    blocks = reshape(a, [n for pair in pairs for n in (pair[0], 1)])
    return reshape(multiply(blocks, reshape(b, [n for pair in pairs for n in (1, pair[1])])), [*map(math.prod, pairs)])


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


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeats each element `repeats` times along `axis`, or those of the flattened `x`; `repeats` may differ for each.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.repeat([1, 2], 2), ag.repeat([1, 2], [1, 3])
    (array([1, 1, 2, 2]), array([1, 2, 2, 2]))
    """
    if np.ndim(repeats):
        return take(x, np.repeat(positions(x), repeats, axis))
    if axis is None or not np.ndim(x):
        normalize_axis_tuple(axis or 0, 1)
        return repeat(reshape(x, -1), repeats, 0)
    counts = [1] * np.ndim(x)
    counts[axis] = repeats
    return kron(x, np.ones(counts, bool))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Multiplies vectors of 3 components to vectors at right angles to both: the cross product.

    For vectors of 2 components, add a third of 0.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = axes_last(a, axisa), axes_last(b, axisb)
    if (np.shape(a)[-1], np.shape(b)[-1]) != (3, 3):
        raise ValueError(f"cross: want vectors of 3 components, got {np.shape(a)} and {np.shape(b)}")
    (a0, a1, a2), (b0, b1, b2) = ([getitem(v, (..., i)) for i in range(3)] for v in (a, b))
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axisc)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums products over one axis of both: the dot products of stacks of vectors."""
    return sum(multiply(axes_last(x1, axis), axes_last(x2, axis)), -1)


def matvec(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of matrices by stacks of vectors."""
    return squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of vectors by stacks of matrices."""
    return squeeze(matmul(expand_dims(x1, -2), x2), -2)


def _convolve_rule(g: Any, other: Any, extent: int) -> Any:
    """Convolve `g`, completed by zeros to what mode "full" would give, with the other vector backwards."""
    missing = len(other) + extent - 1 - len(g)
    return convolve(pad(g, (missing // 2, missing - missing // 2)), flip(other), "valid")


@primitive(
    examples=lambda rng: [(rng.normal(size=n), rng.normal(size=3), mode) for mode in get_args(Mode) for n in (2, 5)],
    flops=lambda a_shape, v_shape: 2 * a_shape[0] * v_shape[0],
)
def convolve(a: Any, v: Any, mode: Mode = "full") -> Any:
    """Slides one vector, reversed, along the other, and sums the products at each place.

    `mode` is ``"full"``, ``"same"`` or ``"valid"``, as in NumPy.
    """
    return np.convolve(a, v, mode)


convolve.vjp(
    a=lambda g, a_shape, v: _convolve_rule(g, v, a_shape[0]),
    v=lambda g, a, v_shape: _convolve_rule(g, a, v_shape[0]),
)


def correlate(a: Any, v: Any, mode: Mode = "valid") -> Any:
    """Slides `v` along `a`, and sums the products at each place."""
    return flip(convolve(v, flip(a), mode)) if len(a) < len(v) else convolve(a, flip(v), mode)


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
        p = pad(p / np.arange(len(p), 0, -1), (0, 1), constant_values=float(k))
    return p


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(reshape(x, (-1, 1)), powers if increasing else powers[::-1])
