"""Makes a picture, the player or the derived program of a graph. The player is imported when it is first used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.messages import user_frame
from autograd_cnn.files import write_atomically
from autograd_cnn.notebook import show_page
from autograd_cnn.studio import records
from autograd_cnn.studio.picture.dot import dot, pdf, png
from autograd_cnn.studio.picture.svg import svg
from autograd_cnn.studio.program.program import Program, as_recorded
from autograd_cnn.studio.program.standalone import Standalone
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.text import listed


@dataclass(slots=True, repr=False)
class Graph(records.Graph):
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

    def program(self, standalone: bool = False) -> Program:
        """Write both passes as code: see `autograd_cnn.studio.program.program.Program`.

        A `standalone` program has the source of all functions that it calls, so that it needs NumPy alone. They are the
        plain formulas of the operations, so its numbers agree with those of the fast ones to rounding.

        Raises
        ------
        RuntimeError
            If ``backward()`` has freed the saved arrays. ``ag.trace(f, ...)`` keeps copies.
        ValueError
            If a standalone program is wanted of a graph that `trace` did not make, or of a function whose source is in
            no file or needs more than NumPy.
        """
        with as_recorded():
            return (Standalone if standalone else Author)(self).program()

    def page(
        self,
        frames: Sequence[tuple[str, Graph]] = (),
        quiz: bool = False,
        source: bool = True,
        images: Sequence[NDArray[np.uint8]] = (),
        classes: Sequence[str] = (),
    ) -> str:
        """Return the backprop player as HTML text: one page that steps through this network forward and backward.

        Parameters
        ----------
        frames : sequence of (str, Graph)
            The same network at later moments of its training, each with a label; the page has a slider for them.
        quiz : bool
            Whether the player begins in quiz mode, in which it asks about a step before it shows it.
        source : bool
            Whether the player shows your code. If not, it still shows names, line numbers and the derived program, in
            which your own rules appear as you wrote them.
        images : sequence of array, (H, W, 3) uint8
            A picture of each moment, this graph's first: for instance, points and a decision boundary.
        classes : sequence of str
            The names of the classes that the scores and targets are about, in their order; used if they are as many.

        Raises
        ------
        ValueError
            If a frame is not the same network, if there are too many operations, or not as many images as moments.
        RuntimeError
            If ``backward()`` has freed the saved arrays. ``ag.trace(f, ...)`` keeps copies.
        """
        from autograd_cnn.studio.player.page import page

        return page(self, frames=frames, quiz=quiz, source=source, images=images, classes=classes)

    def show(
        self, frames: Sequence[tuple[str, Graph]] = (), images: Sequence[NDArray[np.uint8]] = (), **options: Any
    ) -> None:
        """Show the player: below the cell in a notebook, wherever `show` stands in the cell; else in the browser.

        On a machine without a screen, print the path of the page. The options are those of `page`.

        Raises
        ------
        ValueError, RuntimeError
            See `page`.
        """
        show_page(self.page(frames, images=images, **options))

    def svg(self, depth: int | None = None, overlay: str | None = None) -> str:
        """Return the picture as SVG text, for light and dark pages.

        Parameters
        ----------
        depth : int, optional
            How many levels of modules and loops to open. At 0, each of them is one row. Only the first of repeated
            rounds is drawn, except at the depth that the caption names. Default: the most that fit into 40 rows.
        overlay : str, optional
            The quantity that every row shows as a number and a bar: "time" (needs ``trace(f, *args, repeat=3)``),
            "flops", "bytes" (kept), "gradient" (root mean square) or "zeros" (and dead channels). The last two need a
            graph from `trace`.

        Raises
        ------
        ValueError
            If the overlay is unknown, if the graph lacks the measurements for it, or if `depth` makes the picture too
            large to read: more than 1,000 rows (`dot` has no limit).
        """
        return svg(self, depth, overlay)

    def dot(self, depth: int | None = None, overlay: str | None = None) -> str:
        """Return the picture as Graphviz text, with positions. See `svg`."""
        return dot(self, depth, overlay)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write a picture, the player or the program, in the format that the suffix of `path` names.

        Parameters
        ----------
        path : path
            ``.html`` (the player), ``.svg``, ``.dot`` and ``.py`` (the program) need nothing else.
            ``.png`` and ``.pdf`` are drawn by Graphviz, by its program ``dot``.
        **options
            Those of `page`, `program` or, for all pictures, `svg`.

        Raises
        ------
        ValueError
            If the suffix is unknown, if the format does not take an option, or if the path is that of the caller.
        ImportError, FileNotFoundError
            If ``.png`` or ``.pdf`` is wanted, and Graphviz or its program are missing.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in _FORMATS:
            raise ValueError(f"graph: {os.fspath(path)!r} ends in {suffix!r}. There are {listed(list(_FORMATS))}")
        _, *taken = signature(_FORMATS[suffix]).parameters
        for name in options:
            if name not in taken:
                raise ValueError(f"graph: {suffix} takes no {name}. It takes {listed(taken)}")
        if Path(path).resolve() == Path(user_frame().f_code.co_filename).resolve():
            raise ValueError(f"graph: {os.fspath(path)} is this program itself. Give another name")
        rendered = _FORMATS[suffix](self, **options)
        write_atomically(path, rendered.encode() if isinstance(rendered, str) else rendered)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}


_FORMATS: dict[str, Callable[..., str | bytes]] = {
    ".html": Graph.page,
    ".svg": svg,
    ".dot": dot,
    ".py": lambda graph, standalone=False: graph.program(standalone).source,
    ".png": png,
    ".pdf": pdf,
}
