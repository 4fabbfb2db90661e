"""What holds for every program, shape, index and subscript: tried on many that nobody chose."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

# Random programs


class Scalar:
    """The naive twin of the engine: one number, and the slope with respect to each number it was made from."""

    def __init__(self, value, parents=()):
        self.value = value
        self.parents = parents

    def slope(self, leaf):
        """The sum over every path: exponential, and hard to get wrong."""
        return float(self is leaf) + sum(s * parent.slope(leaf) for parent, s in self.parents)


def unary(f, slope):
    return lambda x: Scalar(f(x.value), [(x, slope(x.value))])


def binary(f, slopes):
    return lambda x, y: Scalar(f(x.value, y.value), list(zip((x, y), slopes(x.value, y.value), strict=True)))


def logistic(v):
    return 1 / (1 + math.exp(-v))


PROGRAM = {  # name: (engine, twin), bounded so that no composition overflows
    "add": (ag.add, binary(lambda x, y: x + y, lambda x, y: (1, 1))),
    "subtract": (ag.subtract, binary(lambda x, y: x - y, lambda x, y: (1, -1))),
    "multiply": (ag.multiply, binary(lambda x, y: x * y, lambda x, y: (y, x))),
    "quotient": (
        lambda x, y: x / (1 + y * y),
        binary(lambda x, y: x / (1 + y * y), lambda x, y: (1 / (1 + y * y), -2 * x * y / (1 + y * y) ** 2)),
    ),
    "maximum": (
        ag.maximum,
        binary(max, lambda x, y: ((x > y) + 0.5 * (x == y), (y > x) + 0.5 * (x == y))),
    ),
    "sin": (ag.sin, unary(math.sin, math.cos)),
    "tanh": (ag.tanh, unary(math.tanh, lambda x: 1 - math.tanh(x) ** 2)),
    "sigmoid": (ag.sigmoid, unary(logistic, lambda x: logistic(x) * logistic(-x))),
    "exp of tanh": (
        lambda x: ag.exp(ag.tanh(x)),
        unary(lambda x: math.exp(math.tanh(x)), lambda x: math.exp(math.tanh(x)) * (1 - math.tanh(x) ** 2)),
    ),
    "2 - x": (lambda x: 2 - x, unary(lambda x: 2 - x, lambda x: -1)),
    "x ** 2": (lambda x: ag.tanh(x) ** 2, unary(
        lambda x: math.tanh(x) ** 2, lambda x: 2 * math.tanh(x) * (1 - math.tanh(x) ** 2))),
    "relu": (ag.relu, unary(lambda x: max(x, 0.0), lambda x: float(x > 0))),
}  # fmt: skip
BINARY = ("add", "subtract", "multiply", "quotient", "maximum")
SMOOTH = tuple(name for name in PROGRAM if name not in ("maximum", "relu"))


def programs(names):
    """Lists of (operation, places of its operands among all values so far)."""
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=10)


def run(program, leaves, which):
    values = list(leaves)
    for name, i, j in program:
        operands = [values[i % len(values)], values[j % len(values)]][: 2 if name in BINARY else 1]
        values.append(PROGRAM[name][which](*operands))
    return values[-1]


numbers = st.floats(-2, 2, allow_subnormal=False)


@settings(max_examples=150)
@given(programs(tuple(PROGRAM)), st.tuples(numbers, numbers, numbers))
def test_a_program_of_numbers_agrees_with_the_naive_tape(program, start):
    leaves = [Tensor(v, requires_grad=True) for v in start]
    twins = [Scalar(v) for v in start]
    out, twin = run(program, leaves, 0), run(program, twins, 1)
    assume(abs(twin.value) < 1e6)
    assert out.item() == pytest.approx(twin.value, rel=1e-12, abs=1e-12)
    out.backward()
    for leaf, want in zip(leaves, twins, strict=True):
        assert (0 if leaf.grad is None else leaf.grad.item()) == pytest.approx(twin.slope(want), rel=1e-9, abs=1e-9)


@given(programs(SMOOTH))
def test_a_program_of_arrays_agrees_with_differences(program):
    """Shapes differ, so that every operation broadcasts; first and second order."""
    rng = np.random.default_rng(1)
    leaves = [rng.uniform(-1, 1, shape) for shape in ((), (3,), (2, 1))]

    def f(*leaves):
        return ag.tanh(run(program, leaves, 0))

    assume(np.ptp(f(*leaves)) < 1.99)
    ag.check_gradients(f, *leaves, order=2, rtol=1e-5, atol=1e-7)


@given(programs(SMOOTH))
def test_every_way_to_the_same_derivative_agrees(program):
    rng = np.random.default_rng(2)
    x, t = rng.uniform(-1, 1, 3), rng.normal(size=3)

    def f(x):
        return ag.sum(ag.tanh(run(program, [x, x[::-1], 0.5 * x], 0)))

    gradient, hessian = ag.grad(f)(x), ag.hessian(f)(x)
    np.testing.assert_allclose(ag.jacobian(f)(x), gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ag.vjp(f, x)[1](1.0)[0], gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ag.jvp(f, (x,), (t,))[1], gradient @ t, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ag.hvp(f, (x,), (t,))[0], hessian @ t, rtol=1e-9, atol=1e-9)
    leaf = Tensor(x, requires_grad=True)
    ag.checkpoint(f, leaf).backward()
    np.testing.assert_allclose(leaf.grad, gradient, rtol=1e-12, atol=1e-14)


# Broadcasting

PAIRS = list(itertools.product([(), (1,), (3,), (2, 1), (2, 3), (4, 1, 3)], repeat=2))


ALIKE = "multiply", "subtract", "divide", "maximum", "minimum"


@pytest.mark.parametrize(
    "name", ["add", "power", "where", *(pytest.param(name, marks=pytest.mark.slow) for name in ALIKE)]
)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_broadcast_pair(name, first, second, rng):
    x, y = rng.uniform(1, 2, first), rng.uniform(1, 2, second)
    f = getattr(ag, name)
    if name == "where":
        condition = rng.random(np.broadcast_shapes(first, second)) < 0.5
        f = lambda x, y: ag.where(condition, x, y)  # noqa: E731
    ag.check_gradients(f, x, y, order=2)
    x, y = (Tensor(v.astype(np.float32), requires_grad=True) for v in (x, y))
    f(x, y).sum().backward()
    assert (x.grad.shape, y.grad.shape) == (first, second)
    assert x.grad.dtype == y.grad.dtype == np.float32


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3))
def test_the_gradient_of_broadcasting_sums_over_the_copies(shapes):
    x, y = (Tensor(np.ones(shape), requires_grad=True) for shape in shapes.input_shapes)
    out = x + y
    assert out.shape == shapes.result_shape
    out.backward(np.ones(out.shape))
    for t in (x, y):
        assert t.grad.shape == t.shape
        assert (t.grad == (math.prod(out.shape) / t.size if t.size else 0)).all()


# Indexing

SHAPE = (3, 4, 2)
indices = st.one_of(
    hnp.basic_indices(SHAPE, allow_newaxis=True, allow_ellipsis=True),
    hnp.integer_array_indices(SHAPE, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
    hnp.arrays(bool, SHAPE),
    hnp.arrays(bool, SHAPE[:1]),
    st.lists(st.integers(-3, 2), min_size=1, max_size=5),
    st.tuples(st.slices(3), st.lists(st.integers(-4, 3), min_size=1, max_size=4)),
    st.tuples(hnp.arrays(np.int64, 2, elements=st.integers(-3, 2)), st.just(slice(None)), st.integers(0, 1)),
    st.tuples(hnp.arrays(np.int64, 3, elements=st.integers(-3, 2)), st.just(None), st.integers(-4, 3)),
)


@given(indices, indices)
def test_the_gradient_of_an_index_goes_back_to_the_indexed_elements(first, second):
    rng = np.random.default_rng(3)
    data = rng.normal(size=SHAPE)
    x = Tensor(data, requires_grad=True)
    want = np.zeros(SHAPE)
    total = 0.0
    for index in (first, second, first):  # the second and third go into the buffer of the first
        part = x[index]
        np.testing.assert_array_equal(part.data, data[index])
        g = rng.normal(size=part.shape)
        total = total + ag.sum(part * g)
        np.add.at(want, index, g)
    if isinstance(total, Tensor):
        total.backward()
        np.testing.assert_allclose(x.grad, want, rtol=1e-12, atol=1e-14)


@given(indices)
def test_indexing_is_differentiable_twice(index):
    x = np.random.default_rng(4).normal(size=SHAPE)
    hessian_times_one = ag.hvp(lambda x: ag.sum(x[index] ** 3) / 6, (x,), (np.ones(SHAPE),))[0]
    counts = np.zeros(SHAPE)
    np.add.at(counts, index, 1.0)
    np.testing.assert_allclose(hessian_times_one, counts * x, rtol=1e-12, atol=1e-14)


@given(st.sampled_from([0, 1, 2, -1, -2, None]), hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=4),
                                                            elements=st.integers(-2, 1)))  # fmt: skip
def test_the_gradient_of_take_goes_back_to_the_taken_elements(axis, where):
    data = np.random.default_rng(5).normal(size=SHAPE)
    ag.check_gradients(lambda x: ag.take(x, where, axis), data, eps=1.0, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(ag.take(Tensor(data), where, axis).data, np.take(data, where, axis))


# Shapes

axes = st.permutations(range(3)).flatmap(lambda p: st.tuples(*(st.sampled_from([a, a - 3]) for a in p)))


@given(axes)
def test_transpose(order):
    data = np.random.default_rng(6).normal(size=SHAPE)
    np.testing.assert_array_equal(ag.transpose(Tensor(data), order).data, np.transpose(data, order))
    ag.check_gradients(lambda x: ag.transpose(x, order), data, eps=1.0, rtol=1e-12, atol=1e-12)


@given(st.sampled_from(["sum", "mean", "max", "min", "var", "std", "logsumexp"]),
       st.one_of(st.none(), st.integers(-3, 2), st.sets(st.integers(0, 2)).map(tuple)), st.booleans())  # fmt: skip
def test_reduction(name, axis, keepdims):
    x = np.random.default_rng(7).normal(size=SHAPE)
    out = getattr(ag, name)(Tensor(x), axis=axis, keepdims=keepdims)
    assert out.shape == np.sum(x, axis=axis, keepdims=keepdims).shape
    if name != "std" or axis != ():  # the root of 0
        ag.check_gradients(lambda x: getattr(ag, name)(x, axis=axis, keepdims=keepdims), x, order=2)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(-3, 2), st.booleans())
def test_joining(extents, axis, stacked):
    rng = np.random.default_rng(8)
    parts = [rng.normal(size=SHAPE if stacked else [*SHAPE[:axis], n, *SHAPE[axis:][1:]]) for n in extents]
    f, numpy = (ag.stack, np.stack) if stacked else (ag.concatenate, np.concatenate)
    leaves = [Tensor(p, requires_grad=True) for p in parts]
    out = f(leaves, axis)
    np.testing.assert_array_equal(out.data, numpy(parts, axis))
    g = rng.normal(size=out.shape)
    out.backward(g)
    np.testing.assert_array_equal(numpy([leaf.grad for leaf in leaves], axis), g)


# Einstein summation

LETTERS = {"a": 2, "b": 3, "c": 1, "d": 2}
terms = st.text("abcd", max_size=3)


@given(st.lists(terms, min_size=1, max_size=3), st.data())
def test_einsum(inputs, data):
    letters = sorted(set("".join(inputs)))
    output = "".join(data.draw(st.permutations(letters)))[: data.draw(st.integers(0, len(letters)))]
    ellipsis = data.draw(st.lists(st.sampled_from([None, (), (2,), (1, 2)]), min_size=3, max_size=3))
    explicit = data.draw(st.booleans())
    rng = np.random.default_rng(10)
    spelled, arrays = [], []
    for term, lead in zip(inputs, ellipsis, strict=False):
        spelled.append(("" if lead is None else "...") + term)
        arrays.append(rng.normal(size=(*(lead or ()), *(LETTERS[c] for c in term))))
    dots = "..." if any("..." in term for term in spelled) else ""
    subscripts = ",".join(spelled) + (f"->{dots}{output}" if explicit else "")
    np.testing.assert_allclose(ag.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), rtol=1e-12, atol=1e-12)
    ag.check_gradients(lambda *a: ag.einsum(subscripts, *a), *arrays, eps=1.0, rtol=1e-11, atol=1e-11)


# Convolution and pooling


def pairs(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


sides, kernels, steps = pairs(1, 7), pairs(1, 4), pairs(1, 3)
margins = st.one_of(st.integers(0, 3), pairs(0, 3), st.tuples(pairs(0, 2), pairs(0, 2)))


@given(st.integers(0, 2), sides, kernels, steps, margins, steps, st.integers(1, 3), st.data())
def test_a_convolution_is_adjoint_to_its_gradients(n, size, kernel, stride, padding, dilation, groups, data):
    inputs, outputs = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    rng = np.random.default_rng(11)
    x, w = rng.normal(size=(n, *size, inputs)), rng.normal(size=(*kernel, inputs // groups, outputs))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    try:
        y, back = ag.vjp(lambda x, w: ag.conv2d(x, w, **options), x, w)
    except ValueError as error:
        assert "padding < kernel" in str(error)
        return
    g = rng.normal(size=y.shape)
    gx, gw = back(g)
    np.testing.assert_allclose([np.vdot(x, gx), np.vdot(w, gw)], [np.vdot(y, g)] * 2, rtol=1e-11, atol=1e-11)
    if n and x.size + w.size < 60:
        ag.check_gradients(lambda x, w: ag.conv2d(x, w, **options), x, w, order=2, eps=1.0, rtol=1e-10, atol=1e-10)


@given(sides, kernels, steps, st.booleans())
def test_pooling_of_any_window(size, kernel, stride, padded):
    padding = tuple(k // 2 for k in kernel) if padded else 0
    assume(all(n + 2 * (k // 2 if padded else 0) >= k for n, k in zip(size, kernel, strict=True)))
    x = np.random.default_rng(12).permutation(2 * math.prod(size)).reshape(1, *size, 2) * 0.1
    for pool in (ag.max_pool2d, ag.avg_pool2d):
        ag.check_gradients(lambda x, f=pool: f(x, kernel, stride, padding), x, order=2)
