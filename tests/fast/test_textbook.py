"""Every accelerated operation and rule beside its form in the textbook, for the kernels that are installed."""

from __future__ import annotations

import math
from contextlib import contextmanager
from itertools import product

import numpy as np
import pytest

from autograd_cnn import Tensor
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.arrays import in_precision
from autograd_cnn.engine.observe import operations, primitives
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.fast.attach import attach, detach

ELEMENTWISE = {p.name: p for p in operations.values() if isinstance(p, Primitive) and p.elementwise}
ROWS = {
    p.name: p
    for p in operations.values()
    if isinstance(p, Primitive) and p.name in ("softmax", "log_softmax", "standardize")
}
SPECIAL = np.nan, np.inf, -np.inf, 0.0, -0.0, 1000, -1000, 1e-30
SHAPE = 130, 301  # more numbers than the smallest array for which blocks and tiles pay
LAYOUTS = [
    np.asfortranarray,
    lambda a: np.repeat(a, 2, axis=-1)[..., ::2],  # strided
    lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),  # read-only
]
OF_SCIPY = "special.erf special.jv special.gammainc special.betainc".split()  # the others, which are as slow, alike
every_elementwise = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("special.") and name not in OF_SCIPY else name
        for name in ELEMENTWISE
    ],
)


@contextmanager
def textbook():
    detach()
    try:
        yield
    finally:
        attach()


def large(args, rng, dtype, special, shapes=(SHAPE,)):
    """Arguments in the range of an example's, as large arrays."""
    made = []
    for k, a in enumerate(args):
        if not isinstance(a, np.ndarray):
            made.append(a)
        elif a.dtype.kind == "f":
            made.append(rng.uniform(a.min() - 1e-3, a.max() + 1e-3, shapes[k % len(shapes)]).astype(dtype))
            if special:
                made[-1].reshape(-1)[: 3 * len(SPECIAL) : 3 + k] = np.resize(SPECIAL, -(-3 * len(SPECIAL) // (3 + k)))
        else:
            made.append(rng.choice(a.ravel(), shapes[k % len(shapes)]))
    return made


def assert_same(fast, slow, exact, what):
    assert (fast.dtype, fast.shape) == (slow.dtype, slow.shape), what
    if exact:
        np.testing.assert_array_equal(fast, slow, what, strict=True)
        assert fast.strides == slow.strides, what
    else:
        tolerance = 3e-6 if fast.dtype == np.float32 else 1e-11
        np.testing.assert_allclose(fast, slow, tolerance, tolerance, err_msg=what)


def every_example(p, rng):
    return [(args, options) for args, options in examples_of(p, rng) if any(isinstance(a, np.ndarray) for a in args)]


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def recorded(p, args, options, rng, special):
    """Return the result of a call, a gradient of it, the values of the rules, and the rules beside their formulas."""
    fast = p.raw(*args, **options)
    wanted = [Tensor(a, True) if n in p.rules and is_float(a) else a for n, a in zip(p.parameters, args, strict=False)]
    out = p(*wanted, **options)
    if not out.requires_grad:
        return fast, None, None, []
    g = rng.normal(size=out.shape).astype(out.dtype)
    if special:
        g.reshape(-1)[::977] = np.resize([0, np.inf, np.nan], g.reshape(-1)[::977].shape)
    return fast, g, out.node.saved, [*zip(out.node.plan.steps, out.node.plan.formulas, strict=True)]


def compare(p, calls, rng, special=False):
    """Compare calls and their rules, which get a writable `g`, with those of the textbook."""
    with np.errstate(all="ignore"):
        made = [recorded(p, *call, rng, special) for call in calls]
        wanted = []
        with textbook():  # takes longer than most calls
            for (args, options), (_, g, saved, rules) in zip(calls, made, strict=True):
                gradients = [results(formula, g.copy(), pick(saved)) for _, (_, formula, pick) in rules]
                wanted.append((p.raw(*args, **options), gradients))
        for (args, options), (fast, g, saved, rules), (slow, gradients) in zip(calls, made, wanted, strict=True):
            what = f"{p.name} of {[(a.dtype, a.shape, a.strides) for a in args if is_float(a)]}, {options}"
            assert_same(fast, slow, False, what)
            for ((_, rule, pick), (_, formula, pick_slow)), expected in zip(rules, gradients, strict=True):
                for given in g, np.asfortranarray(g):
                    found = results(rule, given.copy(order="K"), pick(saved))
                    for c, e in zip(found, expected, strict=True):
                        assert_same(c, e, False, what)
                    if rule.is_formula(given, *pick(saved)):  # its bits, where operations are fast ones
                        for c, e in zip(found, results(formula, given.copy(order="K"), pick_slow(saved)), strict=True):
                            assert_same(c, e, True, what)


def results(rule, g, values):
    return rule(g, *values) if rule.joint else (rule(g, *values),)


@pytest.mark.parametrize("special", [False, True])
@every_elementwise
def test_an_elementwise_operation(name, special, rng):
    p = ELEMENTWISE[name]
    examples = [(args, options, dtype) for dtype in (np.float32, np.float64) for args, options in every_example(p, rng)]
    given = [(large(args, rng, dtype, special), options) for args, options, dtype in examples]
    if name == "hardtanh":  # its bounds are in order
        given = [([x, *np.sort(np.broadcast_arrays(*bounds), 0)], options) for (x, *bounds), options in given if bounds]
    compare(p, given, rng, special)


@every_elementwise
def test_an_elementwise_operation_of_any_layout(name, rng):
    p = ELEMENTWISE[name]
    args, options = every_example(p, rng)[0]
    given = large(args, rng, np.float32, False)
    laid = [[layout(a) if isinstance(a, np.ndarray) else a for a in given] for layout in LAYOUTS]
    compare(p, [(arrays, options) for arrays in laid], rng)


@every_elementwise
def test_an_elementwise_operation_that_broadcasts(name, rng):
    p = ELEMENTWISE[name]
    args, options = every_example(p, rng)[0]
    shapes = (SHAPE, SHAPE[1:]), ((130, 1), SHAPE), ((3, *SHAPE), (3, 1, 1))
    compare(p, [(large(args, rng, np.float64, False, pair), options) for pair in shapes], rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4), (40, 500), (7, 30, 100), (5000, 10)])
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, shape, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    with_special = x.copy()
    with_special[0, ..., :2] = np.inf, np.nan
    with_special[1] = -np.inf
    compare(ROWS[name], [*(([x, axis], {}) for axis in (-1, 0, 1)), ([with_special, -1], {})], rng)


@pytest.mark.parametrize("scale", [1, 1e25, 1e-25])
@pytest.mark.parametrize(("axis", "eps"), [((-2, -1), 1e-5), ((-1, -2), 1e-5), ((1,), 1e-5), ((), 1e-5), ((-1,), 0.0)])
def test_rows_of_several_axes_and_of_far_numbers(axis, eps, scale, rng):
    standardize, x = ROWS["standardize"], (scale * rng.normal(3, 2, (40, 30, 20))).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)

    def both(x):
        out = standardize.raw(x, axis, eps)
        return out, standardize.rules["x"](g, x, out, axis, eps)

    for order in np.ascontiguousarray, np.asfortranarray:
        found = both(order(x))
        with textbook():
            wanted = both(order(x))
        for f, w in zip(found, wanted, strict=True):
            np.testing.assert_allclose(f, w, 3e-6, 3e-6 * np.abs(w).max(), strict=True)


def test_a_row_without_variance_warns(rng):
    x = rng.normal(size=SHAPE).astype(np.float32)
    x[7] = 3
    with pytest.warns(RuntimeWarning, match="invalid value"):
        assert np.isnan(ROWS["standardize"].raw(x, -1, 0.0)[7]).all()


@pytest.mark.parametrize("axis", [None, 0, (0, 1), (0, 1, 2), (1, 0), -1])
def test_sums(axis, rng):
    x = rng.uniform(0.1, 1, (60, 30, 20))
    given = {}, {"keepdims": True}, {"initial": 3}, {"where": x > 0.5}, {"dtype": np.longdouble}
    compare(operations["sum"], [([x, axis], options) for options in given], rng)


def test_a_number_beside_a_large_array(rng):
    x = rng.normal(size=SHAPE)
    np.testing.assert_array_equal(operations["relu_gradient"].raw(x, 1.0), x)
    np.testing.assert_array_equal(operations["relu_gradient"].raw(x, -1.0), 0 * x)


def test_an_assignment_writes_in_place_without_the_accelerators():
    with textbook():
        m = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True) * 1
        m[0, 0] = 0
        row = m[1]
        m[0, 1] = 7
        assert row.tolist() == [3, 4, 5]  # in a new array, `m` would no longer share memory with it


ACCELERATED = {
    p.name: p
    for p in primitives()
    if p.packaged and (p.forward is not p.formula or any(r.textbook is not r for r in p.rules.values()))
}


def longer(a, n, dtype, rng):
    """Return an array whose axes are `n` times as long, of numbers between two of an array that have the same sign."""
    if n > 1 and a.size:
        first, second = rng.choice(a.ravel(), (2, *(m if m == 1 else m * n for m in a.shape)))
        share = rng.random(first.shape)
        a = np.where(first * second > 0, first + (second - first) * share, first) if a.dtype.kind == "f" else first
        a = first * (1 - share / 10) if a.dtype.kind == "c" else a
    return a.astype(in_precision(a.dtype, dtype)) if a.dtype.kind in "fc" else a


def assert_agrees(found, want, exact, what):
    """Half of the digits are the same, or all bits and the memory order."""
    scale = max(np.abs(w[np.isfinite(w)]).max(initial=0) for w in want)
    for f, w in zip(found, want, strict=True):
        if exact and f.dtype.kind != "c":  # the last of an array's complex powers differ from the others in a bit
            assert_same(f, w, True, what)
        else:
            assert (f.shape, f.dtype) == (w.shape, w.dtype), what
            tolerance = scale * np.sqrt(np.finfo(f.dtype).eps) if f.dtype.kind in "fc" else 0
            np.testing.assert_allclose(f, w, 0, tolerance, err_msg=what)


@pytest.mark.parametrize("name", ACCELERATED)
def test_an_accelerated_operation_on_its_examples_and_on_longer_arrays(name, rng):
    p = ACCELERATED[name]
    for (given, options), long, dtype in product(examples_of(p, rng), (False, True), (np.float64, np.float32)):
        flat = p.bind(given, dict(options))
        shapes = [np.shape(a) for a in (p.raw(*given, **options), *flat) if isinstance(a, np.ndarray)]
        n = min(math.ceil((2**15 / max(1, math.prod(s))) ** (1 / max(1, len(s)))) for s in shapes) if long else 1
        flat = [longer(a, min(n, 1000), dtype, rng) if isinstance(a, np.ndarray) else a for a in flat]
        args, what = p.grouped([*flat]), f"{p.name} of {shapes}, {n} times as long"
        with np.errstate(all="ignore"):
            try:
                want = p.formula(*args)
            except Exception:
                assert long  # these lengths do not fit together
                break
            several = isinstance(want, tuple)
            found = p.forward(*args)
            assert_agrees(found if several else [found], want if several else [want], p.exact, what)
            for i, parameter in enumerate(p.flat_names(len(flat))):
                if parameter in p.rules and isinstance(flat[i], np.ndarray) and flat[i].dtype.kind in "fc":
                    flat[i] = Tensor(flat[i], requires_grad=True)
            node = p(*p.grouped(flat)).node
            g = rng.normal(size=node.shape).astype(node.dtype)
            for (_, rule, pick), (_, formula, picked) in zip(node.plan.steps, node.plan.formulas, strict=True):
                for writable in (False, True)[: 1 + rule.may_write] if rule is not formula else ():
                    h = g.copy()
                    h.flags.writeable = writable
                    want = results(formula, g, picked(node.saved))
                    found = rule.function(h, *pick(node.saved))  # a call of the rule would lock `h`
                    assert_agrees(found if rule.joint else [found], want, rule.exact, what)


@pytest.mark.parametrize("shape", [(5, 0), (2, 5, 0), (0, 0)])
def test_a_linear_layer_without_inputs_returns_its_bias(shape):
    b = np.arange(3, dtype=np.float32)
    y = operations["linear"](Tensor(np.ones(shape, np.float32)), np.ones((0, 3), np.float32), b)
    np.testing.assert_array_equal(y.data, np.broadcast_to(b, (*shape[:-1], 3)))
