"""Checks gradients against central differences in float64, and the conformance of primitives.

A correct rule of a smooth function agrees with central differences to about 1e-9, and a rule that is wrong by 0.1 %
differs by 1e-3. The tolerance, 1e-6, is far from both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from autograd_cnn.calculus.transforms import grad, vjp
from autograd_cnn.calculus.trees import ravel_pytree
from autograd_cnn.calculus.vmap import vmap
from autograd_cnn.engine.checks import count, number
from autograd_cnn.engine.fitting import FLOATS, in_precision, is_complex, precision
from autograd_cnn.engine.numpy_calls import plain, plain_array
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor

FULL = 200  # up to so many elements every derivative is checked, beyond that random directions
LONG = 1 << 15  # elements of an array for which a faster function may be meant


def check_gradients(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    eps: float = 1e-6,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> float:
    """Compare the derivatives of `f` with central differences, in float64.

    Parameters
    ----------
    f : callable
        Takes Tensors and returns one Tensor of any shape. It must give the same result in every call.
    *inputs : array_like
        Floats are converted to float64 and differentiated; integers and bools are passed on. A complex number is
        differentiated by its real and by its imaginary part, which messages count along one more axis.
    order : int
        2 also checks the derivative of the derivative.
    eps : float
        The step of the differences; 1 is exact for functions that are linear in each input.
    rtol, atol : float
        An error of ``atol + rtol * scale`` passes, where `scale` is the largest derivative.

    Returns
    -------
    float
        The largest error, divided by the largest derivative.

    Raises
    ------
    AssertionError
        If they differ. The message names the input and the element, and shows both numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.check_gradients(lambda x: ag.exp(ag.sin(x)), np.linspace(0, 1, 5), order=2) < 1e-6
    True
    """
    if count(order, "order") > 6:
        raise ValueError(f"check_gradients: order is {order}, want 6 or less")
    number(eps, "eps", 1e-12)
    arrays = [np.asarray(a.data if isinstance(a, Tensor) else a) for a in inputs]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    f, arrays = _of_parts(f, arrays)
    varied = [i for i, a in enumerate(arrays) if a.dtype.kind == "f" and a.size]
    rng = np.random.default_rng(0)

    at, given = _of_some(f, f.__name__, arrays, varied), [arrays[i] for i in varied]
    worst = _compare(at, given, varied, eps, lambda scale: atol + rtol * scale, rng)
    if order == 1:
        return worst
    weights = rng.standard_normal(np.shape(at(*map(Tensor, given))))

    def slopes(*variables: Any) -> Any:
        gradients = grad(lambda *v: registry["sum"](at(*v) * weights), tuple(range(len(varied))))(*variables)
        return ravel_pytree(gradients)[0]

    return max(worst, check_gradients(slopes, *given, order=order - 1, eps=eps, rtol=rtol, atol=atol))


def _of_parts(f: Callable[..., Any], arrays: list[Any]) -> tuple[Callable[..., Any], list[Any]]:
    """Return `f` as a function of real arrays with one real result: a last axis has the parts of complex numbers."""
    complex_ = [a.dtype.kind == "c" for a in arrays]

    def call(*given: Any) -> Any:
        out = f(*[a[..., 0] + 1j * a[..., 1] if c else a for a, c in zip(given, complex_, strict=True)])
        return registry["stack"]([registry["real"](out), registry["imag"](out)], -1) if is_complex(out) else out

    call.__name__ = getattr(f, "__name__", "f")
    return call, [np.stack([a.real, a.imag], -1) if c else a for a, c in zip(arrays, complex_, strict=True)]


def _of_some(f: Callable[..., Any], name: str, args: list[Any], varied: list[int]) -> Callable[..., Any]:
    """Return `f`, called `name`, as a function of the arguments at the positions `varied`; the others are constants."""

    def call(*variables: Any) -> Any:
        return f(*[dict(zip(varied, variables, strict=True)).get(i, a) for i, a in enumerate(args)])

    call.__name__ = name
    return call


def _compare(f: Any, arrays: list[np.ndarray], positions: list[int], eps: float, limit: Any, rng: Any) -> float:
    """Return the largest error of a derivative, divided by the largest derivative, or raise an error.

    An error of ``limit(scale)`` passes.
    """
    value, back = vjp(f, *arrays)
    seeds = _directions(value.size, 3, rng)
    rules = [back(seed.reshape(value.shape)) for seed in seeds]
    worst, skipped, tried, total = 0.0, 0, 0, 0
    failures: list[str] = []
    for k, x in enumerate(arrays):
        directions = _directions(x.size, 5, rng)
        slope = partial(_slope, f, arrays, k)
        got = np.array([np.ravel(rule[k]) for rule in rules]) @ directions.T
        want = np.stack([seeds @ slope(direction, -eps, eps) for direction in directions], axis=1)
        scale = max(1e-300, float(np.abs(want).max(initial=0)), float(np.abs(got).max(initial=0)))
        error = np.abs(got - want)
        wrong = ~(error <= limit(scale))
        total += wrong.size
        tried += len(directions)
        for j in map(int, np.nonzero(wrong.any(axis=0))[0]):
            left, right = slope(directions[j], -eps / 10, 0.0), slope(directions[j], 0.0, eps / 10)
            if np.abs(right - left).max() > 1e-3 * max(1.0, np.abs(right).max()):  # a kink
                skipped += 1
                error[:, j], wrong[:, j] = 0, False
            else:
                wider = seeds @ slope(directions[j], -eps * 10, eps * 10)
                wrong[:, j] &= ~(np.abs(got[:, j] - wider) <= limit(scale))
        worst = max(worst, float(error[~wrong].max(initial=0)) / scale)
        for row, column in zip(*np.nonzero(wrong), strict=True):
            element = [int(i) for i in np.unravel_index(int(column), x.shape)]
            place = f"input {positions[k]}{element}" if x.size <= FULL else f"input {positions[k]}, direction {column}"
            pair = f"rule {got[row, column]:.6g}, differences {want[row, column]:.6g}"
            failures.append(f"{f.__name__}, {place}: {pair}, off by {error[row, column]:.1e}")
    if failures:
        raise AssertionError(f"{failures[0]}; {len(failures)} of {total} elements")
    if skipped > 0.1 * tried:
        raise AssertionError(f"{f.__name__}: {skipped} of {tried} elements lie on kinks. Choose other inputs")
    return worst


def _directions(size: int, some: int, rng: np.random.Generator) -> np.ndarray:
    """Return each axis as a row, or `some` random directions if there are many."""
    return np.eye(size) if size <= FULL else rng.standard_normal((some, size)) / math.sqrt(size)


def _slope(f: Any, arrays: list[np.ndarray], k: int, direction: np.ndarray, before: float, after: float) -> np.ndarray:
    """Return the slope of `f`, as a vector, between two steps from input `k` in a direction."""

    def at(step: float) -> np.ndarray:
        moved = arrays[k] + step * direction.reshape(arrays[k].shape)
        out = f(*[Tensor(moved if i == k else a) for i, a in enumerate(arrays)])
        return plain_array(out).astype(np.float64).ravel()

    return (at(after) - at(before)) / (after - before)


def examples_of(primitive: Primitive[...], rng: np.random.Generator) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return arguments to try a primitive on: its own examples, or standard normal arrays of shape (2, 3)."""
    if primitive.examples is None:
        required = [p for p in primitive.parameters if p not in primitive.defaults]
        return [(tuple(rng.standard_normal((2, 3)) for _ in required), {})]
    made = primitive.examples(rng)
    _require(
        made and all(isinstance(e, tuple) for e in made),
        f"{primitive.name}: examples must return a list of arguments of calls: [(x, w), ((x, w), {{'stride': 2}})]",
    )
    return [e if len(e) == 2 and isinstance(e[1], dict) else (e, {}) for e in made]


def split(primitive: Primitive[...], args: Any, options: dict[str, Any]) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """Split an example into a function of its differentiable inputs, and these inputs."""
    flat, elements = primitive.bind(args, dict(options))
    pairs = enumerate(zip(primitive.flat_names(elements), flat, strict=True))
    varied = [i for i, (n, v) in pairs if n in primitive.rules and isinstance(v, np.ndarray) and v.dtype.kind in FLOATS]
    call = _of_some(lambda *all: primitive(*primitive.grouped([*all], elements)), primitive.name, flat, varied)
    return call, [flat[i] for i in varied]


def _changed(primitive: Primitive[...], args: Any, change: Callable[..., Any], *options: Any) -> list[Any]:
    """Return an example with ``change(array, rng, *options)`` in place of each array."""
    flat, elements = primitive.bind(args, {})
    rng = np.random.default_rng(0)
    changed = [np.asarray(change(v, rng, *options)) if isinstance(v, np.ndarray) else v for v in flat]
    return primitive.grouped(changed, elements)


def _turned(array: np.ndarray, rng: np.random.Generator) -> Any:
    """Return complex numbers of the same lengths in place of floats."""
    return array * np.exp(1j * rng.uniform(-1, 1, array.shape)) if array.dtype.kind == "f" else array


def _drawn(array: np.ndarray, rng: np.random.Generator, dtype: Any, factor: int) -> Any:
    """Return an array in the precision of `dtype`; with a factor above 1, numbers in its range, in a longer array."""
    kind = array.dtype.kind
    if factor > 1 and array.size:
        shape = [n if n == 1 else n * factor for n in array.shape]
        array = rng.uniform(array.min(), array.max(), shape) if kind == "f" else rng.choice(array.ravel(), shape)
    return np.asarray(array).astype(in_precision(array.dtype, dtype)) if kind in FLOATS else array


def conformance(primitive: Primitive[...]) -> int:
    """Check on its examples that a primitive does what its users rely on.

    A recorded call gives the same values as the raw call, leaves its inputs unchanged, and accepts any memory layout.
    Gradients agree with central differences in first and second order, also at complex numbers if the primitive
    declares that it takes them. A gradient of 0 gives 0. float32 stays float32.
    No rule writes into its arguments. All examples of `vmap` at once give what each gives alone. What
    `Primitive.accelerate` put in a place agrees with the formula, also in float32 and on longer arrays.

    Returns
    -------
    int
        The number of examples.

    Raises
    ------
    AssertionError, TypeError, ValueError
        If one of these does not hold.
    """
    _require(primitive.rules, f"{primitive.name}: has no rule. {primitive.name}.vjp(x=lambda g, ...: ...)")
    given = examples_of(primitive, np.random.default_rng(0))
    examples = [primitive.grouped(*primitive.bind(args, dict(options))) for args, options in given]
    if primitive.complex is True and "real" in registry:  # which takes the parts
        examples.append(_changed(primitive, examples[-1], _turned))
    for args in examples:
        f, inputs = split(primitive, args, {})
        if primitive.check:
            checked = primitive.check(*args)
            fits = isinstance(checked, tuple) and len(checked) == len(primitive.parameters)
            _require(fits, f"{primitive.name}: its check returns {checked!r:.40}, want a tuple of all arguments")
        _check_values(primitive.name, f, inputs)
        _check_faster(primitive, args)
        for order in (1, 2):
            check_gradients(f, *inputs, order=order)
        _check_rules(primitive.name, f, inputs)
        if primitive.batch and inputs:
            _check_examples(primitive, f, inputs)
        f, inputs = split(primitive, _changed(primitive, args, _drawn, np.float32, 1), {})
        value, back = vjp(f, *inputs)  # the walk checks the dtypes of gradients
        fits = precision(value.dtype) == np.float32 or primitive.name == "astype"
        _require(fits, f"{primitive.name}: float32 in, {value.dtype} out")
        for x, g in zip(inputs, back(np.zeros_like(value)), strict=True):
            _require(not np.any(g), f"{primitive.name}: a gradient of 0 gives {g.ravel()[:3]}, input {x.shape}")
    return len(examples)


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_examples(primitive: Primitive[...], f: Callable[..., Any], inputs: list[np.ndarray]) -> None:
    """Compare all examples at once with one after the other, where each operand, or all of them, differ.

    The examples of an elementwise operation are also single numbers: on that layouts of images rely.
    """
    word, every = f"{primitive.name}: batch={primitive.batch!r:.40}", range(len(inputs))
    numbers = [[np.resize(x, ()) for x in inputs]] if primitive.batch == "elementwise" else []
    for operands, varied in product([inputs, *numbers], {(i,) for i in every} | {(*every,)}):
        given = [np.stack([x, 0.9 * x, 0.8 * x]) if i in varied else x for i, x in enumerate(operands)]
        rows = [[x[k] if i in varied else x for i, x in enumerate(given)] for k in range(3)]
        try:
            alone = np.stack([plain(f(*row)) for row in rows])
            got = vmap(f, tuple(0 if i in varied else None for i in every))(*given)
        except ValueError as error:
            raise AssertionError(f"{word} does not fit: {error}") from error
        same = got.shape == alone.shape and np.allclose(got, alone, equal_nan=True)
        _require(same, f"{word} gives other numbers than one example after the other")


def _check_values(name: str, f: Callable[..., Any], inputs: list[np.ndarray]) -> None:
    before = [a.copy() for a in inputs]
    raw = f(*inputs)
    _require(raw is not None, f"{name}: returns None")
    unchanged = all(map(np.array_equal, before, inputs))
    _require(unchanged, f"{name}: writes into its inputs. Return a new array")
    recorded = f(*[Tensor(a, requires_grad=True) for a in inputs])
    _require(isinstance(recorded, Tensor) and recorded.requires_grad, f"{name}: a recorded call left no history")
    _require(np.array_equal(raw, recorded.data, equal_nan=True), f"{name}: the raw call and the recorded call differ")
    strided = [np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a for a in inputs]
    for laid in [*map(np.asfortranarray, inputs)], strided:
        for a in laid:
            a.flags.writeable = False
        same = np.allclose(raw, f(*laid), rtol=1e-12, atol=1e-12, equal_nan=True)
        _require(same, f"{name}: another memory layout or a read-only input changes the result")


@np.errstate(all="ignore")
def _check_faster(primitive: Primitive[...], args: Any) -> None:
    """Compare each faster function with the formula, in float64 and float32, on an example and on longer arrays.

    The largest of the longer arrays has about `LONG` elements, unless its lengths would be over 1000 times those of the
    example: a formula may make a table of pairs.
    """
    if primitive.forward is primitive.formula and all(rule.textbook is rule for rule in primitive.rules.values()):
        return
    flat, _ = primitive.bind(args, {})
    shapes = [np.shape(primitive(*args)), *(v.shape for v in flat if isinstance(v, np.ndarray))]
    roots = [(LONG / max(1, math.prod(shape))) ** (1 / max(1, len(shape))) for shape in shapes]
    for factor, dtype in product((1, min(1000, math.ceil(min(roots)))), (np.float64, np.float32)):
        given = _changed(primitive, args, _drawn, dtype, factor)
        try:
            want = primitive.formula(*given)
        except Exception:
            return  # these lengths do not fit together
        _agree(f"{primitive.name}: the faster forward", primitive.forward, given, want, primitive.exact)
        f, inputs = split(primitive, given, {})
        node = f(*[Tensor(x, requires_grad=True) for x in inputs])._node
        g = np.random.default_rng(1).standard_normal(node.shape).astype(node.dtype)
        g.flags.writeable = False
        for (_, rule, pick), (_, formula, picked) in zip(node.plan.steps, node.plan.formulas, strict=True):
            for writable in (False, True)[: 1 + rule.may_write] if rule is not formula else ():
                want = formula.function(g, *picked(node.saved))
                title = f"{primitive.name}: the faster rule of {rule.name}{', for a writable g,' if writable else ''}"
                values = g.copy() if writable else g, *pick(node.saved)
                _agree(title, rule.function, values, want, rule.exact)


def _agree(title: str, faster: Callable[..., Any], args: Sequence[Any], want: Any, exact: bool) -> None:
    """Check that a faster function gives the arrays `want`: the same bits if it is `exact`, else half of the digits."""
    try:
        got = faster(*args)
    except Exception as error:
        raise AssertionError(f"{title} raises {error!r}; the formula does not") from error
    both = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in both]
    scale = max(np.abs(b[np.isfinite(b)]).max(initial=0) for _, b in pairs)
    for a, b in pairs:
        form = f"{b.shape} {b.dtype}"
        _require(form == f"{a.shape} {a.dtype}", f"{title} gives {a.shape} {a.dtype}, the formula {form}")
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        off = np.where(same, 0, np.abs(np.subtract(a, b, dtype=np.result_type(a, 1.0)))).max(initial=0)
        digits = math.sqrt(np.finfo(a.dtype).eps) if a.dtype.kind in FLOATS else 0
        bits = exact and a.dtype.kind != "c"  # the last of an array's complex powers differ from the others in a bit
        fits = same.all() and a.strides == b.strides if bits else off <= digits * scale
        said = "; exact=True says that bits and memory order are the same" if exact else ""
        _require(fits, f"{title} differs from the formula by {off:.1e}, on {form}{said}")


def _check_rules(name: str, f: Callable[..., Any], inputs: list[np.ndarray]) -> None:
    """Check that a rule does not overwrite an earlier result, which the walk may still need."""
    out = f(*[Tensor(a, requires_grad=True) for a in inputs])
    node, g = out._node, np.random.default_rng(0).standard_normal(out.shape)
    for _, rule, pick in node.plan.steps:
        results = rule.function(g, *pick(node.saved))
        copies = [np.array(c) for c in (results if rule.joint else (results,))]
        rule.function(2 * g, *pick(node.saved))
        same = all(map(np.array_equal, copies, results if rule.joint else (results,)))
        _require(same, f"{name}: the rule for {rule.name} overwrites what it returned before. Return a new array")
