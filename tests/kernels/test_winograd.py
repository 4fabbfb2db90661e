"""Convolution by Winograd's transforms against explicit loops, in every place where tiles can end."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.kernels import convolution, fused, tiles, winograd
from autograd_cnn.kernels.convolution import conv2d, conv2d_input_gradient, conv2d_weight_gradient

ONE = ((1, 1), (1, 1))
# image, (C, O), padding; then dilation, groups and kernel if they are not 1, 1 and 3x3
GEOMETRIES = {
    "even": ((6, 4), (2, 3), ONE),
    "odd": ((5, 7), (3, 2), ONE),
    "whole tiles": ((8, 12), (3, 2), ONE),
    "one row and column more": ((9, 5), (2, 3), ONE),
    "no padding": ((6, 5), (2, 2), ((0, 0), (0, 0))),
    "uneven padding": ((4, 5), (2, 3), ((2, 0), (0, 1))),
    "more padding than tile": ((3, 4), (1, 2), ((5, 4), (3, 6))),
    "one output": ((3, 3), (2, 2), ((0, 0), (0, 0))),
    "one pixel": ((1, 1), (2, 2), ONE),
    "margins cut off": ((8, 9), (2, 2), ((-1, -2), (-3, 0))),
    "groups": ((5, 6), (6, 4), ONE, (1, 1), 2),
    "dilation": ((7, 9), (2, 3), ((2, 2), (3, 3)), (2, 3)),
    "dilation, uneven": ((8, 5), (2, 2), ((1, 2), (0, 4)), (3, 2)),
    "dilation larger than the image": ((3, 4), (1, 2), ((5, 5), (6, 6)), (5, 6)),
    "dilation and groups": ((6, 6), (4, 4), ONE, (2, 2), 2),
    "5x5": ((7, 8), (2, 3), ((2, 2), (2, 2)), (1, 1), 1, (5, 5)),
    "5x3, margins cut off": ((9, 6), (2, 2), ((-1, 1), (0, -1)), (1, 1), 1, (5, 3)),
    "3x7, dilation": ((6, 15), (1, 2), ((2, 0), (1, 9)), (2, 2), 1, (3, 7)),
}


@pytest.fixture(params=["numpy", "compiled"])
def way(request, monkeypatch):
    """The module that computes; the list has an item for each of its calls."""
    if request.param == "compiled" and convolution.kernel_set() == "numpy":
        pytest.skip("Numba is not installed, or turned off")
    module, calls = {"numpy": winograd, "compiled": fused}[request.param], []
    monkeypatch.setattr(convolution, "_winograd", lambda: calls.append(1) or module)
    return calls


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def case(request, rng, monkeypatch, way):
    (height, width), (inputs, outputs), padding, dilation, groups, kernel = (
        *request.param,
        *((1, 1), 1, (3, 3))[len(request.param) - 3 :],
    )
    if convolution._winograd() is fused:  # whose channels fill a register
        inputs, outputs = inputs + 16 * groups, outputs + 16 * groups
    monkeypatch.setattr(convolution, "suits_winograd", lambda y, shape, *_: shape[:2] == kernel)
    x = rng.integers(-8, 9, (5, height, width, inputs)).astype(float)
    w = rng.integers(-8, 9, (*kernel, inputs // groups, outputs)).astype(float)
    b = rng.integers(-8, 9, outputs).astype(float)
    return x, w, b, ((1, 1), padding, dilation, groups)


def padded(x, padding):
    """The image with zeros around it; negative padding cuts off."""
    (top, bottom), (left, right) = padding
    x = np.pad(x, [(0, 0), *((max(a, 0), max(b, 0)) for a, b in padding), (0, 0)])
    return x[:, max(-top, 0) : x.shape[1] - max(-bottom, 0), max(-left, 0) : x.shape[2] - max(-right, 0)]


def assert_equal_but_for_rounding(result, truth):
    np.testing.assert_allclose(result, truth, rtol=0, atol=1e-13 * max(1, np.abs(truth).max()))


@pytest.mark.parametrize("cache", [tiles.CACHE, 4000], ids=["large tiles", "small tiles"])
def test_all_three_equal_explicit_loops(case, naive, rng, monkeypatch, cache):
    x, w, b, options = case
    monkeypatch.setattr(tiles, "CACHE", cache)
    plain = ((1, 1), ((0, 0), (0, 0)), *options[2:])
    y = conv2d(x, w, b, *options)
    assert_equal_but_for_rounding(y, naive.conv2d(padded(x, options[1]), w, b, *plain))
    g = rng.integers(-8, 9, y.shape).astype(float)
    assert_equal_but_for_rounding(
        conv2d_weight_gradient(x, g, w.shape, *options),
        naive.conv2d_weight_gradient(padded(x, options[1]), g, w.shape, *plain),
    )
    if min(min(sides) for sides in options[1]) >= 0:
        assert_equal_but_for_rounding(
            conv2d_input_gradient(g, w, x.shape, *options),
            naive.conv2d_input_gradient(g, w, x.shape, *options),
        )


@pytest.mark.parametrize(("kernel", "channels", "error"), [(3, 64, 3e-6), (3, 256, 5e-6), (5, 64, 5e-6)])
def test_it_is_chosen_for_wide_layers_and_its_error_in_float32_is_small(rng, monkeypatch, way, kernel, channels, error):
    x = np.maximum(rng.standard_normal((8, 16, 16, channels), np.float32), 0)
    w = rng.standard_normal((kernel, kernel, channels, channels), np.float32)
    g = rng.standard_normal(x.shape, np.float32)
    options = (1, 1), ((kernel // 2,) * 2,) * 2, (1, 1), 1

    def all_three(x, w, g):
        return (
            conv2d(x, w, None, *options),
            conv2d_input_gradient(g, w, x.shape, *options),
            conv2d_weight_gradient(x, g, w.shape, *options),
        )

    fast = all_three(x, w, g)
    assert len(way) == 3
    monkeypatch.setattr(convolution, "suits_winograd", lambda *_: False)
    for result, truth in zip(fast, all_three(*(a.astype(float) for a in (x, w, g))), strict=True):
        assert result.dtype == np.float32
        assert np.abs(result - truth).max() < error * np.abs(truth).max()


def test_float16_and_few_channels_use_matrices(rng):
    y = np.empty((8, 16, 16, 64), np.float16)
    assert not convolution.suits_winograd(y, (3, 3, 64, 64), (1, 1), (1, 1), 1)
    y = y.astype(np.float32)
    assert convolution.suits_winograd(y, (3, 3, 64, 64), (1, 1), (1, 1), 1)
    assert not convolution.suits_winograd(y, (3, 3, 3, 64), (1, 1), (1, 1), 1)
    assert not convolution.suits_winograd(y, (3, 3, 64, 64), (2, 1), (1, 1), 1)
    assert not convolution.suits_winograd(y, (3, 3, 8, 64), (1, 1), (1, 1), 8)
    assert convolution.suits_winograd(y, (3, 3, 32, 64), (1, 1), (1, 1), 2)
    assert convolution.suits_winograd(y, (3, 3, 64, 64), (1, 1), (2, 2), 1)
    assert not convolution.suits_winograd(y, (3, 3, 64, 64), (1, 1), (16, 16), 1)  # tiles of one output
    assert not convolution.suits_winograd(y, (4, 4, 64, 64), (1, 1), (1, 1), 1)  # more than half of 6x6 would be zeros
