"""Elementwise functions of arrays: in blocks, on all threads, into reused memory if the array is large.

A formula of several NumPy calls runs over one block after another, so its temporary arrays stay near a core's cache.
Every number is computed as in the whole array, so blocks change no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import cache, wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.rules import Accelerator
from autograd_cnn.ops.axes import rescaling

from .memory import empty
from .threads import cut, each_part, in_tile, map_tiles
from .tiles import SMALL, parts
from .twins import kernel_set, run_twin

Array = NDArray[Any]
Formula = TypeVar("Formula", bound=Callable[..., Any])
Kernel = Callable[..., Any]
ndarray = np.ndarray

LARGE = 1 << 16  # elements below which NumPy's call on the whole array is faster than blocks
BLOCK = 1 << 18  # numbers; a thread waits for the interpreter between passes over smaller blocks
SINGLE = 1 << 20  # numbers of a block for a single pass, which has no temporary arrays; half of it takes one thread
SUMMED = 1 << 17  # numbers in a partial sum; adding partial sums loses fewer digits than one long sum


def blocked(formula: Formula) -> Formula:
    """Make an elementwise formula run in blocks if an array is large.

    Examples
    --------
    >>> slope = blocked(lambda g, y: g * (1 - y * y))
    >>> slope(np.ones(3), np.arange(3))
    array([ 1.,  0., -3.])
    """

    @wraps(formula)
    def run(*args: Any) -> Any:
        for a in args:
            # Not `__class__`: `graph.program` runs formulas on stand-ins for arrays, whose `__class__` is `ndarray`.
            if type(a) is ndarray and a.size >= LARGE:
                return _in_blocks(formula, args)
        return formula(*args)

    return run  # type: ignore[return-value]


def blocked_ufunc(ufunc: np.ufunc) -> Callable[..., Any]:
    """Make a ufunc of one or two arrays run in blocks if an array is large."""

    def one(x: Any) -> Any:
        return _in_blocks(ufunc, (x,)) if x.__class__ is ndarray and x.size >= LARGE else ufunc(x)

    def two(x: Any, y: Any) -> Any:
        if (x.__class__ is ndarray and x.size >= LARGE) or (y.__class__ is ndarray and y.size >= LARGE):
            return _in_blocks(ufunc, (x, y))
        return ufunc(x, y)

    return one if ufunc.nin == 1 else two


def _in_blocks(formula: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    arrays = [a for a in args if a.__class__ is ndarray]
    if in_tile() or not all(a.flags.c_contiguous for a in arrays):
        return formula(*args)
    shape = rows = np.broadcast_shapes(*(a.shape for a in arrays))
    given = [*args]
    if all(a.shape == shape for a in arrays):  # blocks of numbers, not of rows of axis 0
        rows, given = (math.prod(shape),), [a.reshape(-1) if a.__class__ is ndarray else a for a in args]
    whole = {n for n, a in enumerate(given) if a.__class__ is not ndarray or a.ndim != len(rows) or len(a) != rows[0]}
    first = formula(*cut(given, rows[0] + 1, whole)(0))
    if first.ndim == 0 or first.dtype.hasobject or 0 in shape:
        return formula(*args)
    out, single = empty(shape, first.dtype), isinstance(formula, np.ufunc)

    def compute(*blocks: Any) -> None:
        if single:
            formula(*blocks[:-1], out=blocks[-1])
        else:
            blocks[-1][...] = formula(*blocks[:-1])

    _fill(compute, [*given, out.reshape(rows)], whole, SINGLE if single else BLOCK)
    return out


def _fill(function: Callable[..., Any], args: list[Any], whole: Collection[int], most: int) -> None:
    """Call ``function(*blocks)`` on blocks of at most about `most` numbers; the last array is the one that it fills."""
    numbers, rows = args[-1].size, len(args[-1])
    # Blocks are quarters, unless too small or too large: an even number of them occupies two threads for the same time.
    quarter = max(most // 2, -(-numbers // 4))
    count = -(-numbers // quarter) * -(-quarter // most)
    _let_malloc_keep_blocks()
    each_part(function, min(rows, count + count % 2 * (count > 1)), *args, whole=whole)


@cache
def _let_malloc_keep_blocks() -> None:
    """Free an array of 16 MB: from then on, the C library keeps smaller ones, rather than return them to the system."""
    np.empty(1 << 24, np.uint8)


@blocked
def where(condition: Any, x: Any, y: Any) -> Any:
    """``np.where(condition, x, y)``; on floats by bits, since a branch is mispredicted half of the time."""
    dtype = np.result_type(x, y) if isinstance(condition, ndarray) and condition.size >= SMALL else None
    if dtype is None or condition.dtype != bool or dtype.kind != "f" or dtype.itemsize > 8:
        return np.where(condition, x, y)
    x, y = (np.asarray(a, dtype).view(f"i{dtype.itemsize}") for a in (x, y))
    mask = np.negative(condition.view(np.int8))
    return (x & mask if y.ndim == 0 and y == 0 else ((x ^ y) & mask) ^ y).view(dtype)


def sum_rows(x: Array) -> Array:
    """Sum over all axes but the last: (..., C) -> (C,)."""
    rows = x.reshape(-1, x.shape[-1])
    step = max(1, SUMMED // x.shape[-1])

    def parts(_: int) -> list[Array]:
        ones = np.ones(min(step, len(rows)), x.dtype)  # a product with ones is several times as fast as a sum
        return [ones[: len(rows) - i] @ rows[i : i + step] for i in range(0, len(rows), step)]

    return np.sum(map_tiles(parts, 1)[0], axis=0, dtype=x.dtype)  # one thread reads as fast as two


def is_large(x: Any, least: int = SMALL) -> bool:
    """Return whether `x` is an array of floats for which tiles pay."""
    return isinstance(x, ndarray) and x.size >= least and x.dtype.kind == "f" and x.dtype.isnative


def by_twin(
    name: str,
    arrays: int = 1,
    *,
    rule: bool = False,
    exact: bool = False,
    least: int = SMALL,
    option: tuple[Any, ...] = (),
    formula: Callable[..., Any] | None = None,
) -> Accelerator:
    """Return an accelerator of a function of numbers or of rows: large arrays go to a compiled pass, block by block.

    Arrays that do not suit the pass are computed by the formula, and small ones at once.

    Parameters
    ----------
    name : str
        The pass is ``elementwise.<name>_tile``. It takes arrays, numbers, and the array for the result.
    arrays : int
        How many of the arguments are arrays; the others are numbers, and perhaps an option.
    rule : bool
        Whether to write the result into the first array, if that is writable and in C order.
    exact : bool
        Whether the results have the formula's bits and memory order. Other passes are for float32 only.
    least : int
        Numbers from which an array is large.
    option : tuple
        The last argument for which the pass is; -1, the last axis, for one that takes matrices, row by row.
    formula : callable, optional
        Takes the place of the textbook's formula.
    """
    by_rows = option == (-1,)

    def accelerator(textbook: Kernel) -> Kernel:
        plain, compiled = formula or textbook, f"elementwise.{name}_tile"
        # A rule that does not apply has the bits of its formula.
        otherwise = textbook if by_rows else blocked(plain if exact else textbook)

        def tile(*args: Any) -> None:
            args[-1][...] = plain(*args[:-1], *option)

        def applies(*args: Any) -> bool:
            x, end = args[0], len(args) - len(option)
            if not (is_large(x, least) and all(isinstance(a, (int, float)) for a in args[arrays:end])):
                return False
            if args[end:] != option and not (by_rows and args[end] == x.ndim - 1):
                return False
            return x.ndim > by_rows and (not exact or all(_alike(x, a) for a in args[:arrays]))

        @wraps(textbook)
        def run(*args: Any) -> Any:
            if not applies(*args):
                return otherwise(*args)
            x, end = args[0], len(args) - len(option)
            given = map(np.ascontiguousarray, args[:arrays])
            out = x if rule and x.flags.carray else empty(x.shape, x.dtype)
            flat = [a.reshape(-1, *x.shape[-1:] * by_rows) for a in (*given, out)]
            # A compiled pass takes numbers as arrays of one number.
            flat[arrays:arrays] = [np.array([number], x.dtype) for number in args[arrays:end]]
            whole, count = range(arrays, end), parts(x.size, len(flat[0]))
            if not run_twin(compiled, flat, count, whole, "fd" if exact else "f"):
                _fill(tile, flat, whole, BLOCK)
            return out

        vars(run).update(applies=applies)
        return run

    return accelerator


def by_rows(name: str, at: int) -> Accelerator:
    """Return an accelerator of `standardize`, or of its rule, over the last axes of float32 numbers; `at` is x."""

    def accelerator(textbook: Kernel) -> Kernel:
        def applies(*args: Any) -> bool:
            x, axis = args[at], args[-2]
            rows = axis in (-1, (*range(-np.size(axis), 0),)) and axis != ()
            return kernel_set() == "numba" and is_large(x) and x.dtype.char == "f" and rows

        @wraps(textbook)
        def run(*args: Any) -> Any:
            if applies(*args):
                *arrays, axis, eps = args
                out, length = empty(args[at].shape, np.float32), math.prod(args[at].shape[-np.size(axis) :])
                *given, y = (a.reshape(-1, length) for a in (*arrays, out))
                sizes = np.empty(len(y), np.float32)
                rows = *given, np.array([eps], np.float32), y, sizes
                compiled = f"elementwise.{name}_tile", rows, parts(out.size, len(y)), {len(given)}
                # A row without variance warns, and one whose squares do not fit is scaled.
                if run_twin(*compiled) and sizes.min() > 0 and rescaling(given[at], 1, sizes[:, None]) is None:
                    return out
            return textbook(*args)

        vars(run).update(applies=applies)
        return run

    return accelerator


def _alike(x: Array, y: Any) -> bool:
    same = isinstance(y, ndarray) and x.dtype == y.dtype and x.shape == y.shape
    return same and x.flags.c_contiguous and y.flags.c_contiguous


def normal_cdf(textbook: Kernel) -> Kernel:
    """Accelerate `normal_cdf` of float32 numbers; errors are up to 8 units in the last place.

    ``normal_cdf(-a)`` is ``bell * M(a)`` for a >= 0, where ``bell = exp(-a * a / 2)``, and M, Mills' ratio, is smooth
    and needs no exponential. The square of the leading 12 bits is exact, so that the bell loses no digits.
    """

    def run(x: Any) -> Any:
        if getattr(x, "dtype", None) != np.float32 or not x.ndim:
            return textbook(x)
        a = np.minimum(np.abs(x), 40)  # (a - high) would be NaN for an infinity
        t = 2.5 / (2.5 + a)
        tail = t * MILLS[-1]
        for coefficient in MILLS[-2:0:-1]:
            tail += coefficient
            tail *= t
        tail += MILLS[0]
        bell = (a.view(np.int32) & -4096).view(np.float32)  # high
        low = a + bell
        a -= bell
        low *= a
        low *= -0.5
        bell *= bell
        bell *= -0.5
        bell = np.exp(bell, out=bell)
        bell *= np.exp(low, out=low)
        tail *= bell
        cdf = np.subtract(x > 0, tail, out=tail)  # 1 - tail, or -tail
        return np.abs(cdf, out=cdf)

    return wraps(textbook)(blocked(run))


# M(a) as a polynomial in 2.5 / (2.5 + a), from a = 0 to 13.3, to 7e-8 of its value; fitted to `math.erfc` in float64.
MILLS = (
    -1.2905757322898534e-05, 0.15992346784174724, 0.15561921330456907, 0.15920184444917246, -0.014567454621585449,
    0.2546602986829734, -0.377397439945628, 0.20264819710647647, -0.04007525444610806,
)  # fmt: skip
