"""Initialisers against their formulas."""

import numpy as np
import pytest

from autograd_cnn import nn


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"), [((400, 300), 400, 300), ((3, 5, 32, 64), 3 * 5 * 32, 3 * 5 * 64)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initialisers_have_the_deviation_of_their_formula(shape, fan_in, fan_out, dtype, rng):
    he, glorot, small = (f(shape, rng, dtype) for f in (nn.he_normal, nn.glorot_uniform, nn.small_normal))
    limit = np.sqrt(6 / (fan_in + fan_out))
    for w, deviation in ((he, np.sqrt(2 / fan_in)), (glorot, limit / np.sqrt(3)), (small, 0.01)):
        assert w.shape == shape
        assert w.dtype == dtype
        assert abs(w.std() / deviation - 1) < 0.03
        assert abs(w.mean()) < 0.03 * deviation
    assert limit * 0.99 < np.abs(glorot).max() <= limit * (1 + 1e-6)
    assert abs((he**4).mean() / (he**2).mean() ** 2 - 3) < 0.2  # normal, not uniform
