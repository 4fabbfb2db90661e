"""Checks gradients: against central differences, and against those of the same numbers in another form.

A correct rule of a smooth function agrees with central differences to about 1e-9, and a rule that is wrong by 0.1 %
differs by 1e-3. The tolerance, 1e-6, is far from both. A rule may be right at some numbers and wrong at others. So it
is tried on larger and smaller ones, on broadcast arrays, in another layout and in float32.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from autograd_cnn.calculus.transforms import vjp
from autograd_cnn.calculus.trees import ravel_pytree, tree_filled, tree_items, tree_map
from autograd_cnn.calculus.vmap import vmap
from autograd_cnn.checks import count, number
from autograd_cnn.engine.arrays import FLOATS, in_precision, is_complex, precision
from autograd_cnn.engine.numpy_calls import exported, kind_of, plain, plain_array
from autograd_cnn.engine.observe import observing
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor

_DIFFERS = " is {0:.6g} at {2}, want {1:.6g}"
FULL = 200  # up to so many elements every derivative is checked, beyond that random directions


def check_gradients(
    f: Callable[..., Any], *inputs: Any, order: int = 1, eps: float = 1e-6, rtol: float = 1e-6, atol: float = 1e-8
) -> float:
    """Compare the derivatives of `f` with central differences, at the inputs and at others that are made of them.

    The others are larger and smaller numbers, and arrays that are broadcast, wherever `f` takes them. In Fortran order
    and in float32, the result and the gradients must be the same. The gradients must be linear in that of the result.
    It also checks the word `batch` and the rules for complex numbers of each primitive of your own that `f` calls.

    Parameters
    ----------
    f : callable
        Takes Tensors, or trees of them, and returns one Tensor of any shape. It must give the same result in every
        call, and leave its inputs as they are.
    *inputs : array_like, or trees of arrays
        Floats are converted to float64 and differentiated; all else is passed on. A complex number is differentiated by
        its real and by its imaginary part, which messages count along one more axis.
    order : int
        2 also checks the derivative of the derivative.
    eps : float
        The step of the differences; 1 is exact for functions that are linear in each input.
    rtol, atol : float
        An error of ``atol + rtol * scale`` passes, where `scale` is the largest derivative.

    Returns
    -------
    float
        The largest error at the inputs, divided by the largest derivative.

    Raises
    ------
    AssertionError
        If they differ. The message says for which input, element and form of the inputs, and shows both numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.check_gradients(lambda x: ag.exp(ag.sin(x)), np.linspace(0, 1, 5), order=2) < 1e-6
    True
    """
    if count(order, "order") > 6:
        raise ValueError(f"check_gradients: order is {order}, want 6 or less")
    if isinstance(f, Primitive) and not f.rules:
        raise TypeError(f"{f.name}: no rule to check. {f.name}.vjp({f.parameters[0]}=lambda g, ...: ...)")
    function = _Function(f, inputs, number(eps, "eps", 1e-12), rtol, atol)
    own = function.own_primitives()
    worst = function.check(order)
    function.check_elsewhere()
    for p, args in own:
        if p.batch:
            _check_examples(p, args)
        if p.complex is True and "real" in registry:  # which takes the parts
            turned = tree_map(lambda x: x * np.exp(1j * np.cos(x)) if kind_of(x) == "f" else x, args)
            _Function(p, turned, 1e-6, 1e-6, 1e-8, name=f"{p.name} of complex numbers").check(order)
    return worst


class _Function:
    """A function of the leaves of its inputs that are differentiated, `points`; the others are in `constants`."""

    def __init__(self, f: Any, inputs: Sequence[Any], *tolerances: float, name: str = "") -> None:
        self.f, self.inputs, self.tolerances, self.rng = f, inputs, tolerances, np.random.default_rng(0)
        self.name = name or getattr(f, "name" if isinstance(f, Primitive) else "__name__", type(f).__name__)
        self.labels, self.points, self.constants = list[str](), list[Any](), list[Any]()  # here None: it varies
        numbers = np.ndarray if isinstance(f, Primitive) else (np.ndarray, np.inexact, float, complex)
        for i, x in enumerate(inputs):
            has_rule = not isinstance(f, Primitive) or f.parameters[min(i, len(f.parameters) - 1)] in f.rules
            for label, leaf in tree_items(x, f"input {i}"):
                p = exported(plain(leaf))
                varies = has_rule and isinstance(p, numbers) and np.size(p) and np.result_type(p).kind in FLOATS
                self.constants.append(None if varies else p)
                if varies:
                    self.labels.append(label)
                    self.points.append(_precise(np.asarray(p), float))

    def __call__(self, *variables: Any) -> Any:
        supply, dtype = iter(variables), variables[0].dtype if variables else float
        leaves = [next(supply) if p is None else _precise(p, dtype) for p in self.constants]
        return self.f(*tree_filled(self.inputs, leaves))

    def at(self, points: Sequence[Any]) -> Any:
        return plain_array(self(*map(Tensor, points)))

    def pulled(self, points: Sequence[Any], order: Any = "C") -> tuple[Any, Any]:
        """Return the result for arrays in a memory order, and the function that carries its gradient back."""
        return vjp(self, *[np.array(x, order=order) for x in points])

    def own_primitives(self) -> list[tuple[Primitive[...], list[Any]]]:
        """Return each primitive of the user's with the arguments of its first call. Check that calls change nothing."""
        calls, given = list[Any](), [*map(Tensor, self.points)]
        with observing(calls.append):
            self(*given)
        for label, now, x in zip(self.labels, given, self.points, strict=True):
            _same(f"{self.name}: writes into {label} (return a new array), which", now.data, x)
        _same(f"{self.name}: the result of a second call", self.at(self.points), self.at(self.points))
        found = {c.primitive: c for c in calls[::-1] if c.primitive is self.f or not c.primitive.packaged}
        return [(p, p.grouped([*map(plain, c.passed)])) for p, c in found.items()]

    def check(self, order: int) -> float:
        """Check derivatives up to `order` at the inputs, and return the largest error."""
        value, back = self.pulled(self.points)
        g, h, weights = (_shaped(self.rng.standard_normal(_reals(value).size), value) for _ in range(3))
        twice = vjp(lambda *v: registry["stack"]([self(*v), self(*v)]), *self.points)[1]
        for label, a, b, both in zip(self.labels, back(g), back(h), twice(np.stack([g, g - 1000 * h])), strict=True):
            title = f"{self.name}, {label}: not linear in the gradient g of the result, or a rule overwrites its last"
            want = 2 * a - 1000 * b
            _same(f"{title} result (return a new array): the sum", both, want, 1e-7 * _largest(0.1, b, want))
        worst = self.compare(self.points)
        if order > 1:
            slopes = _Function(
                lambda *v: ravel_pytree(vjp(self, *v)[1](weights))[0], self.points, *self.tolerances,
                name=f"the derivative of {self.name}",
            )  # fmt: skip
            slopes.labels = self.labels
            worst = max(worst, slopes.check(order - 1))
        return worst

    def check_elsewhere(self) -> None:
        """Compare Fortran order and float32 with the same numbers in float64, and other numbers with differences."""
        usual, want = self.at(self.points), self.tried(self.points)
        for words, dtype, order, digits in ("Fortran order", float, "F", 1e-8), ("float32", np.float32, "C", 3e-4):
            found = self.tried([_precise(x, dtype) for x in self.points], order)
            for place, a, b in zip(["the result", *self.labels], found, want, strict=True) if found and want else ():
                _same(f"{self.name} in {words}, {place}", a, b, digits * _largest(0.1, b))
        for k, x in enumerate(self.points):
            parts = (x[:1], x[..., :1], x[0]) if x.ndim and len(self.points) > 1 else ()
            others = [("larger", 10 * x, 10.0), ("smaller", 0.01 * x, 0.01)]
            others += [(f"broadcast from {part.shape}", part, 1.0) for part in parts if part.shape != x.shape]
            for words, other, factor in others:
                points = [*self.points[:k], other, *self.points[k + 1 :]]
                if (found := self.tried(points)) and found[0].shape == usual.shape:
                    self.compare(points, f" where {self.labels[k]} is {words}", factor)

    def tried(self, points: Sequence[Any], order: Any = "C") -> list[Any] | None:
        """Return the result and the gradients of a weighted sum of it, or None if it, or a rule, refuses the points."""
        with warnings.catch_warnings(action="ignore"), np.errstate(divide="raise", over="raise", invalid="raise"):
            try:
                self.at(points)
                with np.errstate(all="ignore"):
                    value, back = self.pulled(points, order)
                    weights = _shaped(np.cos(np.arange(_reals(value).size)), value)
                    return [value, *back(np.array(weights, order=order))] if np.isfinite(value).all() else None
            except Exception:
                return None

    def compare(self, points: Sequence[Any], words: str = "", factor: float = 1.0) -> float:
        """Compare the rules with differences at some points, and return the largest error by the largest derivative.

        With `words`, which say how the points differ from those of the user, it tries random directions only.
        """
        value, back = self.pulled(points)
        (eps, rtol, atol), worst = self.tolerances, 0.0
        step, (full, some) = eps * factor, (0, 1) if words else (FULL, 5)
        seeds = _directions(_reals(value), full, 3, self.rng)
        pulled = [back(_shaped(seed, value)) for seed in seeds]
        for k, (label, x) in enumerate(zip(self.labels, points, strict=True)):

            def slope(d: Any, low: float = -1, high: float = 1, k: int = k, x: Any = x) -> Any:
                """Return the slope of the result, by each seed, between two steps in a direction."""
                a, b = (self.at([*points[:k], x + n * step * _shaped(d, x), *points[k + 1 :]]) for n in (low, high))
                return seeds @ (_reals(b) - _reals(a)) / (step * (high - low))

            directions, size = _directions(x, full, some, self.rng), _reals(x).size
            got = directions @ np.reshape([_reals(gradients[k]) for gradients in pulled], (len(seeds), size)).T
            want = np.apply_along_axis(slope, -1, directions)
            scale, kinks = _largest(1e-300, got, want), 0
            limit = np.full(want.shape, atol + rtol * scale + 1e-15 * _largest(value) / step)  # results are rounded
            for j in map(tuple, np.argwhere(~(np.abs(got - want) <= limit).all(-1))):
                left, right, wide = (slope(directions[j], *ends) for ends in ((-0.1, 0), (0, 0.1), (-10, 10)))
                if np.abs(right - left).max() > 1e-3 * max(1.0, np.abs(right).max()):
                    kinks, want[j] = kinks + 1, got[j]
                limit[j] += 4 * np.abs(want[j] - wide) + np.abs(right - left)  # what another step changes is noise
            title = f"{self.name}{words}, {label}" + ", in random direction " * (size > full)
            _same(title, got, want, limit, "{2}: rule {0:.6g}, differences {1:.6g}", -1)
            few = words or kinks <= 0.1 * size
            _require(few, f"{self.name}: {kinks} of {size} elements lie on kinks. Choose other inputs")
            worst = max(worst, float(np.abs(got - want).max(initial=0) / scale))
        return worst


def _precise(array: Any, dtype: Any) -> Any:
    """Return an array of floats in the precision of `dtype`, and anything else as it is."""
    return array.astype(in_precision(array.dtype, dtype)) if kind_of(array) in ("f", "c") else array


def _same(title: str, got: Any, want: Any, limit: Any = 0.0, text: str = _DIFFERS, end: int | None = None) -> None:
    """Check that arrays have one shape, and numbers that differ by at most `limit`.

    The error tells the first that differ, with their place, up to the axis `end`.
    """
    got, want = np.asarray(got), np.asarray(want)
    _require(got.shape == want.shape, f"{title} is {got.shape}, want {want.shape}")
    wrong = ~np.isclose(got, want, 0, limit, equal_nan=end is None)  # no NaN confirms that a slope is NaN
    if wrong.any():
        off = np.where(wrong, np.abs(got - want), 0)
        at = tuple(map(int, np.argwhere(wrong)[0]))
        factor = np.vdot(want, got) / max(np.vdot(want, want).real, 1e-300)
        alike = got.size > 1 and np.abs(got - factor * want).max() < 0.01 * off.max()
        said = f"everywhere by a factor of {factor:.6g}" if alike else f"{wrong.sum()} of {wrong.size} elements"
        numbers = text.format(got[at], want[at], [*at[:end]])
        raise AssertionError(f"{title}{numbers}, off by {off[at]:.1e}; {said}")


def _largest(*arrays: Any) -> float:
    """Return the largest absolute value of the finite numbers in all arrays."""
    return max(float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in map(np.asarray, arrays))


def _reals(array: Any) -> np.ndarray:
    """Return an array as a vector of real numbers: the parts of complex ones, one after the other."""
    return np.ravel(np.asarray(array, in_precision(np.result_type(array), np.float64))).view(np.float64)


def _shaped(vector: np.ndarray, like: Any) -> Any:
    """Undo `_reals`: return a vector in the form of an array."""
    return vector.view(in_precision(like.dtype, np.float64)).reshape(like.shape)


def _directions(x: Any, full: int, some: int, rng: np.random.Generator) -> np.ndarray:
    """Return the direction of each number of `x`, at its place, or `some` at random if there are more than `full`."""
    size, shape = _reals(x).size, (*x.shape, 2)[: x.ndim + is_complex(x)]
    return np.eye(size).reshape(*shape, size) if size <= full else rng.standard_normal((some, size)) / math.sqrt(size)


def examples_of(primitive: Primitive[...], rng: np.random.Generator) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return arguments to try a primitive on: its own examples, or standard normal arrays of shape (2, 3)."""
    if primitive.examples is None:
        required = [p for p in primitive.parameters if p not in primitive.defaults]
        return [(tuple(rng.standard_normal((2, 3)) for _ in required), {})]
    made = primitive.examples(rng)
    text = "examples must return a list of arguments of calls: [(x, w), ((x, w), {'stride': 2})]"
    _require(made and all(isinstance(e, tuple) for e in made), f"{primitive.name}: {text}")
    return [e if len(e) == 2 and isinstance(e[1], dict) else (e, {}) for e in made]


def conformance(primitive: Primitive[...]) -> int:
    """Check a primitive on its examples as `check_gradients` does, in second order, and return their number.

    Raises
    ------
    AssertionError, TypeError, ValueError
        If a check fails.
    """
    examples = examples_of(primitive, np.random.default_rng(0))
    for given, options in examples:
        args = primitive.grouped(primitive.bind(given, dict(options)))
        check_gradients(primitive, *args, order=2)
        function = _Function(primitive, args)
        value, back = function.pulled([_precise(p, np.float32) for p in function.points])
        fits = precision(value.dtype) == np.float32 or any(isinstance(a, (type, np.dtype)) for a in args)
        _require(fits, f"{primitive.name}: float32 in, {value.dtype} out")
        back(value)
    return len(examples)


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_examples(primitive: Primitive[...], args: list[Any]) -> None:
    """Compare all examples at once with one after the other, where each operand, or all of them, differ.

    The examples of an elementwise operation are also single numbers: on that layouts of images rely.
    """
    word, function = f"{primitive.name}: batch={primitive.batch!r:.40}", _Function(primitive, args)
    numbers = [[np.resize(x, ()) for x in function.points]] if primitive.batch == "elementwise" else []
    ways = [*product((0, None), repeat=len(function.points))][:-1]  # the last: no operand differs
    for points, axes in product([function.points, *numbers], ways):
        rows = [[x if axis is None else s * x for x, axis in zip(points, axes, strict=True)] for s in (1, 0.9, 0.8)]
        given = [xs[0] if axis is None else np.stack(xs) for *xs, axis in zip(*rows, axes, strict=True)]
        try:
            alone, got = np.stack([function(*row) for row in rows]), vmap(function, axes)(*given)
        except ValueError as error:
            raise AssertionError(f"{word} does not fit: {error}") from error
        limit = 1e-8 * _largest(alone)
        _same(f"{word} gives other numbers than one example after the other: one", got, alone, limit)
