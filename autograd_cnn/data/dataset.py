"""A set of labelled images, and the explicit conversions of images and labels for a network.

Images are stored as uint8 in NHWC (image, row, column, colour). Nothing converts them implicitly: float32 takes four
times the memory, so the user decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from autograd_cnn.data.checks import check_array, check_pair
from autograd_cnn.environment import plain

BYTES = "From [0, 1]: np.rint(images * 255).astype(np.uint8); from 0..255: images.astype(np.uint8)"


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

    def __post_init__(self) -> None:
        _check_classes(self.classes)
        train, test = (self.train_images, self.train_labels), (self.test_images, self.test_labels)
        for part, (images, labels) in (("training ", train), ("test ", test)):
            _check_pair(part, images, labels)
            _check_range(part, labels, len(self.classes))
        if train[0].shape[1:] != test[0].shape[1:]:
            raise ValueError(f"Dataset: training images {train[0].shape}, but test images {test[0].shape}")

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: ArrayLike,
        test: float | tuple[ArrayLike, ArrayLike] = 0.2,
        classes: Sequence[str] | None = None,
        name: str = "own images",
        seed: int = 0,
    ) -> Dataset:
        """Make a set of your own arrays, and hold a part of them out for the test.

        Parameters
        ----------
        images : array, (N, H, W, C) uint8, NHWC
        labels : array, (N,) integer
            The class of each image, from 0.
        test : float, or (images, labels)
            The share of each class to hold out, rounded; or the test images themselves.
        classes : sequence of str, optional
            The name of each label. By default their numbers, from 0 to the largest label.
        name : str
        seed : int
            Chooses the images that are held out. Both parts keep their order.

        Returns
        -------
        Dataset

        Raises
        ------
        TypeError
            If images are not uint8, or labels not integers; the message has the conversion.
        ValueError
            If the shapes do not fit each other, a label is out of range, or a part would be empty.

        Examples
        --------
        >>> images, labels = np.zeros((10, 8, 8, 1), np.uint8), np.arange(10) % 2
        >>> Dataset.from_arrays(images, labels, classes=("cat", "dog"))
        <own images: 8 training and 2 test images (8, 8, 1) uint8, 2 classes>
        """
        images, labels = np.asarray(images), np.asarray(labels)
        _check_pair("", images, labels)
        if classes is None:
            classes = [str(label) for label in range(int(labels.max(initial=0)) + 1)]
        if isinstance(test, float | int):
            apart = _share_of_each_class(labels, test, np.random.default_rng(seed))
            test, images, labels = (images[apart], labels[apart]), images[~apart], labels[~apart]
        test_images, test_labels = map(np.asarray, test)
        _check_pair("test ", test_images, test_labels)
        _check_classes(classes)
        return cls(name, tuple(classes), images, labels.astype(np.int64), test_images, test_labels.astype(np.int64))

    def __repr__(self) -> str:
        shape = self.train_images.shape[1:]
        return (
            f"<{plain(self.name)}: {len(self.train_images):,} training and {len(self.test_images):,} test images "
            f"{shape} {self.train_images.dtype}, {len(self.classes)} classes>"
        )


def _check_pair(part: str, images: NDArray[Any], labels: NDArray[Any]) -> None:
    """Check the form of images and labels; `part` is "training ", "test ", or "" for all."""
    check_pair("Dataset", images, labels, part)
    shape = images.shape
    if len(shape) != 4 or (shape[3] not in (1, 3, 4) and shape[1] in (1, 3, 4)):
        cures = {3: " Of one channel: images[..., None]", 4: " From NCHW: images.transpose(0, 2, 3, 1)"}
        raise ValueError(f"Dataset: {part}images {shape}, expected (N, H, W, C).{cures.get(len(shape), '')}")
    if images.dtype != np.uint8:
        raise TypeError(f"Dataset: {part}images are {images.dtype}, expected uint8 (0..255). {BYTES}")
    if labels.ndim != 1:
        column = " labels[:, 0]?" if labels.shape[1:] == (1,) else " One-hot rows: labels.argmax(axis=1)"
        cure = column if labels.ndim == 2 else ""
        raise ValueError(f"Dataset: {part}labels {labels.shape}, expected (N,).{cure}")
    if not np.issubdtype(labels.dtype, np.integer):
        names = labels.dtype.kind in "OSTU"
        cure = "classes, labels = np.unique(labels, return_inverse=True)" if names else "labels.astype(np.int64)?"
        raise TypeError(f"Dataset: {part}labels are {labels.dtype}, expected integers. {cure}")


def _check_classes(classes: Sequence[str]) -> None:
    """Refuse numbers, and a str, which would be a class for each letter."""
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f'Dataset: classes are {classes!r}, want their names: ("cat", "dog")')


def _check_range(part: str, labels: NDArray[Any], classes: int) -> None:
    """Refuse labels outside of 0..classes-1."""
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        at, low, high = outside[0], int(labels.min()), int(labels.max())
        cure = f"Name all: {high + 1} classes"
        if low < 0:
            cure = "Leave out what has no label: keep = labels >= 0, then images[keep] and labels[keep]"
        elif low > 0 and high - low < classes:
            cure = f"Labels that start at {low}: labels - {low}"
        raise ValueError(f"Dataset: {part}label {labels[at]} at [{at}], but classes are 0..{classes - 1}. {cure}")


def _share_of_each_class(labels: NDArray[Any], share: float, rng: Generator) -> NDArray[np.bool_]:
    """Choose the images to hold out: True for each."""
    apart = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        those = rng.permutation(np.flatnonzero(labels == label))
        apart[those[: min(max(1, round(share * len(those))), len(those) - 1)]] = True  # at least one, if one is left
    if not apart.any():
        raise ValueError(f"Dataset: {len(apart)} images are too few to hold out {share}. Want 2 or more of each class")
    return apart


def as_float32(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert stored images to float32 in [0, 1] for a network: `images / 255`.

    Parameters
    ----------
    images : array, (N, H, W, C) uint8, NHWC

    Returns
    -------
    array, same shape, float32

    Raises
    ------
    TypeError
        If the images are not uint8: dividing by 255 twice goes unnoticed until nothing is learnt.

    Examples
    --------
    >>> as_float32(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    check_array("as_float32", "images", images)
    if images.dtype != np.uint8:
        raise TypeError(f"as_float32: images are {images.dtype}, expected uint8 (0..255). {BYTES}")
    return np.divide(images, 255, dtype=np.float32)
