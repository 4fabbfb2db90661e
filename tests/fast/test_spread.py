"""Which images count as even: the decision itself; `test_winograd` has the errors that follow from it."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import spread

SAME = np.ones((1, 1, 16, 4), np.float32)  # all channels have the same weight
ONE = np.zeros((1, 1, 16, 4), np.float32)  # channel 3 has all of it
ONE[:, :, 3] = 1


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
def test_which_images_are_even(rng, dtype, change, spread_weights, one_channel):
    x = rng.uniform(-1, 1, (3, 8, 8, 16)).astype(dtype)
    change(x)
    assert spread.even(x, spread.concentration(SAME.astype(dtype)))[0] == spread.even(x)[0] == spread_weights
    assert spread.even(x, spread.concentration(ONE.astype(dtype)))[0] == one_channel
    if np.abs(x[1]).max() <= 1:
        assert spread.even(x, spread.concentration(SAME.astype(dtype)))[1:].all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_no_image_is_even_for_weights_that_are_not_finite_or_huge(rng, value):
    x, sums = rng.uniform(-1, 1, (3, 8, 8, 16)).astype(np.float32), SAME.copy()
    sums[..., 2, 1] = value
    assert not spread.even(x, spread.concentration(sums)).any()


def test_outputs_without_weights_do_not_matter(rng):
    sums = SAME.copy()
    sums[..., 1] = 0
    assert spread.even(rng.uniform(-1, 1, (3, 8, 8, 16)).astype(np.float32), spread.concentration(sums)).all()
