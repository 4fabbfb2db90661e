"""A set of labelled images, and the explicit conversions of images and labels for a network.

Imports NumPy only. Images are stored as uint8 in NHWC (image, row, column, colour). Nothing converts them implicitly:
float32 takes four times the memory, so the user decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test images with their labels.

    Attributes
    ----------
    name : str
        The full name, which log lines and plot titles print. It says so if images are synthetic or unverified.
    classes : tuple of str
        The name of each label.
    train_images, test_images : array, (N, H, W, C) uint8, NHWC
    train_labels, test_labels : array, (N,) int64
    """

    name: str
    classes: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    def __repr__(self) -> str:
        shape = self.train_images.shape[1:]
        return (
            f"<{self.name}: {len(self.train_images):,} training and {len(self.test_images):,} test images "
            f"{shape} {self.train_images.dtype}, {len(self.classes)} classes>"
        )

    def take(self, train: int, test: int | None = None) -> Dataset:
        """Return the first `train` training images and the first `test` test images (by default all of these).

        The images are views. The name states the numbers, since accuracies on a part are not those on all images.

        Raises
        ------
        ValueError
            If there are fewer images.

        Examples
        --------
        >>> from autograd_cnn.data import load_shapes
        >>> load_shapes(train=100, test=50).take(32)
        <shapes (synthetic), first 32 + 50: 32 training and 50 test images (32, 32, 3) uint8, 10 classes>
        """
        test = len(self.test_images) if test is None else test
        parts = (("training", train, self.train_images), ("test", test, self.test_images))
        for part, wanted, images in parts:
            if not 0 <= wanted <= len(images):
                raise ValueError(f"take: {wanted:,} {part} images wanted, {self.name} has {len(images):,}")
        return replace(
            self,
            name=f"{self.name}, first {train:,} + {test:,}",
            train_images=self.train_images[:train],
            train_labels=self.train_labels[:train],
            test_images=self.test_images[:test],
            test_labels=self.test_labels[:test],
        )


def as_float32(
    images: NDArray[np.uint8], mean: ArrayLike | None = None, std: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Convert stored images to float32 for a network: `(images / 255 - mean) / std`.

    Parameters
    ----------
    images : array, (N, H, W, C) uint8, NHWC
    mean, std : (C,), optional
        Per channel, in units of the range [0, 1], as `channel_statistics` returns them. Use those of the training
        images for test images too.

    Returns
    -------
    array, same shape, float32
        In [0, 1] if neither `mean` nor `std` is given.

    Raises
    ------
    TypeError
        If the images are not uint8: dividing by 255 twice goes unnoticed until nothing is learnt.

    Examples
    --------
    >>> as_float32(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    if images.dtype != np.uint8:
        raise TypeError(f"as_float32: images are {images.dtype}, expected uint8 (0..255). Converted already?")
    result = np.divide(images, 255, dtype=np.float32)
    if mean is not None:
        result -= np.asarray(mean, np.float32)
    if std is not None:
        result /= np.asarray(std, np.float32)
    return result


def channel_statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each colour over all pixels of all images, in units of the range [0, 1].

    Parameters
    ----------
    images : array, (N, H, W, C) uint8, NHWC

    Returns
    -------
    mean, std : arrays, (C,) float32

    Examples
    --------
    >>> images = np.zeros((1, 1, 2, 3), np.uint8)
    >>> images[0, 0, 0] = 255, 51, 0
    >>> channel_statistics(images)
    (array([0.5, 0.1, 0. ], dtype=float32), array([0.5, 0.1, 0. ], dtype=float32))
    """
    channels = images.shape[-1]
    rows = images.reshape(len(images), -1)
    # Sums of integers are exact, and need no float copy, which would be eight times the size of the images.
    sums = rows.sum(axis=0, dtype=np.int64).reshape(-1, channels).sum(axis=0)
    squares = np.einsum("ni,ni->i", rows, rows, dtype=np.int64).reshape(-1, channels).sum(axis=0)
    pixels = images.size // channels
    mean = sums / pixels / 255
    variance = squares / pixels / 255**2 - mean**2
    return mean.astype(np.float32), np.sqrt(np.maximum(variance, 0)).astype(np.float32)


def one_hot(labels: NDArray[np.integer[Any]], classes: int = 10, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Turn each label into a row with 1 in the column of its class and 0 elsewhere, such as `bce` needs as targets.

    Parameters
    ----------
    labels : array, (N,) integer
    classes : int
        Number of columns; labels are 0..classes-1.
    dtype : dtype

    Returns
    -------
    array, (N, classes) of `dtype`

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If the labels have more than one axis, or one is out of range.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"one_hot: labels are {labels.dtype}, expected integers. labels.astype(np.int64)?")
    if labels.ndim != 1:
        cure = " labels[:, 0]?" if labels.ndim == 2 and labels.shape[1] == 1 else ""
        raise ValueError(f"one_hot: labels {labels.shape}, expected (N,).{cure}")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        at = outside[0]
        raise ValueError(
            f"one_hot: label {labels[at]} at [{at}], but classes are 0..{classes - 1}. "
            "Labels that start at 1: labels - 1"
        )
    return np.eye(classes, dtype=dtype)[labels]
