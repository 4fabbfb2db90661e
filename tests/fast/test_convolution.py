"""conv2d and its two gradients against explicit loops.

Whole numbers are compared exactly, since their sums are exact in any order. Only other numbers have a tolerance.
"""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import convolution, direct, tiles
from autograd_cnn.fast.convolution import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from autograd_cnn.fast.twins import kernel_set

NONE = ((0, 0), (0, 0))
ONE = ((1, 1), (1, 1))

# image, kernel, (C, O), stride, padding, dilation, groups
GEOMETRIES = {
    "all sizes different": ((7, 9), (3, 2), (4, 5), (2, 3), ((2, 1), (0, 3)), (1, 2), 1),
    "padding 1": ((5, 6), (3, 3), (2, 3), (1, 1), ONE, (1, 1), 1),
    "even kernel, same size": ((5, 6), (2, 4), (2, 3), (1, 1), ((0, 1), (1, 2)), (1, 1), 1),
    "stride does not divide": ((8, 8), (3, 3), (2, 2), (3, 2), NONE, (1, 1), 1),
    "stride over kernel": ((9, 8), (2, 1), (2, 3), (3, 4), NONE, (1, 1), 1),
    "dilated": ((9, 8), (3, 2), (2, 3), (1, 1), ((2, 0), (1, 1)), (3, 2), 1),
    "dilated, strided": ((9, 8), (3, 2), (2, 3), (2, 2), ((2, 0), (1, 1)), (3, 2), 1),
    "dilation over output": ((6, 5), (2, 2), (2, 3), (1, 1), NONE, (5, 4), 1),
    "1x1 kernel": ((4, 5), (1, 1), (3, 4), (1, 1), NONE, (1, 1), 1),
    "1x1 kernel, strided": ((4, 5), (1, 1), (3, 4), (2, 3), NONE, (1, 1), 1),
    "1x1 kernel, padded": ((4, 5), (1, 1), (3, 4), (1, 1), ((1, 0), (2, 1)), (1, 1), 1),
    "1x1 kernel, groups": ((4, 5), (1, 1), (4, 6), (1, 1), NONE, (1, 1), 2),
    "1x1 image": ((1, 1), (3, 3), (2, 3), (1, 1), ONE, (1, 1), 1),
    "kernel is the image": ((4, 3), (4, 3), (2, 3), (1, 1), NONE, (1, 1), 1),
    "padding over kernel": ((3, 4), (2, 2), (2, 3), (1, 1), ((3, 2), (2, 4)), (1, 1), 1),
    "padding over kernel, strided": ((3, 4), (2, 2), (2, 3), (2, 3), ((3, 2), (2, 4)), (1, 1), 1),
    "windows as many as pixels": ((4, 6), (2, 1), (2, 3), (1, 3), ((0, 2), (0, 0)), (1, 1), 1),
    "groups": ((5, 4), (3, 2), (4, 6), (1, 1), ONE, (1, 1), 2),
    "groups, strided, dilated": ((7, 6), (3, 2), (6, 3), (2, 1), ONE, (1, 2), 3),
    "depthwise": ((5, 4), (3, 2), (4, 4), (1, 1), ((1, 1), (0, 1)), (1, 1), 4),
    "depthwise, two outputs a channel": ((6, 7), (2, 3), (3, 6), (2, 1), ONE, (1, 2), 3),
    "depthwise, rows of several vectors": ((5, 20), (3, 3), (41, 41), (2, 1), ONE, (1, 1), 41),
    "phases without pixels": ((1, 1), (1, 1), (2, 3), (1, 1), ONE, (1, 2), 1),
    "one channel": ((5, 4), (3, 2), (1, 1), (1, 1), ONE, (1, 1), 1),
}


@pytest.fixture(autouse=True, scope="module", params=["compiled", "matrices"])
def way(request):
    """With Numba, small convolutions are computed directly. The matrices that others use must give the same."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "matrices":
            patch.setattr(direct, "suits", lambda _: False)
        elif kernel_set() == "numpy":
            pytest.skip("Numba is not installed")
        yield


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def geometry(request):
    return request.param


def all_three(x, w, b, g, options):
    return (
        conv2d(x, w, b, *options),
        conv2d_input_gradient(g, w, x.shape, *options),
        conv2d_weight_gradient(x, g, w.shape, *options),
    )


def make(rng, geometry, images=2, draw=None):
    """x, w, b, g and the options (stride, padding, dilation, groups) of a geometry."""
    size, kernel, (channels, outputs), *options = geometry
    draw = draw or (lambda shape: rng.integers(-4, 5, shape).astype(float))
    x, w, b = draw((images, *size, channels)), draw((*kernel, channels // options[3], outputs)), draw(outputs)
    return x, w, b, draw(conv2d(x, w, None, *options).shape), options


def check_against_loops(naive, x, w, b, g, options):
    """In float32, too, which has whole numbers exactly."""
    expected = (
        naive.conv2d(x, w, b, *options),
        naive.conv2d_input_gradient(g, w, x.shape, *options),
        naive.conv2d_weight_gradient(x, g, w.shape, *options),
    )
    for dtype in np.float64, np.float32:
        found = all_three(*(a.astype(dtype) for a in (x, w, b, g)), options)
        for result, truth in zip(found, expected, strict=True):
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, truth)


@pytest.mark.parametrize("cache", [tiles.CACHE, 1000], ids=["large tiles", "small tiles"])
@pytest.mark.parametrize("images", [0, 3])
def test_the_three_equal_explicit_loops(naive, rng, geometry, monkeypatch, images, cache):
    monkeypatch.setattr(tiles, "CACHE", cache)
    check_against_loops(naive, *make(rng, geometry, images))


@pytest.mark.parametrize("wide", ["x", "w", "b"])
def test_the_output_has_the_common_dtype(naive, rng, wide):
    x, w, b, _, options = make(rng, GEOMETRIES["groups"], draw=rng.standard_normal)
    mixed = [a if name == wide else a.astype(np.float32) for name, a in zip("xwb", (x, w, b), strict=True)]
    y = conv2d(*mixed, *options)
    assert y.dtype == np.float64
    # The kernel multiplies in the wide dtype as well: nothing is rounded to float32 on the way.
    np.testing.assert_allclose(y, naive.conv2d(*(a.astype(float) for a in mixed), *options), rtol=1e-12)


def test_any_memory_layout_gives_the_same_bits_and_is_only_read(rng, geometry, other_layouts):
    x, w, b, g, options = make(rng, geometry, draw=rng.standard_normal)
    expected = all_three(x, w, b, g, options)
    for layout in other_layouts(x):
        inputs = [other_layouts(a)[layout] for a in (x, w, b, g)]
        for result, plain in zip(all_three(*inputs, options), expected, strict=True):
            np.testing.assert_array_equal(result, plain, err_msg=layout)
        for array, original in zip(inputs, (x, w, b, g), strict=True):
            np.testing.assert_array_equal(array, original, err_msg=layout)


def test_weights_that_are_a_field_of_packed_records(rng):
    x, plain = rng.random((4, 16, 16, 16), np.float32), rng.random((3, 3, 16, 16), np.float32)
    w = np.zeros(plain.shape, [("byte", np.uint8), ("number", np.float32)])["number"]
    w[...] = plain
    for stride in 1, 2:
        options = (stride, stride), ((1, 1), (1, 1)), (1, 1), 1
        expected = convolution.conv2d(x, plain, None, *options)
        np.testing.assert_array_equal(convolution.conv2d(x, w, None, *options), expected)


@pytest.mark.parametrize("name", ["padding 1", "stride does not divide", "groups", "depthwise", "1x1 kernel"])
def test_the_number_of_threads_changes_no_bit(rng, name, small_tiles, same_bits):
    draw = lambda shape: rng.standard_normal(shape, np.float32)  # noqa: E731
    x, w, b, g, options = make(rng, GEOMETRIES[name], images=40, draw=draw)
    same_bits(lambda: all_three(x, w, b, g, options))


def test_a_deep_batch_equals_its_images(rng, monkeypatch):
    monkeypatch.setattr(tiles, "CACHE", 1 << 17)
    x, w, b, g, options = make(rng, GEOMETRIES["padding 1"], images=3000)
    y, gx, gw = all_three(x, w, b, g, options)
    row_bytes = y.shape[2] * w[..., 0].size * y.itemsize
    assert len(tiles.tiles(len(x), y.shape[1], row_bytes)) > 5 * tiles.PARTS
    some = slice(2990, 2992)
    np.testing.assert_array_equal(y[some], conv2d(x[some], w, b, *options))
    np.testing.assert_array_equal(gx[some], conv2d_input_gradient(g[some], w, x[some].shape, *options))
    halves = [conv2d_weight_gradient(x[i::2], g[i::2], w.shape, *options) for i in (0, 1)]
    np.testing.assert_array_equal(gw, sum(halves))


@pytest.mark.parametrize(("stride", "width"), [((1, 1), 4), ((2, 2), 7)])
def test_no_windows_give_a_gradient_of_zeros(stride, width):
    g, w = np.ones((2, 0, 3, 4)), np.ones((2, 2, 5, 4))
    gx = conv2d_input_gradient(g, w, (2, 1, width, 5), stride, ((0, 0), (0, 0)), (1, 1), 1)
    np.testing.assert_array_equal(gx, np.zeros((2, 1, width, 5)))


def test_errors_of_a_long_sum_of_equal_products_do_not_add_up():
    x, g = np.full((40, 32, 32, 3), 0.1, np.float32), np.full((40, 32, 32, 16), 0.1, np.float32)
    options = (3, 3, 3, 16), (1, 1), ONE, (1, 1), 1
    exact = conv2d_weight_gradient(x.astype(float), g.astype(float), *options)
    np.testing.assert_allclose(conv2d_weight_gradient(x, g, *options), exact, rtol=5e-6)
