"""Checkpoints trade time for memory: they record a function as one operation, and backward runs it again."""

from __future__ import annotations

import inspect
import sys
import zlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from autograd_cnn.calculus.vmap import drawing, levels
from autograd_cnn.engine.arrays import in_precision
from autograd_cnn.engine.assignment import share
from autograd_cnn.engine.mode import current, in_mode, scope
from autograd_cnn.engine.plan import Plan
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.tape import Node, history, next_birth, parents
from autograd_cnn.engine.tensor import Tensor, carry_through

Result = TypeVar("Result")


def checkpoint(f: Callable[..., Result], *args: Any) -> Result:
    """Compute ``f(*args)`` without keeping the arrays inside `f`: backward runs `f` again.

    If `f` uses the parameters of a model, they receive their gradients too.

    Parameters
    ----------
    f : callable
        Takes Tensors and returns one Tensor. A second run must give the same bits. So generators draw the same numbers
        again: those of layers, NumPy's global one, and each that is an argument, a variable or an attribute of `f`.
        Batch norm moves its statistics once. Inside `vmap` and `trace`, `f` is called as it is.
    *args : array_like or Tensor

    Raises
    ------
    RuntimeError
        In backward, if the second run gives another result.

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
    if not args and any(p.default is p.empty and p.kind < 2 for p in inspect.signature(f).parameters.values()):
        raise TypeError("checkpoint: f needs arguments. They stand in the same call: checkpoint(f, x)")
    name = f"checkpoint of {getattr(f, '__name__', type(f).__name__)}"
    mode = current.get()
    if not mode.recording or levels() or mode.left:  # `f` cannot run again after its vmap; a trace shows it
        with scope(name):
            return f(*args)
    before = next_birth()  # older nodes are outside `f`
    with drawing(f, *args) as drawn:
        out: Any = f(*args)
    if not isinstance(out, Tensor) or not isinstance(out._node, Node) or out._node.birth < before:
        return out
    inside = [n for n in history(out._node) if n.birth > before]
    outside = list(dict.fromkeys(p for n in inside for p in parents(n) if p.birth < before))
    inputs = [(a._array, a._node) if isinstance(a, Tensor) else (a, None) for a in args]
    checksum = zlib.crc32(np.ascontiguousarray(out._array).data)

    def run_again() -> Any:
        fresh = [a if n is None else Tensor._of(a, n) for a, n in inputs]
        now = [(bits, bits.state) for bits, _ in drawn.values()]
        try:
            for bits, state in drawn.values():  # `f` draws the same numbers again
                bits.state = state
            with in_mode(recording=True, again=next_birth()):
                result: Any = f(*fresh)
        finally:
            for bits, state in now:
                bits.state = state
        if zlib.crc32(np.ascontiguousarray(result._array).data) != checksum:
            cure = "Does it draw random numbers itself, or did a parameter change? Draw outside, or pass the generator"
            raise RuntimeError(f"checkpoint: f gave another result in backward. {cure}: checkpoint(f, x, rng)")
        return result

    def rule(g: Any) -> Any:
        found = carry_through(run_again()._node, g, isinstance(g, Tensor), targets=dict.fromkeys(outside, False))
        pairs = [(c, in_precision(c.dtype, g.dtype)) for c in map(found.__getitem__, outside)]
        results = [c if c.dtype == dtype else c.astype(dtype) for c, dtype in pairs]
        return results if len(results) > 1 else results[0]

    operation = Checkpoint(run_again, name, complex=True)  # operations in the function refuse what they do not take
    operation.parameters, operation.sequence = tuple(f"x{i}" for i in range(len(outside))), ""
    operation.vjp(**dict.fromkeys(operation.parameters, rule))
    plan = Plan(operation, (1 << len(outside)) - 1, outside)
    node = plan.record([*outside, out._array], list(outside), current.get(), sys._getframe(1))
    node.guards = [n.guards for n in inside if isinstance(n, Node)]  # the second run needs these arrays unchanged
    return cast(Result, share(Tensor._of(out._array, node)))


class Checkpoint(Primitive[...]):
    """A function as one operation; `raw` runs the function again."""
