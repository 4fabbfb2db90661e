"""Losses, which turn predictions and targets into one number, or with ``reduction="none"`` one number per element.

"mean" is the mean over all elements, and in `cross_entropy` over the rows. Only the loss divides by the batch size;
optimisers never do. Predictions and targets must have equal shapes: nothing is broadcast.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.activations import log_softmax, sigmoid, softmax
from autograd_cnn.ops.arithmetic import log, maximum

__all__ = ["bce", "bce_with_logits", "cross_entropy", "mse"]

Reduction = Literal["mean", "sum", "none"]


def _reduce(values: Any, reduction: Reduction) -> Any:
    if reduction == "mean":
        return np.mean(values)
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction is {reduction!r}\nIt takes "mean", "sum" or "none"')


def _divided(g: Any, count: int, reduction: Reduction) -> Any:
    """Applies the adjoint of `_reduce`, except that it leaves the repetition of `g` to broadcasting."""
    return g / max(count, 1) if reduction == "mean" else g


def _same_shape(p: Any, y: Any) -> None:
    if np.shape(p) != np.shape(y):
        try:
            wide = f" would broadcast to {np.broadcast_shapes(np.shape(p), np.shape(y))}"
        except ValueError:
            wide = ""
        raise ValueError(
            f"predictions {np.shape(p)} and targets {np.shape(y)}{wide or ' differ'}\n"
            + (f"targets.reshape{np.shape(p)}?" if np.size(p) == np.size(y) else "They need equal shapes")
        )


def _binary_targets(y: Any) -> None:
    if np.size(y) and not (np.min(y) >= 0 and np.max(y) <= 1):
        bad = np.max(y) if not np.max(y) <= 1 else np.min(y)
        raise ValueError(
            f"targets reach {bad:g}, but must lie in [0, 1]\nClass ids: cross_entropy(logits, labels), "
            "or np.eye(10, dtype=np.float32)[labels]"
        )


def _pair_examples(rng: np.random.Generator) -> list[Any]:
    p, y = rng.uniform(0.1, 0.9, (2, 3)), rng.uniform(0.1, 0.9, (2, 3))
    return [(p, y), (p, y, "sum"), (p, y, "none")]


@primitive(examples=_pair_examples)
def bce(p: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far probabilities are from their targets: ``-(y log p + (1 - y) log(1 - p))``.

    This is binary cross-entropy. Logarithms are at least -100, and ``p (1 - p)`` in the gradient is at least 1e-12, so
    that probabilities of 0 and 1 give finite numbers, and a warning. `bce_with_logits` needs no such bounds.

    Parameters
    ----------
    p, y : (...)
        Probabilities and targets in [0, 1], of equal shape.
    reduction : {"mean", "sum", "none"}

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
    _same_shape(p, y)
    p = np.asarray(p)
    if p.size and not (p.min() >= 0 and p.max() <= 1) and not np.isnan(p).any():
        raise ValueError(
            f"p runs from {p.min():g} to {p.max():g}, but must lie in [0, 1]\nFor logits: bce_with_logits(z, y)"
        )
    _binary_targets(y)
    saturated = int(np.count_nonzero((p == 0) | (p == 1)))
    if saturated and is_recording():
        warn(
            f"bce: {saturated} of {p.size} probabilities are exactly 0 or 1; their gradient is clipped. "
            "Keep the logits: bce_with_logits"
        )
    with np.errstate(divide="ignore"):
        terms = y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100)
    return _reduce(-terms, reduction)


bce.vjp(
    p=lambda g, p, y, reduction: _divided(g, math.prod(p.shape), reduction) * ((p - y) / maximum(p * (1 - p), 1e-12)),
    y=lambda g, p, reduction: (
        _divided(g, math.prod(p.shape), reduction) * (maximum(log(1 - p), -100) - maximum(log(p), -100))
    ),
)


@primitive(examples=lambda rng: [(rng.normal(size=(2, 3)), rng.random((2, 3)), r) for r in ("mean", "sum", "none")])
def bce_with_logits(z: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far ``sigmoid(z)`` is from its targets: ``softplus(z) - z y``.

    This is binary cross-entropy of logits, exact and without warnings at ``|z| = 1000``.

    Parameters
    ----------
    z, y : (...)
        Logits, and targets in [0, 1], of equal shape.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    () or (...)

    Raises
    ------
    ValueError
        If the shapes differ, or a target is outside [0, 1].
    """
    _same_shape(z, y)
    _binary_targets(y)
    return _reduce(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))), reduction)


bce_with_logits.vjp(
    z=lambda g, z, y, reduction: _divided(g, math.prod(z.shape), reduction) * (sigmoid(z) - y),
    y=lambda g, z, reduction: _divided(g, math.prod(z.shape), reduction) * -z,
)


def _one_hot(labels: Any, classes: int) -> Any:
    """Returns True where a class is the label: (...) -> (..., classes)."""
    return np.asarray(labels)[..., None] == np.arange(classes)


def _check_labels(logits: Any, labels: Any) -> None:
    rows, classes = logits.shape[:-1], logits.shape[-1]
    if labels.dtype.kind not in "iu":
        if labels.shape != logits.shape:
            raise ValueError(f"labels {labels.shape} {labels.dtype}\nIntegers {rows}, or probabilities {logits.shape}")
    elif labels.shape != rows:
        cure = "labels[:, 0]?" if labels.shape == (*rows, 1) else f"One integer per row: {rows}"
        if labels.shape == logits.shape:
            cure += ", labels.argmax(-1); or probabilities, labels.astype(np.float32)"
        elif labels.shape == rows[:1]:
            cure += ". One per image: ag.flatten(x, 1) before the last layer"
        raise ValueError(f"labels {labels.shape}, logits {logits.shape}\n{cure}")
    elif labels.size and (labels.min() < 0 or labels.max() >= classes):
        where = tuple(int(i[0]) for i in np.nonzero((labels < 0) | (labels >= classes)))
        cure = "\nLabels that start at 1: labels - 1" if labels.min() >= 1 else ""
        raise ValueError(
            f"label {labels[where]} at {list(where)}, but logits {logits.shape} have classes 0..{classes - 1}{cure}"
        )


def _classes(labels: Any) -> bool:
    """Returns whether `labels` are integers, not probabilities."""
    return np.asarray(labels).dtype.kind in "iu"


def _target(logits: Any, labels: Any, smoothing: float) -> Any:
    """Returns the target of softmax for each label: a row of probabilities, or of truth values for plain class ids."""
    if smoothing == 0:
        return _one_hot(labels, logits.shape[-1]) if _classes(labels) else np.asarray(labels).astype(logits.dtype)
    return _target(logits, labels, 0).astype(logits.dtype) * (1 - smoothing) + smoothing / logits.shape[-1]


def _logits(rng: np.random.Generator) -> list[Any]:
    z = rng.normal(size=(3, 4))
    return [
        (z, np.array([0, 3, 1])),
        ((z, np.array([0, 3, 1])), {"reduction": "sum", "label_smoothing": 0.1}),
        (z, rng.dirichlet(np.ones(4), 3), "none"),
    ]


@primitive(examples=_logits)
def cross_entropy(logits: Any, labels: Any, reduction: Reduction = "mean", label_smoothing: float = 0.0) -> Any:
    """Measures how little probability the right class has: ``-log softmax(logits)[label]``.

    This is cross-entropy over the last axis.

    Parameters
    ----------
    logits : (..., K)
    labels : (...) of int, or (..., K)
        Class ids 0..K-1, or probabilities.
    reduction : {"mean", "sum", "none"}
        How to combine the losses of the rows.
    label_smoothing : float
        The share of every target that is spread evenly over all classes.

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
    labels = np.asarray(labels)
    _check_labels(logits, labels)
    scores = log_softmax.raw(logits)
    if label_smoothing == 0 and _classes(labels):
        rows = scores.reshape(-1, scores.shape[-1])
        return _reduce(-rows[np.arange(len(rows)), labels.ravel()].reshape(labels.shape), reduction)
    target = _target(logits, labels, label_smoothing)
    # 0 * -inf is 0 here: a class that is impossible and not the label costs nothing
    return _reduce(
        -np.sum(np.multiply(target, scores, out=np.zeros_like(scores), where=target != 0), axis=-1), reduction
    )


def _excess(logits: Any, labels: Any, smoothing: float) -> Any:
    """Returns the gradient of the loss of each row: softmax less the target, for targets of any sum."""
    if _classes(labels):
        return softmax(logits) - _target(logits, labels, smoothing)
    target = _target(logits, labels, smoothing)
    return softmax(logits) * np.sum(target, axis=-1, keepdims=True) - target


cross_entropy.vjp(  # no rule for labels, which are data even if they are floats
    logits=lambda g, logits, labels, reduction, label_smoothing: (
        (g[..., None] if reduction == "none" else _divided(g, math.prod(logits.shape[:-1]), reduction))
        * _excess(logits, labels, label_smoothing)
    )
)


@primitive(
    examples=lambda rng: [(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), r) for r in ("mean", "sum", "none")]
)
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
    _same_shape(p, y)
    return _reduce(np.square(p - y), reduction)


mse.vjp(
    p=lambda g, p, y, reduction: _divided(g, math.prod(p.shape), reduction) * (2 * (p - y)),
    y=lambda g, p, y, reduction: _divided(g, math.prod(p.shape), reduction) * (2 * (y - p)),
)
