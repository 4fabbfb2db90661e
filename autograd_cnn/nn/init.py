"""Initialisers, which draw the initial weights of a layer: (shape, rng, dtype) -> array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["glorot_uniform", "he_normal", "small_normal", "standard_normal"]

Initialiser = Callable[[tuple[int, ...], Generator, Any], NDArray[Any]]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Count the inputs that one output depends on, and the outputs that depend on one input, for (in, out) and HWIO."""
    return max(math.prod(shape[:-1]), 1), math.prod(shape[:-2]) * shape[-1]


def he_normal(shape: tuple[int, ...], rng: Generator, dtype: Any = np.float32) -> NDArray[Any]:
    """Draw from a normal distribution with variance ``2 / fan_in``, so that ReLU layers keep the size of activations.

    Parameters
    ----------
    shape : tuple of int
        (in, out), or HWIO with ``fan_in = H * W * I``.
    rng : numpy.random.Generator
    dtype : float32 or float64

    References
    ----------
    K. He et al., "Delving Deep into Rectifiers", 2015, equation 10.

    Examples
    --------
    >>> w = he_normal((3, 3, 32, 64), np.random.default_rng(0))
    >>> w.dtype, round(float(w.std()), 3), round(math.sqrt(2 / (3 * 3 * 32)), 3)
    (dtype('float32'), 0.083, 0.083)
    """
    return rng.standard_normal(shape, dtype) * math.sqrt(2 / _fans(shape)[0])


def glorot_uniform(shape: tuple[int, ...], rng: Generator, dtype: Any = np.float32) -> NDArray[Any]:
    """Draw uniformly within ``sqrt(6 / (fan_in + fan_out))`` of 0, for activations that are linear near 0.

    Parameters
    ----------
    shape : tuple of int
        (in, out), or HWIO with ``fan_in = H * W * I`` and ``fan_out = H * W * O``.
    rng : numpy.random.Generator
    dtype : float32 or float64

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16.
    """
    limit = math.sqrt(6 / sum(_fans(shape)))
    return rng.random(shape, dtype) * (2 * limit) - limit


def small_normal(shape: tuple[int, ...], rng: Generator, dtype: Any = np.float32) -> NDArray[Any]:
    """Draw from a normal distribution with deviation 0.01, for any shape. In deep networks, activations then vanish.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator
    dtype : float32 or float64
    """
    return rng.standard_normal(shape, dtype) * 0.01


def standard_normal(shape: tuple[int, ...], rng: Generator, dtype: Any = np.float32) -> NDArray[Any]:
    """Draw from a normal distribution with deviation 1, for any shape, such as a table of embeddings.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator
    dtype : float32 or float64
    """
    return rng.standard_normal(shape, dtype)
