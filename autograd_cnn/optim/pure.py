"""Optimisers as pure functions: new parameters, in any tree, and a new state out of gradients and the old ones.

The formulas are those of the classes, because a class does each step, on copies of the parameters and the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_cnn.calculus.trees import leaves_like, tree_items, tree_map
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.optim import algorithms
from autograd_cnn.optim.optimiser import Optimiser, described

__all__ = ["functional"]


class Functional(NamedTuple):
    """The two functions of an optimiser: `functional` explains them."""

    init: Callable[[Any], dict[str, Any]]
    update: Callable[[Any, dict[str, Any], Any], tuple[Any, dict[str, Any]]]


def functional(optimiser: str | type[Optimiser], **settings: Any) -> Functional:
    """Return an optimiser as two pure functions over trees of parameters, `init` and `update`.

    ``state = init(params)``, then ``params, state = update(grads, state, params)`` for each step. No argument changes.
    Numbers are those of the class, bit for bit.

    Parameters
    ----------
    optimiser : str or class
        ``"SGD"``, ``"Adam"``, ``"AdamW"``, ``"RMSprop"``, or a class such as ``ag.optim.Adam`` or your own.
    **settings
        Those of the class, such as ``lr=1e-3``. `lr` may be a schedule, a function of the step, counted from 0.

    Returns
    -------
    init : callable
        ``params -> state``: a dict of arrays, which is that of the class's `state_dict`. Its `lr` is the rate of the
        next step, unless `lr` is a schedule.
    update : callable
        ``(grads, state, params) -> (params, state)``. `params` is a tree of arrays, numbers or Tensors, and `grads` one
        of the same structure and shapes. The new tree has arrays, and Tensors where `params` has them.

    Raises
    ------
    TypeError, ValueError
        If the name is unknown, a setting is out of range, or the trees or the state do not fit each other; and for
        results of recorded operations, because an update is not recorded.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> adam = ag.optim.functional("Adam", lr=0.1)
    >>> params = {"w": np.array([1.0, -200.0]), "b": 0.5}
    >>> state = adam.init(params)
    >>> grads = ag.grad(lambda p: ag.sum(p["w"] ** 2) + p["b"])(params)
    >>> params, state = adam.update(grads, state, params)
    >>> params["w"].round(6), params["b"].round(6)
    (array([   0.9, -199.9]), array(0.4))
    """
    make: Any = getattr(algorithms, optimiser) if optimiser in algorithms.__all__ else optimiser
    if not (isinstance(make, type) and issubclass(make, Optimiser)):
        raise TypeError(f"functional: {optimiser!r:.40} is no optimiser. Want a class, or one of {algorithms.__all__}")
    rate = settings.get("lr")
    settings |= {"lr": rate(0)} if callable(rate) else {}
    make([Tensor(0.0, requires_grad=True)], **settings)  # an error about a setting is raised at once

    def copied(params: Any) -> Any:
        return make([Tensor(_constant(leaf, at), True, at) for at, leaf in tree_items(params, "params")], **settings)

    def init(params: Any) -> dict[str, Any]:
        return copied(params).state_dict()

    def update(grads: Any, state: dict[str, Any], params: Any) -> tuple[Any, dict[str, Any]]:
        own = copied(params)
        own.load_state_dict(state)
        own.lr = rate(max(own.steps)) if callable(rate) else own.lr
        slopes = leaves_like(f"{make.__name__}.update", params, grads, "params", "gradient")
        for p, slope in zip(own.parameters, slopes, strict=True):
            p.grad = _constant(slope, f"the gradient of {p.name}")
        own.step()
        made = iter(own.parameters)
        return tree_map(lambda old: _like(next(made), old), params), own.state_dict()

    return Functional(init, update)


def _constant(leaf: Any, path: str) -> Any:
    """Return a leaf, or raise an error if a gradient should flow through it."""
    if isinstance(leaf, Tensor) and leaf.requires_grad and (current.get().transforms or not leaf.is_leaf):
        cure = "As a constant: .detach(). To differentiate through a step, write it with operations: p - lr * g"
        raise TypeError(f"functional: {path} is {described(leaf)}, and an update is not recorded. {cure}")
    return leaf


def _like(new: Tensor, old: Any) -> Any:
    return Tensor(new.data, old.requires_grad, old.name) if isinstance(old, Tensor) else new.data
