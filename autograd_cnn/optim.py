"""Optimisers, which change parameters by their gradients, schedules of the learning rate, clipping and averaging.

Imports the engine, kernels and `autograd_cnn.state`. The formulas, and the order of their operations, are PyTorch's.
Updates happen in place and are not recorded, so a graph never holds training state. A step updates parameters in pieces
that fit the cache together with their gradients and slots, on all threads. So main memory is read and written once, and
each thread needs scratch space for two pieces only, not for two copies of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.messages import describe, missing, warn
from autograd_cnn.engine.tape import next_birth
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.kernels.memory import scratch
from autograd_cnn.kernels.threads import map_tiles
from autograd_cnn.kernels.updates import adam, sgd
from autograd_cnn.state import check_state

__all__ = [
    "EMA", "SGD", "Adam", "AdamW", "Lookahead", "Optimiser", "RMSprop", "clip_grad_norm", "constant", "cosine",
    "one_cycle", "step_decay",
]  # fmt: skip

Array = NDArray[Any]
Schedule = Callable[[int], float]

PIECE = 1 << 17  # elements of a parameter in one update
SHARE = 1 << 20  # least elements per thread: starting one costs as much as updating 100 000


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(missing(name, __name__, __all__))


def _describe(value: Any) -> str:
    """Describe a value that was passed as a parameter, for an error."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    if not value.is_leaf:
        return f"{describe(value)}, a result"
    return describe(value) if value.requires_grad else f"{describe(value)}, requires_grad=False"


def _grouped(optimiser: str, parameters: Iterable[Any], settings: Any) -> list[tuple[Tensor, dict[str, float]]]:
    """Return each parameter with the settings of its group. A shared parameter is there once, so it takes one step."""
    found: dict[int, tuple[Tensor, dict[str, float]]] = {}
    for item in parameters:
        own: dict[str, Any] = dict(item) if isinstance(item, Mapping) else {"parameters": [item]}
        inside = own.pop("parameters", None)
        known = ["lr", *(name for name in settings if name == "weight_decay")]
        if inside is None or not set(own) <= set(known):
            raise TypeError(
                f"{optimiser}: a group has {', '.join(map(repr, item))}, want 'parameters', and any of "
                f"{', '.join(map(repr, known))}"
            )
        for p in inside:
            if found.setdefault(id(p), (p, own))[1] != own:
                raise ValueError(f"{optimiser}: {getattr(p, 'name', None) or 'a parameter'} is in two groups")
    return list(found.values())


class Optimiser:
    """Base of all optimisers. A subclass names its `slots`, arrays kept for every parameter, and defines `_update`.

    Parameters
    ----------
    parameters : iterable of Tensor, or of groups
        Leaves with ``requires_grad=True``. A group is a dict: ``{"parameters": [w, b], "lr": 0.01}`` has a rate of its
        own, and ``"weight_decay"`` a decay of its own.
    lr : float
        The learning rate.

    Attributes
    ----------
    parameters : list of Tensor
    lr : float
        The learning rate of the next step; schedules set it. The rates of groups keep their ratio to it.

    Raises
    ------
    TypeError
        If `parameters` is empty or holds anything else.
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w, b = (ag.Tensor(1.0, requires_grad=True) for _ in range(2))
    >>> optimiser = SGD([{"parameters": [w]}, {"parameters": [b], "lr": 0.001}], lr=0.1)
    >>> (w + b).backward()
    >>> optimiser.step()
    >>> w.item(), b.item()
    (0.9, 0.999)
    """

    slots: tuple[str, ...] = ()
    weight_decay = 0.0

    def __init__(self, parameters: Iterable[Any], lr: float, **settings: float) -> None:
        optimiser = type(self).__name__
        if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
            raise TypeError(f"{optimiser}: parameters is {_describe(parameters)}, want [w, b], or model.parameters()")
        grouped = _grouped(optimiser, parameters, settings)
        self.parameters = [p for p, _ in grouped]
        if not self.parameters:
            raise TypeError(f"{optimiser}: parameters is empty. Is it a used generator? Call model.parameters() again")
        for i, p in enumerate(self.parameters):
            if not (isinstance(p, Tensor) and p.is_leaf and p.requires_grad):
                raise TypeError(
                    f"{optimiser}: parameter {i} is {_describe(p)}, want Tensor(..., requires_grad=True), as in "
                    "model.parameters() or the values() of a dict"
                )
        for name, value in [("lr", lr), *settings.items(), *(item for _, own in grouped for item in own.items())]:
            if not isinstance(value, (int, float, np.number)) or not value >= 0:
                raise ValueError(f"{optimiser}: {name} is {value!r}, want 0 or more")
        if not lr and any(own.get("lr") for _, own in grouped):
            raise ValueError(f"{optimiser}: lr is 0, and the rates of groups keep their ratio to it")
        self.lr = float(lr)
        self._rates = [
            float(own["lr"] / lr) if own.get("lr", lr) != lr else 1.0 for _, own in grouped
        ]  # relative to `lr`
        self._decays = [own.get("weight_decay") for _, own in grouped]  # None: that of the optimiser
        self.steps = [0] * len(self.parameters)
        self._stepped = 0  # the time of the latest step, which used all gradients that began before
        self._slots = {name: [np.zeros(p.shape, p.dtype) for p in self.parameters] for name in self.slots}

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        """Change pieces of a parameter and its slots in place: `arrays` = parameter, gradient, slots.

        `lr` and `decay` are those of the parameter's group, and `step` counts its steps from 1. The gradient belongs to
        the user, so it is not written into.
        """
        raise NotImplementedError

    def step(self) -> None:
        """Move every parameter that has a gradient by one step.

        Warns if a parameter has none, or if a gradient was not cleared since the previous step.
        """
        self._check_gradients()
        lr = float(self.lr)  # a schedule may return np.float64, which would turn float32 into float64
        work, changed = [], []
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            self.steps[i] += 1
            # An array that is not contiguous is updated by way of a copy; one that a live graph has locked is replaced
            array = p.data if p.data.flags.carray else p.data.copy()
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            flat = [a.reshape(-1) for a in (array, grad, *(slot[i] for slot in self._slots.values()))]
            decay = self._decays[i]
            decay = self.weight_decay if decay is None else float(decay)
            for start in range(0, p.size, PIECE):
                pieces = tuple(a[start : start + PIECE] for a in flat)
                work.append((lr * self._rates[i], decay, self.steps[i], pieces))
            changed.append((p, array))
        count = max(1, sum(a.size for *_, arrays in work for a in arrays) // SHARE)

        def tile(index: int) -> None:
            for piece in work[index::count]:
                self._update(*piece)

        map_tiles(tile, count, products=False)
        for p, array in changed:
            if array is not p.data and p.data.flags.writeable:
                p.data[...] = array
            elif array is not p.data:
                if isinstance(p.data.base, np.ndarray):
                    warn(
                        f"{type(self).__name__}.step: {p.name or 'a parameter'} shares memory with another array, and "
                        "a live graph has locked it: it got an array of its own. To keep them together, step when the "
                        "graph is gone: del loss"
                    )
                p.data = array
        self._stepped = next_birth()

    def _check_gradients(self) -> None:
        caller, total = f"{type(self).__name__}.step", len(self.parameters)
        without = [i for i, p in enumerate(self.parameters) if p.requires_grad and p.grad is None]
        stale = [i for i, p in enumerate(self.parameters) if p.grad is not None and p._node.began < self._stepped]
        if len(without) == total:
            warn(
                f"{caller}: none of {total} parameters has a gradient. Call loss.backward() before step(); or are "
                "these not the parameters of the model that made the loss?"
            )
        elif without:
            warn(
                f"{caller}: no gradient for {len(without)} of {total} parameters ({self._names(without)}): "
                "the loss does not depend on them"
            )
        if stale:
            warn(
                f"{caller}: {len(stale)} of {total} gradients were not cleared since the previous step "
                f"({self._names(stale)}). Call zero_grad() once per step(), before backward()"
            )

    def _names(self, indices: list[int]) -> str:
        names = [self.parameters[i].name or f"parameter {i}" for i in indices]
        return ", ".join(names[:3] + ["..."] * (len(names) > 3))

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None. Call it once per step, before `backward`."""
        for p in self.parameters:
            if p.requires_grad:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state that the next step depends on, besides parameters and the constructor's arguments.

        Returns
        -------
        dict
            `lr` (float), `steps` (int64, one per parameter), and a copy of every slot, such as ``momentum.0``, numbered
            as `parameters` are.
        """
        state: dict[str, Any] = {"lr": float(self.lr), "steps": np.array(self.steps, np.int64)}
        for name, arrays in self._slots.items():
            state |= {f"{name}.{i}": array.copy() for i, array in enumerate(arrays)}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a copy of a state from `state_dict`, or change nothing if it does not match.

        Raises
        ------
        ValueError
            If a name is missing or unexpected, or a shape or dtype differs. The message lists every difference.
        """
        check_state(f"{type(self).__name__}.load_state_dict", self.state_dict(), state)
        slots = {
            name: [np.array(state[f"{name}.{i}"], order="C") for i in range(len(self.parameters))]
            for name in self.slots
        }
        self.lr, self.steps, self._slots = float(state["lr"]), [int(n) for n in state["steps"]], slots

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.parameters)} parameters, lr={self.lr:g})"


class SGD(Optimiser):
    """Stochastic gradient descent: ``p -= lr * g``.

    With momentum, ``v = momentum * v + g`` takes the place of `g`; with `nesterov`, ``g + momentum * v`` does.

    Parameters
    ----------
    parameters, lr
        As for `Optimiser`, and the same errors.
    momentum : float
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
        self,
        parameters: Iterable[Any],
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
    ) -> None:
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov=True looks ahead along the momentum, which is 0. momentum=0.9?")
        self.slots = ("momentum",) if momentum else ()
        super().__init__(parameters, lr, momentum=momentum, weight_decay=weight_decay)
        self.momentum, self.nesterov, self.weight_decay = float(momentum), nesterov, float(weight_decay)

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        p, g, *slots = arrays
        coefficients = lr, decay, self.momentum, self.momentum if self.nesterov else 0
        sgd(p, g, slots[0] if slots else p[:0], np.array(coefficients, p.dtype))


class RMSprop(Optimiser):
    """Divides the step of each element by the root of a running mean square of its gradient.

    ``v = alpha * v + (1 - alpha) * g**2``, then ``p -= lr * g / (sqrt(v) + eps)``. With momentum, ``b = momentum * b +
    g / (sqrt(v) + eps)`` takes the place of the quotient.

    Parameters
    ----------
    parameters, lr
        As for `Optimiser`, and the same errors.
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
        if not 0 <= alpha < 1:
            raise ValueError(f"RMSprop: alpha is {alpha}, want it in [0, 1)")
        self.slots = ("square", *["mean"] * centered, *["momentum"] * bool(momentum))
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay, momentum=momentum)
        self.alpha, self.eps, self.momentum, self.centered = float(alpha), float(eps), float(momentum), centered
        self.weight_decay = float(weight_decay)

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        p, g, v, *slots = arrays
        s, t = scratch("update", (2, p.size), p.dtype)
        if decay:
            g = np.add(g, np.multiply(p, decay, out=s), out=s)
        v *= self.alpha
        v += np.multiply(np.multiply(g, g, out=t), 1 - self.alpha, out=t)
        if self.centered:
            mean = slots.pop(0)
            mean += np.multiply(np.subtract(g, mean, out=t), 1 - self.alpha, out=t)
            np.subtract(v, np.multiply(mean, mean, out=t), out=t)
            np.maximum(t, 0, out=t)  # rounding may leave less than 0
        np.sqrt(t if self.centered else v, out=t)
        t += self.eps
        np.divide(g, t, out=t)
        if self.momentum:
            slots[0] *= self.momentum
            slots[0] += t
            np.copyto(t, slots[0])
        t *= lr
        p -= t


class Adam(Optimiser):
    """Scales the step of each element by running moments of its gradient: ``p -= lr * m' / (sqrt(v') + eps)``.

    ``m = beta1 * m + (1 - beta1) * g`` and ``v = beta2 * v + (1 - beta2) * g**2`` estimate the mean and the mean
    square of `g`. Both start at 0, which ``m' = m / (1 - beta1**step)`` and ``v' = v / (1 - beta2**step)`` correct.

    Parameters
    ----------
    parameters, lr
        As for `Optimiser`, and the same errors.
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
        adam(p, g, m, v, np.array(coefficients, p.dtype))


class AdamW(Adam):
    """`Adam` with a weight decay that the moments do not scale: ``p *= 1 - lr * weight_decay`` before each step.

    Parameters and errors as for `Adam`.

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """

    decoupled = True
    weight_decay = 0.01


class Lookahead(Optimiser):
    """Lets another optimiser run ahead for some steps, then draws the parameters back towards where they were.

    After each `every` steps, the slow weights move by a share of the way to the parameters, and become the parameters.

    Parameters
    ----------
    optimiser : Optimiser
        Takes the steps. Its `lr` is that of this optimiser, so schedules work as usual.
    every : int
    share : float or callable
        A number in (0, 1], or a function of the number of the step, from 1, to such a number.
    buffers : iterable of Tensor
        Others to be drawn back with the parameters, such as the running statistics of batch norms.

    References
    ----------
    M. Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", 2019.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor(1.0, requires_grad=True, name="w")
    >>> optimiser = Lookahead(SGD([w], lr=1), every=2, share=0.5)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (-w).backward()
    ...     optimiser.step()
    >>> w.item()  # from 1, two steps ahead to 3, and half the way back
    2.0
    """

    def __init__(
        self, optimiser: Optimiser, every: int = 5, share: float | Schedule = 0.5, buffers: Iterable[Tensor] = ()
    ) -> None:
        if not isinstance(optimiser, Optimiser):
            raise TypeError(f"Lookahead: optimiser is {_describe(optimiser)}, want one such as SGD(parameters, lr)")
        if every < 1:
            raise ValueError(f"Lookahead: every is {every}, want 1 or more steps")
        if not callable(share) and not 0 < share <= 1:
            raise ValueError(f"Lookahead: share is {share}, want it in (0, 1]")
        self.optimiser, self.every, self.share = optimiser, every, share
        self.parameters, self.taken = optimiser.parameters, 0
        self._fast = [*self.parameters, *buffers]
        self._slow = [t.numpy() for t in self._fast]

    @property
    def lr(self) -> float:
        return self.optimiser.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.optimiser.lr = lr

    def step(self) -> None:
        """Take a step with the other optimiser; after each `every` steps, draw the parameters back."""
        self.optimiser.step()
        self.taken += 1
        if self.taken % self.every:
            return
        share = float(self.share(self.taken) if callable(self.share) else self.share)
        for fast, slow in zip(self._fast, self._slow, strict=True):
            slow[...] += share * (fast.data - slow)
            fast.data = slow.copy()

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the other optimiser's state, the number of steps, `taken`, and the slow weights."""
        slow = {f"slow.{i}": array.copy() for i, array in enumerate(self._slow)}
        return {**self.optimiser.state_dict(), "taken": self.taken, **slow}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a copy of a state from `state_dict`, or raise a ValueError and change nothing if it does not match."""
        check_state("Lookahead.load_state_dict", self.state_dict(), state)
        self.optimiser.load_state_dict({name: state[name] for name in self.optimiser.state_dict()})
        self._slow = [np.array(state[f"slow.{i}"], order="C") for i in range(len(self._fast))]
        self.taken = int(state["taken"])

    def __repr__(self) -> str:
        return f"Lookahead({self.optimiser!r}, every={self.every})"


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2) -> float:
    """Scale all gradients by one factor, in place, so that their common norm is at most `max_norm`.

    Call it between `backward` and `step`.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out.
    max_norm : float
    norm_type : float
        The order of the norm; ``math.inf`` takes the largest absolute value.

    Returns
    -------
    float
        The norm before. If it is not finite, the gradients stay as they are.

    References
    ----------
    R. Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, algorithm 1.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm([w], max_norm=1)
    10.0
    >>> w.grad
    array([0.6, 0.8])
    """
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    with_gradient = [p for p in parameters if p.grad is not None]
    arrays = [p.grad.data if isinstance(p.grad, Tensor) else p.grad for p in with_gradient]
    norms = [float(np.linalg.norm(a.reshape(-1).astype(np.float64), norm_type)) for a in arrays if a.size]
    norm = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if max_norm < norm < math.inf:
        for p, array in zip(with_gradient, arrays, strict=True):
            if array.flags.writeable:
                np.multiply(array, array.dtype.type(max_norm / norm), out=array)
            else:
                p.grad = array * array.dtype.type(max_norm / norm)
    return norm


class EMA:
    """Keeps a running average of parameters: ``average = decay * average + (1 - decay) * parameter``.

    Averaged weights often predict better than the last ones.

    Parameters
    ----------
    parameters : iterable of Tensor
        ``model.parameters()``, for example.
    decay : float
        Weight of the old average, in [0, 1).

    References
    ----------
    B. Polyak, A. Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor(1.0, requires_grad=True)
    >>> average = EMA([w], decay=0.75)
    >>> w.data = w.data + 4
    >>> average.update()
    >>> with average.applied():
    ...     w.item()
    2.0
    >>> w.item()
    5.0
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay is {decay}, want it in [0, 1)")
        if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
            raise TypeError(f"EMA: parameters is {_describe(parameters)}, want [w, b], or model.parameters()")
        self.parameters, self.decay = list(parameters), float(decay)
        self.averages = [p.numpy() for p in self.parameters]

    def update(self) -> None:
        """Move the averages towards the parameters. Call it after every step of the optimiser."""
        for i, p in enumerate(self.parameters):
            self.averages[i] *= self.decay
            self.averages[i] += (1 - self.decay) * p.data

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters the averages as values, inside a ``with`` block."""
        before = [p.data for p in self.parameters]
        for p, average in zip(self.parameters, self.averages, strict=True):
            p.data = average.copy()
        try:
            yield
        finally:
            for p, array in zip(self.parameters, before, strict=True):
                p.data = array

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the averages, numbered as `parameters` are."""
        return {f"average.{i}": average.copy() for i, average in enumerate(self.averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a copy of a state from `state_dict`, or raise a ValueError and change nothing if it does not match."""
        check_state("EMA.load_state_dict", self.state_dict(), state)
        self.averages = [np.array(state[f"average.{i}"], order="C") for i in range(len(self.averages))]


# Schedules are functions of the step, counted from 0: ``optimiser.lr = schedule(step)``


def _check_steps(schedule: str, name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{schedule}: {name} is {value}, want 1 or more")


def _half_cosine(start: float, end: float, share: float) -> float:
    """Go from `start` at share 0 to `end` at share 1, flat and exact at both."""
    weight = (1 + math.cos(math.pi * min(share, 1))) / 2
    return float(weight * start + (1 - weight) * end)


def _straight(start: float, end: float, share: float) -> float:
    """Go from `start` at share 0 to `end` at share 1, along a line."""
    weight = min(share, 1)
    return float((1 - weight) * start + weight * end)


def constant(lr: float) -> Schedule:
    """Keep `lr` at every step.

    Examples
    --------
    >>> schedule = constant(0.1)
    >>> schedule(0), schedule(1000)
    (0.1, 0.1)
    """
    return lambda step: float(lr)


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Start at `lr` and multiply by `factor` after each `every` steps.

    Raises
    ------
    ValueError
        If `every` is less than 1.

    Examples
    --------
    >>> schedule = step_decay(0.8, every=100, factor=0.5)
    >>> [schedule(step) for step in (0, 99, 100, 200)]
    [0.8, 0.8, 0.4, 0.2]
    """
    _check_steps("step_decay", "every", every)
    return lambda step: float(lr * factor ** (step // every))


def cosine(lr: float, steps: int, final: float = 0) -> Schedule:
    """Fall from `lr` to `final` at step `steps`, along half a cosine, and stay there.

    Raises
    ------
    ValueError
        If `steps` is less than 1.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5.

    Examples
    --------
    >>> schedule = cosine(0.1, steps=100)
    >>> [round(schedule(step), 3) for step in (0, 25, 50, 75, 100, 101)]
    [0.1, 0.085, 0.05, 0.015, 0.0, 0.0]
    """
    _check_steps("cosine", "steps", steps)
    return lambda step: _half_cosine(lr, final, step / steps)


def one_cycle(
    peak: float,
    steps: int,
    warm_up: float = 0.3,
    start: float | None = None,
    final: float | None = None,
    anneal_strategy: str = "cos",
) -> Schedule:
    """Rise from `start` to `peak`, then fall to `final` at the last of `steps` steps.

    Parameters
    ----------
    peak : float
    steps : int
        Steps of the whole training: images / batch * epochs.
    warm_up : float
        Share of the steps in which the rate rises, in [0, 1].
    start, final : float, optional
        Default: ``peak / 25`` and ``peak / 10_000``.
    anneal_strategy : "cos" or "linear"
        Whether the rate rises and falls along half a cosine or a line, PyTorch's name.

    Raises
    ------
    ValueError
        If `steps` is less than 1, `warm_up` is not in [0, 1], or `anneal_strategy` is another word.

    References
    ----------
    L. Smith, "A disciplined approach to neural network hyper-parameters: part 1", 2018, section 4.

    Examples
    --------
    >>> schedule = one_cycle(0.5, steps=101, warm_up=0.3)
    >>> [round(schedule(step), 5) for step in (0, 15, 29, 60, 100, 101)]
    [0.02, 0.269, 0.49988, 0.30131, 5e-05, 5e-05]
    """
    _check_steps("one_cycle", "steps", steps)
    if not 0 <= warm_up <= 1:
        raise ValueError(f"one_cycle: warm_up is {warm_up}, want a share of the steps in [0, 1]")
    shapes = {"cos": _half_cosine, "linear": _straight}
    if anneal_strategy not in shapes:
        raise ValueError(f"one_cycle: anneal_strategy is {anneal_strategy!r}, want {' or '.join(map(repr, shapes))}")
    course = shapes[anneal_strategy]
    start = peak / 25 if start is None else start
    final = peak / 10_000 if final is None else final
    top = max(warm_up * steps - 1, 0)  # as in PyTorch: the last step of the warm-up has the peak

    def schedule(step: int) -> float:
        if step < top:
            return course(start, peak, step / top)
        return course(peak, final, (step - top) / max(steps - 1 - top, 1))

    return schedule
