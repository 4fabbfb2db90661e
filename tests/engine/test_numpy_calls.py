"""NumPy's functions around a Tensor: recorded, as tests/uses has them, or refused, never an object array."""

import operator
from contextlib import nullcontext
from operator import attrgetter

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import CONSTANT, plain
from autograd_cnn.engine.observe import observing
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf, recorded

IMAGE = np.arange(24.0).reshape(2, 3, 4)


# A function that has NumPy's name, or one of the package's, and is neither


def of_numba():
    numba = pytest.importorskip("numba")

    @numba.vectorize
    def gelu(x):
        return 3.0 * x

    @numba.vectorize(["float64(float64)"])
    def exp(x):
        return 3.0 * x

    @numba.guvectorize(["void(float64[:], float64[:])"], "(n)->(n)")
    def softmax(x, out):
        out[:] = x

    return {"gelu": gelu, "exp": exp, "softmax": softmax}


def of_scipy():
    special = pytest.importorskip("scipy.special")
    names = "huber", "expm1", "log1p", "cbrt", "ellipk", "exp10"
    return {f"scipy.special.{name}": getattr(special, name) for name in names}


@pytest.mark.parametrize("functions", [of_numba, of_scipy])
def test_a_function_of_another_library_is_never_taken_for_one_of_its_name(functions):
    x = leaf([0.25, 0.5])
    for name, f in functions().items():
        with pytest.raises(TypeError, match=f"^{name} (has no derivative here. Leave the graph|is not recorded. Here)"):
            f(*[x] * f.nin)
        f(*[x.data] * f.nin)  # the cure


@pytest.mark.parametrize(("name", "cure"), [
    ("expm1", "np.expm1(x)"), ("exp10", "10.0**x"),
])  # fmt: skip
def test_scipys_function_is_refused_with_its_equivalent(name, cure):
    f = getattr(pytest.importorskip("scipy.special"), name)
    x = leaf([0.25, 0.5])
    with pytest.raises(TypeError) as caught:
        f(*[x] * f.nin)
    assert str(caught.value) == f"scipy.special.{name} is not recorded. Here: {cure}"
    equivalent = recorded(eval(cure, {"np": np, "ag": ag, "x": x, "p": x, "y": x}))
    np.testing.assert_allclose(equivalent.data, f(*[x.data] * f.nin))


def own(name):
    """Make a primitive that triples, under a given name, which is forgotten after the test."""
    made = ag.primitive(name=name)(lambda x: 3.0 * x)
    made.vjp(x=lambda g: 3.0 * g)
    return made


@pytest.mark.parametrize(("name", "numpys"), [
    ("i0", np.i0), ("nextafter", lambda x: np.nextafter(x, x)), ("poly", np.poly),
    ("subtract.reduce", np.subtract.reduce), ("amax", np.amax), ("add.reduce", np.add.reduce), ("sign", np.sign),
    ("round", np.round),
])  # fmt: skip
def test_an_own_primitive_never_answers_for_numpys_function_of_its_name(name, numpys):
    def outcome():
        try:
            return np.asarray(plain(numpys(x))).tolist()
        except TypeError as error:
            return str(error)

    x = leaf([0.25, 0.5])
    before = outcome()
    made = own(name)
    assert outcome() == before
    assert recorded(made(x)).tolist() == [0.75, 1.5]


def test_an_own_primitive_is_a_method_unless_arrays_have_one_of_its_name():
    x = leaf([0.26, 0.54])
    own("round"), own("triple")
    assert recorded(x.triple()).data.tolist() == [3 * 0.26, 3 * 0.54]
    assert x.round(1).tolist() == [0.3, 0.5]


# Plain arrays


def test_functions_without_a_derivative_return_plain_arrays():
    x, y = leaf([1.0, -2.0]), leaf([1.0, 3.0])
    for out in (
        x > 0, x == y, x != 1, x <= y, np.array([0.0, 0.0]) < x, np.isfinite(x), np.greater(x, y), np.spacing(x),
        np.argmax(x), np.argsort(x), x.argmax(), x.argmin(), np.any(x > 0), np.isclose(x, y), np.shape(x),
        np.logical_not(x), np.array_equal(x, y), np.searchsorted(x, y),
        np.histogram(x.data, 2)[0], np.digitize(x, y), np.isin(x, y),
        np.argwhere(x), np.nanargmax(x), np.argpartition(x, 1), np.lexsort((x, y)), np.isreal(x),
        np.linalg.matrix_rank(np.outer(x.data, y.data)), np.array2string(x), np.bincount([0, 1]),
    ):  # fmt: skip
        assert not isinstance(out, Tensor)
        assert np.asarray(out).dtype != object
    np.testing.assert_array_equal(x == y, [True, False])
    for text in "same", b"same", np.array(["a", "b"]), np.array([b"a", b"b"]):  # as arrays do: no number is a text
        assert not (x == text).any() and (x != text).all()
    np.testing.assert_array_equal(np.zeros_like(x), [0, 0])
    np.testing.assert_array_equal((x * 1.26).round(1), [1.3, -2.5])


STEPS = {
    np.round: [2.0, -2.0], np.around: [2.0, -2.0], np.fix: [1.0, -2.0], np.rint: [2.0, -2.0], np.floor: [1.0, -3.0],
    np.ceil: [2.0, -2.0], np.trunc: [1.0, -2.0], np.sign: [1.0, -1.0], (lambda t: np.heaviside(t, 0.5)): [1.0, 0.0],
    (lambda t: t // 2): [0.0, -2.0], (lambda t: 5 // t): [3.0, -3.0], (lambda t: np.float64(1) // t): [0.0, -1.0],
    (lambda t: t.round()): [2.0, -2.0],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")
@pytest.mark.parametrize("observed", [False, True], ids=["", "observed"])
@pytest.mark.parametrize(("step", "want"), STEPS.items(), ids=[f.__name__ for f in STEPS])
def test_a_step_gives_a_tensor_that_tells_who_differentiates_it_why_it_cannot(step, want, observed):
    x = leaf([1.6, -2.1])
    with observing(lambda call: None) if observed else nullcontext():
        y, number = step(x), step(x[:1].reshape(()))
    np.testing.assert_array_equal(y.data, want)
    assert isinstance(number.data, np.ndarray) and number.item() == want[0]
    with pytest.raises(ValueError, match="has no history. It was made .* by a step such as np.round"):
        y.sum().backward()


def test_numpy_converts_a_tensor_without_history():
    x = Tensor([1.0, 2.0])
    np.testing.assert_array_equal(np.asarray(x), [1, 2])
    np.testing.assert_array_equal(np.array([x, x]), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(np.asarray((leaf([1.0]) * 2).detach()), [2])
    assert np.asarray(x, dtype=np.float32).dtype == np.float32


def test_every_constant_function_is_numpys():
    for name in CONSTANT:
        assert callable(attrgetter(name)(np))
        assert name not in registry


def numbers(result):
    return np.concatenate([np.ravel(part) for part in (result if isinstance(result, (list, tuple)) else [result])])


OTHERS = "array_repr array_str array2string empty_like full_like heaviside save savez savez_compressed savetxt".split()


@pytest.mark.parametrize("name", sorted(CONSTANT.difference(OTHERS)))
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")
def test_what_a_function_without_a_derivative_returns_does_not_vary_with_its_inputs(name, rng):
    """Tried with small steps, as a type or an integer would not show elements or edges of bins."""
    f, x = attrgetter(name)(np), rng.normal(size=6)
    for args in [x], [x, x[::-1] + np.eye(6)[0]], [np.outer(x, x)]:
        try:
            before = numbers(f(*args))
        except (TypeError, ValueError):
            continue  # not the arguments of this function
        np.testing.assert_array_equal(numbers(f(*map(Tensor, args))), before)
        np.testing.assert_array_equal(numbers(f(*map(leaf, args))), before)
        np.testing.assert_array_equal(numbers(f(*(a * (1 + 1e-9) for a in args))), before)


# Refused


@pytest.mark.parametrize("program", [
    lambda t: np.asarray(t), lambda t: np.array([t, t]), lambda t: np.nextafter(t, 1.0),
    lambda t: np.piecewise(t, [t > 0], [np.square, 0.0]), lambda t: np.interp(t, [0.0, 1.0], [2.0, 3.0], period=1.0),
    lambda t: np.histogram(np.ones(2), weights=t), lambda t: np.histogram(t, 2, (0, 1)), lambda t: np.unique(t),
    lambda t: np.union1d(t, [1.0]), lambda t: np.ix_(t.astype(int)), lambda t: np.full_like(t, t),
    lambda t: np.heaviside(np.zeros(2), t), lambda t: np.linspace(t, 1.0, retstep=True),
    lambda t: np.linalg.svd(t, hermitian=True), lambda t: np.dot(t, t, out=np.zeros(())),
    lambda t: np.subtract.reduce(t), lambda t: np.add.at(t, 0, 1.0), lambda t: np.add(np.ones(2), t, out=np.zeros(2)),
    lambda t: np.exp(t, where=np.array([True, False])), lambda t: np.add(t, 1, dtype=np.float32),
    lambda t: operator.imul(np.ones(2), t), lambda t: operator.iadd(np.ones(2), t), lambda t: np.copyto(np.zeros(2), t),
    lambda t: np.vectorize(float)(t), lambda t: np.mean(t, dtype=int), lambda t: np.cumsum(t * 1j, dtype=float),
])  # fmt: skip
def test_a_call_that_would_leave_the_graph_raises(program):
    with pytest.raises(TypeError):
        program(leaf([1.0, 2.0]) * 1)


def test_methods_of_arrays():
    x = leaf(IMAGE)
    for f in (
        lambda t: t.argsort(axis=0), lambda t: t.any(axis=1), lambda t: t.all(),
        lambda t: t.nonzero(), lambda t: t.searchsorted(3.0) if t.ndim == 1 else t[0, 0].searchsorted(1.0),
    ):  # fmt: skip
        got, want = f(x), f(IMAGE)
        assert not isinstance(got, Tensor)
        np.testing.assert_array_equal(got, want)
    assert {"cumsum", "prod", "dot", "at", "mT", "relu"} <= set(dir(x))


@pytest.mark.parametrize("name", ["sort", "partition", "resize"])
def test_a_method_that_changes_an_array_in_place_is_refused(name):
    with pytest.raises(AttributeError, match=rf"Tensor has no '{name}'. Here: .*ag.{name}.*: new arrays"):
        getattr(leaf([2.0, 1.0]), name)
    assert name not in dir(leaf([2.0, 1.0]))
