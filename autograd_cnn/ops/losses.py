"""Losses, which turn predictions and targets into one number, or with ``reduction="none"`` one number per element.

"mean" is the mean over all elements, and in `cross_entropy` over the rows; with weights of classes it is the weighted
mean. Only the loss divides by the batch size; optimisers never do. Predictions and targets must have equal shapes:
nothing is broadcast, except a `weight`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.arrays import as_floats
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.errors import not_numbers
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.numpy_calls import checked, known, peek, plain_array
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.activations import log_softmax, sigmoid, softmax, softplus
from autograd_cnn.ops.arithmetic import abs, astype, chain, clip, exp, log, masked, maximum, negative, subtract, where
from autograd_cnn.ops.axes import X, as_float, fixed, operand
from autograd_cnn.ops.reductions import mean, sum
from autograd_cnn.ops.shapes import broadcast_to

__all__ = ["bce", "bce_with_logits", "cross_entropy", "huber_loss", "kl_div", "l1_loss", "mse"]

Reduction = Literal["mean", "sum", "none"]


def _weighted(values: Any, weight: Any) -> Any:
    """Multiply by weights, if there are any; they take the dtype of the values, and must not make them more."""
    if weight is None:
        return values
    return values * broadcast_to(astype(operand(weight), values.dtype), np.shape(values))


def reduced(values: Any, reduction: Reduction, count: Any = None, sum: Any = sum, mean: Any = mean) -> Any:
    """Combine the losses of the elements; inside of a primitive by NumPy's `sum` and `mean`."""
    if reduction == "sum":
        return sum(values)
    if reduction == "none":
        return values
    if reduction != "mean":
        raise ValueError(f'reduction is {reduction!r}\nIt takes "mean", "sum" or "none"')
    with np.errstate(over="ignore"):
        out = mean(values) if count is None else sum(values) / count
    overflows = np.isinf(peek(out)) if mean is np.mean or known(out) else np.size(values) > 0
    return sum(values / (np.size(values) if count is None else count)) if overflows else out  # here no sum overflows


def divided(g: Any, count: float, reduction: Reduction, weight: Any = None) -> Any:
    """Apply the adjoint of `reduced`, except that it leaves the repetition of `g` to broadcasting."""
    g = g / (count or 1) if reduction == "mean" else g
    return g if weight is None else g * np.asarray(weight, g.dtype)


def _product(share: Any, x: Any, where: Any = where) -> Any:
    """Return ``share * x``, where 0 * inf is 0: an event that does not happen costs nothing."""
    return share * where(np.logical_and(np.equal(share, 0), np.isinf(x)), 0, x)


def same_shape(p: Any, y: Any, *options: Any) -> tuple[Any, ...]:
    if np.shape(p) != np.shape(y):
        try:
            wide = f"would broadcast to {np.broadcast_shapes(np.shape(p), np.shape(y))}"
        except ValueError:
            wide = "differ"
        cure = f"targets.reshape{np.shape(p)}?" if np.size(p) == np.size(y) else "They need equal shapes"
        raise ValueError(f"predictions {np.shape(p)} and targets {np.shape(y)} {wide}\n{cure}")
    return p, y, *options


def _binary(p: Any, y: Any) -> Any:
    """Return `y`, or raise an error unless they are targets in [0, 1] for `p`."""
    same_shape(p, y)
    if np.size(y) and not (np.min(y) >= 0 and np.max(y) <= 1):
        bad = np.max(y) if not np.max(y) <= 1 else np.min(y)
        cure = "Class ids: cross_entropy(logits, labels), or np.eye(10, dtype=np.float32)[labels]"
        raise ValueError(f"targets reach {bad:g}, but must lie in [0, 1]\n{cure}")
    return y


def _probabilities(p: Any, y: Any, *options: Any) -> tuple[Any, ...]:
    _binary(p, y)
    p = np.asarray(p)
    if p.size and not (p.min() >= 0 and p.max() <= 1) and not np.isnan(p).any():
        bounds = f"p runs from {p.min():g} to {p.max():g}, but must lie in [0, 1]"
        raise ValueError(f"{bounds}\nFor logits: bce_with_logits(z, y)")
    if current.get().recording and ((p == 0) | (p == 1)).any():
        warn(  # without their number: Python shows a text once
            "bce: some probabilities are exactly 0 or 1; their gradient is clipped. Keep the logits: bce_with_logits"
        )
    return p, y, *options


@primitive(check=_probabilities)
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
    weights = 1 if weight is None else np.broadcast_to(np.asarray(weight, losses.dtype), losses.shape)
    return reduced(losses * weights, reduction, sum=np.sum, mean=np.mean)


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


@primitive(name="bce_with_logits", check=_logits)
def logistic_loss(z: Any, y: Any) -> Any:
    """Measures how far ``sigmoid(z)`` is from each target: ``softplus(z) - z y``."""
    wrong = _product(1 - y, np.maximum(z, 0), np.where) + _product(y, np.maximum(-z, 0), np.where)
    return wrong + np.log1p(np.exp(-np.abs(z)))


logistic_loss.vjp(z=lambda g, z, y: g * (sigmoid(z) - y), y=lambda g, z: chain(g, -z))


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
        return reduced(_weighted(logistic_loss(z, y), weight), reduction)
    checked(_binary, z, y)
    z, y = as_floats(z, y)
    positive = _weighted(softplus(negative(z)), pos_weight)
    return reduced(_weighted(_product(y, positive) + _product(subtract(1, y), softplus(z)), weight), reduction)


def _check_labels(
    logits: Any, labels: Any, smoothing: float = 0.0, weight: Any = None, ignore_index: Any = None
) -> Any:
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
    return labels


def _classes(labels: Any) -> bool:
    """Return whether `labels` are integers, not probabilities."""
    return peek(labels).dtype.kind in "iu"


def _one_hot(labels: Any, classes: int) -> Any:
    return plain_array(labels)[..., None] == np.arange(classes)


def _of_scores(scores: Any, labels: Any, reduction: Any, smoothing: float, weight: Any, ignored: int | None) -> Any:
    """Compute a cross-entropy from logarithms of probabilities, for labels and options of every kind."""
    scores, labels = (x if isinstance(x, Tensor) else np.asarray(x) for x in (as_float(scores), labels))
    checked(_check_labels, scores, labels, fixed(smoothing, "label_smoothing"), weight, ignored)
    hot = (_one_hot(labels, scores.shape[-1]) if _classes(labels) else labels).astype(scores.dtype)
    target = hot * (1 - float(smoothing)) + float(smoothing) / scores.shape[-1] if smoothing != 0 else hot
    share = None if ignored is None else np.not_equal(labels, ignored)[..., None].astype(scores.dtype)
    if weight is not None:
        share = (1 if share is None else share) * astype(operand(weight), scores.dtype)
    losses = -sum(_product(target if share is None else target * share, scores), -1)
    if share is None or not _classes(labels) or reduction != "mean":
        return reduced(losses, reduction)
    count = sum(hot * share)
    some = True if known(count) and peek(count) != 0 else np.not_equal(count, 0)
    return masked(reduced(losses, reduction, masked(count, some, 1)), some, np.nan)


def _class_ids(logits: Any, labels: Any, reduction: Reduction) -> tuple[Any, ...]:
    labels = np.asarray(labels)
    _check_labels(logits, labels)
    return logits, labels, reduction


@primitive(name="cross_entropy", check=_class_ids)
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


@primitive(check=same_shape)
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


bce.batch = logistic_loss.batch = cross_entropy_of_labels.batch = mse.batch = "losses"
mse.vjp(
    p=lambda g, p, y, reduction: divided(g, math.prod(p.shape), reduction) * (2 * (p - y)),
    y=lambda g, p, y, reduction: divided(g, math.prod(p.shape), reduction) * (2 * (y - p)),
)


def difference(p: Any, y: Any) -> Any:
    same_shape(p, y)
    return subtract(*as_floats(p, y))


def l1_loss(p: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far predictions are from their targets: ``|p - y|``. The gradient where they are equal is 0."""
    return reduced(abs(difference(p, y)), reduction)


def huber_loss(p: Any, y: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: ``d**2 / 2`` up to `delta`, then ``delta (d - delta / 2)``.

    d is ``|p - y|`` (P. J. Huber, 1964).
    """
    if not fixed(delta, "delta") > 0:
        raise ValueError(f"huber_loss: delta is {delta}. It is greater than 0")
    d = difference(p, y)
    near = clip(d, -float(delta), float(delta))
    return reduced(near * (d - near / 2), reduction)


def kl_div(p: Any, y: Any, reduction: Reduction | Literal["batchmean"] = "mean", log_target: bool = False) -> Any:
    """Measures how far a distribution is from its target: ``y (log y - p)``, where `p` has *logarithms*.

    These are the terms of the Kullback-Leibler divergence, 0 where `y` is 0. ``reduction="batchmean"`` divides their
    sum by the length of the first axis, and is the mean of the divergences of the rows; "mean" divides by all elements.
    With ``log_target=True``, `y` has logarithms, too.
    """
    p, y = as_floats(*same_shape(p, y))
    logarithm = y if log_target else log(where(np.equal(y, 0), 1, y))
    terms = _product(exp(y) if log_target else y, subtract(logarithm, p))
    return reduced(terms, "sum") / len(terms) if reduction == "batchmean" else reduced(terms, reduction)
