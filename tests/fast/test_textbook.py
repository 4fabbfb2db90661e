"""Every accelerated operation and rule beside its form in the textbook, for the kernels that are installed."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from autograd_cnn import Tensor
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.observe import operations
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.fast.attach import attach, detach

ELEMENTWISE = {p.name: p for p in operations.values() if isinstance(p, Primitive) and p.elementwise}
ROWS = {p.name: p for p in operations.values() if isinstance(p, Primitive) and p.name in ("softmax", "log_softmax")}
SPECIAL = np.nan, np.inf, -np.inf, 0.0, -0.0, 1000, -1000, 1e-30
SHAPE = 130, 301  # more numbers than the smallest array for which blocks and tiles pay
OTHER = {
    "Fortran order": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


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


def assert_same(fast, slow, exact, dtype):
    assert (fast.dtype, fast.shape) == (slow.dtype, slow.shape)
    if exact:
        np.testing.assert_array_equal(fast, slow, strict=True)
        assert fast.strides == slow.strides
    else:
        tolerance = 3e-6 if dtype == np.float32 else 1e-11
        np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance)


def every_example(p, rng):
    return [(args, options) for args, options in examples_of(p, rng) if any(isinstance(a, np.ndarray) for a in args)]


def compare(p, args, options, rng, dtype, special):
    """Compare a call and its rules, which get a writable `g`, with those of the textbook."""
    with np.errstate(all="ignore"):
        fast = p.raw(*args, **options)
        with textbook():
            slow = p.raw(*args, **options)
        assert_same(fast, slow, False, dtype)
        wanted = [Tensor(a, requires_grad=True) if n in p.rules and getattr(a, "dtype", 0) == dtype else a
                  for n, a in zip(p.parameters, args, strict=False)]  # fmt: skip
        out = p(*wanted, **options)
        if not out.requires_grad:
            return
        g = rng.normal(size=out.shape).astype(out.dtype)
        if special:
            g.reshape(-1)[::977] = np.resize([0, np.inf, np.nan], g.reshape(-1)[::977].shape)
        plan, saved = out.node.plan, out.node.saved
        for (_, rule, pick), (_, formula, pick_slow) in zip(plan.steps, plan.formulas, strict=True):
            with textbook():
                expected = results(formula, g.copy(), pick_slow(saved))
            for given in g, np.asfortranarray(g):
                found = results(rule, given.copy(order="K"), pick(saved))
                for c, e in zip(found, expected, strict=True):
                    assert_same(c, e, False, dtype)
                if rule.is_formula(given, *pick(saved)):  # the bits of the formula, in which operations are fast ones
                    for c, e in zip(found, results(formula, given.copy(order="K"), pick_slow(saved)), strict=True):
                        assert_same(c, e, True, dtype)


def results(rule, g, values):
    return rule(g, *values) if rule.joint else (rule(g, *values),)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_operation(name, dtype, special, rng):
    p = ELEMENTWISE[name]
    for args, options in every_example(p, rng):
        compare(p, large(args, rng, dtype, special), options, rng, dtype, special)


@pytest.mark.parametrize("layout", OTHER.values(), ids=OTHER)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_operation_of_any_layout(name, layout, rng):
    p = ELEMENTWISE[name]
    args, options = every_example(p, rng)[0]
    arrays = [layout(a) if isinstance(a, np.ndarray) else a for a in large(args, rng, np.float32, False)]
    compare(p, arrays, options, rng, np.float32, False)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_operation_that_broadcasts(name, rng):
    p = ELEMENTWISE[name]
    for shapes in (SHAPE, SHAPE[1:]), ((130, 1), SHAPE), ((3, *SHAPE), (3, 1, 1)):
        args, options = every_example(p, rng)[0]
        compare(p, large(args, rng, np.float64, False, shapes), options, rng, np.float64, False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4), (40, 500), (7, 30, 100), (5000, 10)])
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, shape, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    for axis in -1, 0, 1:
        compare(ROWS[name], [x, axis], {}, rng, dtype, False)
    x[0, ..., :2] = np.inf, np.nan
    x[1] = -np.inf
    compare(ROWS[name], [x, -1], {}, rng, dtype, False)


PRODUCTS = {
    "matmul": [((200, 300), (300, 70)), ((3, 40, 90), (90, 60)), ((5, 1, 60, 70), (30, 70, 80)), ((3, 4), 4)],
    "linear": [((500, 300), (300, 40), 40), ((7, 60, 50), (50, 30)), (30, (30, 20), 20)],
}


@pytest.mark.parametrize(("name", "shapes"), [(name, shapes) for name, all in PRODUCTS.items() for shapes in all])
def test_products(name, shapes, rng):
    args = [rng.uniform(0.1, 1, shape) for shape in shapes]
    compare(operations[name], args, {}, rng, np.float64, False)  # in float32, the order of sums shows


@pytest.mark.parametrize("axis", [None, 0, (0, 1), (0, 1, 2), (1, 0), -1])
def test_sums(axis, rng):
    x = rng.uniform(0.1, 1, (60, 30, 20))
    for options in {}, {"keepdims": True}, {"initial": 3}, {"where": x > 0.5}, {"dtype": np.longdouble}:
        compare(operations["sum"], [x, axis], options, rng, np.float64, False)


def test_a_number_beside_a_large_array(rng):
    x = rng.normal(size=SHAPE)
    np.testing.assert_array_equal(operations["relu_gradient"].raw(x, 1.0), x)
    np.testing.assert_array_equal(operations["relu_gradient"].raw(x, -1.0), 0 * x)
