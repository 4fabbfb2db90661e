"""Operations that change a shape or the order of elements. All are linear, and their rules move elements back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive

__all__ = ["broadcast_to", "expand_dims", "flatten", "flip", "reshape", "squeeze", "transpose"]

Axis = int | tuple[int, ...] | None


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 6)), (3, 4)), (rng.normal(size=(2, 6)), -1)])
def reshape(x: Any, shape: int | Sequence[int]) -> Any:
    """Arranges the same numbers in another `shape`.

    One extent may be -1.
    """
    return np.reshape(x, shape)


reshape.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3, 4)),), (rng.normal(size=(2, 3, 4)), (1, 2, 0))])
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Puts the axes in another order, reversed by default."""
    return np.transpose(x, axes)


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    """Returns the order of axes that undoes `axes`."""
    return None if axes is None else tuple(np.argsort(np.ravel(axes) % ndim).tolist())


transpose.vjp(x=lambda g, axes: transpose(g, _inverse(axes, len(g.shape))))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3, 4)),), (rng.normal(size=(2, 3, 4)), 1)])
def flatten(x: Any, start_axis: int = 0) -> Any:
    """Joins the axes from `start_axis` on into one: ``flatten(images, 1)`` has shape (N, H * W * C)."""
    return np.reshape(x, (*x.shape[:start_axis], int(np.prod(x.shape[start_axis:]))))


flatten.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 1, 3, 1)),), (rng.normal(size=(2, 1, 3, 1)), 1)])
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Drops axes of extent 1: all, or `axis`."""
    return np.squeeze(x, axis)


squeeze.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3)), 1), (rng.normal(size=(2, 3)), (0, -1))])
def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """Adds new axes of extent 1 at `axis`."""
    return np.expand_dims(x, axis)


expand_dims.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(3, 1)), (2, 3, 4)), (rng.normal(size=()), (2, 3))])
def broadcast_to(x: Any, shape: int | Sequence[int]) -> Any:
    """Repeats `x` until it has `shape`.

    Its rule returns `g`, which the walk sums over the repeated axes.
    """
    return np.broadcast_to(x, shape)


broadcast_to.vjp(x=lambda g: g)


@primitive(moves=True, examples=lambda rng: [(rng.normal(size=(2, 3)),), (rng.normal(size=(2, 3)), 1)])
def flip(x: Any, axis: Axis = None) -> Any:
    """Reverses the order of the elements along `axis`, or along all axes."""
    return np.flip(x, axis)


flip.vjp(x=lambda g, axis: flip(g, axis))
