"""Convolution, pooling and batch normalisation beside the textbook's, with random options."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast.attach import attach, detach

DTYPES = np.float32, np.float64
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-10}  # of the largest number
SPECIAL = np.nan, np.inf, -np.inf


def some(count, fast):
    """Seeds, of which all but the first are for slow tests."""
    return [seed if seed < fast else pytest.param(seed, marks=pytest.mark.slow) for seed in range(count)]


def sides(rng, kernel):
    """Padding in one of its forms, less than the kernel."""
    most = max(1, min(kernel))
    before, after = ((int(rng.integers(most)), int(rng.integers(most))) for _ in range(2))
    return [0, "valid", "same", before[0], before, (before, after)][rng.integers(6)]


def pair(rng, most):
    return int(rng.integers(1, most + 1)), int(rng.integers(1, most + 1))


def normal(rng, *shape):
    return rng.standard_normal(shape)


def convolution(rng):
    """Arguments of `conv2d`: one in four is so large that the faster algorithms suit it."""
    groups = int(rng.integers(1, 4))
    if rng.random() < 0.25:
        size, kernel, stride, dilation, channels = (22, 19), (3, 3), (1, 1), (1, 1), (16 * groups, 17 * groups)
    else:
        kernel, stride, dilation = pair(rng, 3), pair(rng, 3), pair(rng, 2)
        size = tuple(d * (k - 1) + int(rng.integers(1, 6)) for k, d in zip(kernel, dilation, strict=True))
        channels = int(rng.integers(1, 3)) * groups, int(rng.integers(1, 4)) * groups
    x, w = normal(rng, 2, *size, channels[0]), normal(rng, *kernel, channels[0] // groups, channels[1])
    options = {"stride": stride, "padding": sides(rng, kernel), "dilation": dilation, "groups": groups}
    return x, w, options


def conv2d(rng):
    x, w, options = convolution(rng)
    return ag.conv2d, [x, w, normal(rng, w.shape[3])], options


def conv_transpose2d(rng):
    x, w, options = convolution(rng)
    options["padding"] = 0 if options["padding"] == "same" else options["padding"]
    return (
        ag.conv_transpose2d,
        [ag.conv2d(x, w, **options), w, normal(rng, x.shape[3])],
        {**options, "output_padding": tuple(s - 1 + int(rng.integers(3)) for s in options["stride"])},
    )


def conv2d_weight_gradient(rng):
    x, w, options = convolution(rng)
    gy = normal(rng, *ag.conv2d(x, w, **options).shape)
    return ag.conv2d_weight_gradient, [x, gy, w.shape], options


def pooled(rng, dilated):
    kernel = pair(rng, 3)
    dilation = pair(rng, 2) if dilated and max(kernel) > 1 else (1, 1)
    size = tuple(d * (k - 1) + 2 + int(rng.integers(6)) for k, d in zip(kernel, dilation, strict=True))
    x = rng.integers(-3, 4, (2, *size, int(rng.integers(1, 4)))).astype(float)  # with ties
    stride = None if rng.random() < 0.2 else pair(rng, 3)
    return x, [kernel, stride, sides(rng, kernel), *([dilation] if dilated else [])]


def max_pool2d(rng):
    x, options = pooled(rng, True)
    return ag.max_pool2d, [x, *options], {"ceil_mode": bool(rng.integers(2))}


def max_unpool2d(rng):
    x, options = pooled(rng, True)
    y, argmax = ag.max_pool2d.raw(x, *options)
    return ag.max_unpool2d, [normal(rng, *y.shape), argmax, x.shape, *options], {}


def avg_pool2d(rng):
    x, options = pooled(rng, False)
    return ag.avg_pool2d, [x, *options], {n: bool(rng.integers(2)) for n in ("ceil_mode", "count_include_pad")}


def avg_unpool2d(rng):
    x, options = pooled(rng, False)
    return ag.avg_unpool2d, [normal(rng, *ag.avg_pool2d(x, *options).shape), x.shape, *options], {}


def batch_norm(rng):
    shape = [(40, 3), (4, 5, 6, 7), (3, 40, 2), (30, 20, 20, 8)][rng.integers(4)]
    x, w, b = normal(rng, *shape) * 3 + 1, normal(rng, shape[-1]), normal(rng, shape[-1])
    given = [1e-3, normal(rng, shape[-1]), rng.uniform(0.5, 2, shape[-1])] if rng.random() < 0.3 else []
    return ag.batch_norm, [x, w, b, *given], {}


POOLS = [max_pool2d, max_unpool2d, avg_pool2d, avg_unpool2d]
CASES = [conv2d, conv_transpose2d, conv2d_weight_gradient, *POOLS, batch_norm]


def results(p, args, options, rng):
    """The value with the by-products, then the first and the second derivatives of the sum of its products with `c`."""
    value = p.raw(*args, **options)
    value = value if isinstance(value, tuple) else (value,)
    places = [i for i, a in enumerate(args) if is_float(a)]

    def total(c, *arrays):
        given = dict(zip(places, arrays, strict=True))
        return ag.sum(p(*(given.get(i, a) for i, a in enumerate(args)), **options) * c)

    inputs = [normal(rng, *value[0].shape).astype(value[0].dtype), *(args[i] for i in places)]
    first = ag.grad(total, argnums=tuple(range(len(inputs))))(*inputs)
    tangents = tuple(normal(rng, *a.shape).astype(a.dtype) for a in inputs)
    return [*value, *first, *ag.hvp(total, tuple(inputs), tangents)]


def compare(compute, tolerance):
    """Compare the results of a function with those in the textbook."""
    with np.errstate(all="ignore"):
        fast = compute()
        detach()
        try:
            slow = compute()
        finally:
            attach()
    for found, expected in zip(fast, slow, strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        size = np.max(np.abs(expected), where=np.isfinite(expected), initial=0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 2), (4, 3, 2), (4, 3, 3), (5, 2, 4), (5, 3, 3)])
def test_some_phases_of_a_strided_convolution_read_from_the_second_row_on(kernel, stride, padding):
    """The parts of several images that they read are not in one piece, as those of the first phase are."""
    rng = np.random.default_rng(0)
    g, w = normal(rng, 4, 8, 8, 16).astype("f"), normal(rng, kernel, kernel, 8, 16).astype("f")
    compare(lambda: [ag.conv_transpose2d(g, w, stride=stride, padding=padding)], 1e-5)


def is_float(a):
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


@pytest.mark.parametrize("seed", some(24, fast=11))  # each layout in each dtype, large images in both
@pytest.mark.parametrize("case", CASES)
def test_an_operation_and_its_derivatives(case, seed, other_layouts):
    p, args, options = case(np.random.default_rng(seed))
    dtype, layout = DTYPES[seed % 2], [*other_layouts(np.ones(1)), None][seed % 5]
    args = [a.astype(dtype) if is_float(a) else a for a in args]
    args = [other_layouts(a)[layout] if layout and is_float(a) else a for a in args]
    compare(lambda: results(p, args, options, np.random.default_rng(seed)), TOLERANCE[dtype])


@pytest.mark.parametrize("seed", some(16, fast=6))
@pytest.mark.parametrize("case", CASES)
def test_nan_and_infinity(case, seed):
    rng = np.random.default_rng(seed)
    p, args, options = case(rng)
    args = [a.astype(DTYPES[seed % 2]) if is_float(a) else a for a in args]
    if case is max_pool2d:
        args[0][0] = -np.inf  # padding does not win
    args[0].flat[rng.integers(args[0].size, size=3)] = SPECIAL
    if case in POOLS:
        compare(lambda: results(p, args, options, np.random.default_rng(seed)), TOLERANCE[DTYPES[seed % 2]])
    else:  # a gradient or a mean may be infinite in one form, and NaN in the other
        compare(lambda: [p(*args, **options)], TOLERANCE[DTYPES[seed % 2]])
