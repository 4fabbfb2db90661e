"""Which images have no far pixel: the decision itself; `test_winograd` has the errors that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import winograd
from autograd_cnn.fast.tiles import laid_out

SAME = np.ones((1, 1, 16, 4), np.float32)  # all channels have the same weight
ONE = np.zeros((1, 1, 16, 4), np.float32)  # channel 3 has all of it
ONE[:, :, 3] = 1


@pytest.fixture(scope="module")
def even(compiled):
    """The compiled look at images, for weights of this concentration."""
    import numba

    from autograd_cnn.fast.compiled import images_of
    from autograd_cnn.fast.compiled.winograd import look

    run = numba.njit(lambda images, *others: look(images_of(images), *others), error_model="numpy")

    def even(x, concentration=0.0):
        fine, spare = np.empty(len(x), np.uint8), np.empty(2, x.dtype)
        run(laid_out(x), winograd.limits(x.dtype, concentration), spare, fine)
        return fine.astype(bool)

    return even


def plainly(x, concentration):
    """The same with NumPy."""
    bands = np.array_split(np.abs(x), range(-(-x.shape[1] // 8), x.shape[1], -(-x.shape[1] // 8)), axis=1)
    tops = np.array([[band.max(initial=0) for band in image] for image in zip(*bands, strict=True)], x.dtype)
    bits = tops.view(f"i{x.itemsize}")
    typical = (bits.sum(1, dtype=float) / np.maximum(1, np.count_nonzero(tops, axis=1))).astype(bits.dtype)
    with np.errstate(all="ignore"):
        largest, squares = tops.max(axis=1), np.square(x).sum(axis=(1, 2, 3))
        near = largest <= np.minimum(16 * typical.view(x.dtype), np.finfo(x.dtype).max ** 0.375)
        return near & (largest**2 * concentration <= 64 / x[0].size * squares)


def changed(size, *place):
    def change(x):
        x[place] = size

    return change


CASES = {  # what happens to the images, and whether they are even if all channels weigh the same, or if one has all
    "as they are": (lambda x: None, True, True), "a large number": (changed(20, 0, 3, 3, 3), True, False),
    "a far number": (changed(1e3, 0, 3, 3, 3), False, False), "a far pixel": (changed(-1e3, 0, 3, 3), False, False),
    "nine far pixels": (changed(1e6, 0, slice(2, 5), slice(4, 7)), False, False),
    "nan": (changed(np.nan, 0, 0, 0, 0), False, False), "inf": (changed(-np.inf, 0, 7, 7, 0), False, False),
    "all nan": (changed(np.nan, 0), False, False), "zeros": (changed(0, 0), True, True),
    "zeros, but for two rows": (changed(0, 0, slice(2, None)), True, True),
    "tiny": (lambda x: np.multiply(x, 1e-15, out=x), True, True),
    "large": (lambda x: np.multiply(x, 1e12, out=x), True, True),
    "near overflow": (lambda x: np.multiply(x, np.finfo(x.dtype).max / 1000, out=x), False, False),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("change", "spread_weights", "one_channel"), CASES.values(), ids=CASES.keys())
def test_which_images_are_even(rng, even, dtype, change, spread_weights, one_channel):
    x = rng.uniform(-1, 1, (3, 8, 8, 16)).astype(dtype)
    change(x)
    assert even(x, winograd.concentration(SAME.astype(dtype)))[0] == even(x)[0] == spread_weights
    assert even(x, winograd.concentration(ONE.astype(dtype)))[0] == one_channel
    if np.abs(x[1]).max() <= 1:
        assert even(x, winograd.concentration(SAME.astype(dtype)))[1:].all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_no_image_is_even_for_weights_that_are_not_finite_or_huge(rng, even, value):
    x, sums = rng.uniform(-1, 1, (3, 8, 8, 16)).astype(np.float32), SAME.copy()
    sums[..., 2, 1] = value
    assert not even(x, winograd.concentration(sums)).any()


def test_outputs_without_weights_do_not_matter(rng, even):
    sums = SAME.copy()
    sums[..., 1] = 0
    assert even(rng.uniform(-1, 1, (3, 8, 8, 16)).astype(np.float32), winograd.concentration(sums)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 5, 16, 17])
@pytest.mark.parametrize("strided", [False, True])
def test_the_look_decides_as_numpy(rng, even, dtype, rows, strided):
    x = 10 ** rng.uniform(-0.4, 0.4, (400, rows, 4, 10))
    x[:, 0, 1, 2] = 10 ** rng.uniform(0, 2, 400)
    x[::50, -1, -1] = np.nan
    x[1::50, -1] = np.inf
    x[2::50] *= 0
    x = x.astype(dtype)
    x = x[..., ::2].copy() if not strided else x[..., :5]
    found = even(x, 0.1)
    np.testing.assert_array_equal(found, plainly(x, 0.1))
    assert 100 < np.count_nonzero(found) < 390
