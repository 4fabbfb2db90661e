"""Every primitive under `vmap`: on batches of its own examples, it does what a loop over the examples does."""

from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
import vmapped
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.observe import primitives

SIZE = 3
PRIMITIVES = {p.name: p for p in primitives() if p.__module__.startswith("autograd_cnn.")}
every_primitive = pytest.mark.parametrize("name", PRIMITIVES)

ALWAYS = "batch_norm convolve"
LOOPS = f"{ALWAYS} concatenate cumprod cumsum reshape roll"  # without an axis, or in the order "F"
OF_EACH = "conv2d conv2d_weight_gradient conv_transpose2d".split()  # with weights for each example


def calls(primitive, dtype=np.float64):
    """Functions of the operands that have a rule, and these operands, for each example of a primitive."""
    for args, options in examples_of(primitive, np.random.default_rng(0)):
        flat = primitive.bind(args, dict(options))
        names = primitive.flat_names(len(flat))
        flat = [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in flat]
        places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and names[i] in primitive.rules]

        def f(*arrays, flat=flat, places=places):
            filled = list(flat)
            for place, array in zip(places, arrays, strict=True):
                filled[place] = array
            return [primitive(*primitive.grouped(filled))]

        yield f, [flat[i] for i in places]


def batch(array, size=SIZE, axis=0):
    """Copies of an array whose numbers change a little, and not their order."""
    return np.stack([array * array.dtype.type(1 - 0.01 * i) for i in range(size)], axis)


def ways(n):
    """Axes of the examples in `n` operands: in one of them, in each, and along another axis."""
    ones = [[0 if i == k else None for i in range(n)] for k in range(n)]
    return [*ones, [0] * n, [-1] * n] if n > 1 else [[0], [-1]]


def batched(arrays, axes, size=SIZE):
    return [
        a if axis is None else batch(a, size, a.ndim if axis == -1 else axis)
        for a, axis in zip(arrays, axes, strict=True)
    ]


def positive(arrays, axes):
    return [a.ndim if axis == -1 else axis for a, axis in zip(arrays, axes, strict=True)]


def cases(name, dtype=np.float64):
    """A function of each example of a primitive, batches of its operands, and their axes."""
    for f, arrays in calls(PRIMITIVES[name], dtype):
        for way in ways(len(arrays)):
            yield f, arrays, batched(arrays, way), positive(arrays, way)


def gradients(f, arrays, dtype=np.float64):
    """The gradients of ``f(*arrays)``, for a random cotangent."""
    g = np.random.default_rng(1).normal(size=np.shape(vmapped.numbers(f(*arrays)[0]))).astype(dtype)
    return vmapped.slopes(f, [g], range(len(arrays)))


def repeated(f, times, x):
    return f(*[x] * times)


SLOW = (np.float64, True), (np.float32, False), (np.float32, True)


@pytest.mark.parametrize(
    ("dtype", "slopes"), [(np.float64, False), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
@every_primitive
def test_values_and_gradients(name, dtype, slopes):
    for f, arrays, given, axes in cases(name, dtype):
        g = gradients(f, arrays, dtype) if slopes else f
        want, rtol = vmapped.looped(g, given, axes, SIZE), 1e-9 if dtype == np.float64 else 1e-4
        vmapped.check(vmapped.mapped(g, given, axes)[0], want, f"{name} {axes}", rtol)


def test_which_primitives_run_in_a_loop():
    looping = {n for name in PRIMITIVES for f, _, given, axes in cases(name) for n in vmapped.mapped(f, given, axes)[1]}
    assert looping == {name for name in LOOPS.split() if name in PRIMITIVES}


@pytest.mark.slow
@every_primitive
def test_nested(name):
    f, arrays = next(calls(PRIMITIVES[name]))
    once = [batch(a) for a in arrays]
    given, outer = [batch(once[0], 2), *once[1:]], [0, *[None] * (len(arrays) - 1)]
    for g in f, gradients(f, arrays):
        got, _ = vmapped.mapped(ag.vmap(g), given, outer)
        rows = [vmapped.looped(g, [row, *once[1:]], [0] * len(arrays), SIZE) for row in given[0]]
        vmapped.check(got, [np.stack(parts) for parts in zip(*rows, strict=True)], name)


@pytest.mark.slow
@every_primitive
def test_pullbacks(name):
    for f, arrays in calls(PRIMITIVES[name]):
        y, pull = ag.vjp(lambda *arrays, f=f: f(*arrays)[0], *arrays)
        seeds = [batch(np.random.default_rng(1).normal(size=y.shape).astype(y.dtype))]
        vmapped.check(vmapped.mapped(pull, seeds, [0])[0], vmapped.looped(pull, seeds, [0], SIZE), name)


@pytest.mark.slow
@every_primitive
def test_one_array_for_all_operands(name):
    for f, arrays in calls(PRIMITIVES[name]):
        if len(arrays) > 1 and len({a.shape for a in arrays}) == 1 and name != "bce_with_logits":
            again, given = partial(repeated, f, len(arrays)), [batch(arrays[0])]
            for g in again, gradients(again, arrays[:1]):
                vmapped.check(vmapped.mapped(g, given, [0])[0], vmapped.looped(g, given, [0], SIZE), name)


@pytest.mark.slow
@every_primitive
def test_batches_of_one_example_or_none(name):
    for f, arrays in calls(PRIMITIVES[name]):
        axes, one = [0] * len(arrays), [a[None] for a in arrays]
        got, looping = vmapped.mapped(f, one, axes)
        vmapped.check(got, vmapped.looped(f, one, axes, 1), name)
        none = [np.empty((0, *a.shape)) for a in arrays]
        if looping or name in OF_EACH:
            with pytest.raises(ValueError, match="no examples"):
                vmapped.mapped(f, none, axes)
        else:
            assert vmapped.mapped(f, none, axes)[0][0].shape == (0, *got[0].shape[1:])


PLACES = np.array([0, 2, 1])
APART = [(0, slice(None), PLACES), (PLACES, slice(None), PLACES), (PLACES, None, PLACES), (slice(1, 3), PLACES, PLACES)]


@pytest.mark.parametrize("index", APART, ids=["number", "slice", "new axis", "together"])
def test_arrays_of_an_index_may_stand_apart(index, rng):
    x = rng.normal(size=(SIZE, 3, 4, 5))
    values = rng.normal(size=(SIZE, *x[0][index].shape))
    for f in (
        lambda x, v: [ag.getitem(x, index)],
        lambda x, v: [ag.set_at(x, index, v)],
        lambda x, v: [ag.add_at(x, index, v)],
        lambda x, v: [ag.scatter(v, index, x.shape)],
    ):
        for axes in [0, 0], [0, None], [None, 0]:
            given = [a if axis == 0 else a[0] for a, axis in zip((x, values), axes, strict=True)]
            vmapped.check(vmapped.mapped(f, given, axes)[0], vmapped.looped(f, given, axes, SIZE), str(axes))


@pytest.mark.parametrize("axes", [[0, 0], [None, 0], [0, None]], ids=str)
def test_each_example_has_an_index_of_its_own(axes, rng):
    x, i = rng.normal(size=(SIZE, 4, 5)), rng.integers(-4, 4, (SIZE, 2, 3))
    given = [a if axis == 0 else a[0] for a, axis in zip((x, i), axes, strict=True)]
    for f in (
        lambda x, i: [ag.getitem(x, i)],
        lambda x, i: [ag.take(x, i, 0)],
        lambda x, i: [ag.take(x, i)],
        lambda x, i: [ag.take(x, i, -1)],
        lambda x, i: [x[i, i + 1 - 2 * (i == 3)]],
        lambda x, i: [ag.add_at(x, i, 1.0)],
        lambda x, i: [ag.take_along_axis(x, abs(i[0, :, None]) % 4, 0)],
    ):
        vmapped.check(vmapped.mapped(f, given, axes)[0], vmapped.looped(f, given, axes, SIZE), str(axes))


def test_parts_of_an_index_may_belong_to_nested_vmaps(rng):
    x, i, j = rng.normal(size=(SIZE, 4, 5)), rng.integers(-4, 4, (2, 3)), rng.integers(-5, 5, (SIZE, 3))
    got = ag.vmap(lambda i: ag.vmap(lambda x, j: x[i, j])(x, j))(i)
    np.testing.assert_array_equal(got, [[row[m, n] for row, n in zip(x, j, strict=True)] for m in i])


@pytest.mark.parametrize("axes", [[0, 0], [None, 0]], ids=str)
def test_one_part_of_an_index_differs(axes, rng):
    x, i = rng.normal(size=(SIZE, 4, 5)), rng.integers(-4, 4, (SIZE, 2, 3))
    given = [a if axis == 0 else a[0] for a, axis in zip((x, i), axes, strict=True)]
    for index in (lambda i: (i, np.arange(3)), lambda i: (1, i), lambda i: (np.arange(2)[:, None, None], i)):

        def f(x, i, index=index):
            return [ag.getitem(x, index(i))]

        got, _ = vmapped.mapped(f, given, axes)
        vmapped.check(got, vmapped.looped(f, given, axes, SIZE), str(axes))
