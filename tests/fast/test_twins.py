"""Compiled twins: each exists, and equals its NumPy function, exponentials up to rounding; the choice between them."""

from __future__ import annotations

import ast
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature, unwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import accelerators
from autograd_cnn.environment import command
from autograd_cnn.fast import pooling, twins
from autograd_cnn.optim import algorithms
from processes import finished

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
POOL = (3, 2), (2, 1), (1, 0)


def whole(shape, dtype=np.float32):
    """Whole numbers with ties: sums are exact in any order."""
    return np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)


def empty_like(shape, dtype=np.float32):
    return np.full(shape, 7, dtype)


def special(shape):
    x = whole(shape)
    x.reshape(-1)[::5] = np.nan
    x.reshape(-1)[1::7] = np.inf
    return x


IMAGES, POOLED = (2, 6, 5, 3), (2, 3, 5, 3)
IMAGE, ROWS = whole(IMAGES), whole((8, 3))
CONV = (2, 1), (1, 2)
STEP = np.array([1, 0, 0.25, 0.5, 0.5, 2, 0.5, 0.25], np.float32)
CASES = {
    "max": ("pooling.max_tile", (special(IMAGES), empty_like(POOLED))),
    "max and places": ("pooling.max_argmax_tile", (special(IMAGES), empty_like(POOLED), empty_like(POOLED, np.uint8))),
    "max unpool": ("pooling.max_unpool_tile", (whole(POOLED), whole(POOLED).astype(np.uint8) % 6, empty_like(IMAGES))),
    "moments": ("normalization.moments_tile", (4 * whole((8, 3)), empty_like(3), empty_like(3))),
    "normalise": ("normalization.affine_tile", (ROWS[:0], ROWS, empty_like((8, 3)), *whole((4, 3)))),
    "sums of the gradient": (
        "normalization.gradient_sums_tile",
        (ROWS, ROWS[::-1].copy(), empty_like((2, 3)), whole(3)),
    ),
    "gradient": (
        "normalization.affine_tile",
        (ROWS, ROWS[::-1].copy(), empty_like((8, 3)), *whole((4, 3))),
    ),
    "SGD": ("updates.sgd_update", (whole(50), whole(50), empty_like(0), np.array([0.5, 0.25, 0, 0]))),
    "SGD, momentum": ("updates.sgd_update", (whole(50), whole(50), whole(50), np.array([0.5, 0, 0.5, 0]))),
    "SGD, Nesterov": ("updates.sgd_update", (whole(50), whole(50), whole(50), np.array([0.5, 0.25, 0.5, 0.5]))),
    "Adam": ("updates.adam_update", (whole(50), whole(50), whole(50), whole(50) ** 2, STEP)),
    "Adam, decay": ("updates.adam_update", (whole(50), whole(50), whole(50), whole(50) ** 2, 0.5 * STEP)),
}


KERNELS = Path(twins.__file__).parent
UPDATES = {name: accelerators[f"optim.algorithms.{name}"] for name in ("sgd_update", "adam_update")}


def numpy_pass(name):
    file, function = name.split(".")
    if file == "updates":
        return UPDATES[function](getattr(algorithms, function))
    return getattr(import_module(f"autograd_cnn.fast.{file}"), function)


def functions(path):
    """Functions of a file: triples (name, parameters, decorators)."""
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    return [(f.name, [a.arg for a in f.args.args], f.decorator_list) for f in found]


def compiled_passes():
    """Parameters of each public compiled function that is a twin, by file and name; read without Numba.

    Those of `mailbox` compute nothing. Those of `products`, `direct` and `winograd` are faster ways to `columns` and to
    products of NumPy's, and those of `elementwise` to formulas of the textbook: the tests of these compare them.
    """
    return {
        f"{path.stem}.{name}": parameters
        for path in (KERNELS / "compiled").glob("*.py")
        for name, parameters, decorators in functions(path)
        if decorators
        and not name.startswith("_")
        and path.stem not in ("__init__", "products", "direct", "winograd", "elementwise", "mailbox")
    }


def test_every_twin_exists_with_the_parameters_of_its_function_and_has_a_test():
    for name, parameters in compiled_passes().items():
        assert [*signature(numpy_pass(name)).parameters] == parameters, name
    assert set(compiled_passes()) == {name for name, _ in CASES.values()}


def test_no_compiled_file_calls_another():
    """Numba would not notice a change in the other file, and would run old code from disk."""
    for path in (KERNELS / "compiled").glob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {alias.name for node in imports if node.level for alias in node.names}
        constants = {"A", "BT", "G", "MILLS", "DEEP", "TALL", "WIDE"}  # matrices, a polynomial, and sizes
        tools = {"kernel", "allocating", "helper", "inlined", "summing"}
        tools |= {"strided", "images_of", "run_of", "copy_run", "copy_into", "wide", "fused", "call", "named", "VECTOR"}
        assert names <= tools | constants, path.name


def results(run, name, args, change):
    """The arrays of a case, changed by `change`, after a pass."""
    own = [change(a) if isinstance(a, np.ndarray) else a for a in args]
    run(*own, *(POOL if name.startswith("pooling.") else ()))
    return [a for a in own if isinstance(a, np.ndarray)]


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "args"), CASES.values(), ids=CASES.keys())
def test_a_twin_equals_its_numpy_function(name, args, dtype, monkeypatch):
    monkeypatch.setattr(twins, "kernel_set", lambda: "numba")  # also where AUTOGRAD_CNN_KERNELS=numpy

    def change(a):
        return a.astype(dtype if a.dtype.kind == "f" else a.dtype)

    plain = results(unwrap(numpy_pass(name)), name, args, change)

    def compiled(*args):
        assert twins.run_twin(name, args)

    for slow, fast in zip(plain, results(compiled, name, args, change), strict=True):
        np.testing.assert_array_equal(fast, slow)


FOREIGN = {
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "float16": lambda a: a.astype(np.float16 if a.dtype.kind == "f" else a.dtype),
    "longdouble": lambda a: a.astype(np.longdouble if a.dtype.kind == "f" else a.dtype),
    "wide places": lambda a: a.astype(a.dtype if a.dtype.kind == "f" else np.int64),
    "Fortran order": lambda a: np.asfortranarray(a.copy()),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize(("name", "args"), CASES.values(), ids=CASES.keys())
def test_arrays_that_do_not_suit_a_twin_run_in_numpy(name, args, change):
    plain = results(unwrap(numpy_pass(name)), name, args, change)
    ours = numpy_pass(name)
    tried = ours if name.startswith("updates.") else partial(twins.each_tile, ours, 1)
    for expected, result in zip(plain, results(tried, name, args, change), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", [">f4", "<f4", np.float16, np.longdouble])
def test_large_relu_and_pooling_accept_every_real_dtype(dtype):
    x = whole((20, 30, 31, 8), dtype)
    y, g = ag.relu.raw(x), whole(x.shape, dtype)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(ag.relu_gradient.raw(g, y), np.where(x > 0, g, 0))
    window = (2, 3), (2, 3), ((0, 0), (0, 2))
    y, argmax = pooling.max_pool2d(x, *window)
    expected, places = pooling.max_pool2d(x.astype(float), *window)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(argmax, places)
    np.testing.assert_array_equal(
        pooling.max_unpool2d(y, argmax, x.shape, *window),
        pooling.max_unpool2d(expected, places, x.shape, *window),
    )


@needs_numba
def test_only_arrays_that_suit_it_reach_a_twin(monkeypatch):
    ran = []
    monkeypatch.setattr(twins, "kept", lambda key, _: SimpleNamespace(run=lambda *arrays: ran.append(key[0])))
    monkeypatch.setattr(twins, "kernel_set", lambda: "numba")
    x, y = np.ones((1, 4, 4, 2), np.float32), np.empty((1, 2, 2, 2), np.float32)
    window = (2, 2), (2, 2), (0, 0)
    twins.each_tile(pooling.max_tile, 1, x, y, *window)
    assert ran == ["pooling.max_tile"]
    for other in np.asfortranarray(x), x.astype(np.float16), x.astype(float), x.astype(">f4"):
        twins.each_tile(pooling.max_tile, 1, other, y, *window)
    twins.each_tile(pooling.max_tile, 1, x.astype(float), y.astype(float), *window)
    assert len(ran) == 2


def kernel_set(value):
    script = "from autograd_cnn.fast.twins import kernel_set; print(kernel_set())"
    done = finished("-c", script, AUTOGRAD_CNN_KERNELS=value)
    return (done.stdout + done.stderr).splitlines()[-1]


def test_numba_is_imported_with_the_first_pass_and_not_before(python):
    python(
        "import sys, numpy as np, autograd_cnn as ag\n"
        "from autograd_cnn.fast import twins\n"
        "ag.nn, ag.optim\n"
        "assert 'numba' not in sys.modules\n"
        "ag.relu(np.ones(100_000))\n"
        "assert ('numba' in sys.modules) == (twins.kernel_set() == 'numba')\n"
    )


def test_the_environment_chooses():
    assert kernel_set("numpy") == "numpy"
    assert kernel_set("") == ("numba" if find_spec("numba") else "numpy")
    assert kernel_set("cuda").startswith("ValueError: AUTOGRAD_CNN_KERNELS is 'cuda': set it to numpy or to numba")


CHOSEN = """
import sys
sys.modules["numba"] = None
from autograd_cnn.fast.twins import kernel_set
try:
    kernel_set()
except ImportError as error:
    print(error)
"""


def test_compiled_kernels_that_are_asked_for_and_cannot_be_had_say_what_to_install(python, monkeypatch):
    monkeypatch.setenv("AUTOGRAD_CNN_KERNELS", "numba")
    message = python(CHOSEN)
    assert message.startswith("AUTOGRAD_CNN_KERNELS is numba: ") and message.count("\n") == 1
    assert message.endswith(command("-m", "pip", "install", "autograd_cnn[fast]") + "\n")


def test_info_reports_threads(autograd_cnn):
    assert autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="3").stdout.endswith("; 3 threads\n")
    done = autograd_cnn("info", AUTOGRAD_CNN_NUM_THREADS="many")
    assert done.returncode == 2 and "AUTOGRAD_CNN_NUM_THREADS is 'many'" in done.stderr and "numpy 2." in done.stdout
