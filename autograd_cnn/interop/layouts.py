"""The layout of a weight: how PyTorch has it, and its conversion there and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """Converts a weight.

    Attributes
    ----------
    axes : tuple of int
        The axes here in PyTorch's order.
    axis : int
        The axis here whose elements are the numbers of flattened images.
    image : tuple of int
        Their extents (H, W, C), which PyTorch flattens as (C, H, W). Empty: no axis is of this kind.
    """

    axes: Shape
    axis: int = 0
    image: Shape = ()

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of this package."""
        return self._reordered(array, self.image, -1, 0).transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        return self._reordered(array.transpose(np.argsort(self.axes)), self.image[-1:] + self.image[:-1], 0, -1)

    def _reordered(self, array: np.ndarray, image: Shape, source: int, goal: int) -> np.ndarray:
        if not image:
            return array
        last = np.moveaxis(array, self.axis, -1)
        moved = np.moveaxis(
            last.reshape(*last.shape[:-1], *image), *(k % len(image) - len(image) for k in (source, goal))
        )
        return np.moveaxis(moved.reshape(last.shape), -1, self.axis)


def as_it_is(ndim: int) -> Layout:
    """Return the layout of a weight that is the same in PyTorch."""
    return Layout(tuple(range(ndim)))
