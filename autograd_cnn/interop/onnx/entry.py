"""An entry of the table: an operator of ONNX, a primitive of this package, and each in terms of the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
        attributes by name. Images are (N, C, H, W), as in the file. By default it is the primitive.
    options, buffers : tuple of int
        Inputs of the operator that are not trained: numbers that must be plain arrays, and statistics.
    """

    operator: str | None
    primitive: Primitive[...] | None = None
    write: Callable[..., str] | None = None
    read: Any = None
    options: tuple[int, ...] = ()
    buffers: tuple[int, ...] = ()

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
        given = {name: arguments.get(name) for name in self.needs}
        return onnx.node(self.operator, *given.values()) if self.write is None else self.write(onnx, **given)

    def compute(self, *inputs: Any, **attributes: Any) -> Any:
        """Compute the operator."""
        function: Any = self.read or self.primitive
        return function(*inputs, **attributes)
