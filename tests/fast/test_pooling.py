"""Pooling and its gradients against explicit loops, at ties, NaN and -inf."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import tiles
from autograd_cnn.fast.pooling import avg_pool2d, avg_unpool2d, max_pool2d, max_unpool2d

NONE = ((0, 0), (0, 0))

# image, then the options: kernel_size, stride, padding
GEOMETRIES = {
    "2 by 2": ((6, 8), (2, 2), (2, 2), NONE), "all sizes different": ((7, 9), (3, 2), (2, 3), ((1, 2), (0, 1))),
    "overlapping": ((5, 6), (3, 3), (1, 1), NONE), "overlapping, padded": ((5, 6), (3, 3), (1, 2), ((1, 1), (1, 1))),
    "stride does not divide": ((8, 7), (3, 3), (3, 2), NONE), "stride over kernel": ((9, 8), (2, 1), (3, 4), NONE),
    "apart down, overlapping across": ((6, 6), (2, 3), (2, 1), NONE),
    "rows only": ((6, 5), (3, 1), (1, 1), ((1, 1), (0, 0))), "1 by 1": ((3, 4), (1, 1), (1, 1), NONE),
    "1x1 image": ((1, 1), (3, 2), (1, 1), ((1, 1), (0, 1))), "window is the image": ((4, 5), (4, 5), (1, 1), NONE),
}  # fmt: skip


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def geometry(request):
    return request.param


def make(rng, geometry, images=2, channels=3):
    """Images with many ties, and the options of a geometry."""
    size, *options = geometry
    return rng.integers(-2, 3, (images, *size, channels)).astype(float), options


def check_max(naive, x, options, rng):
    y, argmax = max_pool2d(x, *options)
    expected, where = naive.max_pool2d(x, *options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(argmax, where)
    np.testing.assert_array_equal(max_pool2d(x, *options, places=False)[0], expected)
    g = rng.integers(-4, 5, y.shape).astype(float)
    gx = max_unpool2d(g, argmax, x.shape, *options)
    np.testing.assert_array_equal(gx, naive.max_unpool2d(g, argmax, x.shape, *options))
    assert gx.sum() == g.sum()


def check_avg(naive, x, options, rng):
    y = avg_pool2d(x, *options)
    np.testing.assert_allclose(y, naive.avg_pool2d(x, *options), rtol=1e-14, atol=1e-14)
    g = rng.integers(-4, 5, y.shape).astype(float)
    gx = avg_unpool2d(g, x.shape, *options)
    np.testing.assert_allclose(gx, naive.avg_unpool2d(g, x.shape, *options), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("cache", [tiles.CACHE, 1000], ids=["large tiles", "small tiles"])
@pytest.mark.parametrize("images", [0, 5])
def test_pooling_equals_explicit_loops(naive, rng, geometry, monkeypatch, images, cache):
    monkeypatch.setattr(tiles, "CACHE", cache)
    x, options = make(rng, geometry, images)
    check_max(naive, x, options, rng)
    check_avg(naive, x, options, rng)


@pytest.mark.parametrize("window, dtype", [((15, 17), np.uint8), ((16, 16), np.uint16), ((1, 300), np.uint16)])
def test_argmax_of_the_last_place_of_large_windows(window, dtype):
    places = window[0] * window[1]
    x = np.zeros((places + 1, *window, 1))
    for place in range(places):
        x[place].flat[place] = 1  # and the last image is all ties
    y, argmax = max_pool2d(x, window, (1, 1), NONE)
    assert argmax.dtype == dtype
    np.testing.assert_array_equal(argmax.ravel(), [*range(places), 0])
    np.testing.assert_array_equal(max_unpool2d(y, argmax, x.shape, window, (1, 1), NONE), x)
    x[:] = 0
    x.reshape(len(x), -1)[:, -1] = np.nan
    assert (max_pool2d(x, window, (1, 1), NONE)[1] == places - 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_padding_never_wins_over_integers(rng, dtype):
    x = rng.integers(-5 * (dtype == np.int32), 5, (2, 5, 4, 3)).astype(dtype)
    window = (3, 3), (2, 2), ((1, 1), (1, 1))
    for y, expected in zip(max_pool2d(x, *window), max_pool2d(x.astype(float), *window), strict=True):
        np.testing.assert_array_equal(y, expected)


def all_four(x, g, options):
    y, argmax = max_pool2d(x, *options)
    return (
        y,
        argmax,
        max_unpool2d(g, argmax, x.shape, *options),
        avg_pool2d(x, *options),
        avg_unpool2d(g, x.shape, *options),
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_kept(rng, geometry, dtype):
    """And numbers of float16, which no compiled kernel takes, are those of float64."""
    x, options = make(rng, geometry)
    exact = all_four(x, max_pool2d(x, *options)[0], options)
    y, argmax, *others = found = all_four(x.astype(dtype), exact[0].astype(dtype), options)
    assert argmax.dtype == np.uint8
    assert {a.dtype for a in (y, *others)} == {np.dtype(dtype)}
    for a, b in zip(found[:3], exact, strict=False):  # means are rounded
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["2 by 2", "overlapping, padded"])
def test_any_memory_layout_gives_the_same_bits_and_is_only_read(rng, name, other_layouts):
    x, options = make(rng, GEOMETRIES[name])
    g = rng.standard_normal(max_pool2d(x, *options)[0].shape)
    expected = all_four(x, g, options)
    argmax = expected[1]
    for layout, of_x in other_layouts(x).items():
        of_g, of_argmax = other_layouts(g)[layout], other_layouts(argmax)[layout]
        for result, plain in zip(all_four(of_x, of_g, options), expected, strict=True):
            np.testing.assert_array_equal(result, plain, err_msg=layout)
        np.testing.assert_array_equal(max_unpool2d(of_g, of_argmax, x.shape, *options), expected[2])
        for array, original in (of_x, x), (of_g, g), (of_argmax, argmax):
            np.testing.assert_array_equal(array, original, err_msg=layout)


@pytest.mark.parametrize("name", ["2 by 2", "overlapping, padded"])
def test_the_number_of_threads_changes_no_bit(rng, name, small_tiles, same_bits):
    _, options = make(rng, GEOMETRIES[name])
    x = rng.standard_normal((40, *GEOMETRIES[name][0], 3), np.float32)
    g = rng.standard_normal(max_pool2d(x, *options)[0].shape, np.float32)
    same_bits(lambda: all_four(x, g, options))
