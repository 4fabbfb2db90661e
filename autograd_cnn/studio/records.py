"""Describes a recorded computation in plain records, which every renderer reads.

Records hold text and numbers. Only a `Call`, which the program needs, holds arrays and functions. Ids count operations
``n1...`` in order of birth, and values ``t1...`` in order of first use. Files are listed by base name, so that the same
run writes the same bytes everywhere. Unknown facts are absent, never 0. Edges are a list, because ``x * x`` has two.
Nothing here imports the engine, and `renderers` imports a renderer when it is first called.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.files import write_atomically
from autograd_cnn.notebook import show_page
from autograd_cnn.studio.renderers import data, load, text
from autograd_cnn.studio.text import bytes_text, count_text, shape_text

if TYPE_CHECKING:
    from autograd_cnn.studio.program.program import Program

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

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * np.dtype(self.dtype).itemsize


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
    """A derivative rule: `inputs` are those whose gradients it computes, `asks` are its parameters other than `g`."""

    inputs: tuple[str, ...]
    asks: tuple[str, ...]


@dataclass(slots=True)
class Kept:
    """An array saved for backward; `first` is the operation or parameter that already holds the same memory."""

    label: str
    value: str | None  # None for a by-product
    nbytes: int
    first: str | None


def kept_bytes_text(kept: Kept) -> str:
    """Format the memory that `kept` costs."""
    return "(shared)" if kept.first else bytes_text(kept.nbytes)


@dataclass(slots=True)
class Use:
    """An array as an argument; `cast` is the dtype (or "item") that a weak operand was converted to, else ""."""

    value: Value
    cast: str


@dataclass(slots=True)
class Call:
    """How an operation was called, for the program: flat `arguments`, with a `Use` for each array.

    `steps` are (ports, rule) in the order of the walk. Without a trace, `node` holds the arrays that the rules need.
    For a checkpoint, `inside` is the computation that it runs again.
    """

    primitive: Any
    arguments: list[Any]
    steps: list[tuple[tuple[int | None, ...], Any]]
    node: Any
    inside: Graph | None


@dataclass(slots=True)
class Op:
    """A recorded operation: `inputs` are edges (port, value), `rules` are by port, `kept` is None after the walk.

    In a folded graph an operation may stand for several, its `parts`. Then it may have further outputs, `others`.
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
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Failure:
    """The operation that raised an error under `trace`, or the line if it was no operation; `op` has no result."""

    op: Op
    error: str  # the name of the class
    message: str


@dataclass(slots=True, repr=False)
class Graph:
    """A recorded computation that can be drawn or written as code; made by `Tensor.graph` and `trace`.

    Attributes
    ----------
    ops : list of Op
        Every operation, in the order in which they ran.
    values : dict of str to Value
        All arrays, by id.
    result : str
        Id of the last value.
    loss : float or None
        The last value, if it is one number.
    arrays : dict of str to ndarray, or None
        Copies of the inputs, parameters and constants, by id; None unless `trace` made the graph.
    failure : Failure or None
        What raised the error, if the function under `trace` did; the graph then ends there.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> g = (w * w).sum().graph()
    >>> g
    Graph: 2 operations, 2 parameters, loss 5
    >>> [(op.name, op.inputs) for op in g.ops]
    [('multiply', [(0, 't1'), (1, 't1')]), ('sum', [(0, 't2')])]
    """

    ops: list[Op]
    values: dict[str, Value]
    result: str
    loss: float | None
    arrays: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    measured: Any = field(default=None, repr=False, compare=False)  # `Measures`, once an overlay needs them
    failure: Failure | None = None

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

    def kept(
        self, op: Op, names: Mapping[str, str] = MappingProxyType({}), cost: Callable[[Kept], str] = kept_bytes_text
    ) -> str:
        """List the arrays that `op` keeps, each with its `cost` unless it was freed; `names` are short names."""

        def name(value: str) -> str:
            return names.get(value, self.values[value].name)

        if op.kept is None:
            asks = {a for rule in op.rules.values() for a in rule.asks}
            kept = [name(v) for port, v in op.inputs if op.ports[port] in asks]
            kept += [name(op.output)] * ("out" in asks)
            kept += [f"{b}_{name(op.output)}" for b in op.byproducts if b in asks]
            return ", ".join(dict.fromkeys(kept))
        labels = [(name(k.value) if k.value else k.label, cost(k) if self.counted(k) else "") for k in op.kept]
        return ", ".join(f"{label} {text}".rstrip() for label, text in labels)

    def program(self) -> Program:
        """Write both passes as code: see `autograd_cnn.studio.program.program.Program`."""
        self._check_kept("program")
        program: Program = load("program.write:write")(self)
        return program

    def page(
        self,
        frames: Sequence[tuple[str, Graph]] = (),
        quiz: bool = False,
        source: bool = True,
        images: Sequence[NDArray[np.uint8]] = (),
    ) -> str:
        """Return the backprop player as HTML text: one page that steps through this network forward and backward.

        Parameters
        ----------
        frames : sequence of (str, Graph)
            The same network at later moments of its training, each with a label; the page has a slider for them.
        quiz, source : bool
            See `save`.
        images : sequence of array, (H, W, 3) uint8
            A picture of each moment, this graph's first: for instance, points and a decision boundary.

        Raises
        ------
        ValueError
            If a frame is not the same network, if there are too many operations, or not as many images as moments.
        RuntimeError
            If ``backward()`` has freed the saved arrays. ``ag.trace(f, ...)`` keeps copies.
        """
        self._check_kept("page")
        return text(self, ".html", frames=frames, quiz=quiz, source=source, images=images)

    def _check_kept(self, caller: str) -> None:
        """Raise an error if backward has freed the arrays; this early, so that the user's traceback is short."""
        if self.arrays is None and (op := next((op for op in self.ops if op.kept is None), None)):
            raise RuntimeError(
                f"{caller}: the arrays of {op.name} ({op.place.file}:{op.place.line}) were freed by "
                f"backward(). {EARLIER}"
            )

    def show(self) -> None:
        """Show the player: below the cell in a notebook, wherever `show` stands in the cell; else in the browser.

        On a machine without a screen, print the path of the page.

        Raises
        ------
        ValueError, RuntimeError
            See `page`.
        """
        show_page(self.page())

    def svg(self, depth: int | None = None, overlay: str | None = None) -> str:
        """Return the picture as SVG text, for light and dark pages. See `save`."""
        return text(self, ".svg", depth=depth, overlay=overlay)

    def dot(self, depth: int | None = None, overlay: str | None = None) -> str:
        """Return the picture as Graphviz text, with positions. See `save`."""
        return text(self, ".dot", depth=depth, overlay=overlay)

    def mermaid(self, depth: int | None = None) -> str:
        """Return the picture as Mermaid text, for Markdown. See `save`."""
        return text(self, ".mmd", depth=depth)

    def save(
        self,
        path: str | os.PathLike[str],
        depth: int | None = None,
        overlay: str | None = None,
        quiz: bool = False,
        source: bool = True,
    ) -> None:
        """Write a picture, the player or the program, in the format that the suffix of `path` names.

        Parameters
        ----------
        path : path
            ``.html`` (the player), ``.svg``, ``.dot``, ``.mmd`` (Mermaid) and ``.py`` (the program) need nothing else.
            ``.png`` and ``.pdf`` are drawn by Graphviz, or by matplotlib if Graphviz is missing.
        depth : int, optional
            How many levels of modules and loops to open. At 0, each of them is one row. Only the first of repeated
            rounds is drawn, except at the depth that the caption names. Default: the most that fit into 40 rows.
        overlay : str, optional
            The quantity that every row shows as a number and a bar: "time" (needs ``trace(f, *args, repeat=3)``),
            "flops", "bytes" (kept), "gradient" (root mean square) or "zeros" (and dead channels). The last two need a
            graph from `trace`.
        quiz : bool
            Whether the player begins in quiz mode, in which it asks about a step before it shows it.
        source : bool
            Whether the player shows your code. If not, it still shows names, line numbers and the derived program, in
            which your own rules appear as you wrote them.

        Raises
        ------
        ValueError
            If the suffix or the overlay is unknown, if the format does not take an option, if the graph lacks the
            measurements for an overlay, or if `depth` makes the picture too large to read: more than 1,000 rows
            (``.dot`` has no limit), or more than 400 edges in Mermaid.
        ImportError
            If ``.png`` or ``.pdf`` is wanted, and both Graphviz and matplotlib are missing.
        """
        write_atomically(path, data(self, path, depth=depth, overlay=overlay, quiz=quiz, source=source))

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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
