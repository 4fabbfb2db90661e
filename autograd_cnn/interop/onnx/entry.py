"""An entry of the table: an operator of ONNX, a primitive of this package, and each in terms of the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from autograd_cnn.engine.primitive import Primitive

Kind = Literal["plain", "elementwise", "axes", "image"]


class Converter:
    """Writes the calls of a primitive as nodes: ``function(onnx, x, ...) -> name``.

    `needs` names the arguments of the call that the function takes after the file, ``onnx``: operands as names in the
    file, options as values, and shapes, with None for an extent that depends on the batch.

    `kind` tells what operands are. "plain" takes arrays as they are here, "image" its first operand as (N, C, H, W).
    The others take either: "elementwise", and "axes", whose option `axis` then counts the axes of the image.
    """

    def __init__(self, function: Callable[..., str], kind: Kind = "plain", needs: list[str] | None = None) -> None:
        self.function, self.kind = function, kind
        self.needs = list(inspect.signature(function).parameters)[1:] if needs is None else needs


@dataclass(frozen=True)
class Entry:
    """An operator of ONNX and the primitive that does the same. One of them is None if it has no counterpart.

    Attributes
    ----------
    operator : str, optional
    primitive : Primitive, optional
    write : callable, optional
        The function of a `Converter`. By default the primitive becomes one node, with its operands in their order.
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

    def converter(self, kind: Kind) -> Converter:
        """Return how the primitive is written."""
        if self.write is not None:
            return Converter(self.write, kind)
        operation: Any = self.primitive
        needs = [p for p in operation.parameters if p not in operation.defaults]
        return Converter(lambda onnx, *operands: onnx.node(self.operator, *operands), kind, needs)

    def compute(self, *inputs: Any, **attributes: Any) -> Any:
        """Compute the operator."""
        function: Any = self.read or self.primitive
        return function(*inputs, **attributes)
