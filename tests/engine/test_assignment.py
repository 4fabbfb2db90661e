"""Assignment to Tensors: NumPy's numbers and right gradients, or a refusal. Old graphs keep their numbers."""

import gc
import re
import tracemalloc

import numpy as np
import pytest

import autograd_cnn as ag
from assigned_programs import Program
from autograd_cnn.engine.tensor import Tensor
from leaves import differences

REFUSALS = "is a parameter|shares memory with|an assignment changed its numbers|more dimensions"


def run(program, x, np=np, **constants):
    scope = {"np": np, **program.constants, **constants, "x": x}
    exec(program.source, scope)
    return scope["result"]


def result(program, x):
    """Compare value and gradient of a random program with NumPy's run and differences; return whether it is taken."""
    try:
        value, gradient = ag.value_and_grad(lambda x: run(program, x) + 0 * x.sum())(x)
    except (TypeError, ValueError, RuntimeError) as error:
        assert re.search(REFUSALS, str(error)), error
        return False
    np.testing.assert_allclose(value, run(program, x.copy()), 1e-12, err_msg=program.source)
    want = differences(lambda x: run(program, x.copy()), x)
    np.testing.assert_allclose(gradient, want, 1e-5, 1e-6 * (1 + abs(want).max()), err_msg=program.source)
    return True


@pytest.mark.parametrize("count", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_random_programs_have_the_numbers_of_numpy_or_are_refused(count):
    programs = enumerate(map(Program, range(count)))
    results = [result(p, np.random.default_rng(seed).normal(size=p.shape)) for seed, p in programs]
    assert sum(results) > count // 3


INDICES = [
    0, -1, slice(1, None), (1, 2), (slice(None), 1), ..., (..., None, 0), None, [2, 0], (), (0, [1, 1]),
    np.arange(12).reshape(3, 4) % 2 == 0, np.array([1, 1, 0]), (np.array([0, 2]), np.array([1, 3])),
    (np.array([True, False, True]), 2),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_assignment_has_the_derivatives_of_set(index):
    x, d = np.random.default_rng(0).normal(size=(2, 3, 4))
    v = np.arange(1.0, 1 + x[index].size).reshape(x[index].shape)

    def assigned(x, v):
        h = np.sin(x)
        h[index] = v * x[0, 0]
        h[index] *= 1.5
        return h * h

    def built(x, v):
        h = np.sin(x).at[index].set(v * x[0, 0])
        h = h.at[index].set(h[index] * 1.5)
        return h * h

    def total(f):
        return lambda x: np.sum(f(x, v))

    def results(f):
        y, back = ag.vjp(f, x, v)
        return y, *back(d), *ag.jvp(f, (x, v), (d, v)), *ag.jacobian(f, (0, 1))(x, v), ag.hessian(total(f))(x)

    for got, want in zip(results(assigned), results(built), strict=True):
        np.testing.assert_allclose(got, want, 1e-12)


def test_operations_before_an_assignment_keep_their_numbers():
    x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    h = x * 1
    earlier = h * h
    h[1:] = 10.0
    view = h[:2]
    between = view * h[0] * h.reshape(3, 1)
    h[0] = x[2]
    (earlier.sum() + between.sum() + h.sum()).backward()
    assert earlier.tolist() == [1, 4, 9] and h.tolist() == [3, 10, 10]
    assert x.grad.tolist() == [2 + 263, 4, 6 + 1]  # `between` is x (x + 10) (x + 20)


def test_a_loop_fills_one_array_forward_and_back():
    def run(n):
        x = ag.Tensor(np.ones(4000), requires_grad=True)
        out = ag.Tensor(np.zeros((n, 4000)))
        tracemalloc.start()
        out[0] = x
        for i in range(1, n):
            previous = out[i - 1]
            out[i] = previous * 0.5
        node = out.node
        out[-1].sum().backward()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert x.grad.tolist() == [0.5 ** (n - 1)] * 4000
        return peak / out.data.nbytes, node

    many, node = run(60)
    assert many < 6  # arrays: the loop of `set` makes 60
    assert node.plan.may_write or not vars(ag).get("get_num_threads")


def test_a_view_that_an_assignment_changes_is_not_read_again():
    m = ag.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True) * 1
    m[0, 0] = 0  # `m` gets memory of its own
    row, other, copy, number, turned, same = m[0], m[1], m[0].copy(), m[0, 1], m.T, +m
    m[0, 1] = 7
    assert same.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert other.tolist() == [3, 4, 5] and copy.tolist() == [0, 1, 2] and number.item() == 1
    for view in row, turned:
        for use in (lambda t: t + 1, lambda t: t.shape, np.sum, lambda t: t[0], lambda t: t.__setitem__(0, 1.0), repr):
            with pytest.raises(RuntimeError, match="an assignment changed its numbers"):
                use(view)
    assert m[0].tolist() == [0, 7, 2]


@ag.primitive
def turned(x):
    return x.T


turned.vjp(x=lambda g: g.T)
VIEWS = [
    lambda m: m[0], lambda m: m.T, lambda m: m.reshape(6), np.flip, np.diagonal, lambda m: m.detach(), turned,
    lambda m: np.einsum("ij->ji", m), lambda m: m[0].detach()[:2], lambda m: ag.checkpoint(lambda x: x.T, m),
    lambda m: ag.stop_gradient({"m": m})["m"], lambda m: next(iter(m)),
]  # fmt: skip


@pytest.mark.parametrize("read", VIEWS)
def test_an_assignment_to_a_view_is_refused_as_long_as_others_share_its_memory(read):
    m = ag.Tensor(np.zeros((2, 3)), requires_grad=True) * 1
    view = read(m)
    gc.freeze()  # from now on the garbage collector does not list them
    try:
        with pytest.raises(RuntimeError, match=r"view\[...\] = v: view shares memory with"):
            view[0] = 1.0
        m[:] = 7.0
        with pytest.raises(RuntimeError, match="an assignment changed its numbers"):
            view.sum()
    finally:
        gc.unfreeze()


def test_an_array_that_others_hold_is_not_replaced_in_one_tensor_alone():
    x, a, b = ag.Tensor(1.0, requires_grad=True), ag.Tensor(np.zeros(2)), ag.Tensor(np.zeros(2))
    a.data = b.data
    with pytest.raises(RuntimeError, match="a has an array that was assigned to its data, and that others may hold"):
        a[0] = x
    b[0] = x
    with pytest.raises(RuntimeError, match="an assignment changed its numbers"):
        a.sum()
    c = ag.Tensor(np.zeros(2))
    c.data = np.ones(2)
    c = c.copy()  # the cure
    c[0] += x
    assert c.tolist() == [2, 1]


def test_a_view_that_is_alone_may_be_assigned_to():
    x = ag.Tensor(np.zeros((2, 3)), requires_grad=True)
    m = (x * 2).T
    m[0] = 1.0
    m.sum().backward()
    assert m.tolist() == [[1, 1], [0, 0], [0, 0]] and x.grad.tolist() == [[0, 2, 2], [0, 2, 2]]


def test_parts_of_a_tensor_move_inside_of_it_as_in_numpy():
    x = np.arange(5.0)

    def f(x, np=np):
        t = x * 1
        t[1:] = t[:-1]
        t[:2] += t[3:]
        t[...] = t[::-1]
        return (t * [1, 10, 100, 1000, 10000]).sum()

    value, gradient = ag.value_and_grad(f)(x)
    assert value == f(x)
    np.testing.assert_allclose(gradient, differences(f, x), 1e-6)


def test_values_in_the_memory_that_a_mask_writes_are_read_before():
    """NumPy reads some of them after it wrote them: [4, 3, 2, 3, 4]."""
    x = ag.Tensor(np.arange(5.0), requires_grad=True)
    for t in ag.Tensor(x.data), x * 1, x * 1:
        t[0] = t[0]
        t[np.ones(5, bool)] = t[::-1]
        assert t.tolist() == [4, 3, 2, 1, 0]


NEW = [np.zeros_like, np.ones_like, np.empty_like, lambda x: np.full_like(x, 3)]


@pytest.mark.parametrize("new", NEW)
def test_new_arrays_like_a_tensor_are_tensors_to_fill(new):
    def f(x):
        out = new(x)
        assert isinstance(out, Tensor) and out.dtype == x.dtype and out.shape == x.shape and not out.requires_grad
        out[:] = [0.0, x[1] ** 2]
        return out.sum()

    assert ag.grad(f)(np.array([1, 3], np.float32)).tolist() == [0, 6]


def number_into_an_array(x):
    np.zeros((2, 2))[0, 1] = x[0]


def number_into_complex_numbers(x):
    np.zeros(2, complex)[0] += x[0]


REFUSED = [
    (lambda x: x.__setitem__(0, 1.0), RuntimeError, "x is a parameter. Assign to a copy: x = x.copy()"),
    (lambda x: ag.no_grad()(x.__setitem__)(0, 1.0), RuntimeError, r"x is a parameter. In place: x.data\[...\] = v"),
    (lambda x: ag.Tensor([1, 2]).__setitem__(0, x[0]), RuntimeError,
     r"is int64, and v float64\..* = x.astype\(np.float64"),
    (lambda x: ag.Tensor([1.0]).__setitem__(0, x[0] * 1j), RuntimeError, "is float64, and v complex128"),
    (lambda x: (x * 1).__setitem__(5, 1.0), IndexError, "out of bounds"),
    (lambda x: (x * 1).__setitem__(0, x), ValueError, "set_at: "),
    (lambda x: ag.no_grad()((x * 1).__setitem__)(0, 1.0), RuntimeError, r"has a history \(multiply"),
    (lambda x: np.zeros(2).__setitem__(slice(None), x), TypeError, "would leave the graph"),
    (number_into_an_array, ValueError, "setting an array element"),
    (number_into_complex_numbers, TypeError, r"complex\(x\) would leave the graph. To fill an array"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "kind", "message"), REFUSED)
def test_what_would_lose_a_gradient_is_refused(program, kind, message):
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(kind, match=message) as caught:
        program(x)
    if program is number_into_an_array:  # NumPy hides the error, and names it as the cause
        assert "To fill an array: out = ag.Tensor(out)" in str(caught.value.__cause__)


def test_a_checkpoint_may_fill_tensors_of_its_own_only():
    def inside(x):
        out = np.zeros_like(x)
        out[0] = x[0] * x[1]
        return out.sum()

    buffer = ag.Tensor(np.zeros(2))

    def outside(x):
        buffer[0] = x[0]
        return x.sum()

    x = ag.Tensor([2.0, 3.0], requires_grad=True)
    ag.checkpoint(inside, x).backward()
    assert x.grad.tolist() == [3, 2]
    with pytest.raises(RuntimeError, match="which no_grad and checkpoint end"):
        ag.checkpoint(outside, x).backward()


def test_threads_fill_parts_of_one_tensor(in_threads):
    x = ag.Tensor(np.arange(200.0), requires_grad=True)
    out = np.zeros_like(x)

    def fill(start):
        for i in range(start, 200, 2):
            out[i] = x[i] * x[i]

    in_threads(2, fill)
    out.sum().backward()
    assert out.tolist() == (x.data**2).tolist() and x.grad.tolist() == (2 * x.data).tolist()
