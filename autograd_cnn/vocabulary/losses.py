"""Rarer losses, and the lengths and distances of vectors that some of them compare."""

from __future__ import annotations

from functools import partial
from typing import Any

from autograd_cnn.engine.arrays import as_floats
from autograd_cnn.engine.checks import number
from autograd_cnn.ops.arithmetic import clip, maximum, minimum, multiply, sqrt, square, subtract
from autograd_cnn.ops.axes import as_float, channel_axis, fixed
from autograd_cnn.ops.losses import Reduction, difference, l1_loss, reduced
from autograd_cnn.ops.reductions import in_range, sum
from autograd_cnn.vocabulary.arrays import broadcast_arrays
from autograd_cnn.vocabulary.linalg import order_of_powers, vector_norm

__all__ = [
    "cosine_similarity", "huber_loss", "normalize", "pairwise_distance", "smooth_l1_loss", "triplet_margin_loss",
]  # fmt: skip


def huber_loss(p: Any, y: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: ``d**2 / 2`` up to `delta`, then ``delta (d - delta / 2)``.

    d is ``|p - y|`` (P. J. Huber, 1964).
    """
    return _huber(p, y, reduction, delta, 1.0)


def _huber(p: Any, y: Any, reduction: Reduction, delta: float, scale: float) -> Any:
    if not fixed(delta, "delta") > 0:
        raise ValueError(f"huber_loss: delta is {delta}. It is greater than 0")
    d = difference(p, y)
    near = clip(d, -float(delta), float(delta))
    return reduced(near / scale * (d - near / 2), reduction)


def smooth_l1_loss(p: Any, y: Any, reduction: Reduction = "mean", beta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: `huber_loss` up to `beta`, divided by `beta`.

    With ``beta=0`` it is `l1_loss`.
    """
    if number(fixed(beta, "beta"), "beta", 0) == 0:
        return l1_loss(p, y, reduction)
    return _huber(p, y, reduction, beta, float(beta))


def cosine_similarity(x1: Any, x2: Any, axis: int | None = None, eps: float = 1e-8) -> Any:
    """Computes the cosine of the angle between vectors along `axis`, whose lengths count as at least `eps`.

    Vectors of zeros have similarity 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    x1, x2 = broadcast_arrays(*as_floats(x1, x2))
    axis = channel_axis(x1) if axis is None else axis

    def squares(x: Any, s: Any) -> Any:
        return clip(sum(square(x), axis), (float(fixed(eps, "eps")) * s) ** 2, None)

    (x1, first, _), (x2, second, _) = (in_range(squares, x, axis) for x in (x1, x2))
    return sum(multiply(x1, x2), axis) / (sqrt(first) * sqrt(second))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Any:
    """Computes the distances between vectors along the last axis: ``sum(|x1 - x2 + eps|**p)**(1 / p)``.

    The gradient at distance 0 is 0.
    """
    norm = partial(vector_norm, axis=-1, keepdims=keepdims, ord=p)
    _, length, s = in_range(lambda x, s: norm(x), subtract(*as_floats(x1, x2)) + eps, -1, order_of_powers(p))
    return length if s is None else length / s


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, reduction: Reduction = "mean", margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False,
) -> Any:  # fmt: skip
    """Computes ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``.

    The distance d is `pairwise_distance`. With `swap`, `negative` is compared with the nearer of the two others.
    """
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    far = minimum(far, pairwise_distance(positive, negative, p, eps)) if swap else far
    return reduced(clip(near - far + margin, 0, None), reduction)


def normalize(x: Any, p: float = 2.0, axis: int | None = None, eps: float = 1e-12) -> Any:
    """Divides by the p-norm along `axis`, or by `eps` if that is larger.

    The gradient of the norm at 0 is 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    axis = channel_axis(x) if axis is None else axis
    norm = partial(vector_norm, axis=axis, keepdims=True, ord=p)
    x, length, _ = in_range(lambda x, s: maximum(norm(x), eps * s), as_float(x), axis, order_of_powers(p))
    return x / length
