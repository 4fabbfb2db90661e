"""Compiled passes against the NumPy functions that they stand for, and which of the two runs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from autograd_cnn.kernels import convolution, elementwise, normalization, pooling, twins, updates, winograd

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
POOL = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 0), (0, 1))}


def numbers(shape, dtype=np.float32):
    """Whole numbers with ties: sums are exact in any order."""
    return np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)


def empty_like(shape, dtype=np.float32):
    return np.full(shape, 7, dtype)


def special(shape):
    x = numbers(shape)
    x.reshape(-1)[::5] = np.nan
    x.reshape(-1)[1::7] = np.inf
    return x


IMAGES, POOLED = (2, 6, 5, 3), (2, 3, 5, 3)
IMAGE, ROWS = numbers(IMAGES), numbers((8, 3))
CONV = (3, 2), ((1, 0), (0, 2)), (2, 3)
STEP = np.array([1, 0, 0.25, 0.5, 0.5, 2, 0.5, 0.25], np.float32)
CASES = {
    "transform_images": (
        winograd.transform_images,
        (numbers((2, 5, 4, 3)), empty_like((16, 13, 3)), 1, -1, 3, 2, (1, 1)),
    ),
    "transform_images, parts": (
        winograd.transform_images,
        (numbers((2, 5, 4, 3)), empty_like((16, 13, 12)), -1, 1, 3, 2, (2, 2)),
    ),
    "collect_images": (winograd.collect_images, (numbers((16, 13, 3)), numbers(3), empty_like((2, 5, 3, 3)), 3, 2)),
    "transform_gradients": (winograd.transform_gradients, (numbers((2, 5, 3, 3)), empty_like((16, 13, 3)), 3, 2)),
    "max alone": (pooling._max_values, (special(IMAGES), empty_like(POOLED))),
    "max": (pooling._max_tile, (special(IMAGES), empty_like(POOLED), empty_like(POOLED, np.uint8))),
    "unpool": (pooling._unpool_tile, (numbers(POOLED), numbers(POOLED).astype(np.uint8) % 6, empty_like(IMAGES))),
    "mean": (pooling._mean_tile, (6 * numbers(IMAGES), empty_like(POOLED))),
    "spread": (pooling._spread_tile, (6 * numbers(POOLED), empty_like(IMAGES))),
    "give back": (convolution._give_back, (numbers((1, 12, 18)), empty_like(IMAGES), (2, 3), (2, 3), *CONV)),
    "give back, whole rows": (
        convolution._give_back,
        (numbers((1, 12, 18)), empty_like(IMAGES), (2, 3), (2, 3), (3, 2), ((1, 0), (2, 0)), (2, 1)),
    ),
    "give back, groups": (
        convolution._give_back,
        (numbers((3, 12, 6)), empty_like(IMAGES), (2, 3), (3, 2), (2, 2), ((1, 0), (2, 0)), (2, 1)),
    ),
    "depthwise": (convolution._depthwise, (IMAGE, numbers((3, 2, 1, 3)), numbers(3), empty_like((2, 2, 3, 3)), *CONV)),
    "depthwise, 2 outputs": (
        convolution._depthwise,
        (IMAGE, numbers((3, 2, 1, 6)), numbers(6), empty_like((2, 2, 3, 6)), *CONV),
    ),
    "depthwise, whole rows": (
        convolution._depthwise,
        (IMAGE, numbers((3, 4, 1, 3)), numbers(3), empty_like((2, 3, 4, 3)), (2, 1), ((1, 0), (0, 2)), (1, 1)),
    ),
    "depthwise, whole rows cut off": (
        convolution._depthwise,
        (IMAGE, numbers((2, 2, 1, 3)), numbers(3), empty_like((2, 5, 3, 3)), (1, 1), ((-1, 1), (2, -3)), (1, 1)),
    ),
    "depthwise weights, whole rows": (
        convolution._depthwise_weights,
        (IMAGE, numbers((2, 3, 4, 3)), empty_like((3, 4, 1, 3)), (2, 1), ((1, 0), (0, 2)), (1, 1)),
    ),
    "depthwise input": (
        convolution._depthwise_input,
        (numbers((2, 2, 3, 6)), numbers((3, 2, 1, 6)), empty_like(IMAGES), *CONV),
    ),
    "depthwise weights": (
        convolution._depthwise_weights,
        (IMAGE, numbers((2, 2, 3, 6)), empty_like((3, 2, 1, 6)), *CONV),
    ),
    "moments": (normalization._moments, (4 * numbers((8, 3)), empty_like(3), empty_like(3))),
    "normalise": (normalization._normalise, (ROWS, empty_like((8, 3)), numbers(3), numbers(3), numbers(3))),
    "project": (normalization._project, (ROWS, ROWS[::-1].copy(), empty_like((2, 3)), numbers(3))),
    "pull back": (
        normalization._pull_back,
        (ROWS, ROWS[::-1].copy(), empty_like((8, 3)), *numbers((4, 3))),
    ),
    "Adam": (updates.adam, (numbers(50), numbers(50), numbers(50), numbers(50) ** 2, STEP)),
    "Adam, decay": (updates.adam, (numbers(50), numbers(50), numbers(50), numbers(50) ** 2, 0.5 * STEP)),
    "relu": (elementwise._rectify, (special(100), empty_like(100))),
    "relu gradient": (elementwise._mask, (special(100), np.roll(special(100), 3))),
}


@needs_numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("function", "args"), CASES.values(), ids=CASES.keys())
def test_a_twin_does_the_same_bit_for_bit(function, args, dtype):
    from autograd_cnn.kernels import compiled

    options = POOL if function.__module__ == pooling.__name__ else {}
    results = []
    for run in function.__wrapped__, getattr(compiled, function.__name__):
        own = [a.astype(dtype if a.dtype.kind == "f" else a.dtype) if isinstance(a, np.ndarray) else a for a in args]
        run(*own, **options)
        results.append(own)
    for slow, fast in zip(*results, strict=True):
        np.testing.assert_array_equal(slow, fast)


@needs_numba
def test_every_twin_has_the_parameters_of_its_function_and_a_test():
    from autograd_cnn.kernels import compiled

    passes = {
        f.__name__: f
        for room in (convolution, elementwise, normalization, pooling, updates, winograd)
        for f in vars(room).values()
        if inspect.isfunction(f) and hasattr(f, "__wrapped__")
    }
    for name, function in passes.items():
        theirs = inspect.signature(getattr(compiled, name).py_func).parameters
        assert list(theirs) == list(inspect.signature(function.__wrapped__).parameters), name
    assert set(passes) == {function.__name__ for function, _ in CASES.values()}


@needs_numba
def test_what_does_not_suit_goes_to_numpy(monkeypatch):
    ran = []
    monkeypatch.setattr(twins, "_compiled", lambda name: lambda *args: ran.append(name))
    monkeypatch.setattr(twins, "kernel_set", lambda: "numba")
    x, y = np.ones(10, np.float32), np.empty(10, np.float32)
    for args, count in [((x, y), 1), ((x[::2], y[::2]), 1), ((x.astype(np.float16), y), 1), ((x.astype(float), y), 1)]:
        elementwise._rectify(*args)
        assert len(ran) == count


def kernel_set(value):
    script = "from autograd_cnn.kernels.twins import kernel_set; print(kernel_set())"
    environment = {**os.environ, "AUTOGRAD_CNN_KERNELS": value}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[-1]


def test_the_environment_chooses():
    assert kernel_set("numpy") == "numpy"
    assert kernel_set("") == ("numba" if find_spec("numba") else "numpy")
    assert kernel_set("cuda").startswith("ValueError: AUTOGRAD_CNN_KERNELS is 'cuda': set it to numpy or to numba")
    if find_spec("numba") is None:
        assert kernel_set("numba").endswith('pip install "autograd_cnn[fast]"')
