"""Losses, which turn predictions and targets into one number, or with ``reduction="none"`` one number per element.

"mean" is the mean over all elements, and in `cross_entropy` over the rows; with weights of classes it is the weighted
mean. Only the loss divides by the batch size; optimisers never do. Predictions and targets must have equal shapes:
nothing is broadcast, except a `weight`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.primitive import Primitive, primitive
from autograd_cnn.engine.registry import enrol
from autograd_cnn.ops.activations import log_softmax, sigmoid, softmax, softplus
from autograd_cnn.ops.arithmetic import log, maximum, through

__all__ = [
    "bce", "bce_with_logits", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "gaussian_nll_loss",
    "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse", "nll_loss",
    "pairwise_distance", "poisson_nll_loss", "smooth_l1_loss", "triplet_margin_loss",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]


def _reduce(values: Any, reduction: Reduction, weight: Any = None, count: float | None = None) -> Any:
    if weight is not None:
        values = values * np.broadcast_to(np.asarray(weight, values.dtype), values.shape)
    if reduction == "mean":
        return np.mean(values) if count is None else np.sum(values) / count
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction is {reduction!r}\nIt takes "mean", "sum" or "none"')


def _divided(g: Any, count: float, reduction: Reduction, weight: Any = None) -> Any:
    """Applies the adjoint of `_reduce`, except that it leaves the repetition of `g` to broadcasting."""
    g = g / (count or 1) if reduction == "mean" else g
    return g if weight is None else g * np.asarray(weight, g.dtype)


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
    weights = [((p, y), {"weight": rng.random(3), "reduction": reduction}) for reduction in ("mean", "none")]
    return [(p, y), (p, y, "sum"), (p, y, "none"), *weights]


@primitive(examples=_pair_examples)
def bce(p: Any, y: Any, reduction: Reduction = "mean", weight: Any = None) -> Any:
    """Measures how far probabilities are from their targets: ``-(y log p + (1 - y) log(1 - p))``.

    This is binary cross-entropy. Logarithms are at least -100, and ``p (1 - p)`` in the gradient is at least 1e-12, so
    that probabilities of 0 and 1 give finite numbers, and a warning. `bce_with_logits` needs no such bounds.

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
    return _reduce(-terms, reduction, weight)


bce.vjp(
    p=lambda g, p, y, reduction, weight: (
        _divided(g, math.prod(p.shape), reduction, weight) * ((p - y) / maximum(p * (1 - p), 1e-12))
    ),
    y=lambda g, p, reduction, weight: (
        _divided(g, math.prod(p.shape), reduction, weight) * (maximum(log(1 - p), -100) - maximum(log(p), -100))
    ),
)


def _logit_examples(rng: np.random.Generator) -> list[Any]:
    z, y = rng.normal(size=(2, 3)), rng.random((2, 3))
    weights = {"weight": rng.random((2, 1)), "pos_weight": np.array([0.5, 2, 3])}
    return [(z, y, "mean"), (z, y, "sum"), (z, y, "none"), ((z, y), weights), ((z, y, "none"), weights)]


@primitive(examples=_logit_examples)
def bce_with_logits(z: Any, y: Any, reduction: Reduction = "mean", weight: Any = None, pos_weight: Any = None) -> Any:
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
    _same_shape(z, y)
    _binary_targets(y)
    smooth = np.log1p(np.exp(-np.abs(z)))
    positive, both = _shares(y, pos_weight, smooth.dtype)
    losses = _product(1 - y, np.maximum(z, 0)) + _product(positive, np.maximum(-z, 0)) + both * smooth
    return _reduce(losses, reduction, weight)


def _product(share: Any, x: Any) -> Any:
    """Returns ``share * x``, where 0 * inf is 0: an event that does not happen costs nothing."""
    with np.errstate(invalid="ignore"):
        return np.where(np.equal(share, 0), 0, share * x)


def _shares(y: Any, pos_weight: Any, dtype: Any) -> tuple[Any, Any]:
    """Returns the weight of ``softplus(-z)``, and its sum with ``1 - y``, the weight of ``softplus(z)``."""
    if pos_weight is None:
        return y, 1
    positive = y * np.broadcast_to(np.asarray(pos_weight, dtype), np.shape(y))
    return positive, positive + (1 - y)


def _logit_slope(z: Any, y: Any, pos_weight: Any) -> Any:
    positive, both = _shares(y, pos_weight, z.dtype)
    return both * sigmoid(z) - positive


bce_with_logits.vjp(
    z=lambda g, z, y, reduction, weight, pos_weight: (
        _divided(g, math.prod(z.shape), reduction, weight)
        * (sigmoid(z) - y if pos_weight is None else _logit_slope(z, y, pos_weight))
    ),
    y=lambda g, z, z_shape, reduction, weight, pos_weight: through(
        _divided(g, math.prod(z_shape), reduction, weight),
        -z if pos_weight is None else softplus(-z) * (np.asarray(pos_weight, g.dtype) - 1) - z,
    ),
)


def _one_hot(labels: Any, classes: int) -> Any:
    """Returns True where a class is the label: (...) -> (..., classes)."""
    return np.asarray(labels)[..., None] == np.arange(classes)


def _check_labels(logits: Any, labels: Any, weight: Any, ignore_index: int | None, smoothing: float = 0.0) -> None:
    rows, classes = logits.shape[:-1], logits.shape[-1]
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing is {smoothing}\nIt is a share, from 0 to 1")
    if weight is not None and np.shape(weight) != (classes,):
        raise ValueError(f"weight {np.shape(weight)}, logits {logits.shape}\nOne number per class: ({classes},)")
    if labels.dtype.kind not in "iu":
        if labels.shape != logits.shape:
            raise ValueError(f"labels {labels.shape} {labels.dtype}\nIntegers {rows}, or probabilities {logits.shape}")
        if ignore_index is not None:
            raise ValueError("ignore_index is for class ids\nProbabilities of 0 in a whole row ignore it")
    elif labels.shape != rows:
        cure = "labels[:, 0]?" if labels.shape == (*rows, 1) else f"One integer per row: {rows}"
        if labels.shape == logits.shape:
            cure += ", labels.argmax(-1); or probabilities, labels.astype(np.float32)"
        elif labels.shape == rows[:1]:
            cure += ". One per image: ag.flatten(x, 1) before the last layer"
        raise ValueError(f"labels {labels.shape}, logits {logits.shape}\n{cure}")
    elif labels.size and (labels.min() < 0 or labels.max() >= classes):
        outside = (labels < 0) | (labels >= classes)
        if ignore_index is not None:
            outside &= labels != ignore_index
        for place in np.argwhere(outside)[:1].tolist():
            label, cure = labels[tuple(place)], "\nLabels that start at 1: labels - 1" if labels.min() >= 1 else ""
            if label == -100:
                cure = "\nTo leave rows out: ignore_index=-100"
            raise ValueError(f"label {label} at {place}, but logits {logits.shape} have classes 0..{classes - 1}{cure}")


def _classes(labels: Any) -> bool:
    """Returns whether `labels` are integers, not probabilities."""
    return np.asarray(plain(labels)).dtype.kind in "iu"


def _target(logits: Any, labels: Any, smoothing: float, weight: Any, ignored: int | None) -> Any:
    """Returns what multiplies ``-log_softmax``: a row of numbers per label, of truth values for plain class ids."""
    labels = np.asarray(labels) if isinstance(labels, list) else labels
    target = _one_hot(labels, logits.shape[-1]) if _classes(labels) else labels.astype(logits.dtype)
    if smoothing != 0:
        target = target.astype(logits.dtype) * (1 - float(smoothing)) + float(smoothing) / logits.shape[-1]
    if ignored is not None:
        target = target.astype(logits.dtype) * np.not_equal(labels, ignored)[..., None]
    return target if weight is None else target * np.asarray(weight, logits.dtype)


def _count(labels: Any, weight: Any, ignored: Any) -> float | None:
    """Returns the divisor of a mean over rows if it is not their number: the sum of the weights of the labels."""
    if not _classes(labels) or (weight is None and ignored is None):
        return None
    used = np.asarray(labels)[np.not_equal(labels, ignored)]
    return used.size if weight is None else float(np.sum(np.asarray(weight)[used]))


def _logits(rng: np.random.Generator) -> list[Any]:
    z, labels, weight = rng.normal(size=(3, 4)), np.array([0, 3, 1]), rng.uniform(0.1, 2, 4)
    return [
        (z, labels),
        (z, rng.dirichlet(np.ones(4), 3), "none"),
        ((z, rng.dirichlet(np.ones(4), 3)), {"weight": weight}),
        ((z, labels), {"reduction": "sum", "label_smoothing": 0.1}),
        ((z, labels), {"weight": weight, "label_smoothing": 0.1}),
        ((z, labels), {"weight": weight, "ignore_index": 3, "reduction": "none"}),
        ((z, labels - 1), {"ignore_index": -1}),
    ]


class _OfLabels(Primitive[...]):
    """A primitive whose labels have no rule: they may be class ids, which operands with a rule take as floats.

    Labels that are Tensors with a gradient are operands of other primitives instead.
    """

    if not TYPE_CHECKING:

        def __call__(self, *args, **options):
            labels = args[1] if len(args) > 1 else options.get("labels")
            if getattr(labels, "requires_grad", False):
                return _of_soft_labels(*self.bind(args, options)[0])
            return super().__call__(*args, **options)


def _expected(scores: Any, target: Any) -> Any:
    """Returns minus the sum of ``target * scores``, where 0 * -inf is 0: an impossible class costs nothing."""
    scores = np.where(np.logical_and(np.equal(target, 0), np.isinf(scores)), 0, scores)
    return -np.sum(scores * target, axis=-1)


def _of_soft_labels(logits: Any, labels: Any, reduction: Any, smoothing: float, weight: Any, ignored: Any) -> Any:
    _check_labels(logits, labels, weight, ignored, smoothing)
    return _reduce(_expected(log_softmax(logits), _target(logits, labels, smoothing, weight, None)), reduction)


@partial(_OfLabels, examples=_logits)
def cross_entropy(
    logits: Any,
    labels: Any,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    weight: Any = None,
    ignore_index: int | None = None,
) -> Any:
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
    labels = np.asarray(labels)
    _check_labels(logits, labels, weight, ignore_index, label_smoothing)
    scores = log_softmax.raw(logits)
    if label_smoothing == 0 and weight is None and ignore_index is None and _classes(labels):
        rows = scores.reshape(-1, scores.shape[-1])
        return _reduce(-rows[np.arange(len(rows)), labels.ravel()].reshape(labels.shape), reduction)
    target = _target(scores, labels, label_smoothing, weight, ignore_index)
    # 0 * -inf is 0 here: a class that is impossible and not the label costs nothing
    rows = -np.sum(np.multiply(target, scores, out=np.zeros_like(scores), where=target != 0), axis=-1)
    return _reduce(rows, reduction, count=_count(labels, weight, ignore_index))


def _excess(logits: Any, labels: Any, smoothing: float, weight: Any, ignored: int | None) -> Any:
    """Returns the gradient of the loss of each row: softmax less the target, for targets of any sum."""
    target = _target(logits, labels, smoothing, weight, ignored)
    if _classes(labels) and weight is None and ignored is None:
        return softmax(logits) - target
    return softmax(logits) * np.sum(target, axis=-1, keepdims=True) - target


cross_entropy.vjp(  # no rule for labels, which are data even if they are floats
    logits=lambda g, logits, labels, reduction, label_smoothing, weight, ignore_index: (
        (
            g[..., None]
            if reduction == "none"
            else _divided(g, _count(labels, weight, ignore_index) or math.prod(logits.shape[:-1]), reduction)
        )
        * _excess(logits, labels, label_smoothing, weight, ignore_index)
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


def nll_loss(
    log_probabilities: Any,
    labels: Any,
    reduction: Reduction = "mean",
    weight: Any = None,
    ignore_index: int | None = None,
) -> Any:
    """Measures how little probability the right class has, from ``log_softmax(logits)``: ``-log_probability[label]``.

    Parameters and results are those of `cross_entropy`, which takes the logits themselves.
    """
    _check_labels(log_probabilities, np.asarray(plain(labels)), weight, ignore_index)
    rows = _expected(log_probabilities, _target(log_probabilities, labels, 0, weight, ignore_index))
    return _reduce(rows, reduction, count=_count(labels, weight, ignore_index))


def _difference(p: Any, y: Any) -> Any:
    _same_shape(p, y)
    return np.subtract(p, y)


def l1_loss(p: Any, y: Any, reduction: Reduction = "mean") -> Any:
    """Measures how far predictions are from their targets: ``|p - y|``. The gradient where they are equal is 0."""
    return _reduce(np.abs(_difference(p, y)), reduction)


def huber_loss(p: Any, y: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: ``d**2 / 2`` up to `delta`, then ``delta (d - delta / 2)``.

    d is ``|p - y|`` (P. J. Huber, 1964).
    """
    d = _difference(p, y)
    near = np.clip(d, -float(delta), float(delta))
    return _reduce(near * (d - near / 2), reduction)


def smooth_l1_loss(p: Any, y: Any, reduction: Reduction = "mean", beta: float = 1.0) -> Any:
    """Measures how far predictions are from their targets: `huber_loss` up to `beta`, divided by `beta`.

    With ``beta=0`` it is `l1_loss`.
    """
    return huber_loss(p, y, reduction, beta) / float(beta) if beta else l1_loss(p, y, reduction)


def kl_div(p: Any, y: Any, reduction: Reduction | Literal["batchmean"] = "mean", log_target: bool = False) -> Any:
    """Measures how far a distribution is from its target: ``y (log y - p)``, where `p` has *logarithms*.

    These are the terms of the Kullback-Leibler divergence, 0 where `y` is 0. ``reduction="batchmean"`` divides their
    sum by the length of the first axis, and is the mean of the divergences of the rows; "mean" divides by all elements.
    With ``log_target=True``, `y` has logarithms, too.
    """
    _same_shape(p, y)
    logarithm = y if log_target else np.log(np.where(np.equal(y, 0), 1, y))
    terms = np.multiply(np.exp(y) if log_target else y, np.subtract(logarithm, p))
    return _reduce(terms, "sum") / len(terms) if reduction == "batchmean" else _reduce(terms, reduction)


def poisson_nll_loss(
    p: Any, y: Any, reduction: Reduction = "mean", log_input: bool = True, full: bool = False, eps: float = 1e-8
) -> Any:
    """Measures how unlikely counts `y` are if `p` has the logarithms of their means: ``exp(p) - y p``.

    With ``log_input=False`` it has the means: ``p - y log(p + eps)``. `full` adds Stirling's formula for ``log y!``
    where y > 1.
    """
    _same_shape(p, y)
    losses = np.exp(p) - np.multiply(y, p) if log_input else np.subtract(p, np.multiply(y, np.log(np.add(p, eps))))
    if full:
        many = np.where(np.greater(y, 1), y, 1).astype(losses.dtype)
        losses = losses + np.where(many > 1, many * np.log(many) - many + np.log(many * (2 * math.pi)) / 2, 0)
    return _reduce(losses, reduction)


def gaussian_nll_loss(
    p: Any, y: Any, var: Any, reduction: Reduction = "mean", full: bool = False, eps: float = 1e-6
) -> Any:
    """Measures how unlikely targets are if they are normal with mean `p`: ``(log var + (p - y)**2 / var) / 2``.

    Variances are at least `eps`, which changes no gradient. `full` adds ``log(2 pi) / 2``.
    """
    if np.shape(var) not in (np.shape(p), (*np.shape(p)[:-1], 1), ()) or np.any(np.less(var, 0)):
        raise ValueError(f"gaussian_nll_loss: var needs the shape {np.shape(p)}, or 1 for its last axis, and no sign")
    var = np.add(var, np.maximum(float(eps) - np.asarray(plain(var)), 0))
    losses = (np.log(var) + np.square(_difference(p, y)) / var) / 2
    return _reduce(losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


def _is_one(y: Any, shape: tuple[int, ...]) -> Any:
    """Returns where targets, 1 or -1, are 1."""
    if np.shape(y) != shape or not np.all(np.equal(np.abs(plain(y)), 1)):
        raise ValueError(f"targets {np.shape(y)} must have the shape {shape} and be 1 or -1\nOf 0 and 1: 2 * y - 1")
    return np.equal(y, 1)


def hinge_embedding_loss(x: Any, y: Any, reduction: Reduction = "mean", margin: float = 1.0) -> Any:
    """Measures distances `x` where the target is 1, and where it is -1 how far they are below `margin`."""
    return _reduce(np.where(_is_one(y, np.shape(x)), x, np.clip(np.subtract(margin, x), 0, None)), reduction)


def margin_ranking_loss(x1: Any, x2: Any, y: Any, reduction: Reduction = "mean", margin: float = 0.0) -> Any:
    """Measures how far `x1` is from `x2` plus `margin` where the target is 1, and the reverse where it is -1."""
    sign = np.where(_is_one(y, np.shape(x1)), -1, 1)
    return _reduce(np.clip(_difference(x1, x2) * sign + margin, 0, None), reduction)


def cosine_similarity(x1: Any, x2: Any, axis: int = -1, eps: float = 1e-8) -> Any:
    """Computes the cosine of the angle between vectors along `axis`, whose lengths count as at least `eps`.

    Vectors of zeros have similarity 0.
    """
    x1, x2 = np.broadcast_arrays(x1, x2)
    first, second = (np.sqrt(np.clip(np.sum(np.square(x), axis), float(eps) ** 2, None)) for x in (x1, x2))
    return np.sum(np.multiply(x1, x2), axis) / (first * second)


def cosine_embedding_loss(x1: Any, x2: Any, y: Any, reduction: Reduction = "mean", margin: float = 0.0) -> Any:
    """Measures 1 - `cosine_similarity` where the target is 1, and its excess over `margin` where it is -1."""
    cosine = cosine_similarity(x1, x2)
    return _reduce(np.where(_is_one(y, np.shape(cosine)), 1 - cosine, np.clip(cosine - margin, 0, None)), reduction)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Any:
    """Computes the distances between vectors along the last axis: ``sum(|x1 - x2 + eps|**p)**(1 / p)``.

    The gradient at distance 0 is 0.
    """
    if not 0 < p < math.inf:
        raise ValueError(f"pairwise_distance: p is {p}. For inf: ag.max(ag.abs(x1 - x2), axis=-1)")
    total = np.sum(np.abs(np.subtract(x1, x2) + eps) ** p, axis=-1, keepdims=keepdims)
    return np.where(total == 0, 0, np.where(total == 0, 1, total) ** (1 / p))


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    reduction: Reduction = "mean",
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Any:
    """Measures how far `negative` is from being farther from `anchor` than `positive` is, by `margin`.

    Distances are those of `pairwise_distance`. With `swap`, `negative` is compared with the nearer of the two others.
    """
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    far = np.minimum(far, pairwise_distance(positive, negative, p, eps)) if swap else far
    return _reduce(np.clip(near - far + margin, 0, None), reduction)


enrol(globals())
