"""The layout of a weight: how PyTorch has it, and its conversion there and back."""

from __future__ import annotations

import math
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
        return (array.take(self.order(), self.axis) if self.image else array).transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        array = array.transpose(np.argsort(self.axes))
        return array.take(np.argsort(self.order()), self.axis) if self.image else array

    def order(self) -> np.ndarray:
        """Return the places here of the numbers of an image, in PyTorch's order."""
        return np.moveaxis(np.arange(math.prod(self.image)).reshape(self.image), -1, 0).ravel()


def as_it_is(ndim: int) -> Layout:
    """Return the layout of a weight that is the same in PyTorch."""
    return Layout(tuple(range(ndim)))
