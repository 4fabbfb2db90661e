"""The base of all optimisers: groups of parameters, slots and states; and a limit for the norm of the gradients.

Updates happen in place and are not recorded, so a graph never holds training state. They are elementwise, so it does
not matter in which pieces, in which order and on how many threads the elements are updated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.checks import number
from autograd_cnn.engine.messages import describe, missing, warn
from autograd_cnn.engine.registry import accelerated
from autograd_cnn.engine.tape import next_birth
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.state import check_state

Array = NDArray[Any]


def described(value: Any) -> str:
    """Describe a value that was passed as a parameter, for an error."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    if not value.is_leaf:
        return f"{describe(value)}, a result"
    return describe(value) if value.requires_grad else f"{describe(value)}, requires_grad=False"


def grouped(optimiser: str, parameters: Iterable[Any], settings: Any) -> list[tuple[Tensor, dict[str, float]]]:
    """Return each parameter with the settings of its group. A shared parameter is there once, so it takes one step."""
    if isinstance(parameters, Tensor) or not isinstance(parameters, Iterable):
        raise TypeError(f"{optimiser}: parameters is {described(parameters)}, want [w, b], or model.parameters()")
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


def _flat(array: Array) -> Array:
    """Return the numbers of an array along one axis; a complex number is two, as for PyTorch's optimisers."""
    flat = array.reshape(-1)
    return np.ascontiguousarray(flat).view(flat.real.dtype) if flat.dtype.kind == "c" else flat


@runtime_checkable
class Steps(Protocol):
    """What `fit` needs of an optimiser."""

    parameters: list[Tensor]
    lr: float

    def step(self) -> None: ...

    def zero_grad(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@accelerated
def update_all(update: Callable[..., None], work: list[tuple[float, float, int, tuple[Array, ...]]]) -> None:
    """Call ``update(lr, decay, step, arrays)`` for each parameter: `arrays` = parameter, gradient, slots, all flat."""
    for arguments in work:
        update(*arguments)


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
    >>> optimiser = ag.optim.SGD([{"parameters": [w]}, {"parameters": [b], "lr": 0.001}], lr=0.1)
    >>> (w + b).backward()
    >>> optimiser.step()
    >>> w.item(), b.item()
    (0.9, 0.999)

    An optimiser of your own, here Adagrad. `_update` gets the rate, the decay, the number of the step, and flat arrays
    to change in place: the numbers of a parameter, their gradient and the slots, which start at 0:

    >>> class Adagrad(ag.optim.Optimiser):
    ...     slots = ("square",)
    ...     def _update(self, lr, decay, step, arrays):
    ...         p, g, v = arrays
    ...         v += g * g
    ...         p -= lr * g / (np.sqrt(v) + 1e-10)
    >>> optimiser = Adagrad([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimiser.zero_grad()
    ...     (w * w).backward()
    ...     optimiser.step()
    >>> round(w.item(), 3)
    0.734
    """

    slots: tuple[str, ...] = ()
    weight_decay = 0.0

    def __init__(self, parameters: Iterable[Any], lr: float, **settings: float) -> None:
        optimiser = type(self).__name__
        found = grouped(optimiser, parameters, settings)
        self.parameters = [p for p, _ in found]
        if not self.parameters:
            cure = "Are the layers attributes of the Module? A used generator is empty: model.parameters() again"
            raise TypeError(f"{optimiser}: parameters is empty. {cure}")
        for i, p in enumerate(self.parameters):
            if not (isinstance(p, Tensor) and p.is_leaf and p.requires_grad):
                raise TypeError(
                    f"{optimiser}: parameter {i} is {described(p)}, want Tensor(..., requires_grad=True), as in "
                    "model.parameters() or the values() of a dict"
                )
        for name, value in [("lr", lr), *settings.items(), *(item for _, own in found for item in own.items())]:
            number(value, name, 0, 1 if name == "momentum" else math.inf)
        if not lr and any(own.get("lr") for _, own in found):
            raise ValueError(f"{optimiser}: lr is 0, and the rates of groups keep their ratio to it")
        self.lr = float(lr)
        # The rates of groups, relative to `lr`.
        self._rates = [float(own["lr"] / lr) if own.get("lr", lr) != lr else 1.0 for _, own in found]
        self._decays = [own.get("weight_decay") for _, own in found]  # None: that of the optimiser
        self.steps = [0] * len(self.parameters)
        self._stepped = 0  # the time of the latest step, which used all gradients that began before
        self._slots = {name: [np.zeros(p.shape, p.dtype) for p in self.parameters] for name in self.slots}

    def _update(self, lr: float, decay: float, step: int, arrays: tuple[Array, ...]) -> None:
        """Change pieces of a parameter and its slots in place: `arrays` = parameter, gradient, slots.

        `lr` and `decay` are those of the parameter's group, and `step` counts its steps from 1. The gradient belongs to
        the user, so it is not written into.
        """
        raise NotImplementedError

    if not TYPE_CHECKING:  # hidden from type checkers, so that they report missing attributes

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(missing(name, type(self).__name__, [*vars(self), *dir(type(self))]))

    def step(self) -> None:
        """Move every parameter that has a gradient by one step.

        Warns if a parameter has none, or if a gradient was not cleared since the previous step.

        Raises
        ------
        ValueError
            If `lr` is negative or not finite. Nothing has changed then.
        """
        self._check_gradients()
        # A schedule may return np.float64, which would turn float32 into float64
        lr = float(number(self.lr, f"{type(self).__name__}.step: lr", 0))
        work, changed = [], []
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            self.steps[i] += 1
            # An array that is not contiguous is updated by way of a copy; one that a live graph has locked is replaced
            array = p.data if p.data.flags.carray else p.data.copy()
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            flat = tuple(map(_flat, (array, grad, *(slot[i] for slot in self._slots.values()))))
            decay = self._decays[i]
            decay = self.weight_decay if decay is None else float(decay)
            work.append((lr * self._rates[i], decay, self.steps[i], flat))
            changed.append((p, array))
        update_all(self._update, work)
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
        stale = [i for i, p in enumerate(self.parameters) if p.grad is not None and p.node.grad_since < self._stepped]
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

    Raises
    ------
    ValueError
        If `max_norm` is negative or NaN.

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
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: max_norm is {max_norm}, want 0 or more")
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    with_gradient = [p for p in parameters if p.grad is not None]
    arrays = [p.grad.data if isinstance(p.grad, Tensor) else p.grad for p in with_gradient]
    norms = [float(np.linalg.norm(np.abs(a.reshape(-1)).astype(np.float64), norm_type)) for a in arrays if a.size]
    norm = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    if max_norm < norm < math.inf:
        for p, array in zip(with_gradient, arrays, strict=True):
            if array.flags.writeable:
                np.multiply(array, array.dtype.type(max_norm / norm), out=array)
            else:
                p.grad = array * array.dtype.type(max_norm / norm)
    return norm
