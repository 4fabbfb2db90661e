"""Batches of one pass over a set of images, a part of it set apart for validation, and random augmentation.

All random numbers come from the caller's generator, never from the global one, so that a run can be repeated,
interrupted and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.checks import count
from autograd_cnn.data.checks import check_array, check_generator, check_pair


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
        Images in a batch; the last one may be smaller. If one image is left over, it joins the batch before, because
        batch norm needs more than one value.
    rng : numpy.random.Generator, optional
        Shuffles the images. Without it, batches are views, in order.

    Yields
    ------
    images, labels : arrays, (batch_size, ...)

    Raises
    ------
    TypeError
        If `images` or `labels` is no array, `batch_size` no int or `rng` no generator.
    ValueError
        If the numbers of images and labels differ, or `batch_size` is less than 1.

    Examples
    --------
    >>> images, labels = np.arange(10).reshape(5, 2), np.arange(5)
    >>> [y.tolist() for x, y in batches(images, labels, 2)]
    [[0, 1], [2, 3, 4]]
    >>> [y.tolist() for x, y in batches(images, labels, 3, np.random.default_rng(0))]
    [[2, 4, 3], [0, 1]]
    """
    check_pair("batches", images, labels)
    if rng is not None:
        check_generator("batches", rng)
    return _batches(images, labels, count(batch_size, "batches: batch_size"), rng)


def _batches(
    images: NDArray[Any], labels: NDArray[Any], batch_size: int, rng: Generator | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    total, order = len(images), None if rng is None else rng.permutation(len(images))
    left_over = total > 1 and total % batch_size == 1
    for start, end in pairwise([*range(0, total - left_over, batch_size), total]):
        chosen = slice(start, end) if order is None else order[start:end]
        yield images[chosen], labels[chosen]


def split(
    images: NDArray[Any], labels: NDArray[Any], share: float, rng: Generator
) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    """Set a share of the images apart, for validation: return (images, labels) of the rest, and of the share.

    Parameters
    ----------
    images, labels : arrays
        They have equal lengths.
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
    check_pair("split", images, labels)
    check_generator("split", rng)
    held = math.ceil(share * len(images)) if 0 < share < 1 else 0
    if not 0 < held < len(images):
        raise ValueError(f"split: share {share} of {len(images):,} images leaves a part empty, want it in (0, 1)")
    order = rng.permutation(len(images))
    apart, rest = np.sort(order[:held]), np.sort(order[held:])
    return (images[rest], labels[rest]), (images[apart], labels[apart])


def augment(
    images: NDArray[Any],
    rng: Generator,
    shift: int = 4,
    flip: bool = True,
    cutout: int = 0,
    mode: Literal["constant", "reflect"] = "constant",
) -> NDArray[Any]:
    """Shift each image by up to `shift` pixels, mirror it with probability 1/2, and paint over one square of it.

    Shifting and mirroring are the usual augmentation for CIFAR-10 (He et al.); the square is cutout (DeVries and
    Taylor), whose authors take a side of 16 for CIFAR-10. It has the mean colour of all these images.

    Parameters
    ----------
    images : array, (N, H, W, C), NHWC, any numeric dtype
        Not changed.
    rng : numpy.random.Generator
        Draws the shift and the mirroring of each image, and the place of its square.
    shift : int
        Largest shift, in pixels, of rows and of columns.
    flip : bool
        Whether to mirror images, left to right.
    cutout : int
        Side of the square, in pixels. Its centre may be any pixel, so a part of the square may lie outside.
    mode : {"constant", "reflect"}
        A shift brings in zeros, or the pixels at the edge, reflected, as `numpy.pad` does.

    Returns
    -------
    array, (N, H, W, C), same dtype

    Raises
    ------
    TypeError
        If `images` is no array, `rng` no generator, or `shift` or `cutout` no int.
    ValueError
        If `images` has other axes, `shift` or `cutout` is negative, or `mode` is unknown.

    References
    ----------
    K. He et al., "Deep Residual Learning for Image Recognition", 2015, section 4.2.

    T. DeVries and G. W. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.

    Examples
    --------
    >>> row = np.array([1, 2, 3, 4], np.uint8).reshape(1, 1, 4, 1)
    >>> augment(np.repeat(row, 3, axis=0), np.random.default_rng(0), shift=0)[:, 0, :, 0]
    array([[1, 2, 3, 4],
           [4, 3, 2, 1],
           [4, 3, 2, 1]], dtype=uint8)
    """
    check_array("augment", "images", images)
    check_generator("augment", rng)
    if images.ndim != 4:
        raise ValueError(f"augment: images {images.shape}, expected (N, H, W, C). One image: image[None]")
    count(shift, "augment: shift", 0)
    count(cutout, "augment: cutout", 0)
    number, height, width, channels = images.shape
    top, left = rng.integers(0, 2 * shift + 1, size=(2, number))
    # A pixel is one item of bytes: NumPy copies items whole, and would copy three colours in a loop of three.
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode)
    padded = np.ascontiguousarray(padded).view(f"V{channels * images.itemsize}")[..., 0]
    pixels = sliding_window_view(padded, (height, width), axis=(1, 2))[np.arange(number), top, left]
    if flip:
        mirrored = np.flatnonzero(rng.random(number) < 0.5)
        pixels[mirrored] = pixels[mirrored, :, ::-1]
    if cutout:
        rows, columns = (
            abs(2 * (np.arange(side) - rng.integers(0, side, (number, 1))) + 1 - cutout % 2) < cutout
            for side in (height, width)
        )
        mean = images.mean(axis=(0, 1, 2))
        colour = (np.rint(mean) if images.dtype.kind in "iu" else mean).astype(images.dtype)
        np.copyto(pixels, colour.view(pixels.dtype), where=rows[:, :, None] & columns[:, None, :])
    return pixels.view(images.dtype).reshape(images.shape)
