"""Slow twins of the kernels, one explicit loop for each index, and what their tests share."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from autograd_cnn.kernels import threads, tiles


def output_size(size, kernel, stride, edges, dilation=1):
    count = 0
    while count * stride + dilation * (kernel - 1) < size + sum(edges):
        count += 1
    return count


def conv2d_links(x_shape, w_shape, stride, padding, dilation, groups):
    """Every (index of y, index of x, index of w) whose product conv2d adds up."""
    (n, height, width, _), (kh, kw, per_group, outputs) = x_shape, w_shape
    oh = output_size(height, kh, stride[0], padding[0], dilation[0])
    ow = output_size(width, kw, stride[1], padding[1], dilation[1])
    for image in range(n):
        for r in range(oh):
            for s in range(ow):
                for i in range(kh):
                    for j in range(kw):
                        row = r * stride[0] + i * dilation[0] - padding[0][0]
                        column = s * stride[1] + j * dilation[1] - padding[1][0]
                        if not (0 <= row < height and 0 <= column < width):
                            continue
                        for o in range(outputs):
                            group = o // (outputs // groups)
                            for c in range(per_group):
                                yield (
                                    (image, r, s, o),
                                    (image, row, column, group * per_group + c),
                                    (i, j, c, o),
                                )


def conv2d(x, w, b, stride, padding, dilation, groups):
    oh = output_size(x.shape[1], w.shape[0], stride[0], padding[0], dilation[0])
    ow = output_size(x.shape[2], w.shape[1], stride[1], padding[1], dilation[1])
    y = np.zeros((x.shape[0], oh, ow, w.shape[3]), np.result_type(x, w))
    for of_y, of_x, of_w in conv2d_links(x.shape, w.shape, stride, padding, dilation, groups):
        y[of_y] += x[of_x] * w[of_w]
    return y if b is None else y + b


def conv2d_input_gradient(g, w, x_shape, stride, padding, dilation, groups):
    gx = np.zeros(x_shape, np.result_type(g, w))
    for of_y, of_x, of_w in conv2d_links(x_shape, w.shape, stride, padding, dilation, groups):
        gx[of_x] += g[of_y] * w[of_w]
    return gx


def conv2d_weight_gradient(x, g, w_shape, stride, padding, dilation, groups):
    gw = np.zeros(w_shape, np.result_type(x, g))
    for of_y, of_x, of_w in conv2d_links(x.shape, w_shape, stride, padding, dilation, groups):
        gw[of_w] += x[of_x] * g[of_y]
    return gw


def pool_windows(x_shape, kernel_size, stride, padding):
    """Every window: the index of its output, and (place, index of x) for each place inside the image."""
    n, height, width, channels = x_shape
    for image in range(n):
        for r in range(output_size(height, kernel_size[0], stride[0], padding[0])):
            for s in range(output_size(width, kernel_size[1], stride[1], padding[1])):
                for c in range(channels):
                    inside = []
                    for i in range(kernel_size[0]):
                        for j in range(kernel_size[1]):
                            row = r * stride[0] + i - padding[0][0]
                            column = s * stride[1] + j - padding[1][0]
                            if 0 <= row < height and 0 <= column < width:
                                inside.append((i * kernel_size[1] + j, (image, row, column, c)))
                    yield (image, r, s, c), inside


def pooled(x, kernel_size, stride, padding):
    oh, ow = (output_size(x.shape[a + 1], kernel_size[a], stride[a], padding[a]) for a in (0, 1))
    return np.zeros((x.shape[0], oh, ow, x.shape[3]), x.dtype)


def max_pool2d(x, kernel_size, stride, padding):
    y = pooled(x, kernel_size, stride, padding)
    argmax = np.zeros(y.shape, int)
    for out, inside in pool_windows(x.shape, kernel_size, stride, padding):
        best, *others = inside
        for place, at in others:
            larger = x[at] > x[best[1]] or (math.isnan(x[at]) and not math.isnan(x[best[1]]))
            best = (place, at) if larger else best
        argmax[out], y[out] = best[0], x[best[1]]
    return y, argmax


def max_unpool2d(g, argmax, x_shape, kernel_size, stride, padding):
    gx = np.zeros(x_shape, g.dtype)
    for out, inside in pool_windows(x_shape, kernel_size, stride, padding):
        gx[dict(inside)[argmax[out]]] += g[out]
    return gx


def avg_pool2d(x, kernel_size, stride, padding):
    y = pooled(x, kernel_size, stride, padding)
    for out, inside in pool_windows(x.shape, kernel_size, stride, padding):
        for _, at in inside:
            y[out] += x[at]
    return y / (kernel_size[0] * kernel_size[1])


def avg_unpool2d(g, x_shape, kernel_size, stride, padding):
    gx = np.zeros(x_shape, g.dtype)
    for out, inside in pool_windows(x_shape, kernel_size, stride, padding):
        for _, at in inside:
            gx[at] += g[out] / (kernel_size[0] * kernel_size[1])
    return gx


@pytest.fixture(scope="session")
def naive():
    """The kernels as explicit loops, under their own names."""
    kernels = (
        conv2d, conv2d_input_gradient, conv2d_weight_gradient,
        max_pool2d, max_unpool2d, avg_pool2d, avg_unpool2d,
    )  # fmt: skip
    return SimpleNamespace(**{kernel.__name__: kernel for kernel in kernels})


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def num_threads():
    """`set_num_threads`, undone afterwards."""
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.fixture
def same_on_any_number_of_threads(num_threads):
    """Check a function of float32 arrays against another; the same bits on 1, 2 and 3 threads; arguments only read."""

    def check(function, plain, *args):
        before = [a.copy() for a in args]
        results = []
        for n in 1, 2, 3:
            num_threads(n)
            results.append(function(*args))
        np.testing.assert_allclose(results[0], plain(*args), rtol=1e-5, atol=1e-5)
        assert results[0].dtype == np.float32
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])
        for array, copy in zip(args, before, strict=True):
            np.testing.assert_array_equal(array, copy)

    return check


@pytest.fixture(scope="session")
def normal():
    """Normal numbers of float32, by shape and seed."""
    return lambda *shape, seed=0: np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.fixture
def small_tiles(monkeypatch):
    """So little cache that images of a few pixels are cut into many tiles, and into rows."""
    monkeypatch.setattr(tiles, "CACHE", 1000)


@pytest.fixture(scope="session")
def disguises():
    """The same numbers laid out otherwise: read-only, Fortran order, every other one, backwards."""

    def all_of(a):
        read_only = a.copy()
        read_only.flags.writeable = False
        every_other = np.zeros([2 * n for n in a.shape], a.dtype)
        every_other[(slice(None, None, 2),) * a.ndim] = a
        return {
            "read-only": read_only,
            "Fortran": np.asfortranarray(a),
            "every other": every_other[(slice(None, None, 2),) * a.ndim],
            "backwards": a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim],
        }

    return all_of
