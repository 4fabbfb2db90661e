"""Convolution by Winograd's transforms against explicit loops, in every place where tiles can end."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import convolution, direct, tiles, winograd
from autograd_cnn.fast.convolution import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from autograd_cnn.fast.memory import empty

ONE = ((1, 1), (1, 1))
# image, (C, O), padding; then dilation, groups and kernel if they are not 1, 1 and 3x3
GEOMETRIES = {
    "even": ((6, 4), (2, 3), ONE), "odd": ((5, 7), (3, 2), ONE), "whole tiles": ((8, 12), (3, 2), ONE),
    "one row and column more": ((9, 5), (2, 3), ONE), "no padding": ((6, 5), (2, 2), ((0, 0), (0, 0))),
    "uneven padding": ((4, 5), (2, 3), ((2, 0), (0, 1))), "more padding than tile": ((3, 4), (1, 2), ((5, 4), (3, 6))),
    "one output": ((3, 3), (2, 2), ((0, 0), (0, 0))), "one pixel": ((1, 1), (2, 2), ONE),
    "margins cut off": ((8, 9), (2, 2), ((-1, -2), (-3, 0))), "groups": ((5, 6), (6, 4), ONE, (1, 1), 2),
    "dilation": ((7, 9), (2, 3), ((2, 2), (3, 3)), (2, 3)),
    "dilation, uneven": ((8, 5), (2, 2), ((1, 2), (0, 4)), (3, 2)),
    "dilation larger than the image": ((3, 4), (1, 2), ((5, 5), (6, 6)), (5, 6)),
    "dilation and groups": ((6, 6), (4, 4), ONE, (2, 2), 2),
    "5x5": ((7, 8), (2, 3), ((2, 2), (2, 2)), (1, 1), 1, (5, 5)),
    "5x3, margins cut off": ((9, 6), (2, 2), ((-1, 1), (0, -1)), (1, 1), 1, (5, 3)),
    "3x7, dilation": ((6, 15), (1, 2), ((2, 0), (1, 9)), (2, 2), 1, (3, 7)),
}  # fmt: skip


@pytest.fixture
def way(monkeypatch, compiled):
    """A list with an item for each call of the algorithm."""
    calls = []
    for name in "conv2d", "weight_gradient":
        function = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *args, f=function: calls.append(1) or f(*args))
    return calls


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def case(request, rng, monkeypatch, way):
    (height, width), (inputs, outputs), padding, dilation, groups, kernel = (
        *request.param,
        *((1, 1), 1, (3, 3))[len(request.param) - 3 :],
    )
    inputs, outputs = inputs + 16 * groups, outputs + 16 * groups  # they fill a register
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
            conv2d_input_gradient(g, w, x.shape, *options), naive.conv2d_input_gradient(g, w, x.shape, *options)
        )


@pytest.mark.parametrize("far", [np.nan, 1e9])
@pytest.mark.parametrize("cache", [tiles.CACHE, 4000], ids=["large tiles", "small tiles"])
def test_images_with_a_far_pixel_equal_explicit_loops(case, naive, monkeypatch, cache, far):
    """In every geometry, and where an image is cut into bands: the band that holds the pixel is computed directly."""
    x, w, b, options = case
    if x.shape[1:3] == (1, 1):
        pytest.skip("the only pixel of an image is far from no other")
    monkeypatch.setattr(tiles, "CACHE", cache)
    x[1, x.shape[1] // 2, -1, 0] = far
    plain = ((1, 1), ((0, 0), (0, 0)), *options[2:])
    y = conv2d(x, w, b, *options)
    assert_equal_but_for_rounding(
        np.delete(y, 1, 0), naive.conv2d(np.delete(padded(x, options[1]), 1, 0), w, b, *plain)
    )
    truth = naive.conv2d(padded(x, options[1]), w, b, *plain)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(truth))
    few_roundings = {"rtol": 1e-9, "atol": 2e9 * np.finfo(float).eps}
    np.testing.assert_allclose(y, truth, **few_roundings)
    g = np.ones(y.shape)
    truth = naive.conv2d_weight_gradient(padded(x, options[1]), g, w.shape, *plain)
    np.testing.assert_allclose(conv2d_weight_gradient(x, g, w.shape, *options), truth, **few_roundings)


def all_three(x, w, g, options):
    return (
        conv2d(x, w, None, *options),
        conv2d_input_gradient(g, w, x.shape, *options),
        conv2d_weight_gradient(x, g, w.shape, *options),
    )


@pytest.mark.parametrize(("kernel", "channels", "error"), [(3, 64, 3e-6), (3, 256, 5e-6), (5, 64, 5e-6)])
def test_it_is_chosen_for_wide_layers_and_its_error_in_float32_is_small(rng, monkeypatch, way, kernel, channels, error):
    x = np.maximum(rng.standard_normal((8, 16, 16, channels), np.float32), 0)
    w = rng.standard_normal((kernel, kernel, channels, channels), np.float32)
    g = rng.standard_normal(x.shape, np.float32)
    options = (1, 1), ((kernel // 2,) * 2,) * 2, (1, 1), 1

    fast = all_three(x, w, g, options)
    assert len(way) == 3
    monkeypatch.setattr(convolution, "suits_winograd", lambda *_: False)
    for result, truth in zip(fast, all_three(*(a.astype(float) for a in (x, w, g)), options), strict=True):
        assert result.dtype == np.float32
        assert np.abs(result - truth).max() < error * np.abs(truth).max()


@pytest.mark.parametrize(("kernels", "channels"), [("numba", [16, 32, 64]), ("numpy", [])])
def test_the_choice_depends_on_the_kernels(kernels, channels, monkeypatch):
    monkeypatch.setattr(direct, "kernel_set", lambda: kernels)

    def suits(n):  # as in ResNet-20
        return convolution.suits_winograd(empty((100, 512 // n, 512 // n, n), np.float32), (3, 3, n, n), (1, 1))

    assert [n for n in (16, 32, 64) if suits(n)] == channels


def test_float16_and_few_channels_use_matrices(monkeypatch):
    monkeypatch.setattr(direct, "kernel_set", lambda: "numba")
    y, w, one = np.zeros((8, 16, 16, 64), np.float32), (3, 3, 64, 64), (1, 1)
    assert convolution.suits_winograd(y, w, one)
    assert not convolution.suits_winograd(y.astype(np.float16), w, one)
    assert not convolution.suits_winograd(y, (3, 3, 3, 64), one)
    assert not convolution.suits_winograd(y, w, (2, 1))
    assert not convolution.suits_winograd(y, (3, 3, 8, 8), one)  # a group of eight
    assert convolution.suits_winograd(y, (3, 3, 32, 32), one)
    assert not convolution.suits_winograd(y[:, ::16, ::16], w, one)  # tiles of one output
    assert not convolution.suits_winograd(y, (2, 1, 64, 64), one)  # most of a 3x3 part would be zeros


PADDED = (1, 1), ONE, (1, 1), 1


@pytest.fixture
def both_ways(way, monkeypatch):
    """A function that returns the result and both gradients: in float32 by Winograd, and directly in float64."""

    def computed(x, w, g):
        monkeypatch.setattr(
            convolution, "suits_winograd", lambda y, shape, *_: x.dtype != float and shape[:2] == (3, 3)
        )
        with np.errstate(all="ignore"):
            return all_three(x, w, g, PADDED)

    def run(*arrays):
        return computed(*(a.astype(np.float32) for a in arrays)), computed(*(a.astype(float) for a in arrays))

    run.exact = computed
    return run


def ordinary(rng, images=4, size=16, inputs=16, outputs=32):
    """Images after relu, weights, and a gradient that is often 0, as behind max pooling."""
    x = np.maximum(rng.standard_normal((images, size, size, inputs)), 0)
    g = rng.standard_normal((images, size, size, outputs)) * (rng.random((images, size, size, outputs)) < 0.2)
    return [a.astype(np.float32).astype(float) for a in (x, rng.standard_normal((3, 3, inputs, outputs)), g)]


def rms(images):
    return np.sqrt(np.square(images.astype(np.float32).astype(float)).mean(axis=(1, 2, 3)))


def errors(both_ways, arrays, scale_x, scale_g):
    """Largest error of each of the three, in units of 1e-5 of the sum over its own or over a typical window."""
    results, truths = both_ways(*arrays)
    x, w, g = (np.abs(a.astype(np.float32).astype(float)) for a in arrays)
    typical = (
        scale_x[:, None, None, None] * w.sum(axis=(0, 1, 2)),
        scale_g[:, None, None, None] * w.sum(axis=(0, 1, 3)),
        scale_x @ g.sum(axis=(1, 2)),
    )
    bounds = [1e-5 * np.maximum(own, usual) for own, usual in zip(both_ways.exact(x, w, g), typical, strict=True)]
    return [float((np.abs(r - t) / b).max()) for r, t, b in zip(results, truths, bounds, strict=True)]


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("far", [1e3, 1e6, 1e12])
@pytest.mark.parametrize("channels", [slice(5, 6), slice(None)], ids=["one number", "all channels"])
def test_a_far_pixel_counts_only_in_windows_that_hold_it(rng, both_ways, size, far, channels):
    x, w, g = ordinary(rng, size=size)
    scales = rms(x), rms(g)  # without the far pixels
    x[1, 2, 3, channels] = far
    g[2, size - 1, 0, channels] = -far
    assert max(errors(both_ways, (x, w, g), *scales)) < 1


def spread_over_1e12(rng, *shape):
    return 10 ** rng.uniform(-6, 6, shape)


SCALES = {  # of x, w and g
    "numbers": ((4, 16, 16, 16), (1, 1), (4, 16, 16, 32)), "pixels": ((4, 16, 16, 1), (1, 1), (4, 16, 16, 1)),
    "rows": ((4, 16, 1, 1), (1, 1), (4, 16, 1, 1)), "images": ((4, 1, 1, 1), (1, 1), (4, 1, 1, 1)),
    "channels": ((16,), (1, 1), (32,)), "weights": ((1,), (3, 3, 16, 32), (1,)),
    "weights of inputs": ((1,), (16, 1), (1,)), "weights of outputs": ((1,), (32,), (1,)),
    "all": ((4, 16, 16, 16), (3, 3, 16, 32), (4, 16, 16, 32)),
    "pixels, weights of inputs": ((4, 16, 16, 1), (16, 1), (4, 16, 16, 1)),
}  # fmt: skip


@pytest.mark.parametrize("shapes", SCALES.values(), ids=SCALES.keys())
def test_errors_stay_below_1e_5_of_a_typical_window_for_any_scales(rng, both_ways, shapes):
    arrays = [a * spread_over_1e12(rng, *shape) for a, shape in zip(ordinary(rng), shapes, strict=True)]
    assert max(errors(both_ways, arrays, rms(arrays[0]), rms(arrays[2]))) < 1


@pytest.mark.parametrize("channels", [16, 64, 256])
@pytest.mark.parametrize("outlier", [5, 30])
def test_outliers_in_a_channel_that_has_all_the_weight(rng, both_ways, channels, outlier):
    x, w, g = ordinary(rng, inputs=channels)
    w[:, :, np.arange(channels) != 3] *= 1e-4
    x[:, np.arange(16), rng.integers(0, 16, 16), 3] = outlier
    assert max(errors(both_ways, (x, w, g), rms(x), rms(g))) < np.sqrt(channels / 16)


def kinds(a):
    return np.select([np.isnan(a), np.isinf(a)], [9, np.sign(a)], 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e36])
@pytest.mark.parametrize("which", ["x", "w", "g", "xg"])
def test_nan_and_inf_spoil_exactly_their_windows(rng, both_ways, which, value):
    x, w, g = ordinary(rng, size=12)
    if "x" in which:
        x[1, 4, 5, 6] = x[2, 0, 0, 3] = value
    if "w" in which:
        w[1, 1, 6, 7] = value
    if "g" in which:
        g[1, 5, 5, 7] = value
    for result, truth in zip(*both_ways(x, w, g), strict=True):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(kinds(result), kinds(truth.astype(np.float32)))


def test_a_block_whose_images_mostly_hold_a_far_pixel_is_computed_directly(rng, way, monkeypatch):
    monkeypatch.setattr(convolution, "suits_winograd", lambda *_: True)
    x, w, _ = (a.astype(np.float32) for a in ordinary(rng, images=3))
    x[1:, 4, 5, 6] = 1e6
    y, direct = conv2d(x, w, None, *PADDED), np.empty((3, 16, 16, 32), np.float32)
    convolution.convolve(x, w, None, direct, (1, 1), (1, 1), may_tile=False)
    assert way == [1]
    np.testing.assert_array_equal(y, direct)
    x[1] = x[0]
    np.testing.assert_array_equal((conv2d(x, w, None, *PADDED) == direct).all(axis=(1, 2, 3)), [False, False, True])


def test_only_images_that_hold_a_far_pixel_are_computed_directly(rng, way, monkeypatch):
    monkeypatch.setattr(convolution, "suits_winograd", lambda *_: True)
    x, w, g = (a.astype(np.float32) for a in ordinary(rng, images=40, size=8))
    found = []

    def counted(function):
        def run(x, *rest, may_tile=True):
            found.extend([] if may_tile else [len(x)])
            return function(x, *rest, may_tile)

        return run

    for name in "convolve", "weight_gradient":
        monkeypatch.setattr(convolution, name, counted(getattr(convolution, name)))
    y = conv2d(x, w, None, *PADDED)
    assert way == [1] and found == []
    x[7, 3, 3, 3] = np.nan
    np.testing.assert_array_equal(np.delete(conv2d(x, w, None, *PADDED), 7, axis=0), np.delete(y, 7, axis=0))
    conv2d_weight_gradient(x, g, w.shape, *PADDED)
    assert way == [1] * 3 and found == [1, 1]


def test_a_far_pixel_changes_no_bit_with_the_number_of_threads(rng, way, same_bits, monkeypatch):
    monkeypatch.setattr(convolution, "suits_winograd", lambda *_: True)
    x, w, g = (a.astype(np.float32) for a in ordinary(rng, images=40))
    x[7, 3, 3, 3] = g[9, 4, 4] = 1e9
    same_bits(lambda: (conv2d(x, w, None, *PADDED), conv2d_weight_gradient(x, g, w.shape, *PADDED)))
