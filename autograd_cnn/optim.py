"""Optimisers and schedules: parameters changed in place, outside recording.

An optimiser reads gradients and writes arrays; it never divides by the batch (the loss does). A parameter whose array
a live graph has locked gets a new array instead, so that the graph stays right. Numbers are PyTorch's.

Imports the engine only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Leaf
from autograd_cnn.engine.tensor import Tensor

Array = np.ndarray
Schedule = Callable[[int], float]


def _checked(who: str, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= 0:
            raise ValueError(f"{who}: {name} is {value}, must be 0 or more")


class Optimiser:
    """What all optimisers share: the parameters, what is remembered of each, and the watch over gradients."""

    slots: tuple[str, ...] = ()  # names of the arrays remembered for each parameter

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = list(dict.fromkeys(parameters))
        who = type(self).__name__
        if not self.parameters:
            raise ValueError(f"{who}: got no parameters. Pass model.parameters(), or a list of Tensors")
        for p in self.parameters:
            if not isinstance(p, Tensor) or not isinstance(p._node, Leaf):
                what = repr(p)[:40] if not isinstance(p, Tensor) else f"{p._label()} {p.shape}"
                raise TypeError(f"{who}: {what} is no parameter. It takes Tensors with requires_grad=True")
        _checked(who, lr=lr)
        self.lr = lr
        self.steps = 0
        self.state = [{name: np.zeros_like(p.data) for name in self.slots} for p in self.parameters]
        self._buffers = [np.empty_like(p.data) for p in self.parameters]

    def zero_grad(self) -> None:
        """Clear every gradient: once per step, before `backward`."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient.

        Warns where a gradient is missing, or still holds that of the step before.
        """
        self._watch()
        self.steps += 1
        for p, state, buffer in zip(self.parameters, self.state, self._buffers, strict=True):
            g = p.grad
            if g is None:
                continue
            array = p.data
            if not array.flags.writeable:  # a live graph has it: leave that one alone
                array = array.copy()
            self._update(array, g.data if isinstance(g, Tensor) else g, state, buffer)
            p.data = array
            p._node.use = ("used", Leaf.walks)

    def _update(self, p: Array, g: Array, state: dict[str, Array], buffer: Array) -> None:
        raise NotImplementedError

    def _watch(self) -> None:
        who, total = type(self).__name__, len(self.parameters)
        missing = [p for p in self.parameters if p.grad is None]
        if missing:
            warn(
                f"{who}.step: no gradient for {len(missing)} of {total} parameters ({_names(missing)}): "
                "the loss does not depend on them"
            )
        stale = [p for p in self.parameters if p._node.use[0] == "stale"]
        if stale:
            warn(
                f"{who}.step: {len(stale)} of {total} gradients still hold the previous step ({_names(stale)}). "
                "Call zero_grad() once per step(), before backward()"
            )

    def state_dict(self) -> dict[str, Any]:
        """Step count, rate and a copy of every remembered array, as ``0.momentum`` for the first parameter."""
        arrays = {f"{i}.{name}": a.copy() for i, state in enumerate(self.state) for name, a in state.items()}
        return {"steps": self.steps, "lr": float(self.lr), **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; all or nothing.

        Raises
        ------
        ValueError
            Where names or shapes differ from this optimiser's.
        """
        mine = self.state_dict()
        if state.keys() != mine.keys():
            differ = ", ".join(sorted(state.keys() ^ mine.keys())[:4])
            raise ValueError(f"{type(self).__name__}: the state belongs to other parameters: {differ}")
        for name, value in mine.items():
            if np.shape(state[name]) != np.shape(value):
                raise ValueError(f"{type(self).__name__}: {name} is {np.shape(state[name])}, want {np.shape(value)}")
        self.steps, self.lr = int(state["steps"]), float(state["lr"])
        for i, slots in enumerate(self.state):
            for name, array in slots.items():
                array[...] = state[f"{i}.{name}"]


def _names(parameters: list[Tensor]) -> str:
    shown = ", ".join(p.name or str(p.shape) for p in parameters[:2])
    return shown + (", ..." if len(parameters) > 2 else "")


class SGD(Optimiser):
    """Stochastic gradient descent, ``p -= lr * g``, with momentum and weight decay.

    Parameters
    ----------
    parameters : iterable of Tensor
    lr : float
    momentum : float
        With m: ``v = m * v + g``, and ``p -= lr * v``.
    nesterov : bool
        ``p -= lr * (g + m * v)`` instead.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.

    Raises
    ------
    TypeError, ValueError
        Where a parameter requires no gradient, there is none, or a number is negative.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimiser = ag.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimiser.step()
    >>> w.data
    array([0.8, 1.6])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
    ) -> None:
        self.slots = ("momentum",) if momentum else ()
        super().__init__(parameters, lr)
        _checked("SGD", momentum=momentum, weight_decay=weight_decay)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum, 0.9 for example")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def _update(self, p: Array, g: Array, state: dict[str, Array], buffer: Array) -> None:
        lr = float(self.lr)
        if self.weight_decay:
            g = np.multiply(p, self.weight_decay) + g
        if self.momentum:
            v = state["momentum"]
            np.multiply(v, self.momentum, out=v)
            v += g
            g = g + self.momentum * v if self.nesterov else v
        np.multiply(g, lr, out=buffer)
        p -= buffer


class Adam(Optimiser):
    """Adam (D. Kingma, J. Ba, 2015): steps scaled by running moments of the gradient.

    Parameters
    ----------
    parameters : iterable of Tensor
    lr : float
    betas : (float, float)
        Decay of the first and of the second moment.
    eps : float
        Added to the root of the second moment.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (for decay apart from the gradient: `AdamW`).

    Raises
    ------
    TypeError, ValueError
        Where a parameter requires no gradient, there is none, or a number is out of range.
    """

    slots = ("first", "second")
    decoupled = False

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(parameters, lr)
        _checked(type(self).__name__, eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas are {betas}, must lie in [0, 1)")
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def _update(self, p: Array, g: Array, state: dict[str, Array], buffer: Array) -> None:
        lr, (beta1, beta2) = float(self.lr), self.betas
        first, second = state["first"], state["second"]
        if self.weight_decay and self.decoupled:
            p *= 1 - lr * self.weight_decay
        elif self.weight_decay:
            g = np.multiply(p, self.weight_decay) + g
        np.multiply(first, beta1, out=first)
        first += np.multiply(g, 1 - beta1, out=buffer)
        np.multiply(second, beta2, out=second)
        np.multiply(g, g, out=buffer)
        second += np.multiply(buffer, 1 - beta2, out=buffer)
        np.sqrt(second, out=buffer)
        buffer /= math.sqrt(1 - beta2**self.steps)
        buffer += self.eps
        np.divide(first, buffer, out=buffer)
        buffer *= lr / (1 - beta1**self.steps)
        p -= buffer


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (I. Loshchilov, F. Hutter, 2019).

    Parameters as for `Adam`; ``p *= 1 - lr * weight_decay`` before each step.
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)


def constant(lr: float) -> Schedule:
    """Always `lr`."""
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """`lr`, times `factor` after every `every` steps.

    Examples
    --------
    >>> rate = step_decay(1.0, every=10)
    >>> rate(9), rate(10)
    (1.0, 0.1)
    """
    return lambda step: lr * factor ** (step // every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """From `lr` to `final` along half a cosine (I. Loshchilov, F. Hutter, 2017).

    Examples
    --------
    >>> rate = cosine(1.0, steps=100)
    >>> rate(0), round(rate(50), 3), rate(100)
    (1.0, 0.5, 0.0)
    """
    return lambda step: _between(lr, final, step / max(steps, 1))


def one_cycle(
    peak: float, steps: int, warm_up: float = 0.3, start: float | None = None, final: float | None = None
) -> Schedule:
    """Up to `peak` over a share `warm_up` of the steps, then down, both along half a cosine (L. Smith, 2018).

    Parameters
    ----------
    peak : float
    steps : int
    warm_up : float
        Share of the steps on the way up.
    start, final : float, optional
        Default ``peak / 25``, and ``start / 10000``.

    Examples
    --------
    >>> rate = one_cycle(1.0, steps=100)
    >>> rate(0), rate(29) > 0.99, rate(99) < 1e-4
    (0.04, True, True)
    """
    first = peak / 25 if start is None else start
    last = first / 1e4 if final is None else final
    top = max(warm_up * steps - 1, 1e-9)

    def rate(step: int) -> float:
        if step <= top:
            return _between(first, peak, step / top)
        return _between(peak, last, (step - top) / max(steps - 1 - top, 1e-9))

    return rate


def _between(a: float, b: float, share: float) -> float:
    return b + (a - b) * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
