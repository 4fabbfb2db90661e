"""Losses, which turn predictions and targets into one number, or with ``reduction="none"`` one number per element.

"mean" is the mean over all elements, and in `cross_entropy` over the rows; with weights of classes it is the weighted
mean. Only the loss divides by the batch size; optimisers never do. Predictions and targets must have equal shapes:
nothing is broadcast, except a `weight`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.checks import number
from autograd_cnn.engine.errors import not_numbers
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.activations import log_softmax, sigmoid, softmax, softplus
from autograd_cnn.ops.arithmetic import (
    abs,
    add,
    clip,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    sqrt,
    square,
    subtract,
    through,
    where,
)
from autograd_cnn.ops.axes import X, channel_axis
from autograd_cnn.ops.norms import order_of_powers, vector_norm
from autograd_cnn.ops.reductions import in_range, mean, sum
from autograd_cnn.ops.shapes import broadcast_arrays

__all__ = [
    "bce", "bce_with_logits", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "gaussian_nll_loss",
    "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse", "nll_loss",
    "pairwise_distance", "poisson_nll_loss", "smooth_l1_loss", "triplet_margin_loss",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum", "none")


def _weighted(values: Any, weight: Any) -> Any:
    """Multiply by weights, which take the dtype of the values and must not make them more."""
    return values * np.broadcast_to(np.asarray(weight, values.dtype), np.shape(values))


def reduced(
    values: Any, reduction: Reduction, weight: Any = None, count: float | None = None, sum: Any = sum, mean: Any = mean
) -> Any:
    """Combine the losses of the elements; inside of a primitive by NumPy's `sum` and `mean`."""
    values = values if weight is None else _weighted(values, weight)
    if reduction == "sum":
        return sum(values)
    if reduction == "none":
        return values
    if reduction != "mean":
        raise ValueError(f'reduction is {reduction!r}\nIt takes "mean", "sum" or "none"')
    with np.errstate(over="ignore"):
        out = mean(values) if count is None else sum(values) / count
    return sum(values / (count or np.size(values))) if np.isinf(out) else out  # here no sum overflows


def divided(g: Any, count: float, reduction: Reduction, weight: Any = None) -> Any:
    """Apply the adjoint of `reduced`, except that it leaves the repetition of `g` to broadcasting."""
    g = g / (count or 1) if reduction == "mean" else g
    return g if weight is None else g * np.asarray(weight, g.dtype)


def _product(share: Any, x: Any, where: Any = where) -> Any:
    """Return ``share * x``, where 0 * inf is 0: an event that does not happen costs nothing."""
    return share * where(np.logical_and(np.equal(share, 0), np.isinf(x)), 0, x)


def _same_shape(p: Any, y: Any, *options: Any) -> tuple[Any, ...]:
    if np.shape(p) != np.shape(y):
        try:
            wide = f"would broadcast to {np.broadcast_shapes(np.shape(p), np.shape(y))}"
        except ValueError:
            wide = "differ"
        cure = f"targets.reshape{np.shape(p)}?" if np.size(p) == np.size(y) else "They need equal shapes"
        raise ValueError(f"predictions {np.shape(p)} and targets {np.shape(y)} {wide}\n{cure}")
    return p, y, *options


def _binary(p: Any, y: Any) -> None:
    """Raise an error unless `y` are targets in [0, 1] for `p`."""
    _same_shape(p, y)
    if np.size(y) and not (np.min(y) >= 0 and np.max(y) <= 1):
        bad = np.max(y) if not np.max(y) <= 1 else np.min(y)
        raise ValueError(
            f"targets reach {bad:g}, but must lie in [0, 1]\nClass ids: cross_entropy(logits, labels), "
            "or np.eye(10, dtype=np.float32)[labels]"
        )


def _probabilities(p: Any, y: Any, *options: Any) -> tuple[Any, ...]:
    _binary(p, y)
    p = np.asarray(p)
    if p.size and not (p.min() >= 0 and p.max() <= 1) and not np.isnan(p).any():
        raise ValueError(
            f"p runs from {p.min():g} to {p.max():g}, but must lie in [0, 1]\nFor logits: bce_with_logits(z, y)"
        )
    saturated = int(np.count_nonzero((p == 0) | (p == 1)))
    if saturated and is_recording():
        warn(
            f"bce: {saturated} of {p.size} probabilities are exactly 0 or 1; their gradient is clipped. "
            "Keep the logits: bce_with_logits"
        )
    return p, y, *options


def _weighted_examples(rng: np.random.Generator) -> list[Any]:
    p, y, weight = rng.uniform(0.1, 0.9, (3, 2, 3))
    return [((p, y, how), options) for how in REDUCTIONS for options in ({}, {"weight": weight[0]})]


@primitive(examples=_weighted_examples, check=_probabilities)
def bce(p: Any, y: Any, reduction: Reduction = "mean", weight: Any = None) -> Any:
    """Computes binary cross-entropy, the distance of probabilities to targets: ``-(y log p + (1 - y) log(1 - p))``.

    Logarithms are at least -100, and ``p (1 - p)`` in the gradient is at least 1e-12, so that probabilities of 0 and 1
    give finite numbers, and a warning. `bce_with_logits` needs no such bounds.

    Parameters
    ----------
    p, y : (...)
        Probabilities and targets in [0, 1], of equal shape.
    reduction : {"mean", "sum", "none"}
    weight : array_like, optional
        Multiplies the losses of the elements, before their mean.

    Returns
    -------
    () or (...)

    Raises
    ------
    ValueError
        If the shapes differ, or a number is outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> print(f"{ag.bce(np.array([0.5, 0.9]), np.array([1.0, 1.0])):.4f}")
    0.3993
    """
    with np.errstate(divide="ignore"):
        losses = -(y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100))
    return reduced(losses, reduction, weight, sum=np.sum, mean=np.mean)


bce.vjp(
    p=lambda g, p, y, reduction, weight: (
        divided(g, math.prod(p.shape), reduction, weight) * ((p - y) / maximum(p * (1 - p), 1e-12))
    ),
    y=lambda g, p, reduction, weight: (
        divided(g, math.prod(p.shape), reduction, weight) * (maximum(log(1 - p), -100) - maximum(log(p), -100))
    ),
)


def _logits(z: Any, y: Any) -> tuple[Any, Any]:
    _binary(z, y)
    return np.asarray(z, np.result_type(z, y)), y  # NumPy would make a number float64


@primitive(name="bce_with_logits", examples=lambda rng: [(rng.normal(size=(2, 3)), rng.random((2, 3)))], check=_logits)
def logistic_loss(z: Any, y: Any) -> Any:
    """Measures how far ``sigmoid(z)`` is from each target: ``softplus(z) - z y``."""
    wrong = _product(1 - y, np.maximum(z, 0), np.where) + _product(y, np.maximum(-z, 0), np.where)
    return wrong + np.log1p(np.exp(-np.abs(z)))


logistic_loss.vjp(z=lambda g, z, y: g * (sigmoid(z) - y), y=lambda g, z: through(g, -z))


def bce_with_logits(z: X, y: Any, reduction: Reduction = "mean", weight: Any = None, pos_weight: Any = None) -> X:
    """Measures how far ``sigmoid(z)`` is from its targets: ``softplus(z) - z y``.

    This is binary cross-entropy of logits, exact and without warnings at ``|z| = 1000``. At infinite logits it is inf,
    or 0 where the target agrees.

    Parameters
    ----------
    z, y : (...)
        Logits, and targets in [0, 1], of equal shape.
    reduction : {"mean", "sum", "none"}
    weight : array_like, optional
        Multiplies the losses of the elements, before their mean.
    pos_weight : array_like, optional
        Multiplies `y` in ``y softplus(-z) + (1 - y) softplus(z)``, for classes with few positive examples.

    Returns
    -------
    () or (...)

    Raises
    ------
    ValueError
        If the shapes differ, or a target is outside [0, 1].
    """
    if pos_weight is None:
        return reduced(logistic_loss(z, y), reduction, weight)
    _binary(z, plain(y))
    positive = _weighted(softplus(negative(z)), pos_weight)
    return reduced(_product(y, positive) + _product(subtract(1, y), softplus(z)), reduction, weight)


def _check_labels(
    logits: Any, labels: Any, smoothing: float = 0.0, weight: Any = None, ignore_index: Any = None
) -> None:
    rows, classes = logits.shape[:-1], logits.shape[-1]
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing is {smoothing}\nIt is a share, from 0 to 1")
    if weight is not None and np.shape(weight) != (classes,):
        raise ValueError(f"weight {np.shape(weight)}, logits {logits.shape}\nOne number per class: ({classes},)")
    if labels.dtype.kind not in "biuf":
        raise not_numbers("labels", labels)
    if labels.dtype.kind not in "iu":
        if labels.shape != logits.shape:
            cure = f"Integers {rows}, or probabilities {logits.shape}"
            if labels.ndim > logits.ndim:
                cure = "Logits come first, then labels"
            raise ValueError(f"labels {labels.shape} {labels.dtype}\n{cure}")
        if ignore_index is not None:
            raise ValueError("ignore_index is for class ids\nProbabilities of 0 in a whole row ignore it")
        if labels.size and not (least := labels.min()) >= 0:
            raise ValueError(f"labels have {least:g}, but probabilities are 0 or more\nFor logits: ag.softmax(labels)")
    elif labels.shape != rows:
        cure = "labels[:, 0]?" if labels.shape == (*rows, 1) else f"One integer per row: {rows}"
        if labels.shape == logits.shape:
            cure += ", labels.argmax(-1); or probabilities, labels.astype(np.float32)"
        elif labels.shape == rows[:1]:
            cure += ". One per image: ag.flatten(x, 1) before the last layer"
        raise ValueError(f"labels {labels.shape}, logits {logits.shape}\n{cure}")
    elif labels.size and labels.view(labels.dtype.str.replace("i", "u")).max() >= classes:  # no number is < 0
        outside = ((labels < 0) | (labels >= classes)) & np.not_equal(labels, ignore_index)
        for place in np.argwhere(outside)[:1].tolist():
            label, cure = labels[tuple(place)], "\nLabels that start at 1: labels - 1" if labels.min() >= 1 else ""
            cure = "\nTo leave rows out: ignore_index=-100" if label == -100 else cure
            raise ValueError(f"label {label} at {place}, but logits {logits.shape} have classes 0..{classes - 1}{cure}")


def _classes(labels: Any) -> bool:
    """Return whether `labels` are integers, not probabilities."""
    return np.asarray(plain(labels)).dtype.kind in "iu"


def _one_hot(labels: Any, classes: int) -> Any:
    return np.asarray(labels)[..., None] == np.arange(classes)


def _of_scores(scores: Any, labels: Any, reduction: Any, smoothing: float, weight: Any, ignored: int | None) -> Any:
    """Compute a cross-entropy from logarithms of probabilities, for labels and options of every kind."""
    scores, labels = (x if isinstance(x, Tensor) else np.asarray(x) for x in (scores, labels))
    _check_labels(scores, plain(labels), smoothing, weight, ignored)
    target = (_one_hot(labels, scores.shape[-1]) if _classes(labels) else labels).astype(scores.dtype)
    if smoothing != 0:
        target = target * (1 - float(smoothing)) + float(smoothing) / scores.shape[-1]
    if ignored is not None:
        target = target * np.not_equal(labels, ignored)[..., None]
    target = target if weight is None else _weighted(target, weight)
    return reduced(-sum(_product(target, scores), -1), reduction, count=_count(labels, weight, ignored))


def _count(labels: Any, weight: Any, ignored: Any) -> float | None:
    """Return the divisor of a mean over rows if it is not their number: the sum of the weights of the labels."""
    if not _classes(labels) or (weight is None and ignored is None):
        return None
    used = np.asarray(labels)[np.not_equal(labels, ignored)]
    return used.size if weight is None else float(np.sum(np.asarray(weight)[used]))


def _class_ids(logits: Any, labels: Any, reduction: Reduction) -> tuple[Any, ...]:
    labels = np.asarray(labels)
    _check_labels(logits, labels)
    return logits, labels, reduction


@primitive(
    name="cross_entropy",
    examples=lambda rng: [(rng.normal(size=(2, 3)), np.array([2, 0]), r) for r in REDUCTIONS],
    check=_class_ids,
)
def cross_entropy_of_labels(logits: Any, labels: Any, reduction: Reduction = "mean") -> Any:
    """Measures how little probability the right class has: ``-log softmax(logits)[label]``."""
    losses = -np.take_along_axis(log_softmax.raw(logits), labels[..., None], -1)[..., 0]
    return reduced(losses, reduction, sum=np.sum, mean=np.mean)


cross_entropy_of_labels.vjp(
    logits=lambda g, logits, labels, reduction: (
        (g[..., None] if reduction == "none" else divided(g, math.prod(logits.shape[:-1]), reduction))
        * (softmax(logits) - _one_hot(labels, logits.shape[-1]))
    )
)


def cross_entropy(
    logits: X, labels: Any, reduction: Reduction = "mean", label_smoothing: float = 0.0, weight: Any = None,
    ignore_index: int | None = None,
) -> X:  # fmt: skip
    """Measures how little probability the right class has: ``-log softmax(logits)[label]``.

    This is cross-entropy over the last axis.

    Parameters
    ----------
    logits : (..., K)
    labels : (...) of int, or (..., K)
        Class ids 0..K-1, or probabilities, which may be Tensors with a gradient.
    reduction : {"mean", "sum", "none"}
        How to combine the losses of the rows. With class ids and `weight`, "mean" divides by the sum of the weights.
    label_smoothing : float
        The share of every target, from 0 to 1, that is spread evenly over all classes.
    weight : (K,), optional
        Multiplies the terms of the classes.
    ignore_index : int, optional
        The class id of rows to leave out, such as -100. If all rows are left out, their mean is NaN, its gradient 0.

    Returns
    -------
    () or (...)

    Raises
    ------
    ValueError
        If labels are out of range or have the wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.cross_entropy(np.array([[-1000.0, 1000.0]]), np.array([0]))
    np.float64(2000.0)
    """
    soft = np.shape(labels) == np.shape(logits) and not _classes(labels)
    if soft or label_smoothing != 0 or weight is not None or ignore_index is not None:
        return _of_scores(log_softmax(logits), labels, reduction, label_smoothing, weight, ignore_index)
    return cross_entropy_of_labels(logits, labels, reduction)


@primitive(examples=lambda rng: [(*rng.normal(size=(2, 2, 3)), r) for r in REDUCTIONS], check=_same_shape)
def mse(p: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far predictions are from their targets: ``(p - y)**2``.

    This is the mean squared error.

    Parameters
    ----------
    p, y : (...)
        Predictions and targets, of equal shape.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    () or (...)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if reduction != "mean":
        return reduced(np.square(p - y), reduction, sum=np.sum)
    with np.errstate(over="ignore"):
        out = np.mean(np.square(p - y))
    # The mean may be finite where a square is not.
    return np.sum(np.square((p - y) / math.sqrt(np.size(p)))) if np.isinf(out) else out


mse.vjp(
    p=lambda g, p, y, reduction: divided(g, math.prod(p.shape), reduction) * (2 * (p - y)),
    y=lambda g, p, y, reduction: divided(g, math.prod(p.shape), reduction) * (2 * (y - p)),
)


def nll_loss(
    log_probabilities: Any, labels: Any, reduction: Reduction = "mean", weight: Any = None,
    ignore_index: int | None = None,
) -> Any:  # fmt: skip
    """Measures how little probability the right class has, from ``log_softmax(logits)``: ``-log_probability[label]``.

    Parameters and results are those of `cross_entropy`, which takes the logits themselves.
    """
    return _of_scores(log_probabilities, labels, reduction, 0, weight, ignore_index)


def _difference(p: Any, y: Any) -> Any:
    _same_shape(p, y)
    return subtract(p, y)


def l1_loss(p: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far predictions are from their targets: ``|p - y|``. The gradient where they are equal is 0."""
    return reduced(abs(_difference(p, y)), reduction)


def huber_loss(p: Any, y: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: ``d**2 / 2`` up to `delta`, then ``delta (d - delta / 2)``.

    d is ``|p - y|`` (P. J. Huber, 1964).
    """
    return _huber(p, y, reduction, delta, 1.0)


def _huber(p: Any, y: Any, reduction: Reduction, delta: float, scale: float) -> Any:
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is {delta}. It is greater than 0")
    d = _difference(p, y)
    near = clip(d, -float(delta), float(delta))
    return reduced(near / scale * (d - near / 2), reduction)


def smooth_l1_loss(p: Any, y: Any, reduction: Reduction = "mean", beta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: `huber_loss` up to `beta`, divided by `beta`.

    With ``beta=0`` it is `l1_loss`.
    """
    if number(beta, "beta", 0) == 0:
        return l1_loss(p, y, reduction)
    return _huber(p, y, reduction, beta, float(beta))


def kl_div(p: Any, y: Any, reduction: Reduction | Literal["batchmean"] = "mean", log_target: bool = False) -> Any:
    """Measures how far a distribution is from its target: ``y (log y - p)``, where `p` has *logarithms*.

    These are the terms of the Kullback-Leibler divergence, 0 where `y` is 0. ``reduction="batchmean"`` divides their
    sum by the length of the first axis, and is the mean of the divergences of the rows; "mean" divides by all elements.
    With ``log_target=True``, `y` has logarithms, too.
    """
    _same_shape(p, y)
    logarithm = y if log_target else log(where(np.equal(y, 0), 1, y))
    terms = _product(exp(y) if log_target else y, subtract(logarithm, p))
    return reduced(terms, "sum") / len(terms) if reduction == "batchmean" else reduced(terms, reduction)


def poisson_nll_loss(
    p: Any, y: Any, reduction: Reduction = "mean", log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Any:
    """Measures how unlikely counts `y` are if `p` has the logarithms of their means: ``exp(p) - y p``.

    With ``log_input=False`` it has the means: ``p - y log(p + eps)``. `full` adds Stirling's formula for ``log y!``
    where y > 1.
    """
    _same_shape(p, y)
    losses = exp(p) - multiply(y, p) if log_input else subtract(p, multiply(y, log(add(p, eps))))
    if full:
        many = where(np.greater(y, 1), y, 1).astype(losses.dtype)
        losses = losses + where(many > 1, many * log(many) - many + log(many * (2 * math.pi)) / 2, 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    p: Any, y: Any, var: Any, reduction: Reduction = "mean", full: bool = False, eps: float = 1e-6
) -> Any:
    """Measures how unlikely targets are if they are normal with mean `p`: ``(log var + (p - y)**2 / var) / 2``.

    Variances are at least `eps`, which changes no gradient. `full` adds ``log(2 pi) / 2``.
    """
    if np.shape(var) not in (np.shape(p), (*np.shape(p)[:-1], 1), ()) or np.any(np.less(var, 0)):
        raise ValueError(f"gaussian_nll_loss: var needs the shape {np.shape(p)}, or 1 for its last axis, and no sign")
    var = add(var, np.maximum(float(eps) - np.asarray(plain(var)), 0))
    losses = (log(var) + square(_difference(p, y) / sqrt(var))) / 2
    return reduced(losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


def _is_one(y: Any, shape: tuple[int, ...]) -> Any:
    """Return where targets, 1 or -1, are 1."""
    if np.shape(y) != shape or not np.all(np.equal(np.abs(plain(y)), 1)):
        raise ValueError(f"targets {np.shape(y)} must have the shape {shape} and be 1 or -1\nOf 0 and 1: 2 * y - 1")
    return np.equal(y, 1)


def hinge_embedding_loss(x: Any, y: Any, reduction: Reduction = "mean", margin: float = 1.0) -> Any:
    """Measures distances `x` where the target is 1, and where it is -1 how far they are below `margin`."""
    return reduced(where(_is_one(y, np.shape(x)), x, clip(subtract(margin, x), 0, None)), reduction)


def margin_ranking_loss(x1: Any, x2: Any, y: Any, reduction: Reduction = "mean", margin: float = 0.0) -> Any:
    """Measures how far `x1` is from `x2` plus `margin` where the target is 1, and the reverse where it is -1."""
    sign = np.where(_is_one(y, np.shape(x1)), -1, 1)
    return reduced(clip(_difference(x1, x2) * sign + margin, 0, None), reduction)


def cosine_similarity(x1: Any, x2: Any, axis: int | None = None, eps: float = 1e-8) -> Any:
    """Computes the cosine of the angle between vectors along `axis`, whose lengths count as at least `eps`.

    Vectors of zeros have similarity 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    x1, x2 = broadcast_arrays(x1, x2)
    axis = channel_axis(x1) if axis is None else axis

    def squares(x: Any, s: Any) -> Any:
        return clip(sum(square(x), axis), (float(eps) * s) ** 2, None)

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

    def norm(x: Any, s: Any) -> Any:
        return vector_norm(x, axis=-1, keepdims=keepdims, ord=p)

    _, length, s = in_range(norm, subtract(x1, x2) + eps, -1, order_of_powers(p))
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
