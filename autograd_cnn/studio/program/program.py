"""Holds a derived program: its text and the arrays that it takes."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.mode import enable_grad
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.notebook import in_notebook
from autograd_cnn.studio.program.listing import MOST, Row, side_by_side
from autograd_cnn.studio.text import clip

CELL = 100  # characters of a line below a cell, in most notebooks


@dataclass(slots=True, repr=False, eq=False)
class Program:
    """The forward and the backward pass as code; made by `Graph.program`.

    ``print``, or a notebook, shows the passes side by side. Read the left column downwards, and the right column
    upwards. What the function computed outside of recorded operations, such as the places that `argmax` finds and the
    way that an ``if`` takes, are constants of the program; comments at the top of `source` name their lines.

    Attributes
    ----------
    source : str
        A module with one function, ``step(leaf, ...)``, which returns the result and a dict of gradients by name.
    inputs : list of str
        The names of the arrays that the program takes, in the order of ``step``'s parameters. First come the arguments
        of the function that `trace` ran, in its order, without those that it does not use; then all other arrays, in
        the order in which they are first used. Without `trace`, all are in the order of first use.
    leaves : dict of str to ndarray
        Copies of these arrays. `trace` copies all of them; other graphs have those that the tape saved.
    shapes : dict of str to tuple
        The shapes of these arrays. The program is valid for these shapes only.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> def f(x, y):
    ...     h = x * y
    ...     return ag.sin(h) + x
    >>> program = ag.trace(f, 2.0, 3.0).program()
    >>> print(program.source[program.source.index("    h = ") :])
        h = x * y
        sin = ag.sin(h)
        loss = sin + x
    <BLANKLINE>
        g_loss = np.ones_like(loss)
        g_sin = g_loss
        g_x = g_loss
        g_h = g_sin * ag.cos(h)
        g_x = g_x + g_h * y
        g_y = g_h * x
        return loss, {"x": g_x, "y": g_y}
    <BLANKLINE>
    >>> loss, gradients = program.run(y=0.0)
    >>> gradients["x"], gradients["y"]
    (array(1.), array(2.))
    """

    source: str
    rows: list[Row]
    inputs: list[str]
    leaves: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    def run(self, **leaves: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """Run the program.

        Parameters
        ----------
        **leaves : array_like
            Arrays by name, in place of `leaves`.

        Returns
        -------
        loss : ndarray or number
        gradients : dict of str to ndarray
            The gradient of each leaf, by name.

        Raises
        ------
        TypeError
            If a leaf is unknown, or if there is no array for it.
        ValueError
            If a leaf does not have the shape in `shapes`, or if a derivative has another form for its numbers.
        """
        for name in leaves:
            if name not in self.inputs:
                raise TypeError(f"program: has no {clip(name)}. It begins with {', '.join(map(clip, self.inputs))}")
        leaves = {name: np.asarray(plain(a)) if name in self.shapes else a for name, a in leaves.items()}
        given = {**self.leaves, **leaves}
        missing = [clip(name) for name in self.inputs if name not in given]
        if missing:
            cure = f"Pass run({missing[0]}=array), or use ag.trace(f, ...), which copies all inputs"
            raise TypeError(f"program: no array for {', '.join(missing)}. {cure}")
        namespace: dict[str, Any] = {}
        exec(compile(self.source, "<program>", "exec"), namespace)
        with as_recorded():
            result, gradients = namespace["step"](*(given[name] for name in self.inputs))
        return result, {name: np.asarray(g) for name, g in gradients.items()}

    def __repr__(self) -> str:
        width = CELL if in_notebook() else shutil.get_terminal_size((MOST, 24)).columns
        return side_by_side(self.rows, width)


@contextmanager
def as_recorded() -> Iterator[None]:
    """Compute by-products, and ignore warnings, because the recorded operations have already warned."""
    with np.errstate(all="ignore"), warnings.catch_warnings(), enable_grad():
        warnings.simplefilter("ignore")
        yield
