"""Integers, bools and float16: the numbers of NumPy's function or of a float64 copy, or an error whose cure works.

The calls are generated: every use and every example of an operation, on arrays and on Tensors of each dtype.
"""

import dis
import re
import types
from functools import partial
from operator import attrgetter

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.registry import numpys
from autograd_cnn.engine.tensor import Tensor
from split_inputs import split
from uses import every_use

SLOW = ["conv2d"]
WRITES = "add_at set_at".split()  # in the dtype of an array, as NumPy's assignment
LATER = "pow matvec vecmat".split()  # functions of NumPy from versions 2.1 and 2.2 on
pytestmark = pytest.mark.filterwarnings("ignore")  # numbers at the ends of a dtype overflow, also in NumPy


class Face:
    """NumPy, with our functions in the place of those that have the same name."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = vars(ours), theirs

    def __getattr__(self, name):
        ours, theirs = self.ours.get(name), getattr(self.theirs, name)
        return theirs if ours is None else Face(ours, theirs) if isinstance(theirs, types.ModuleType) else ours


FACE = Face(ag, np)


def computes(f):
    """Whether a use computes with its inputs before it calls the operation, in their dtype, as its author asked."""
    helpers = (getattr(f.__globals__.get(n), "__module__", None) or "" for n in f.__code__.co_names)
    return any("uses" in m.split(".") for m in helpers) or any(
        i.opname.startswith(("BINARY_", "UNARY_NEG")) and "SUBSCR" not in i.opname and i.argrepr != "[]"
        for i in dis.get_instructions(f)
    )


def in_int64(f, *inputs):
    return f(*(Tensor(x.astype(int)) for x in inputs)).data.astype(inputs[0].dtype)


def calls():
    """Yield for each call a name, ours on Tensors, ours on arrays, what has NumPy's numbers or None, and inputs."""
    for use in every_use():
        f = on_arrays = use.f
        theirs = use.want or f if use.want is None or numpys(use.name) or use.name in LATER else None
        if use.name in WRITES:
            theirs = partial(in_int64, f)
        elif isinstance(f, types.FunctionType) and f.__name__ == "<lambda>":
            if computes(f):
                if use.name in ("one_hot", "scaled_dot_product_attention"):  # indices, or a mask, in place of numbers
                    continue
                f, theirs = attrgetter(use.name)(ag), numpys(use.name)
                on_arrays = f
            elif {"reduce", "accumulate"} & {*f.__code__.co_names}:  # of a ufunc
                theirs = f
            elif not f.__defaults__:
                on_arrays = types.FunctionType(f.__code__, f.__globals__ | {"np": FACE}, "", None, f.__closure__)
        yield use.name, f, on_arrays, theirs, use.inputs
    for p in primitives():
        if p.__module__.startswith("autograd_cnn."):
            for args, options in examples_of(p, np.random.default_rng(0)):
                f, inputs = split(p, args, options)
                yield p.name, f, f, None if p.widens else f, inputs  # the others are NumPy's, or keep the dtype


CALLS = list(calls())
every_call = pytest.mark.parametrize("call", CALLS, ids=[f"{c[0]}-{i}" for i, c in enumerate(CALLS)])


def drawn(x, dtype, seed):
    """An array of the shape of `x`, of numbers at the ends of a dtype, in the middle, and near 0."""
    if np.asarray(x).dtype.kind != "f":
        return x
    rng = np.random.default_rng([seed, np.size(x)])
    ends = [0, 1] if dtype == "?" else [max(np.iinfo(dtype).min, -(2**40)), min(np.iinfo(dtype).max, 2**40)]
    return rng.choice([*ends, 0, 1, 1, 3 % (ends[1] + 1), ends[1] - 1, ends[1] // 2 + 1], np.shape(x)).astype(dtype)


def of_kind(inputs, kinds, dtype):
    return [x.astype(dtype) if np.asarray(x).dtype.kind in kinds else x for x in inputs]


def outcome(f, inputs):
    """The arrays of a result, or the error."""
    try:
        result = [f(*inputs)]
    except (ArithmeticError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        return error
    while any(isinstance(r, (list, tuple)) for r in result):
        result = [p for r in result for p in (r if isinstance(r, (list, tuple)) else [r])]
    return [np.asarray(r.data if isinstance(r, Tensor) else r) for r in result]


def agree(got, want, tolerance=1e-5):
    if not (isinstance(got, list) and isinstance(want, list) and len(got) == len(want)):
        return False
    wide = [[np.asarray(a, np.result_type(a, b, float)) for a in (a, b)] for a, b in zip(got, want, strict=True)]
    return all(a.shape == b.shape and np.allclose(a, b, tolerance, 1e-8, equal_nan=True) for a, b in wide)


def check(call, inputs):
    """Compare a call on arrays and on Tensors of integers; return whether it is refused."""
    name, on_tensors, on_arrays, theirs, _ = call
    numpys_result = outcome(theirs, inputs) if theirs else None
    for f, given in (on_arrays, inputs), (on_tensors, [*map(Tensor, inputs)]):
        got, want = outcome(f, given), outcome(f, of_kind(given, "iub", float))
        if not isinstance(got, Exception):
            assert agree(got, want) or agree(got, numpys_result), f"{name} of {inputs[0].dtype}: {got}, want {want}"
        elif not isinstance(want, Exception) and not isinstance(numpys_result, Exception):
            converted = of_kind(given, "iub", re.search(r"\.astype\(np\.(\w+)\)", str(got))[1])
            assert agree(outcome(f, converted), want, 1e-3), f"{name}: the cure does not help: {got}"
    return isinstance(got, Exception)


def many(call, inputs):
    """The inputs again and again, if the operation reduces them: sums of few numbers show less."""
    result = outcome(call[2], call[4])
    reduces = isinstance(result, list) and sum(a.size for a in result) < max(map(np.size, call[4]), default=0)
    return [np.concatenate([x] * 300) if np.ndim(x) and reduces and call[0] not in SLOW else x for x in inputs]


@pytest.mark.parametrize("dtypes", ["?bBq", pytest.param("hHiIQ", marks=pytest.mark.slow)])
@every_call
def test_integers(call, dtypes):
    for dtype in dtypes:
        inputs = [drawn(x, dtype, k) for k, x in enumerate(call[4])]
        check(call, inputs)
        check(call, many(call, inputs))


ROUNDED = "gradient polyval vecdot".split()  # NumPy rounds differently there, not in another dtype


@pytest.mark.parametrize("call", [c for c in CALLS if c[3] and c[0] not in ROUNDED + WRITES], ids=lambda c: c[0])
def test_float16_overflows_only_where_numpys_does(call):
    _, f, _, theirs, inputs = call
    large = [np.asarray(x) * 3000 if np.asarray(x).dtype.kind == "f" else x for x in inputs]
    for given in (of_kind(x, "f", np.float16) for x in (large, many(call, inputs))):
        want, got = outcome(theirs, given), outcome(f, [*map(Tensor, given)])
        for pair in zip(want, got, strict=True) if isinstance(want, list) else ():
            w, g = (np.asarray(a, np.result_type(a, float))[np.isfinite(pair[0])] for a in pair)
            assert (np.abs(g - w) <= 0.02 * np.abs(w).max(initial=0)).all(), pair


@pytest.mark.parametrize(("dtype", "low"), [(np.float32, -1e300), (np.float16, -1e9)])
def test_a_mask_below_the_least_number_hides(dtype, low, rng):
    q, k, v = rng.normal(size=(3, 3, 4)).astype(dtype)
    mask = np.array([[0, 0, 0], [low, low, low], [low, 0, 0]])
    want = ag.scaled_dot_product_attention(q, k, v, np.where(mask < 0, -np.inf, 0))
    np.testing.assert_array_equal(ag.scaled_dot_product_attention(q, k, v, mask), want)
    assert (want[1] == 0).all()
