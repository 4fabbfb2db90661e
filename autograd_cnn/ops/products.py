"""Products of matrices, and of arrays in general."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.registry import enrol
from autograd_cnn.kernels import matrices as kernels
from autograd_cnn.ops.arithmetic import astype, multiply, power
from autograd_cnn.ops.indexing import getitem
from autograd_cnn.ops.joining import pad, stack
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import expand_dims, flip, reshape, squeeze, transpose

__all__ = [
    "contract", "convolve", "correlate", "cross", "dot", "einsum", "inner", "kron", "linear", "matmul", "matvec",
    "outer", "polyadd", "polyder", "polyint", "polyval", "tensordot", "vander", "vdot", "vecdot", "vecmat",
]  # fmt: skip

Mode = Literal["full", "same", "valid"]


def axes_last(x: Any, *axes: int) -> Any:
    """Moves `axes`, in this order, behind the others."""
    moved = normalize_axis_tuple(axes, np.ndim(x))
    order = [*(i for i in range(np.ndim(x)) if i not in moved), *moved]
    return x if order == sorted(order) else transpose(x, order)


def matrix_transpose(x: Any) -> Any:
    """Exchanges the last two axes."""
    return axes_last(x, -1, -2)


def _column(x: Any) -> Any:
    return reshape(x, (*x.shape, 1))


def _row(x: Any) -> Any:
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def _as_matrices(g: Any, x_ndim: int, y_ndim: int) -> Any:
    """Restores the axes of `g` that NumPy drops for one-dimensional operands."""
    if y_ndim == 1:
        g = _column(g)
    return _row(g) if x_ndim == 1 else g


def _left(g: Any, x_shape: tuple[int, ...], y: Any) -> Any:
    g = _as_matrices(g, len(x_shape), len(y.shape))
    result = matmul(g, matrix_transpose(_column(y) if len(y.shape) == 1 else y))
    return reshape(result, (*result.shape[:-2], result.shape[-1])) if len(x_shape) == 1 else result


def _right(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    g = _as_matrices(g, len(x.shape), len(y_shape))
    result = matmul(matrix_transpose(_row(x) if len(x.shape) == 1 else x), g)
    return reshape(result, result.shape[:-1]) if len(y_shape) == 1 else result


def _matrices(rng: np.random.Generator) -> list[Any]:
    shapes = [
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 1, 2, 3), (5, 3, 2)),
        ((3,), (5, 3, 2)),
    ]
    return [(rng.normal(size=a), rng.normal(size=b)) for a, b in shapes]


@primitive(
    symbol="@",
    strict=True,
    examples=_matrices,
    flops=lambda out_shape, x_shape: 2 * math.prod((*out_shape, x_shape[-1])),
)
def matmul(x: Any, y: Any) -> Any:
    """Multiplies matrices, rows by columns: ``x @ y``.

    Vectors and stacks of matrices follow NumPy's rules.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim and y.ndim and x.shape[-1] != y.shape[-min(y.ndim, 2)]:
        raise ValueError(f"{x.shape} @ {y.shape}: {x.shape[-1]} is not {y.shape[-min(y.ndim, 2)]}")
    return kernels.matmul(x, y)


matmul.vjp(
    x=lambda g, x_shape, y: matmul(g, y.T) if len(x_shape) == len(y.shape) == 2 else _left(g, x_shape, y),
    y=lambda g, x, y_shape: matmul(x.T, g) if len(x.shape) == len(y_shape) == 2 else _right(g, x, y_shape),
)


def _flat(x: Any) -> Any:
    """Joins all axes but the last: (..., n) -> (rows, n)."""
    return reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


@primitive(
    strict=True,
    flops=lambda out_shape, x_shape: 2 * math.prod((*out_shape, x_shape[-1])),
    examples=lambda rng: [
        (rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)),
        (rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 4))),
    ],
)
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
    if w.ndim != 2 or x.shape[-1:] != w.shape[:1]:
        raise ValueError(
            f"x {x.shape} @ w {w.shape}: {x.shape[-1] if x.ndim else 'no axis'} is not {w.shape[0]}\n"
            "x's last axis and w's first must have the same length"
            + (". w looks like (out, in): w.T" if x.ndim and x.shape[-1:] == w.shape[1:] else "")
        )
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"b is {b.shape}, w {w.shape} has {w.shape[1]} outputs\nb needs shape ({w.shape[1]},)")
    y = kernels.matmul(x.reshape(-1, len(w)), w).reshape(*x.shape[:-1], w.shape[1])
    if b is None:
        return y
    return np.add(y, b, out=y) if y.dtype == np.result_type(y, b) else y + b


linear.vjp(
    x=lambda g, w: matmul(g, w.T) if len(g.shape) == 2 else linear(g, w.T),
    w=lambda g, x: matmul(x.T, g) if len(x.shape) == 2 else matmul(_flat(x).T, _flat(g)),
    b=lambda g: sum(g, axis=0 if len(g.shape) == 2 else tuple(range(len(g.shape) - 1))),
)


def _letters(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """Returns the subscripts of each operand, and of the output, with letters in place of the ellipsis."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"{subscripts!r} names {len(terms)} operands, got {len(shapes)}")
    if not arrow:
        plain = inputs.replace(",", "").replace(".", "")
        output = ("..." if "..." in inputs else "") + "".join(c for c in sorted(set(plain)) if plain.count(c) == 1)
    free = [c for c in string.ascii_letters if c not in subscripts]
    hidden = [len(s) - len(t.replace("...", "")) if "..." in t else 0 for t, s in zip(terms, shapes, strict=True)]
    spare = "".join(free[: max(hidden)])
    expanded = [t.replace("...", spare[len(spare) - n :]) for t, n in zip(terms, hidden, strict=True)]
    return expanded, output.replace("...", spare)


def _extents(terms: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """Returns the largest extent of each letter: NumPy repeats an extent of 1."""
    pairs = [p for term, shape in zip(terms, shapes, strict=True) for p in zip(term, shape, strict=True)]
    return dict(sorted(pairs, key=lambda pair: pair[1]))


def _swapped(
    subscripts: str, shapes: Sequence[tuple[int, ...]], position: int
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Returns the subscripts of the rule for the operand at `position`, in which `g` is the first operand.

    The rule restores the summed axes. If the operand repeats a letter, the rule multiplies by an identity matrix. If no
    other term has a letter, or only at extent 1, it multiplies by ones. The sizes of these matrices and of these ones
    are returned, too.
    """
    terms, output = _letters(subscripts, shapes)
    extents = _extents(terms, shapes)
    others = [output, *terms[:position], *terms[position + 1 :]]
    free = iter([c for c in string.ascii_letters if c not in "".join((*terms, output))])
    target, repeated = "", []
    for letter in terms[position]:
        target += next(free) if letter in target else letter
        if target[-1] != letter:
            repeated.append(letter + target[-1])
    given = _extents(others[1:], [*shapes[:position], *shapes[position + 1 :]])
    given |= {c: extents[word[0]] for word in (*output, *repeated) for c in word}
    alone = {c: n for c, n in zip(target, shapes[position], strict=True) if n > given.get(c, -1)}
    sizes = tuple(extents[pair[0]] for pair in repeated), tuple(alone.values())
    return ",".join((*others, *repeated, *alone)) + "->" + target, *sizes


def _contract_rule(
    g: Any, position: int, operands: Sequence[Any], operands_shape: Sequence[tuple[int, ...]], subscripts: str
) -> Any:
    swapped, repeated, alone = _swapped(subscripts, operands_shape, position)
    others = (*operands[:position], *operands[position + 1 :])
    constants = *[np.eye(n, dtype=g.dtype) for n in repeated], *[np.ones(n, g.dtype) for n in alone]
    return contract(swapped, g, *others, *constants)


def _contract_flops(subscripts: str, operands_shape: Sequence[tuple[int, ...]]) -> int:
    """Counts a multiplication and an addition for every combination of the letters."""
    return 2 * math.prod(_extents(_letters(subscripts, operands_shape)[0], operands_shape).values())


@primitive(
    examples=lambda rng: [
        ("ij,jk->ik", rng.normal(size=(2, 3)), rng.normal(size=(3, 4))),
        ("...ij,...jk", rng.normal(size=(5, 2, 3)), rng.normal(size=(3, 4))),
        ("ii->i", rng.normal(size=(3, 3))),
        ("ij,i->", rng.normal(size=(2, 3)), rng.normal(size=2)),
        ("ij,jk", rng.normal(size=(2, 1)), rng.normal(size=(3, 4))),
    ],
    flops=_contract_flops,
)
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
    summed = [np.shape(a)[i] for i in left]
    if summed != [np.shape(b)[i] for i in right]:
        raise ValueError(f"tensordot: {np.shape(a)} and {np.shape(b)} differ in the extents of axes {left}, {right}")
    kept = [[n for i, n in enumerate(np.shape(x)) if i not in of] for x, of in ((a, left), (b, right))]
    rows, columns = ((math.prod(extents), math.prod(summed)) for extents in kept)
    flat = matmul(reshape(axes_last(a, *left), rows), reshape(axes_last(b, *right), columns).T)
    return reshape(flat, [*kept[0], *kept[1]])


def kron(a: Any, b: Any) -> Any:
    """Puts a copy of `b`, times the element, in the place of each element of `a`: the Kronecker product."""
    ndim = max(np.ndim(a), np.ndim(b))
    pairs = [*zip(*((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b)), strict=True)]
    blocks = reshape(a, [n for pair in pairs for n in (pair[0], 1)])
    return reshape(multiply(blocks, reshape(b, [n for pair in pairs for n in (1, pair[1])])), [*map(math.prod, pairs)])


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Multiplies vectors of 2 or 3 components to vectors at right angles to both: the cross product.

    The third component of a vector of 2 is 0; the product of two of them is the third component alone.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    (a0, a1, *more_a), (b0, b1, *more_b) = (
        [getitem(v, (..., i)) for i in range(np.shape(v)[-1])] for v in (axes_last(a, axisa), axes_last(b, axisb))
    )
    if len(more_a) > 1 or len(more_b) > 1:
        raise ValueError(f"cross: want vectors of 2 or 3 components, got {np.shape(a)} and {np.shape(b)}")
    z = a0 * b1 - a1 * b0
    a2, b2 = [*more_a, 0][0], [*more_b, 0][0]
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, z], axisc) if more_a or more_b else z


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums products over one axis of both: the dot products of stacks of vectors."""
    return sum(multiply(axes_last(x1, axis), axes_last(x2, axis)), -1)


def matvec(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of matrices by stacks of vectors."""
    return squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of vectors by stacks of matrices."""
    return squeeze(matmul(expand_dims(x1, -2), x2), -2)


def _convolve_rule(g: Any, mode: str, shorter: int, flipped: Any, extent: int) -> Any:
    full = flipped.shape[0] + extent - 1
    start = {"full": 0, "same": (shorter - 1) // 2, "valid": shorter - 1}[mode]
    return convolve(pad(g, (start, full - start - g.shape[0])), flipped, "valid")


@primitive(
    examples=lambda rng: [
        (rng.normal(size=n), rng.normal(size=m), mode)
        for mode in ("full", "same", "valid")
        for n, m in ((5, 3), (2, 4), (3, 3))
    ],
    flops=lambda a_shape, v_shape: 2 * a_shape[0] * v_shape[0],
)
def convolve(a: Any, v: Any, mode: Mode = "full") -> Any:
    """Slides one vector, reversed, along the other, and sums the products at each place.

    `mode` is ``"full"``, ``"same"`` or ``"valid"``, as in NumPy.
    """
    return np.convolve(a, v, mode)


convolve.vjp(
    a=lambda g, a_shape, v, mode: _convolve_rule(g, mode, min(*a_shape, *v.shape), flip(v), a_shape[0]),
    v=lambda g, a, v_shape, mode: _convolve_rule(g, mode, min(*a.shape, *v_shape), flip(a), v_shape[0]),
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
    return polyder(p[:-1] * np.arange(len(p) - 1, 0, -1), m - 1) if m else p


def polyint(p: Any, m: int = 1, k: float = 0) -> Any:
    """Integrates a polynomial `m` times, with one constant `k`."""
    return polyint(pad(p / np.arange(len(p), 0, -1), (0, 1), constant_values=float(k)), m - 1, k) if m else p


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(reshape(x, (-1, 1)), powers if increasing else powers[::-1])


enrol(globals())
