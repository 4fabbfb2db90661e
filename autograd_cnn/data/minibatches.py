"""Batches of one pass over a set of images, a part of it set apart for validation, and random augmentation.

Imports NumPy only. All random numbers come from the caller's generator, never from the global one, so that a run can
be repeated, interrupted and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray


def batches(
    images: NDArray[Any], labels: NDArray[Any], batch_size: int, rng: Generator | None = None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield all images once, a batch at a time.

    Parameters
    ----------
    images : array, (N, ...)
    labels : array, (N, ...)
        Any array with a row for each image: classes (N,), targets (N, 10).
    batch_size : int
        Images in a batch; the last one may be smaller.
    rng : numpy.random.Generator, optional
        Shuffles the images. Without it, batches are views, in order.

    Yields
    ------
    images, labels : arrays, (batch_size, ...)

    Raises
    ------
    ValueError
        If the numbers of images and labels differ, or `batch_size` is less than 1.

    Examples
    --------
    >>> images, labels = np.arange(10).reshape(5, 2), np.arange(5)
    >>> [y.tolist() for x, y in batches(images, labels, 2)]
    [[0, 1], [2, 3], [4]]
    >>> [y.tolist() for x, y in batches(images, labels, 2, np.random.default_rng(0))]
    [[2, 4], [3, 0], [1]]
    """
    if len(images) != len(labels):
        raise ValueError(f"batches: {len(images):,} images, but {len(labels):,} labels")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size {batch_size}, must be at least 1")
    order = None if rng is None else rng.permutation(len(images))
    for start in range(0, len(images), batch_size):
        chosen = slice(start, start + batch_size) if order is None else order[start : start + batch_size]
        yield images[chosen], labels[chosen]


def split(
    images: NDArray[Any], labels: NDArray[Any], share: float, rng: Generator
) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    """Set a share of the images apart, for validation: return (images, labels) of the rest, and of the share.

    Parameters
    ----------
    images, labels
        As for `batches`.
    share : float
        In (0, 1); the number of images is rounded up.
    rng : numpy.random.Generator
        Chooses the images.

    Raises
    ------
    ValueError
        If the numbers of images and labels differ, or one of the parts would be empty.

    Examples
    --------
    >>> images, labels = np.arange(10).reshape(5, 2), np.arange(5)
    >>> (x, y), (validation_x, validation_y) = split(images, labels, 0.2, np.random.default_rng(0))
    >>> y.tolist(), validation_y.tolist()
    ([0, 1, 3, 4], [2])
    """
    if len(images) != len(labels):
        raise ValueError(f"split: {len(images):,} images, but {len(labels):,} labels")
    count = math.ceil(share * len(images))
    if not 0 < count < len(images):
        raise ValueError(f"split: share {share} of {len(images):,} images leaves a part empty, want it in (0, 1)")
    order = rng.permutation(len(images))
    apart, rest = np.sort(order[:count]), np.sort(order[count:])
    return (images[rest], labels[rest]), (images[apart], labels[apart])


def augment(images: NDArray[Any], rng: Generator, shift: int = 4, flip: bool = True) -> NDArray[Any]:
    """Shift each image by up to `shift` pixels, fill with zeros, and mirror it with probability 1/2.

    This is the usual augmentation for CIFAR-10 (He et al., "Deep Residual Learning for Image Recognition", 2015,
    section 4.2). Zero is black in stored images, and the mean in normalised ones.

    Parameters
    ----------
    images : array, (N, H, W, C), NHWC, any dtype
        Not changed.
    rng : numpy.random.Generator
        Draws the shift and the mirroring of each image.
    shift : int
        Largest shift, in pixels, of rows and of columns.
    flip : bool
        Whether to mirror images, left to right.

    Returns
    -------
    array, (N, H, W, C), same dtype

    Examples
    --------
    >>> row = np.array([1, 2, 3, 4], np.uint8).reshape(1, 1, 4, 1)
    >>> augment(np.repeat(row, 3, axis=0), np.random.default_rng(0), shift=0)[:, 0, :, 0]
    array([[1, 2, 3, 4],
           [4, 3, 2, 1],
           [4, 3, 2, 1]], dtype=uint8)
    """
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    windows = sliding_window_view(padded, (height, width), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    top, left = rng.integers(0, 2 * shift + 1, size=(2, count))
    moved = windows[np.arange(count), top, left]
    if flip:
        mirrored = rng.random(count) < 0.5
        moved[mirrored] = moved[mirrored, :, ::-1]
    return moved
