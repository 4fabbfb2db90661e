"""Converts contributions to a gradient to the shape and the dtype of the input that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.tape import Node


def as_array(value: Any) -> Any:
    """Return a NumPy scalar, such as the sum of two 0-d arrays, as an array, and any other value as it is."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def fit(c: Any, g: Any, parent: Any, node: Node, rule: Any, wrap: Any) -> Any:
    """Bring a contribution to its parent's shape and dtype, or raise an error that names the rule."""
    if c is None:
        raise errors.returned_nothing(node, rule)
    if not hasattr(c, "dtype") or isinstance(c, np.generic):
        c = np.asarray(c)
    if wrap is not None and isinstance(c, np.ndarray):
        c = wrap(c, None)
    if c.dtype != g.dtype:
        raise errors.returned_dtype(node, rule, c.dtype, g.dtype)
    if c.shape != parent.shape:
        try:
            c = unbroadcast(c, parent.shape)
        except ValueError:
            raise errors.returned_shape(node, rule, c.shape, parent.shape) from None
    return c if c.dtype == parent.dtype else c.astype(parent.dtype)


def unbroadcast(c: Any, shape: tuple[int, ...]) -> Any:
    """Sum `c` over the axes along which `shape` was broadcast: the adjoint of broadcasting.

    Raises
    ------
    ValueError
        If `shape` does not broadcast to that of `c`.
    """
    extra = len(c.shape) - len(shape)
    if extra < 0 or any(want not in (1, have) for want, have in zip(shape, c.shape[extra:], strict=True)):
        raise ValueError(f"unbroadcast: {shape} does not broadcast to {c.shape}")
    axes = tuple(i for i, have in enumerate(c.shape) if i < extra or shape[i - extra] != have)
    return c.sum(axis=axes).reshape(shape)
