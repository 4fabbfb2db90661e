"""An entry of the table: an operator of ONNX, a primitive of this package, and each in terms of the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import Primitive


@dataclass(frozen=True)
class Entry:
    """An operator of ONNX and the primitive that does the same. One of them is None if it has no counterpart.

    Attributes
    ----------
    operator : str, optional
    primitive : Primitive, optional
    write : callable, optional
        Writes a call of the primitive as nodes: ``(onnx, x, ...) -> name``. The names of the parameters after the file,
        ``onnx``, are those of the call's arguments, operands as names in the file and options as values, and shapes,
        with None for an extent that depends on the batch; ``**options`` are the other arguments. By default the
        primitive becomes one node, with its operands in their order.
    read : callable, optional
        Computes the operator in calls of this package. It takes the inputs by position, an omitted one as None, and the
        attributes by name. Images are (N, C, H, W), as in the file. By default it is the primitive. Attributes that it
        does not take are refused.
    options, buffers : tuple of int
        Inputs of the operator that are not trained: numbers that must be plain arrays, and statistics.
    only : dict
        The values that an attribute, or each of its numbers, may have, if others have no counterpart; and the places of
        inputs that have none.
    results : int
        How many results `read` returns.
    """

    operator: str | None
    primitive: Primitive[...] | None = None
    write: Callable[..., str] | None = None
    read: Any = None
    options: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()
    only: Mapping[Any, Any] = field(default_factory=dict)
    results: int = 1

    @property
    def needs(self) -> list[str]:
        """The arguments of a call that are written."""
        operation: Any = self.primitive
        if self.write is None:
            return [p for p in operation.parameters if p not in operation.defaults]
        _, *needs = inspect.signature(self.write).parameters.values()
        named = [p.name for p in needs if p.kind is not p.VAR_KEYWORD]
        if len(named) < len(needs):
            named += [p for p in operation.parameters if p not in named]
        return named

    def written(self, onnx: Any, arguments: Mapping[str, Any]) -> str:
        """Add the nodes of a call to the file `onnx`, and return the name of the result."""
        given, operation = {name: arguments.get(name) for name in self.needs}, self.primitive
        for name, default in (operation.defaults if operation else {}).items():
            if name in arguments.keys() - given.keys() and not np.array_equal(arguments[name], default):
                raise ValueError(f"{name} has no counterpart in ONNX")
        return onnx.node(self.operator, *given.values()) if self.write is None else self.write(onnx, **given)

    def refusal(self, inputs: Sequence[str], attributes: Mapping[str, Any], results: Sequence[str]) -> str:
        """Return what a node has that has no counterpart, or ""."""
        taken = {} if isinstance(self.function, np.ufunc) else inspect.signature(self.function).parameters
        odd = [f"the input {k + 1}" for k, name in enumerate(inputs) if name and k in self.only]
        odd += [f"the result {name}" for name in results[self.results :] if name]
        odd += ["windows of three dimensions"] * (len(attributes.get("kernel_shape", ())) > 2)
        any_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        for name, value in attributes.items():
            parts = {*np.ravel(value).tolist()}
            if not (any_name or name in taken) or not parts <= {*self.only.get(name, parts)}:
                odd.append(f"{name}={value!r}")
        return " and ".join(odd)

    @property
    def function(self) -> Any:
        """The function that computes the operator."""
        return self.read or self.primitive
