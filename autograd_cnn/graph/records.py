"""A graph as plain records: what every renderer reads, and nothing else.

Text and numbers; what only the program needs, a `Call` with its arrays, is marked so. Ids are ranks, operations
``n1...`` by birth, values ``t1...`` by first use; files go by their base name: the same run gives the same bytes. What
is not known is absent, never 0. Edges are a list: ``x * x`` has two. Imports nothing of the engine; the renderers only
when they are asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.files import write_atomically
from autograd_cnn.graph.text import bytes_text, count_text, listed, shape_text

if TYPE_CHECKING:
    from autograd_cnn.graph.program.write import Program

SUFFIXES = (".html", ".svg", ".dot", ".mmd", ".py", ".png", ".pdf")
OPTIONS = {  # of `Graph.save`, and for which suffixes they are
    "depth": (".svg", ".dot", ".mmd", ".png", ".pdf"),
    "overlay": (".svg", ".dot", ".png", ".pdf"),
    "quiz": (".html",),
    "source": (".html",),
}


@dataclass(slots=True)
class Value:
    """An array: `role` is input, target, parameter, constant, activation or loss."""

    id: str
    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(slots=True)
class Place:
    """A line of the user's, in bytes of it the expression where known; `code` leads to the source."""

    file: str
    line: int
    function: str
    columns: tuple[int, int] | None = field(repr=False, compare=False)
    code: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """A module's path, or a name given to `autograd_cnn.scope`; `instance` counts how often it was entered."""

    path: str
    instance: int


@dataclass(slots=True)
class Rule:
    """One derivative rule: the inputs it serves, what it asks for beside `g`."""

    inputs: tuple[str, ...]
    asks: tuple[str, ...]


@dataclass(slots=True)
class Kept:
    """An array that waits for backward: `first` has the same memory already: an operation or a parameter."""

    label: str
    value: str | None  # None: a by-product
    nbytes: int
    first: str | None


@dataclass(slots=True)
class Use:
    """An array as an argument: `cast` is "item" or the dtype that a weak operand was brought to, "" for neither."""

    value: Value
    cast: str


@dataclass(slots=True)
class Call:
    """For the program, how an operation was called: flat `arguments`, a `Use` where an array went in.

    `steps` are (ports, rule) in the order of the walk; `node` has what the rules ask for, where no trace has; `inside`
    is what a checkpoint runs again.
    """

    primitive: Any
    arguments: list[Any]
    steps: list[tuple[tuple[int | None, ...], Any]]
    node: Any
    inside: Graph | None


@dataclass(slots=True)
class Op:
    """A recorded operation: `inputs` are edges (port, value), `rules` go by port, `kept` is None after the walk.

    In a folded graph an operation may stand for others, its `parts`; then it may have more outputs than one.
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


@dataclass(slots=True, repr=False)
class Graph:
    """A computation, to be drawn: made by `Tensor.graph` and `trace`.

    Attributes
    ----------
    ops : list of Op
        In the order in which they ran.
    values : dict of str to Value
        Everything that flows, by id.
    result : str
        Id of the value that the graph ends in.
    loss : float or None
        That value, where it is one number.
    arrays : dict of str to ndarray, or None
        Copies of what the graph begins with, by id; None unless `trace` made it.

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
    measured: Any = field(default=None, repr=False, compare=False)  # `Measures`, once they are asked for

    @property
    def parameters(self) -> list[Value]:
        """What the graph learns."""
        return [v for v in self.values.values() if v.role == "parameter"]

    @property
    def kept_bytes(self) -> int | None:
        """What the tape holds for backward, parameters aside; None once it has let go."""
        total = 0
        for op in self.ops:
            if op.kept is None:
                return None
            total += sum(k.nbytes for k in op.kept if k.first is None and self.counted(k))
        return total

    def counted(self, kept: Kept) -> bool:
        """Whether `kept` costs memory: parameters exist anyway."""
        return kept.value is None or self.values[kept.value].role != "parameter"

    def kept(self, op: Op, names: Mapping[str, str] = MappingProxyType({})) -> str:
        """What `op` keeps, with bytes; after the walk what it kept, without. `names` are shorter ones, by value."""

        def name(value: str) -> str:
            return names.get(value, self.values[value].name)

        if op.kept is None:
            asks = {a for rule in op.rules.values() for a in rule.asks}
            kept = [name(v) for port, v in op.inputs if op.ports[port] in asks]
            kept += [name(op.output)] if "out" in asks else []
            kept += [f"{b}_{name(op.output)}" for b in op.byproducts if b in asks]
            return ", ".join(dict.fromkeys(kept))
        costs = ((k, "(shared)" if k.first else bytes_text(k.nbytes)) for k in op.kept)
        labels = ((k, name(k.value) if k.value else k.label, cost) for k, cost in costs)
        return ", ".join(f"{label} {cost}" if self.counted(k) else label for k, label, cost in labels)

    def program(self) -> Program:
        """The backward pass as code: see `autograd_cnn.graph.program.write.Program`."""
        from autograd_cnn.graph.program.write import write

        return write(self)

    def page(self, frames: Sequence[tuple[str, Graph]] = (), quiz: bool = False, source: bool = True) -> str:
        """The backprop player as HTML text: one file, to step through this network forward and back.

        Parameters
        ----------
        frames : sequence of (str, Graph)
            The same network at later moments of its training, each with a label: the page has a slider for them.
        quiz, source : bool
            See `save`.

        Raises
        ------
        ValueError
            Where a frame is of another structure, or there are too many operations.
        RuntimeError
            After ``backward()``, when the arrays are gone: ``ag.trace(f, ...)`` keeps them.
        """
        from autograd_cnn.graph.player.page import page

        return page(self, frames, quiz, source)

    def show(self) -> Any:
        """The player: in a notebook below the cell, elsewhere in the browser."""
        from autograd_cnn.graph.player.page import show

        return show(self.page())

    def svg(self, depth: int | None = None, overlay: str | None = None) -> str:
        """The picture as SVG text: one page, light and dark. See `save`."""
        from autograd_cnn.graph.picture.svg import svg

        return svg(self, depth, overlay)

    def dot(self, depth: int | None = None, overlay: str | None = None) -> str:
        """The picture as Graphviz text, with our positions. See `save`."""
        from autograd_cnn.graph.picture.dot import dot

        return dot(self, depth, overlay)

    def mermaid(self, depth: int | None = None) -> str:
        """The picture as Mermaid text, to be pasted into Markdown. See `save`."""
        from autograd_cnn.graph.picture.mermaid import mermaid

        return mermaid(self, depth)

    def save(
        self,
        path: str | os.PathLike[str],
        depth: int | None = None,
        overlay: str | None = None,
        quiz: bool = False,
        source: bool = True,
    ) -> None:
        """Write the picture, or the program; the suffix says how.

        Parameters
        ----------
        path : path
            ``.html`` (the player), ``.svg``, ``.dot``, ``.mmd`` and ``.py`` (the program) need nothing else; ``.png``
            and ``.pdf`` are drawn by Graphviz, or where it is missing by matplotlib.
        depth : int, optional
            How many levels of modules and loops are open: at 0 each is one row; of what recurs, the first round is
            drawn, and all of them only at the depth that the caption names. Default: what fits into 40 rows.
        overlay : str, optional
            A number and a bar in every row: "time" (of ``trace(f, *args, repeat=3)``), "flops", "bytes" (kept),
            "gradient" (root mean square) or "zeros" (and dead channels). The last two need a graph from `trace`.
        quiz : bool
            The player begins with its quiz on: it asks before it shows a step.
        source : bool
            Whether the player shows your code. Without it there are names, the numbers of lines, and the derived
            program, in which a rule of your own is the rule as you wrote it.

        Raises
        ------
        ValueError
            For another suffix or overlay; for an option that the suffix does not take; where the numbers of an overlay
            are not at hand; where `depth` asks for a picture that nobody can read: more than 1,000 rows (``.dot`` has
            no limit), as Mermaid 400 edges.
        ImportError
            For ``.png`` and ``.pdf`` where both Graphviz and matplotlib are missing.
        """
        suffix = Path(path).suffix.lower()
        given = {"depth": depth is not None, "overlay": overlay is not None, "quiz": quiz, "source": not source}
        for option, takers in OPTIONS.items():
            if given[option] and suffix in SUFFIXES and suffix not in takers:
                do = "do" if takers[1:] else "does"
                raise ValueError(f"graph: {suffix} takes no {option}; {listed(takers)} {do}")
        if suffix == ".svg":
            data = self.svg(depth, overlay).encode()
        elif suffix == ".dot":
            data = self.dot(depth, overlay).encode()
        elif suffix == ".mmd":
            data = self.mermaid(depth).encode()
        elif suffix == ".py":
            data = self.program().source.encode()
        elif suffix == ".html":
            data = self.page(quiz=quiz, source=source).encode()
        elif suffix in (".png", ".pdf"):
            from autograd_cnn.graph.picture.dot import rendered

            data = rendered(self, suffix, depth, overlay)
        else:
            raise ValueError(f"graph: {os.fspath(path)!r} ends in {suffix!r}. There are {listed(SUFFIXES)}")
        write_atomically(path, data)

    def __repr__(self) -> str:
        return f"Graph: {', '.join(self.summary())}"

    def summary(self) -> list[str]:
        """``15 operations``, ``620,362 parameters``, ``loss 0.6931``."""
        parts = [count_text(len(self.ops), "operation")]
        if self.parameters:
            parts.append(count_text(sum(v.size for v in self.parameters), "parameter"))
        result = self.values[self.result]
        text = f"{result.name} {shape_text(result.shape)}" if self.loss is None else f"loss {self.loss:.4g}"
        return [*parts, text]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
