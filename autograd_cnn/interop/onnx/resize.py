"""ONNX's Resize: along each axis, every new element is a mean of old ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.ops.resizing import picked

Array = np.ndarray[Any, Any]
_HALF = np.float32(0.5)  # coordinates are computed in float32, as ONNX Runtime does
_PLACES: dict[str, Any] = {  # of the i-th of m new elements among n old ones; f is m / n, or the factor that was given
    "align_corners": lambda i, n, m, f: i * (n - 1) / max(m - 1, 1),
    "asymmetric": lambda i, n, m, f: i / f,
    "half_pixel": lambda i, n, m, f: (i + _HALF) / f - _HALF,
    "pytorch_half_pixel": lambda i, n, m, f: 0 * i if m == 1 else (i + _HALF) / f - _HALF,
}
_NEAREST: dict[str, Any] = {  # of a place, with the same factor; "simple" is that of opset 10, as in ONNX Runtime
    "round_prefer_floor": lambda at, f: np.ceil(at - _HALF), "round_prefer_ceil": lambda at, f: np.floor(at + _HALF),
    "floor": lambda at, f: np.floor(at), "ceil": lambda at, f: np.ceil(at),
    "simple": lambda at, f: np.floor(at) if f >= 1 else np.ceil(at),
}  # fmt: skip


def resize(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel", nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75, axes: Any = None,
) -> Any:  # fmt: skip
    """Resize the given axes, by default all, one after the other."""
    given = range(x.ndim) if axes is None else [a % x.ndim for a in axes]
    extents, grid = [x.shape[a] for a in given], coordinate_transformation_mode
    if sizes is None or not np.size(sizes):
        factors = [np.float32(s) for s in np.ravel(scales)]
        if not all(0 < s < np.inf for s in factors):
            raise ValueError(f"scales are {', '.join(map(str, factors))}, want numbers greater than 0")
        new = [math.floor(n * s) for n, s in zip(extents, factors, strict=True)]
    else:
        new = [int(n) for n in np.ravel(sizes)]
        factors = [np.float32(m) / np.float32(max(n, 1)) for n, m in zip(extents, new, strict=True)]
    if grid == "align_corners" and any(n * f != m for n, f, m in zip(extents, factors, new, strict=True)):
        raise ValueError("Resize with align_corners and a scale that gives no whole size has several meanings")
    if mode != "nearest" and x.dtype.kind != "f":
        raise ValueError(f"Resize with {mode} of {x.dtype} has no counterpart")
    for axis, old, size, factor in zip(given, extents, new, factors, strict=True):
        if size == old and factor == 1:
            continue
        at = _PLACES[grid](np.arange(size, dtype=np.float32), np.float32(old), np.float32(size), factor)
        if mode == "nearest":
            x = picked(x, _NEAREST[nearest_mode](at, factor).clip(0, old - 1).astype(int), axis)
        else:
            weights = _weights(at, old, mode, cubic_coeff_a).astype(x.dtype)
            x = weights @ x if axis == x.ndim - 2 else ag.moveaxis(ag.moveaxis(x, axis, -1) @ weights.T, -1, axis)
    return x


ONLY = {"coordinate_transformation_mode": (*_PLACES,), "nearest_mode": (*_NEAREST,)}
"""The attributes that have a counterpart."""


def _weights(at: Array, old: int, mode: str, a: float) -> Array:
    """Return the matrix (new, old) whose rows are the weights of the old elements."""
    first = np.floor(at)
    neighbours = first[:, None] + (np.arange(2) if mode == "linear" else np.arange(-1, 3))
    d = np.abs(at[:, None] - neighbours).astype(np.float64)
    if mode == "linear":
        weights = 1 - d
    else:
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        weights = np.where(d <= 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)
    matrix = np.zeros((len(at), old))
    np.add.at(matrix, (np.arange(len(at))[:, None], neighbours.clip(0, old - 1).astype(int)), weights)
    return matrix
