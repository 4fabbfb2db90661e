"""NumPy's linear algebra: ``ag.linalg.inv`` is ``np.linalg.inv``. All of it works on stacks of matrices.

An operation has one result. Decompositions have several, so a primitive returns them as the rows of one matrix
(`svd_rows`), and a plain function (`svd`) cuts it. A rule divides by the gaps between eigenvalues or singular values.
Where two are equal, their vectors have no derivative: a gradient that reaches them is inf or NaN, as in JAX and
PyTorch. The gradient of the values alone is right.

Functions of symmetric matrices read one triangle, as in NumPy. The gradient is that of the mean of both triangles, so
it is symmetric, as in JAX and PyTorch.
"""

from __future__ import annotations

import operator
from collections import namedtuple
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.calculus.vmap import numbers
from autograd_cnn.checks import flag
from autograd_cnn.engine.arrays import as_floats, is_complex, precision
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import known, peek, plain, plain_array
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import products, reductions
from autograd_cnn.ops.arithmetic import abs, chain, conjugated, divide, imag, real, root, square, where
from autograd_cnn.ops.axes import as_float, fixed, operand
from autograd_cnn.ops.products import cross, matmul, outer, tensordot, vecdot
from autograd_cnn.ops.shapes import axes_last, expand_dims, matrix_transpose, reshape, squeeze

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_transpose", "norm", "outer", "pinv", "qr", "slogdet", "solve",
    "solve_triangular", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip

Triangle = Literal["L", "U", "l", "u"]
EigResult = namedtuple("EigResult", "eigenvalues eigenvectors")
EighResult = namedtuple("EighResult", "eigenvalues eigenvectors")
QRResult = namedtuple("QRResult", "Q R")
SlogdetResult = namedtuple("SlogdetResult", "sign logabsdet")
SVDResult = namedtuple("SVDResult", "U S Vh")


def _eye(x: Any) -> Any:
    return np.eye(x.shape[-1], dtype=bool)


def _adjoint(x: Any) -> Any:
    return conjugated(x.mT)


def _real(x: Any) -> Any:
    return real(x) if is_complex(x) else x


_STACKS: Any = {"batch": "leading", "complex": True}
_UP_TO_PHASES = _STACKS | {"complex": "up to phases"}


# Inverses


@primitive(name="linalg.inv", **_STACKS)
def inv(a: Any) -> Any:
    """Inverts matrices."""
    return np.linalg.inv(a)


inv.vjp(a=lambda g, out: -(out.mT @ g @ out.mT))


@primitive(name="linalg.solve", **_STACKS)
def solve(a: Any, b: Any) -> Any:
    """Solves linear systems: ``a @ solve(a, b)`` is `b`, one vector or matrices of columns."""
    return np.linalg.solve(a, b)


def _solve_rules(g: Any, a: Any, b_shape: tuple[int, ...], out: Any) -> Any:
    vector = len(b_shape) == 1
    if vector:
        g, out = expand_dims(g, -1), expand_dims(out, -1)
    gb = solve(a.mT, g)
    return -(gb @ out.mT), squeeze(gb, -1) if vector else gb


solve.vjp(a=_solve_rules, b=_solve_rules)


@primitive(name="linalg.pinv", **_STACKS)
def pinv(a: Any, rcond: Any = None, rtol: Any = None) -> Any:
    """Computes the pseudo-inverse of matrices.

    The derivative holds where the rank does not change. Backward refuses an `rcond` that drops more than zeros.
    """
    if isinstance(rtol, (bool, np.bool_)):
        raise TypeError(f"rtol is {rtol}, want numbers\nNumPy's third parameter, hermitian, is not here: leave it out")
    return np.linalg.pinv(a, rtol if rcond is None else rcond)


def _pinv_rule(g: Any, a: Any, out: Any) -> Any:
    """G. Golub, V. Pereyra, "The differentiation of pseudo-inverses ...", 1973."""
    if np.any(np.linalg.matrix_rank(plain(a)) != np.linalg.matrix_rank(plain(out))):
        raise ValueError("linalg.pinv: rcond must drop the singular values that are 0, and no others; or use svd")
    gt, pt, adjoint = g.mT, out.mT, _adjoint(out)
    left, right = gt @ out @ adjoint, adjoint @ out @ gt
    return conjugated(left - a @ (out @ left) + right - (right @ out) @ a) - pt @ g @ pt


pinv.vjp(a=_pinv_rule)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Minimises ``norm(a @ x - b)``: returns x, the squared residuals, and plain rank and singular values.

    Raises
    ------
    ValueError
        If `a` does not have full rank: then x is no continuous function of `a`.
    """
    x, residuals, rank, s = np.linalg.lstsq(plain(a), plain(b), rcond)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return x, residuals, rank, s
    if (lowest := np.min(numbers(rank))) < min(np.shape(a)):
        raise ValueError(f"linalg.lstsq: a has rank {lowest}. The gradient at constant rank: ag.linalg.pinv(a) @ b")
    a, b = as_floats(a, b)
    x = pinv(a, np.finfo(x.dtype).eps) @ b
    return x, reshape(np.sum(_squares(b - a @ x), 0), residuals.shape) if residuals.size else residuals, rank, s


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """Solves linear systems with a triangle of `a`, by default the upper one; `trans` transposes it.

    The other triangle is not read, and neither is the diagonal if `unit_diagonal` is set.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"linalg.solve_triangular: trans is {trans!r}. It is 0, 1 or 2, or N, T or C")
    triangle = np.tri(np.shape(a)[-1], k=-unit_diagonal, dtype=bool)
    a = where(triangle if lower else triangle.T, a, np.eye(len(triangle), dtype=bool) if unit_diagonal else 0)
    return solve(a if trans in (0, "N") else a.mT if trans in (1, "T") else np.conj(a.mT), b)


# Determinants


@primitive(name="linalg.det", **_STACKS)
def det(a: Any) -> Any:
    """Computes determinants.

    The derivative is right for singular matrices, too.
    """
    return np.linalg.det(a)


@primitive(name="linalg.cofactors", **_STACKS)
def cofactors(a: Any) -> Any:
    """Computes the derivative of `det`: the determinants of `a` without a row and a column, with signs."""
    u, s, vt = np.linalg.svd(a)
    others = np.prod(np.where(_eye(a), s.dtype.type(1), s[..., None, :]), axis=-1)
    return np.linalg.det(u @ vt)[..., None, None] * np.conj((u * others[..., None, :]) @ vt)


def _cofactors_rule(g: Any, a: Any, out: Any) -> Any:
    """The cofactors are ``det(a) inv(a).mT``. So a singular matrix is refused, here and not in the rule of `det`."""
    inverse = inv(a).mT
    return np.sum(g * out, (-2, -1))[..., None, None] * inverse - out @ g.mT @ inverse


det.vjp(a=lambda g, a: g[..., None, None] * cofactors(a))
cofactors.vjp(a=_cofactors_rule)


@primitive(name="linalg.logabsdet", **_STACKS)
def logabsdet(a: Any) -> Any:
    """Computes the logarithm of the absolute value of determinants."""
    return np.linalg.slogdet(a)[1]


logabsdet.vjp(a=lambda g, a: g[..., None, None] * inv(a).mT)


@primitive(name="linalg.detsign", **_STACKS)
def detsign(a: Any) -> Any:
    """Computes determinants divided by their absolute values."""
    return np.linalg.slogdet(a)[0]


detsign.vjp(a=lambda g, a, out: (imag(g * out) * 1j)[..., None, None] * inv(a).mT)


def slogdet(a: Any) -> SlogdetResult:
    """Computes the sign, for real matrices a plain array, and the logarithm of the absolute value of determinants."""
    return SlogdetResult(detsign(a) if is_complex(a) else np.linalg.slogdet(plain(a))[0], logabsdet(a))


# Decompositions


def _symmetric(a: Any, lower: bool) -> Any:
    """Copy one triangle to the other. Both share the gradient."""
    array = peek(a)
    if array.shape[-1:] != array.shape[-2:-1]:
        raise np.linalg.LinAlgError(f"linalg: want square matrices, got {array.shape}")
    triangle = np.tri(*array.shape[-2:], dtype=np.bool_)
    full = np.where(triangle if lower else triangle.T, array, _adjoint(array))
    if known(a) and np.array_equal(full, array):
        return a
    read = np.isfinite(array := plain_array(a)) | (triangle if lower else triangle.T)  # the other may be anything
    return full + (where(read, a, 0) - np.where(read, array, 0))


def _mean(a: Any) -> Any:
    return (a + _adjoint(a)) / 2


def _below(values: Any, vectors: Any) -> Any:
    return np.concatenate([values[..., None, :], vectors], -2)


def _inverse_gaps(w: Any) -> Any:
    """Return ``1 / (w[j] - w[i])``, and 0 on the diagonal."""
    return divide(1, where(_eye(w), np.inf, w[..., None, :] - w[..., None]))


@primitive(name="linalg.cholesky_factor", **_STACKS)
def cholesky_factor(a: Any) -> Any:
    """Computes the lower triangular matrix whose product with its adjoint is the mean of `a` and its adjoint."""
    return np.linalg.cholesky(_mean(a))


def _cholesky_rule(g: Any, out: Any) -> Any:
    t, tri = out.mT, np.tri(out.shape[-1], dtype=precision(out.dtype))
    half = (t @ g) * (tri - tri * tri.T / 2)
    return _mean(solve(t, _adjoint(solve(t, _adjoint(half)))))


cholesky_factor.vjp(a=_cholesky_rule)


def cholesky(a: Any, *, upper: bool = False) -> Any:
    """Computes the lower triangular matrix whose product with its transpose is `a`, or its transpose if `upper`."""
    factor = cholesky_factor(_symmetric(a, not upper))
    return _adjoint(factor) if upper else factor


@primitive(name="linalg.eigh_rows", **_UP_TO_PHASES)
def eigh_rows(a: Any, UPLO: Triangle = "L") -> Any:
    """Computes eigenvalues of the mean of `a` and its adjoint, and below them its eigenvectors, in columns."""
    return _below(*np.linalg.eigh(_mean(a), UPLO))


def _eig_rule(g: Any, out: Any, w: Any) -> Any:
    """The columns of v have length 1, so that a part of `g` along them does not count."""
    v, gv = out[..., 1:, :], g[..., 1:, :]
    t, along = v.mT, np.sum(v * gv, -2, keepdims=True)
    _check_phases(along, g)
    turned = t @ gv - (t @ conjugated(v)) * _real(along)
    return solve(t, where(_eye(v), g[..., :1, :], chain(turned, _inverse_gaps(w))) @ t)


def _check_phases(along: Any, g: Any) -> None:
    """Raise an error if a loss depends on the phases of vectors, which are arbitrary; `along` is ``sum(v * gv)``."""
    size = np.abs(plain(g)).max(initial=0)
    if is_complex(along) and np.any(np.abs(np.imag(plain(along))) > np.finfo(size.dtype).eps ** 0.5 * size):
        raise ValueError("linalg: the loss depends on the phases of complex vectors, which are arbitrary. Use abs(v)?")


eigh_rows.vjp(a=lambda g, out: _mean(_eig_rule(g, out, _real(out[..., 0, :]))))


def eigh(a: Any, UPLO: Triangle = "L") -> EighResult:
    """Computes eigenvalues, in ascending order, and eigenvectors of symmetric matrices.

    The gradient of eigenvectors is undefined where eigenvalues are equal, and then inf or NaN.
    """
    rows = eigh_rows(_symmetric(a, UPLO.upper() == "L"), UPLO)
    return EighResult(_real(rows[..., 0, :]), rows[..., 1:, :])


def eigvalsh(a: Any, UPLO: Triangle = "L") -> Any:
    """Computes the eigenvalues of symmetric matrices, in ascending order."""
    return eigh(a, UPLO)[0]


@primitive(name="linalg.eig_rows", **_UP_TO_PHASES)
def eig_rows(a: Any) -> Any:
    """Computes eigenvalues of matrices, and below them the eigenvectors, in columns."""
    w, v = np.linalg.eig(a)
    complex = is_complex(a) or np.any(w.imag)  # from version 2.5 on, NumPy's always are
    return _below(w, v) if complex else _below(w.real, v.real)


eig_rows.vjp(a=lambda g, out: _eig_rule(g, out, out[..., 0, :]))


def eig(a: Any) -> EigResult:
    """Computes eigenvalues and eigenvectors of matrices, which are complex if an eigenvalue of a real matrix is."""
    rows = eig_rows(a)
    return EigResult(rows[..., 0, :], rows[..., 1:, :])


def eigvals(a: Any) -> Any:
    """Computes the eigenvalues of matrices, which are complex if one of them is."""
    return eig(a)[0]


@primitive(name="linalg.svd_rows", **_UP_TO_PHASES)
def svd_rows(a: Any) -> Any:
    """Computes the singular value decomposition, u times s times the adjoint of v: u, below it s, and below it v."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], _adjoint(vh)], -2)


def _svd_rule(g: Any, out: Any, a_shape: tuple[int, ...]) -> Any:
    m, n = a_shape[-2:]
    u, s, v = out[..., :m, :], _real(out[..., m : m + 1, :]), out[..., m + 1 :, :]
    gu, gs, gv, gaps = g[..., :m, :], g[..., m : m + 1, :], g[..., m + 1 :, :], _inverse_gaps(square(s[..., 0, :]))
    if g.dtype.kind == "c":
        along, beside = (np.sum(x * gx, -2, keepdims=True) for x, gx in ((u, gu), (v, gv)))
        _check_phases(along + beside, g)
        gs = gs + chain(imag(along - beside) * 0.5j, divide(1, s))
    left, right = (chain(x.mT @ gx, gaps) for x, gx in ((u, gu), (v, gv)))
    inner = (left + _adjoint(left)) * s + s.mT * (right + _adjoint(right))
    result = conjugated(u) @ (inner + where(_eye(s), gs, 0)) @ v.mT
    if m > n:
        return result + _outside(u, chain(gu, divide(1, s))) @ v.mT
    return result + conjugated(u) @ _adjoint(_outside(v, chain(gv, divide(1, s)))) if n > m else result


def _outside(q: Any, x: Any) -> Any:
    """Subtract the part of the columns of `x` that lies in the space of the conjugate columns of `q`."""
    return x - conjugated(q) @ (q.mT @ x)


svd_rows.vjp(a=_svd_rule)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Computes the singular value decomposition ``U @ diag(S) @ Vh``, or S alone without `compute_uv`.

    The gradient of U and Vh is undefined where singular values are equal, and then inf or NaN.

    Raises
    ------
    ValueError
        If `full_matrices` is set for matrices that are not square: the added columns have no derivative.
    """
    if not compute_uv:
        return svdvals(a)
    rows, (m, n) = svd_rows(a), np.shape(a)[-2:]
    if full_matrices and m != n:
        raise ValueError("linalg.svd: full_matrices adds columns without a derivative. Pass full_matrices=False")
    return SVDResult(rows[..., :m, :], _real(rows[..., m, :]), _adjoint(rows[..., m + 1 :, :]))


def svdvals(x: Any) -> Any:
    """Computes the singular values of matrices, in descending order."""
    return _real(svd_rows(x)[..., np.shape(x)[-2], :])


@primitive(name="linalg.qr_rows", **_STACKS)
def qr_rows(a: Any) -> Any:
    """Computes the decomposition ``q @ r`` into orthonormal columns and a triangle: q, and below it r transposed."""
    q, r = np.linalg.qr(a)
    return np.concatenate([q, r.mT], -2)


def _qr_rule(g: Any, out: Any) -> Any:
    m, tri = out.shape[-2] - out.shape[-1], np.tri(out.shape[-1], dtype=precision(out.dtype))
    q, r, gq = out[..., :m, :], out[..., m:, :].mT, g[..., :m, :]
    inner = (r @ g[..., m:, :] - gq.mT @ q) * tri
    inner = (inner + _adjoint(inner)) * (1 - tri * tri.T / 2)
    return solve(r, (gq + conjugated(q @ inner)).mT).mT


qr_rows.vjp(a=_qr_rule)


def qr(a: Any, mode: str = "reduced") -> Any:
    """Computes the decomposition ``Q @ R`` into orthonormal columns and an upper triangle, or R alone (`mode` "r").

    Raises
    ------
    ValueError
        If `mode` is "complete" for matrices with more rows than columns: the added columns have no derivative.
    """
    a, (m, n) = as_float(a), np.shape(a)[-2:]
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        raise ValueError(f"linalg.qr: mode {mode!r} of matrices {m}x{n} has no derivative. Pass mode='reduced'")
    rows = qr_rows(a[..., :m] if n > m else a)
    q, r = rows[..., :m, :], rows[..., m:, :].mT
    if n > m:
        r = np.concatenate([r, _adjoint(q) @ a[..., m:]], -1)
    return r if mode == "r" else QRResult(q, r)


# Norms


_OF_ABSOLUTES: dict[float, Any] = {1: reductions.sum, np.inf: reductions.max, -np.inf: reductions.min}
_OF_SINGULAR_VALUES = {"nuc": 1, 2: np.inf, -2: -np.inf}
_OF_SUMS = {1: (-2, np.inf), -1: (-2, -np.inf), np.inf: (-1, np.inf), -np.inf: (-1, -np.inf)}  # axis of the sums, order


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Computes norms of vectors or of matrices, of every order that NumPy has.

    The gradient is 0 where the norm is 0, and where an element is 0 for orders that have a kink there. Ties share it
    evenly. Order 0 counts, and gives a plain array.
    """
    flag(keepdims, "keepdims")
    axes = normalize_axis_tuple(range(np.ndim(x)) if axis is None else axis, np.ndim(x))
    if ord is None or len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"linalg.norm: order {ord!r} is for vectors and matrices, not for {len(axes)} axes")
    result = matrix_norm(axes_last(x, *axes), ord=ord)
    return expand_dims(result, axes) if keepdims else result


def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Computes norms of vectors along `axis`, or of all elements: ``sum(abs(x) ** ord) ** (1 / ord)``, as `norm`."""
    if isinstance(fixed(ord, "ord"), str):
        raise ValueError(f"linalg.norm: vectors have no norm of order {ord!r}")
    along = {"axis": axis, "keepdims": keepdims}
    x = as_float(operand(x))  # the square of an integer may be too large for its dtype
    if ord in _OF_ABSOLUTES:
        return _OF_ABSOLUTES[ord](abs(x), **along)
    if ord == 0:
        return np.linalg.vector_norm(plain(x), ord=0, **along)
    zero = False if ord > 1 else x == 0
    powers = _squares(x) if ord == 2 else where(zero, 0.0 if ord > 0 else np.inf, where(zero, 1, abs(x)) ** ord)
    return root(np.sum(powers, **along), ord)


def _squares(x: Any) -> Any:
    """Square absolute values; at 0, unlike these, they have both derivatives."""
    return square(real(x)) + square(imag(x)) if x.dtype.kind == "c" else square(x)


def order_of_powers(ord: float) -> float:
    """Return the order of the powers that a vector norm adds up, or 1 if it needs none."""
    return float(np.abs(ord)) if 1 < np.abs(fixed(ord, "p")) < np.inf else 1.0


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Computes norms of matrices, as `norm` does."""
    flag(keepdims, "keepdims")
    if ord in ("fro", "f"):
        result = vector_norm(x, axis=(-2, -1))
    elif ord in _OF_SINGULAR_VALUES:
        result = vector_norm(svdvals(x), axis=-1, ord=_OF_SINGULAR_VALUES[ord])
    elif ord in _OF_SUMS:
        axis, order = _OF_SUMS[ord]
        result = vector_norm(vector_norm(x, axis=axis, ord=1), axis=-1, ord=order)
    else:
        raise ValueError(f"linalg.norm: matrices have no norm of order {ord!r}")
    return expand_dims(result, (-2, -1)) if keepdims else result


def cond(x: Any, p: Any = None) -> Any:
    """Computes condition numbers: the norm of a matrix, times the norm of its inverse."""
    if p in (None, 2, -2):
        order = -2 if p == -2 else 2
        return divide(matrix_norm(x, ord=order), matrix_norm(x, ord=-order))
    return matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p)


# Products


def matrix_power(a: Any, n: int) -> Any:
    """Multiplies a square matrix by itself `n` times, or its inverse if `n` is negative.

    For ``n = 0``, the identity is a plain array.
    """
    if np.ndim(a) < 2:
        raise ValueError(f"a is {np.ndim(a)}-dimensional, want a square matrix")
    if operator.index(n) < 0:
        return matrix_power(inv(a), -n)
    if n < 2:
        return a if n else np.linalg.matrix_power(plain(a), 0)
    half = matrix_power(matmul(a, a), n // 2)
    return matmul(half, a) if n % 2 else half


def diagonal(x: Any, *, offset: int = 0) -> Any:
    """Picks the diagonals of matrices."""
    return products.diagonal(x, offset, -2, -1)


def trace(x: Any, *, offset: int = 0) -> Any:
    """Adds up the diagonals of matrices."""
    return products.matrix_trace(x, offset, -2, -1)
