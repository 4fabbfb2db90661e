"""Describes a recorded computation in plain records, which every renderer reads.

Records hold text and numbers. Only a `Call`, which the program needs, holds arrays and functions. Ids count operations
``n1...`` in order of birth, and values ``t1...`` in order of first use. Files are listed by base name, so that the same
run writes the same bytes everywhere. Unknown facts are absent, never 0. Edges are a list, because ``x * x`` has two.
Nothing here imports the engine or a renderer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autograd_cnn.studio.text import bytes_text, count_text, shape_text

EARLIER = "Do it before backward(), or keep them: backward(retain_graph=True), or ag.trace(f, ...)"


@dataclass(slots=True)
class Value:
    """An array, or `count` of them that are drawn as one; `role` is input, target, parameter, constant, ... or loss."""

    id: str
    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    count: int = 1

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(slots=True)
class Place:
    """A source line, and the byte range of the expression if known; `code` is the code object around it."""

    file: str
    line: int
    function: str
    columns: tuple[int, int] | None = field(repr=False, compare=False)
    code: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """A module's path, with its class as `kind`, or a name from `autograd_cnn.scope`; `instance` counts its entries."""

    path: str
    instance: int  # from 1
    kind: str = ""


@dataclass(slots=True)
class Rule:
    """A derivative rule: `inputs` are those whose gradients it computes, `needs` are its parameters other than `g`."""

    inputs: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(slots=True)
class Kept:
    """An array saved for backward; `first` is the operation or parameter that already holds the same memory."""

    label: str
    value: str | None  # None for a by-product
    nbytes: int
    first: str | None


@dataclass(slots=True)
class Use:
    """An array as an argument; `cast` is the dtype (or "item") that a weak operand was converted to, else ""."""

    value: Value
    cast: str


@dataclass(slots=True)
class Call:
    """How an operation was called, for the program: flat `arguments`, with a `Use` for each array.

    `steps` are (ports, rule) in the order of the walk. Without a trace, `node` holds the arrays that the rules need.
    """

    primitive: Any
    arguments: list[Any]
    steps: list[tuple[tuple[int | None, ...], Any]]
    node: Any


@dataclass(slots=True)
class Op:
    """A recorded operation: `inputs` are edges (port, value), `rules` are by port, `kept` is None after the walk.

    In a folded graph an operation may stand for several, its `parts`.
    """

    id: str
    name: str
    options: dict[str, str]
    ports: list[str]
    inputs: list[tuple[int, str]]
    output: str
    byproducts: list[str]
    place: Place
    rules: dict[int, Rule]
    kept: list[Kept] | None
    call: Call = field(repr=False, compare=False)
    scopes: tuple[Scope, ...] = ()
    parts: tuple[Op, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class Failure:
    """The operation that raised an error under `trace`, or the line if it was no operation; `op` has no result."""

    op: Op
    error: str  # the name of the class
    message: str


@dataclass(slots=True, repr=False)
class Graph:
    """The records of a computation, which renderers read; the subclass `autograd_cnn.Graph` calls the renderers."""

    ops: list[Op]
    values: dict[str, Value]
    result: str
    loss: float | None
    arrays: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    measured: Any = field(default=None, repr=False, compare=False)  # `Measures`, once an overlay needs them
    failure: Failure | None = None
    given: list[str] = field(default_factory=list, repr=False)  # arguments of a traced function, in its order
    constants: list[str] = field(default_factory=list, repr=False)  # tensors that became plain arrays, with their lines

    @property
    def parameters(self) -> list[Value]:
        """The values whose role is parameter."""
        return [v for v in self.values.values() if v.role == "parameter"]

    @property
    def kept_bytes(self) -> int | None:
        """Bytes that the tape keeps for backward, apart from parameters; None after the walk has freed them."""
        if any(op.kept is None for op in self.ops):
            return None
        return sum(k.nbytes for op in self.ops for k in self.added(op))

    def counted(self, kept: Kept) -> bool:
        """Return whether `kept` costs extra memory. A parameter does not, because it exists anyway."""
        return kept.value is None or self.values[kept.value].role != "parameter"

    def added(self, op: Op) -> list[Kept]:
        """Return the arrays that stay in memory only because `op` keeps them."""
        return [k for k in op.kept or () if k.first is None and self.counted(k)]

    def kept(self, op: Op, names: Mapping[str, str] | None = None, costs: bool = True) -> str:
        """List the arrays that `op` keeps, by their short `names`; if `costs`, each with its memory unless freed."""

        def name(value: str) -> str:
            return (names or {}).get(value, self.values[value].name)

        def cost(kept: Kept) -> str:
            return ("(shared)" if kept.first else bytes_text(kept.nbytes)) if costs and self.counted(kept) else ""

        if op.kept is None:
            needs = {a for rule in op.rules.values() for a in rule.needs}
            kept = [name(v) for port, v in op.inputs if op.ports[port] in needs]
            kept += [name(op.output)] * ("out" in needs)
            kept += [f"{b}_{name(op.output)}" for b in op.byproducts if b in needs]
            return ", ".join(dict.fromkeys(kept))
        return ", ".join(f"{name(k.value) if k.value else k.label} {cost(k)}".rstrip() for k in op.kept)

    def __repr__(self) -> str:
        return f"Graph: {', '.join(self.summary())}"

    def summary(self) -> list[str]:
        """Return parts of a caption: ``15 operations``, ``620,362 parameters``, ``loss 0.6931``."""
        parts = [count_text(len(self.ops), "operation")]
        if self.parameters:
            parts.append(count_text(sum(v.size for v in self.parameters), "parameter"))
        result = self.values[self.result]
        end = f"{result.name} {shape_text(result.shape)}" if self.loss is None else f"loss {self.loss:.4g}"
        if self.failure:
            op = self.failure.op
            place = f"{op.place.file}:{op.place.line}"
            end = f"fails in {op.name} ({place})" if op.call.primitive else f"fails at {place}"
        return [*parts, end]
