"""Runs a program of the live page: the player of its result, its error with the line, and its training.

Runs inside the page, where Pyodide is the Python; nothing here depends on it.
"""

from __future__ import annotations

import ast
import io
import linecache
import re
import traceback
from collections.abc import Callable, Generator
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from inspect import getdoc, signature
from time import perf_counter
from typing import Any
from unittest.mock import patch
from warnings import catch_warnings

import numpy as np

from autograd_cnn.engine.observe import own_operations
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops.layers import seed
from autograd_cnn.studio import graph
from autograd_cnn.studio.png import url
from autograd_cnn.studio.trace import observed

FILE = "program"  # in players, which say program:3
MOST = 100_000  # characters of output that the page shows


def run(source: str, write: Callable[[str], object]) -> Generator[dict[str, Any], Any, None]:
    """Run a program in a state that no earlier run has changed; train it, if it has a function ``step()``.

    The result is the value of the last line, if that is an expression, as in a notebook: the player of a `Graph`, or
    the page that `Graph.page` returned. Any other value is printed. `Graph.show` shows the player as well.

    ``step()`` makes one step of training and returns its loss. A program that has one can be sent a number of seconds,
    and makes steps for so long, at least one; for None it yields the player of the latest step. It may have a function
    ``picture()``, which returns the pixels that are shown of the training, (H, W, 3) uint8.

    ``draw(x=image)`` returns the graph or the page of an input of shape (N, H, W, C), whose first image can be drawn. A
    program that has one can be sent a list of pixels, each a row, a column and a number, and yields the new player.

    Parameters
    ----------
    source : str
        The program.
    write : callable
        Gets the text that the program prints, piece by piece.

    Yields
    ------
    dict
        `page`, the player's page, or ""; `error`, the message of the exception that ended the program, or "";
        `line`, the line of the program at which it was raised, or 0; `losses`, of each step since the last moment;
        `picture`, the URL of what ``picture()`` returned, or "", and `caption`, the first line of its docstring;
        `trains`, whether more steps can be made; `draws`, the name of the input that can be drawn, or "".

    Examples
    --------
    >>> printed = []
    >>> next(run("print(1 + 1)", printed.append))
    {'page': '', 'error': '', 'line': 0, 'losses': [], 'picture': '', 'caption': '', 'trains': False, 'draws': ''}
    >>> "".join(printed)
    '2\\n'
    >>> next(run("import autograd_cnn as ag\\nag.relu('x')", printed.append))["line"]
    2
    """
    linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE  # for `inspect`
    program = _Program(source, _Output(write))
    seed(0)
    with catch_warnings(), own_operations():
        moment = program.moment(program.start)
        while moment["trains"] or moment["draws"]:
            order = yield moment
            act = program.paint if isinstance(order, list) else program.train
            moment = program.moment(program.explain if order is None else partial(act, order))
        yield moment


class _Program:
    """A program with its names, and the latest step of its training."""

    def __init__(self, source: str, out: _Output) -> None:
        self.source, self.out = source, out
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.shown: list[str] = []  # pages
        self.latest: Callable[[], graph.Graph] | None = None  # makes the graph of the latest step
        self.cost = 0.0  # seconds that the latest picture took
        self.image: Any = None  # the input that is drawn

    def moment(self, act: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Act, and return what the page shows now."""
        moment: dict[str, Any] = {"page": "", "error": "", "line": 0, "losses": []}
        moment |= {"picture": "", "caption": "", "trains": False, "draws": ""}
        showing = patch.object(graph, "show_page", self.shown.append)  # for `Graph.show`
        try:
            with redirect_stdout(self.out), redirect_stderr(self.out), showing:
                act(moment)
            moment |= {"trains": self.has("step"), "draws": self.input() if self.image is not None else ""}
        except BaseException as error:  # a program that ends itself leaves the page running
            moment |= {"error": _message(error), "line": _line(error)}
            with suppress(Exception), redirect_stdout(None):
                self.draw(moment)  # after the last good step
            with suppress(Exception):  # without a graph, or with one that is too large to step through
                moment["page"] = error.graph.page()  # type: ignore[attr-defined]
        return moment

    def has(self, name: str) -> bool:
        """Return whether the program has a function of this name that takes no argument."""
        try:
            signature(self.names[name]).bind()
        except (KeyError, TypeError, ValueError):
            return False
        return True

    def input(self) -> str:
        """Return the name of the input that ``draw(x=image)`` takes, and keep the image; "" without such a function."""
        given = signature(self.names["draw"]).parameters if self.has("draw") else {}
        for parameter in [*given.values()][:1]:
            if self.image is None and np.ndim(parameter.default) == 4:
                self.image = np.array(parameter.default)
        return next(iter(given), "")

    def start(self, moment: dict[str, Any]) -> None:
        """Run the program, and show or print the value of its last line."""
        tree = ast.parse(self.source, FILE)
        last: Any = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, FILE, "exec", dont_inherit=True), self.names)
        value = last and eval(compile(ast.Expression(last.value), FILE, "eval", dont_inherit=True), self.names)
        self.input()
        if page := _page(value):
            self.shown.append(page)
        elif value is not None:
            print(repr(value))
        moment["page"] = self.shown[-1] if self.shown else ""
        if not self.has("step"):  # whose errors come first
            self.draw(moment)

    def train(self, seconds: float, moment: dict[str, Any]) -> None:
        """Make steps for so long, longer if the picture is slow: it takes a third of the time at most."""
        end = perf_counter() + (seconds and max(seconds, 2 * self.cost))
        while not moment["losses"] or perf_counter() < end:
            loss, self.latest = observed(self.names["step"])
            if not isinstance(loss, Tensor) or loss.size != 1:
                got = "None" if loss is None else f"{type(loss).__name__} {loss!r:.40}"
                raise TypeError(f"step: it returned {got}, want the loss, a Tensor of one number: return loss")
            moment["losses"].append(loss.item())
        self.draw(moment)

    def explain(self, moment: dict[str, Any]) -> None:
        """Make the player of the input that is drawn, or else of the latest step."""
        made = self.latest and self.latest() if self.image is None else self.names["draw"](self.image)
        moment["page"] = _page(made)

    def paint(self, pixels: list[tuple[int, int, float]], moment: dict[str, Any]) -> None:
        """Draw pixels on the input, and make its player."""
        for y, x, number in pixels:
            self.image[0, y, x] = number
        self.explain(moment)

    def draw(self, moment: dict[str, Any]) -> None:
        """Draw the program's picture, if it has one."""
        if self.has("picture"):
            start = perf_counter()
            pixels = np.asarray(self.names["picture"]())
            if pixels.dtype != np.uint8 or pixels.shape[2:] != (3,):
                raise TypeError(f"picture: it returned {pixels.dtype} {pixels.shape}, want uint8 (height, width, 3)")
            moment["picture"], self.cost = url(pixels), perf_counter() - start
            moment["caption"] = (getdoc(self.names["picture"]) or "").partition("\n")[0]


class _Output(io.TextIOBase):
    """A file whose text is written to the page, up to its limit."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.pass_on, self.left = write, MOST

    def write(self, text: str) -> int:
        if self.left:
            shown = text[: self.left]
            self.left -= len(shown)
            self.pass_on(shown if self.left else f"{shown}\n(the page shows no more than {MOST:,} characters)\n")
        return len(text)


def _page(value: Any) -> str:
    """Return the player of a graph, or a page as it is; "" for anything else."""
    page = value.page() if isinstance(value, graph.Graph) else value
    return page if isinstance(page, str) and page.startswith("<!doctype html>") else ""


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    lines = traceback.format_exception_only(error)
    text = "".join(line for line in lines if "error.graph.show()" not in line).strip()  # the page shows it
    return re.sub(rf"\b{FILE}:(\d)", r"line \1", text)


def _line(error: BaseException) -> int:
    """Return the innermost line of the program that the error came through."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno or 0
    return next((f.lineno or 0 for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == FILE), 0)
