"""Moments of channels, and the map that normalises them, for arrays large enough for tiles."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.fast import normalization


def test_normalise(normal, same_on_any_number_of_threads):
    x, (mean, scale, shift) = normal(100, 50, 60, 3), normal(3, 3, seed=1)
    formula = lambda x, mean, scale, shift: (x - mean) * scale + shift  # noqa: E731
    same_on_any_number_of_threads(normalization.normalise, formula, x, mean, scale, shift)


@pytest.mark.parametrize("shape", [(90, 40, 50, 3), (90, 20, 20, 16), (30, 5, 5, 700)])
def test_moments_of_numbers_far_from_zero(shape, normal):
    x = (1000 + normal(*shape)).astype(np.float32)
    mean, variance = normalization.moments(x)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x.astype(float).var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("writable", [True, False])
def test_gradient(rng, writable):
    """Against the formula of Ioffe and Szegedy, in several tiles; in the place of `g` if that may be written."""
    x, g = rng.standard_normal((2, 70, 80, 90, 3))
    w = rng.standard_normal(3)
    mean, variance = normalization.moments(x)
    given = g.copy()
    given.setflags(write=writable)
    gx, gw, gb = normalization.batch_norm_gradient(given, x, mean, variance, w, 1e-5)
    assert (gx is given) == writable
    scale = 1 / np.sqrt(variance + 1e-5)
    y = (x - mean) * scale
    np.testing.assert_allclose(gb, g.sum((0, 1, 2)), rtol=1e-8)
    np.testing.assert_allclose(gw, (g * y).sum((0, 1, 2)), rtol=1e-8)
    expected = w * scale * (g - g.mean((0, 1, 2)) - y * (g * y).mean((0, 1, 2)))
    np.testing.assert_allclose(gx, expected, rtol=1e-8, atol=1e-10)
