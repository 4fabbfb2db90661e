"""Rarer losses, and the lengths and distances of vectors that some of them compare."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from autograd_cnn.engine.arrays import as_floats
from autograd_cnn.engine.checks import number
from autograd_cnn.engine.numpy_calls import checked, plain_array
from autograd_cnn.ops.arithmetic import add, clip, exp, log, maximum, minimum, multiply, sqrt, square, subtract, where
from autograd_cnn.ops.axes import as_float, channel_axis, fixed
from autograd_cnn.ops.losses import Reduction, difference, l1_loss, reduced, same_shape
from autograd_cnn.ops.reductions import in_range, sum
from autograd_cnn.vocabulary.arrays import broadcast_arrays
from autograd_cnn.vocabulary.linalg import order_of_powers, vector_norm

__all__ = [
    "cosine_embedding_loss", "cosine_similarity", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss",
    "margin_ranking_loss", "normalize", "pairwise_distance", "poisson_nll_loss", "smooth_l1_loss",
    "triplet_margin_loss",
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


def poisson_nll_loss(
    p: Any, y: Any, reduction: Reduction = "mean", log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Any:
    """Measures how unlikely counts `y` are if `p` has the logarithms of their means: ``exp(p) - y p``.

    With ``log_input=False`` it has the means: ``p - y log(p + eps)``. `full` adds Stirling's formula for ``log y!``
    where y > 1.
    """
    p, y = as_floats(*same_shape(p, y))
    losses = exp(p) - multiply(y, p) if log_input else subtract(p, multiply(y, log(add(p, eps))))
    if full:
        many = where(np.greater(y, 1), y, 1).astype(losses.dtype)
        losses = losses + where(many > 1, many * log(many) - many + log(many * (2 * math.pi)) / 2, 0)
    return reduced(losses, reduction)


def _variances(var: Any, shape: tuple[int, ...]) -> Any:
    if np.shape(var) not in (shape, (*shape[:-1], 1), ()) or np.any(np.less(var, 0)):
        raise ValueError(f"gaussian_nll_loss: var needs the shape {shape}, or 1 for its last axis, and no sign")
    return var


def gaussian_nll_loss(
    p: Any, y: Any, var: Any, reduction: Reduction = "mean", full: bool = False, eps: float = 1e-6
) -> Any:
    """Measures how unlikely targets are if they are normal with mean `p`: ``(log var + (p - y)**2 / var) / 2``.

    Variances are at least `eps`, which changes no gradient. `full` adds ``log(2 pi) / 2``.
    """
    checked(_variances, var, np.shape(p))
    var = add(as_floats(var, p)[0], np.maximum(float(fixed(eps, "eps")) - plain_array(var), 0))
    losses = (log(var) + square(difference(p, y) / sqrt(var))) / 2
    return reduced(losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


def _signs(y: Any, shape: tuple[int, ...]) -> Any:
    if np.shape(y) != shape or not np.all(np.equal(np.abs(y), 1)):
        raise ValueError(f"targets {np.shape(y)} must have the shape {shape} and be 1 or -1\nOf 0 and 1: 2 * y - 1")
    return y


def _is_one(y: Any, shape: tuple[int, ...]) -> Any:
    """Return where targets, 1 or -1, are 1."""
    return np.equal(checked(_signs, y, shape), 1)


def hinge_embedding_loss(x: Any, y: Any, reduction: Reduction = "mean", margin: float = 1.0) -> Any:
    """Measures distances `x` where the target is 1, and where it is -1 how far they are below `margin`."""
    return reduced(where(_is_one(y, np.shape(x)), x, clip(subtract(margin, as_float(x)), 0, None)), reduction)


def margin_ranking_loss(x1: Any, x2: Any, y: Any, reduction: Reduction = "mean", margin: float = 0.0) -> Any:
    """Measures how far `x1` is from `x2` plus `margin` where the target is 1, and the reverse where it is -1."""
    sign = np.where(_is_one(y, np.shape(x1)), -1, 1)
    return reduced(clip(difference(x1, x2) * sign + margin, 0, None), reduction)


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


def cosine_embedding_loss(x1: Any, x2: Any, y: Any, reduction: Reduction = "mean", margin: float = 0.0) -> Any:
    """Measures 1 - `cosine_similarity` where the target is 1, and its excess over `margin` where it is -1."""
    cosine = cosine_similarity(x1, x2, -1)
    return reduced(where(_is_one(y, np.shape(cosine)), 1 - cosine, clip(cosine - margin, 0, None)), reduction)


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
