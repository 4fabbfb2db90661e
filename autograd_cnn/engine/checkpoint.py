"""Checkpoints: memory for time. A function as one operation, which backward runs again."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from autograd_cnn.engine.mode import current, enable_grad, is_recording
from autograd_cnn.engine.plan import Plan
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.tape import Leaf, Node, history, parents
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.engine.walk import walk

Result = TypeVar("Result")


def checkpoint(f: Callable[..., Result], *args: Any) -> Result:
    """``f(*args)`` without keeping what happened inside: backward runs `f` again.

    Parameters of a model that `f` closes over receive their gradients too.

    Parameters
    ----------
    f : callable
        Tensors in, one Tensor out. It must compute the same bits when it is run again: no random draws inside.
    *args : array_like or Tensor

    Raises
    ------
    RuntimeError
        In backward, where the second run gave another result.

    References
    ----------
    T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([0.5, 1.0], requires_grad=True)
    >>> ag.checkpoint(lambda t: ag.exp(ag.sin(t)), x).sum().backward()
    >>> bool(abs(x.grad[0] - ag.exp(ag.sin(0.5)) * ag.cos(0.5)) < 1e-15)
    True
    """
    if not is_recording():
        return f(*args)
    before = Leaf((), np.dtype(float), None).birth  # everything older is outside
    out: Any = f(*args)
    if not isinstance(out, Tensor) or not isinstance(out._node, Node) or out._node.birth < before:
        return out
    inside = [n for n in history(out._node) if n.birth > before]
    outside = list(dict.fromkeys(p for n in inside for p in parents(n) if p.birth < before))
    guards = [n.guards for n in inside if isinstance(n, Node)]  # what is recomputed from stays read-only
    inputs = [a.data if isinstance(a, Tensor) else a for a in args]
    origins = [a._node if isinstance(a, Tensor) else None for a in args]
    bits = zlib.crc32(np.ascontiguousarray(out.data).data)

    def second() -> Any:
        fresh = [Tensor._of(a, n) if n is not None else a for a, n in zip(inputs, origins, strict=True)]
        with enable_grad():
            second: Any = f(*fresh)
        if zlib.crc32(np.ascontiguousarray(second.data).data) != bits:
            raise RuntimeError(
                "checkpoint: f gave another result when it was run again. Does it draw random numbers, or did a "
                "parameter change since? Draw outside, and pass what was drawn"
            )
        return second

    def again(g: Any) -> Any:
        recorded = isinstance(g, Tensor)
        wrap = Tensor._of if recorded else None
        found = walk(second()._node, g, retain=recorded, wrap=wrap, targets=set(outside), through=False)
        results = [found[n] for n in outside]
        return results if len(results) > 1 else results[0]

    return _joined(second, again, f, outside, out.data, guards)


class Checkpoint(Primitive[...]):
    """A whole function as one operation; `raw` runs it again."""


def _joined(second: Any, again: Any, f: Any, outside: list[Any], out: np.ndarray, guards: Any) -> Any:
    """One node for a whole function: as many inputs as it has parents, one joint rule."""
    step = Checkpoint(second)
    step.name = f"checkpoint of {getattr(f, '__name__', type(f).__name__)}"
    names = tuple(f"x{i}" for i in range(len(outside)))
    step.parameters, step.sequence = names, ""
    step.vjp(**dict.fromkeys(names, again))
    plan = Plan(step, (1 << len(names)) - 1, 0)
    node = plan.record([*outside, out], list(outside), current.get(), sys._getframe(2))
    node.guards = guards
    return Tensor._of(out, node)
