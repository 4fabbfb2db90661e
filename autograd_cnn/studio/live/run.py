"""Runs a program of the live page; returns the player's page of its result, or its error and the line of it.

Runs inside the page, where Pyodide is the Python; nothing here depends on it.
"""

from __future__ import annotations

import ast
import io
import linecache
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch
from warnings import catch_warnings

from autograd_cnn.engine.observe import own_operations
from autograd_cnn.ops.random import seed
from autograd_cnn.studio import graph

FILE = "live.py"  # in messages and tracebacks
MOST = 100_000  # characters of output that the page shows


def run(source: str, write: Callable[[str], object]) -> dict[str, Any]:
    """Run a program in a state that no earlier run has changed.

    The result is the value of the last line, if that is an expression, as in a notebook: the player of a `Graph`, or
    the page that `Graph.page` returned. Any other value is printed. `Graph.show` shows the player as well.

    Parameters
    ----------
    source : str
        The program.
    write : callable
        Gets the text that the program prints, piece by piece.

    Returns
    -------
    dict
        `page`, the player's page, or ""; `error`, the message of the exception that ended the program, or "";
        `line`, the line of the program at which it was raised, or 0.

    Examples
    --------
    >>> printed = []
    >>> run("print(1 + 1)", printed.append)
    {'page': '', 'error': '', 'line': 0}
    >>> "".join(printed)
    '2\\n'
    >>> run("import autograd_cnn as ag\\nag.relu('x')", printed.append)["line"]
    2
    """
    linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE  # for `inspect`
    shown: list[str] = []
    out = _Output(write)
    seed(0)
    try:
        showing = patch.object(graph, "show_page", shown.append)  # for `Graph.show`
        with redirect_stdout(out), redirect_stderr(out), catch_warnings(), own_operations(), showing:
            value = _evaluated(source)
            if isinstance(value, graph.Graph):
                value = value.page()
            if isinstance(value, str) and value.startswith("<!doctype html>"):
                shown.append(value)
            elif value is not None:
                print(repr(value))
    except BaseException as error:  # a program that ends itself leaves the page running
        return {"page": "", "error": _message(error), "line": _line(error)}
    return {"page": shown[-1] if shown else "", "error": "", "line": 0}


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


def _evaluated(source: str) -> Any:
    """Run the program, and return the value of its last line, or None."""
    tree, names = ast.parse(source, FILE), {"__name__": "__main__"}
    match tree.body:
        case [*body, ast.Expr(last)]:
            tree.body = body
        case _:
            last = ast.parse("None", mode="eval").body
    exec(compile(tree, FILE, "exec", dont_inherit=True), names)
    return eval(compile(ast.Expression(last), FILE, "eval", dont_inherit=True), names)


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).strip()


def _line(error: BaseException) -> int:
    """Return the innermost line of the program that the error came through."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno or 0
    return next((f.lineno or 0 for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == FILE), 0)
