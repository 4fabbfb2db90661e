"""Products of matrices, and of arrays in general.

Copies of an array are a product, too: the Kronecker product with ones.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.arithmetic import astype, conjugated, multiply, where
from autograd_cnn.ops.indexing import getitem, positions, take
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import axes_last, expand_dims, matrix_transpose, moveaxis, reshape, roll, squeeze

__all__ = [
    "contract", "cross", "diagonal", "dot", "einsum", "inner", "kron", "linear", "matmul", "matrix_trace", "matvec",
    "outer", "repeat", "tensordot", "vdot", "vecdot", "vecmat",
]  # fmt: skip


def _as_matrices(g: Any, x_ndim: int, y_ndim: int) -> Any:
    """Restore the axes of `g` that NumPy drops for one-dimensional operands."""
    g = expand_dims(g, -1) if y_ndim == 1 else g
    return expand_dims(g, -2) if x_ndim == 1 else g


def _left(g: Any, x_shape: tuple[int, ...], y: Any) -> Any:
    g = _as_matrices(g, len(x_shape), len(y.shape))
    return matmul(g, y.mT if len(y.shape) > 1 else expand_dims(y, 0))


def _right(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    if len(y_shape) == 2 < len(x.shape):  # one product rather than a sum of a stack of them
        return matmul(_flat(x).T, _flat(g))
    g = _as_matrices(g, len(x.shape), len(y_shape))
    result = matmul(x.mT if len(x.shape) > 1 else expand_dims(x, 1), g)
    return squeeze(result, -1) if len(y_shape) == 1 else result


def _flops(out_shape: tuple[int, ...], x_shape: tuple[int, ...]) -> int:
    return 2 * math.prod(out_shape) * x_shape[-1]


def _matching(x: Any, y: Any) -> tuple[Any, Any]:
    x, y = np.asarray(x), np.asarray(y)
    if not (x.ndim and y.ndim):
        raise ValueError(f"{x.shape} @ {y.shape}: a number is no matrix\nTo multiply by a number: x * y")
    if x.shape[-1] != (rows := y.shape[-2:][0]):
        cure = "The last axis of the first and the last but one of the second must have the same length"
        transposed = ". The second fits transposed: .mT" if x.shape[-1] == y.shape[-1] else ""
        raise ValueError(f"{x.shape} @ {y.shape}: {x.shape[-1]} is not {rows}\n{cure}{transposed}")
    if x.ndim > 2 < y.ndim and x.shape[:-2] != y.shape[:-2]:
        for n, m in zip(x.shape[-3::-1], y.shape[-3::-1], strict=False):
            if 1 != n != m != 1:
                cure = "Axes before the last two are compared from the right; each pair must be equal or contain a 1"
                raise ValueError(f"{x.shape} @ {y.shape}: {n} is not {m}\n{cure}")
    return x, y


@primitive(batch="leading", complex=True, symbol="@", strict=True, flops=_flops, check=_matching)
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
    if len(x) == 4 or (len(x) > 2 and math.prod(x[1:]) == w[0]):
        return problem + f"ag.flatten(x, 1) first: {'*'.join(map(str, x[1:]))} = {math.prod(x[1:])}"
    order = ". w looks like (out, in): w.T" if x and x[-1:] == w[1:] else ""
    return problem + "x's last axis and w's first must have the same length" + order


def _connected(x: Any, w: Any, b: Any) -> tuple[Any, Any, Any]:
    if w.ndim != 2 or np.shape(x)[-1:] != w.shape[:1]:
        raise ValueError(_misfit(np.shape(x), w.shape))
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"b is {b.shape}, w {w.shape} has {w.shape[1]} outputs\nb needs shape ({w.shape[1]},)")
    return x, w, b


def _with_weights_of_each(primitive: Any, args: Any, batched: set[int], size: int) -> Any:
    x, w, b = args
    x_shape, w_shape, *b_shape = (np.shape(a)[i in batched :] for i, a in enumerate(args) if a is not None)
    if len(w_shape) != 2 or x_shape[-1:] != w_shape[:1] or b_shape not in ([], [w_shape[1:]]):
        return NotImplemented  # then one example raises the error, which speaks of its shapes
    if batched == {0}:
        return linear(x, w, b)
    y = matmul(reshape(x, (size if 0 in batched else 1, math.prod(x_shape[:-1]), x_shape[-1])), w)
    y = y if b is None else y + (expand_dims(b, 1) if 2 in batched else b)
    return reshape(y, (size, *x_shape[:-1], *w_shape[1:]))


@primitive(batch=_with_weights_of_each, complex=True, strict=True, flops=_flops, check=_connected)
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


def _all_contracted(primitive: Any, args: Any, batched: set[int], size: int) -> Any:
    subscripts, *operands = args
    terms, output = letters(subscripts, [np.shape(a)[i in batched :] for i, a in enumerate(operands, 1)])
    examples = next(c for c in string.ascii_letters if c not in output + "".join(terms))
    terms = [examples * (i in batched) + term for i, term in enumerate(terms, 1)]
    return contract(",".join(terms) + "->" + examples + output, *operands)


def _unfit(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> str:
    """Return the problem and the cure for subscripts that NumPy refuses."""
    terms = subscripts.partition("->")[0].split(",")
    pairs = [
        pair for term, shape in zip(terms, shapes, strict=False) for pair in zip(term.strip(), shape, strict=False)
    ]
    clash = [f": {c} is {n} and {m}" for c, n in pairs for d, m in pairs if c == d and c != "." and 1 < n < m][:1]
    problem = f"{subscripts!r} does not fit {' and '.join(map(str, shapes))}{''.join(clash)}"
    return f"{problem}\nA letter for each axis, or ...; a comma between operands; after -> only letters from before it"


@primitive(batch=_all_contracted, complex=True, integers=True, flops=_contract_flops, views=True)
def contract(subscripts: str, *operands: Any) -> Any:
    """Multiplies operands and sums over axes, named by letters: ``contract("ij,jk->ik", x, y)`` is ``x @ y``.

    This is Einstein summation with ellipses and repeated indices. `einsum` calls it, and takes NumPy's other forms.
    """
    large = len(operands) == 2 and np.size(operands[0]) * np.size(operands[1]) > 1 << 20  # for which a path takes less
    try:
        return np.einsum(subscripts, *operands, optimize=large or len(operands) > 2)
    except ValueError as error:
        raise ValueError(_unfit(subscripts, [np.shape(x) for x in operands])) from error


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


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Picks the diagonal of each matrix in `axis1` and `axis2`, into a new last axis.

    A positive `offset` counts diagonals above the main one, a negative one those below it.
    """
    matrices = moveaxis(x, (axis1, axis2), (-2, -1))
    matrices = getitem(matrices, (..., slice(max(0, -offset), None), slice(max(0, offset), None)))
    n = min(np.shape(matrices)[-2:])
    return contract("...ii->...i", getitem(matrices, (..., slice(n), slice(n))))


def matrix_trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Adds up the diagonal of each matrix in `axis1` and `axis2`: ``np.trace``, since ``ag.trace`` records programs."""
    return diagonal(x, offset, axis1, axis2).sum(-1)


def dot(a: Any, b: Any) -> Any:
    """Sums products over the last axis of `a` and the second-last of `b`: ``a @ b`` for vectors and matrices."""
    if not (np.ndim(a) and np.ndim(b)):
        return multiply(a, b)
    return matmul(a, b) if np.ndim(b) < 3 else tensordot(a, b, (-1, -2))


def vdot(a: Any, b: Any) -> Any:
    """Sums the products of all elements, in flattened order; those of `a` are conjugated."""
    return matmul(conjugated(reshape(a, -1)), reshape(b, -1))


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
    a, b = (reshape(x, (math.prod(free), math.prod(summed))) for x, free in ((a, rows), (b, columns)))
    return reshape(matmul(a, b.T), (*rows, *columns))


def kron(a: Any, b: Any) -> Any:
    """Puts a copy of `b`, times the element, in the place of each element of `a`: the Kronecker product."""
    ndim = max(np.ndim(a), np.ndim(b))
    pairs = [*zip(*((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b)), strict=True)]
    blocks = reshape(a, [n for pair in pairs for n in (pair[0], 1)])
    return reshape(multiply(blocks, reshape(b, [n for pair in pairs for n in (1, pair[1])])), [*map(math.prod, pairs)])


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


# Products of vectors, alone or in stacks


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
