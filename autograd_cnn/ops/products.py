"""Products of matrices, and of arrays in general."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.kernels import matrices as kernels
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import reshape, transpose

__all__ = ["einsum", "linear", "matmul"]


def _swap(x: Any) -> Any:
    """Exchanges the last two axes."""
    axes = tuple(range(len(x.shape)))
    return transpose(x, (*axes[:-2], axes[-1], axes[-2]))


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
    result = matmul(g, _swap(_column(y) if len(y.shape) == 1 else y))
    return reshape(result, (*result.shape[:-2], result.shape[-1])) if len(x_shape) == 1 else result


def _right(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    g = _as_matrices(g, len(x.shape), len(y_shape))
    result = matmul(_swap(_row(x) if len(x.shape) == 1 else x), g)
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
    if np.ndim(x) and np.ndim(y) and x.shape[-1] != y.shape[-min(y.ndim, 2)]:
        raise ValueError(f"{x.shape} @ {y.shape}: {x.shape[-1]} is not {y.shape[-min(y.ndim, 2)]}")
    return kernels.matmul(np.asarray(x), np.asarray(y))


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


def _swapped(
    subscripts: str, shapes: Sequence[tuple[int, ...]], position: int
) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Returns the subscripts of the rule for the operand at `position`, in which `g` is the first operand.

    The rule restores the summed axes. If the operand repeats a letter, the rule multiplies by an identity matrix. If no
    other term has a letter, it multiplies by ones. The sizes of these matrices and of these ones are returned, too.
    """
    terms, output = _letters(subscripts, shapes)
    pairs = [p for term, shape in zip(terms, shapes, strict=True) for p in zip(term, shape, strict=True)]
    extents = dict(sorted(pairs, key=lambda pair: pair[1]))  # keeps the largest extent of a letter: the others are 1
    others = [output, *terms[:position], *terms[position + 1 :]]
    free = iter([c for c in string.ascii_letters if c not in "".join((*terms, output))])
    target, repeated = "", []
    for letter in terms[position]:
        target += next(free) if letter in target else letter
        if target[-1] != letter:
            repeated.append(letter + target[-1])
    alone = [c for c in dict.fromkeys(target) if c not in "".join((*others, *repeated))]
    sizes = tuple(extents[pair[0]] for pair in repeated), tuple(extents[c] for c in alone)
    return ",".join((*others, *repeated, *alone)) + "->" + target, *sizes


def _einsum_rule(
    g: Any, position: int, operands: Sequence[Any], operands_shape: Sequence[tuple[int, ...]], subscripts: str
) -> Any:
    swapped, repeated, alone = _swapped(subscripts, operands_shape, position)
    others = (*operands[:position], *operands[position + 1 :])
    constants = *[np.eye(n, dtype=g.dtype) for n in repeated], *[np.ones(n, g.dtype) for n in alone]
    return einsum(swapped, g, *others, *constants)


def _einsum_flops(subscripts: str, operands_shape: Sequence[tuple[int, ...]]) -> int:
    """Counts a multiplication and an addition for every combination of the letters."""
    terms, _ = _letters(subscripts, operands_shape)
    letters = [p for term, shape in zip(terms, operands_shape, strict=True) for p in zip(term, shape, strict=True)]
    return 2 * math.prod(dict(sorted(letters, key=lambda pair: pair[1])).values())  # keeps the largest of a letter


@primitive(
    examples=lambda rng: [
        ("ij,jk->ik", rng.normal(size=(2, 3)), rng.normal(size=(3, 4))),
        ("...ij,...jk", rng.normal(size=(5, 2, 3)), rng.normal(size=(3, 4))),
        ("ii->i", rng.normal(size=(3, 3))),
        ("ij,i->", rng.normal(size=(2, 3)), rng.normal(size=2)),
    ],
    flops=_einsum_flops,
)
def einsum(subscripts: str, *operands: Any) -> Any:
    """Multiplies operands and sums over axes, named by letters: ``einsum("ij,jk->ik", x, y)`` is ``x @ y``.

    This is Einstein summation, with ellipses and repeated indices.
    """
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)


einsum.vjp(operands=_einsum_rule)
