"""The layout of a weight: how PyTorch has it, and its conversion there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.interop.axes import Axis, mixed, same


@dataclass(frozen=True)
class Layout:
    """Converts a weight: the factors of each axis get PyTorch's order, then the axes do.

    While it is being found, `axes` and each of the `rows`, which are tidy, may be None, for any.
    """

    axes: tuple[int, ...] | None
    rows: tuple[Axis | None, ...]

    @property
    def trivial(self) -> bool:
        """Whether PyTorch has the weight as it is."""
        return self.axes == same(len(self.rows)) and not any(axis and mixed(axis) for axis in self.rows)

    def both(self, other: Layout) -> Layout | None:
        """Return the layout that satisfies two, or None."""
        pairs: list[tuple[Any, Any]] = [(self.axes, other.axes), *zip(self.rows, other.rows, strict=True)]
        if any(a != b for a, b in pairs if a is not None and b is not None):
            return None
        axes, *rows = (b if a is None else a for a, b in pairs)
        return Layout(axes, tuple(rows))

    def _factors(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Return the shape by factors, and their order in PyTorch when each axis stays in its place."""
        rows = [axis or ((extent, 0),) for axis, extent in zip(self.rows, shape, strict=True)]
        factors = [(n, (k, place)) for k, axis in enumerate(rows) for n, place in axis]
        return [n for n, _ in factors], sorted(range(len(factors)), key=lambda i: factors[i][1])

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of this package."""
        parts, order = self._factors(array.shape)
        return array.reshape(parts).transpose(order).reshape(array.shape).transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        array = array.transpose(None if self.axes is None else np.argsort(self.axes))
        parts, order = self._factors(array.shape)
        return array.reshape([parts[k] for k in order]).transpose(np.argsort(order)).reshape(array.shape)


def as_it_is(ndim: int) -> Layout:
    """Return the layout of a weight that is the same in PyTorch."""
    return Layout(same(ndim), (None,) * ndim)
