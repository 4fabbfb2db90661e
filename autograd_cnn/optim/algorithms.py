"""The optimisers. The formulas, and the order of their operations, are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autograd_cnn.checks import flag, number
from autograd_cnn.engine.registry import accelerated
from autograd_cnn.optim.optimiser import Array, Optimiser

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]


class SGD(Optimiser):
    """Stochastic gradient descent: ``p -= lr * g``.

    With momentum, ``v = momentum * v + g`` takes the place of `g`; with `nesterov`, ``g + momentum * v`` does.

    Parameters
    ----------
    parameters : iterable of Tensor, or of groups
        Leaves with ``requires_grad=True``. A group is a dict: ``{"parameters": [w, b], "lr": 0.01}`` has a rate of its
        own, and ``"weight_decay"`` a decay of its own.
    lr : float
        The learning rate.
    momentum : float
        Weight of the old `v`, in [0, 1).
    nesterov : bool
        Whether to look ahead along the momentum, which must not be 0 then.
    weight_decay : float
        Adds ``weight_decay * p`` to `g`.

    References
    ----------
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, -2.0], requires_grad=True, name="w")
    >>> optimiser = SGD([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimiser.step()
    >>> w.data
    array([ 0.64, -1.28])
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float, momentum: float = 0, nesterov: bool = False, weight_decay: float = 0
    ) -> None:
        flag(nesterov, "nesterov")
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True looks ahead along the momentum, which is 0. momentum=0.9?")
        self.slots = ("momentum",) if momentum else ()
        super().__init__(parameters, lr, momentum=momentum, weight_decay=weight_decay)
        self.momentum, self.nesterov, self.weight_decay = float(momentum), nesterov, float(weight_decay)

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        p, g, *slots = arrays
        coefficients = lr, decay, self.momentum, self.momentum if self.nesterov else 0
        sgd_update(p, g, slots[0] if slots else p[:0], np.array(coefficients, p.dtype))


@accelerated
def sgd_update(p: Array, g: Array, v: Array, coefficients: Array) -> None:
    """Move `p` against `g`, along the momentum `v`, which is empty if there is none."""
    lr, decay, momentum, ahead = coefficients
    g = g + decay * p if decay else g
    if len(v):
        v *= momentum
        v += g
        g = g + ahead * v if ahead else v
    p -= lr * g


class RMSprop(Optimiser):
    """Divides the step of each element by the root of a running mean square of its gradient.

    ``v = alpha * v + (1 - alpha) * g**2``, then ``p -= lr * g / (sqrt(v) + eps)``. With momentum, ``b = momentum * b +
    g / (sqrt(v) + eps)`` takes the place of the quotient.

    Parameters
    ----------
    parameters : iterable of Tensor, or of groups
        Leaves with ``requires_grad=True``. A group is a dict: ``{"parameters": [w, b], "lr": 0.01}`` has a rate of its
        own, and ``"weight_decay"`` a decay of its own.
    lr : float
        The learning rate.
    alpha : float
        Weight of the old mean square, in [0, 1).
    eps : float
    weight_decay : float
        Adds ``weight_decay * p`` to `g`.
    momentum : float
    centered : bool
        Whether to divide by the root of the variance, the mean square less the squared mean.

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> RMSprop([w], lr=0.1, alpha=0.75).step()
    >>> w.data.round(6)
    array([   0.8, -199.8])
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
    ) -> None:
        number(alpha, "alpha", 0, 1)
        flag(centered, "centered")
        self.slots = ("square", *["mean"] * centered, *["momentum"] * bool(momentum))
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = float(alpha), float(eps), float(momentum), centered
        self.weight_decay = float(weight_decay)

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        p, g, v, *slots = arrays
        rmsprop_update(p, g, v, slots, lr, decay, self.alpha, self.eps, self.momentum, self.centered)


@accelerated
def rmsprop_update(
    p: Array, g: Array, v: Array, slots: Sequence[Array], lr: float, decay: float, alpha: float, eps: float,
    momentum: float, centered: bool,
) -> None:  # fmt: skip
    """Move `p` against `g`, scaled by the running mean square `v`; `slots` has the mean, and the momentum."""
    g = g + decay * p if decay else g
    v *= alpha
    v += (1 - alpha) * (g * g)
    variance = v
    if centered:
        mean = slots[0]
        mean += (1 - alpha) * (g - mean)
        variance = np.maximum(v - mean * mean, 0)  # rounding may leave less than 0
    move = g / (np.sqrt(variance) + eps)
    if momentum:
        slots[-1][...] = move = momentum * slots[-1] + move
    p -= lr * move


class Adam(Optimiser):
    """Scales the step of each element by running moments of its gradient: ``p -= lr * m' / (sqrt(v') + eps)``.

    ``m = beta1 * m + (1 - beta1) * g`` and ``v = beta2 * v + (1 - beta2) * g**2`` estimate the mean and the mean
    square of `g`. Both start at 0, which ``m' = m / (1 - beta1**step)`` and ``v' = v / (1 - beta2**step)`` correct.

    Parameters
    ----------
    parameters : iterable of Tensor, or of groups
        Leaves with ``requires_grad=True``. A group is a dict: ``{"parameters": [w, b], "lr": 0.01}`` has a rate of its
        own, and ``"weight_decay"`` a decay of its own.
    lr : float
        The learning rate.
    betas : pair of float
        Weights of the old moments, in [0, 1).
    eps : float
    weight_decay : float
        Adds ``weight_decay * p`` to `g`. Default: 0, for `AdamW` 0.01.

    References
    ----------
    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.

    Examples
    --------
    In the first step every element moves by `lr`, whatever its gradient is:

    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, -200.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Adam([w], lr=0.1).step()
    >>> w.data.round(6)
    array([   0.9, -199.9])
    """

    slots = ("mean", "square")
    decoupled = False

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | None = None,
    ) -> None:
        if np.shape(betas) != (2,) or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas are {betas}, want both in [0, 1)")
        weight_decay = type(self).weight_decay if weight_decay is None else weight_decay
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay)
        self.betas = float(betas[0]), float(betas[1])
        self.eps, self.weight_decay = float(eps), float(weight_decay)

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        beta1, beta2 = self.betas
        shrink, decay = (1 - lr * decay, 0) if self.decoupled else (1, decay)
        root, rate = 1 / math.sqrt(1 - beta2**step), lr / (1 - beta1**step)
        coefficients = shrink, decay, 1 - beta1, beta2, 1 - beta2, root, self.eps, rate
        p, g, m, v = arrays
        adam_update(p, g, m, v, np.array(coefficients, p.dtype))


@accelerated
def adam_update(p: Array, g: Array, m: Array, v: Array, coefficients: Array) -> None:
    """Move `p` against `g`, scaled by the running moments `m` and `v`."""
    shrink, decay, fresh1, beta2, fresh2, root, eps, rate = coefficients
    if shrink != 1:
        p *= shrink
    g = g + decay * p if decay else g
    m += fresh1 * (g - m)
    v *= beta2
    v += fresh2 * (g * g)
    p -= rate * (m / (root * np.sqrt(v) + eps))


class AdamW(Adam):
    """`Adam` with a weight decay that the moments do not scale: ``p *= 1 - lr * weight_decay`` before each step.

    Parameters
    ----------
    parameters : iterable of Tensor, or of groups
        Leaves with ``requires_grad=True``. A group is a dict: ``{"parameters": [w, b], "lr": 0.01}`` has a rate of its
        own, and ``"weight_decay"`` a decay of its own.
    lr : float
        The learning rate.
    betas : pair of float
        Weights of the old moments, in [0, 1).
    eps : float
    weight_decay : float
        The share of the parameters, times `lr`, that each step takes off.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """

    decoupled = True
    weight_decay = 0.01
