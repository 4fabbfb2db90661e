"""Finds the user's line, and formats messages.

A message describes the problem with the user's own numbers, names the operands, points at the user's line and ends with
a cure. The tape keeps only a code object and an offset for every operation, never the frame, which would keep the
user's arrays alive. They are resolved when a message is made.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from types import CodeType, FrameType
from typing import Any

import numpy as np

from autograd_cnn.engine.registry import advice

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

Place = tuple[CodeType, int]
"""A code object and an offset into its bytecode, which determine a file and a line."""


class _Inside(dict[str, bool]):
    """Caches whether a file belongs to the package, since every recorded operation looks it up."""

    def __missing__(self, filename: str) -> bool:
        answer = self[filename] = filename.startswith(PACKAGE)
        return answer


inside = _Inside()
LIBRARIES = "site-packages", "dist-packages", os.path.dirname(os.__file__) + os.sep


def user_frame(*others: str) -> FrameType:
    """Return the innermost frame outside the package, and outside of files with one of the `others` in their path."""
    frame = sys._getframe(1)
    while frame.f_back and (inside[file := frame.f_code.co_filename] or any(other in file for other in others)):
        frame = frame.f_back
    return frame


def here(*others: str) -> Place:
    """Return the line of `user_frame`, as code object and offset."""
    frame = user_frame(*others)
    return frame.f_code, frame.f_lasti


def line_of(place: Place) -> int:
    """Return the line number of a place."""
    code, offset = place
    lines = (line for start, end, line in code.co_lines() if start <= offset < end)
    return next(filter(None, lines), code.co_firstlineno)


def cell_of(code: CodeType) -> str:
    """Return ``In [3]`` if `code` is of that cell of IPython, where the name of the file is random; else ""."""
    ipython = sys.modules.get("IPython")
    compiler = getattr(ipython.get_ipython(), "compile", None) if ipython else None
    _, cell = getattr(compiler, "format_code_name", lambda name: None)(code.co_filename) or ("", "")
    return cell.replace("In[", "In [")


def file_of(code: CodeType) -> str:
    """Return the name of the file of `code`, without its folder, or the number of its cell, ``In [3]``."""
    return cell_of(code) or os.path.basename(code.co_filename)


def spell(place: Place | None) -> str:
    """Format a place as ``model.py:23``, or as ``In [3]:2`` in a notebook."""
    return "an unknown line" if place is None else f"{file_of(place[0])}:{line_of(place)}"


def variable_of(tensor: Any) -> str:
    """Return the name of a variable of the user's function that holds `tensor`, or ""; libraries may lie between."""
    frame = user_frame(*LIBRARIES)
    scopes = (frame.f_locals, frame.f_globals)
    return next((n for scope in scopes for n, v in [*scope.items()] if v is tensor and not n.startswith("_")), "")


def label_of(tensor: Any) -> str:
    """Return what a message calls a Tensor."""
    return tensor.name or variable_of(tensor) or "this tensor"


def code_of(tensor: Any) -> str:
    """Return what code to paste calls a Tensor."""
    return variable_of(tensor) or tensor.name or "x"


def describe(value: Any, label: str = "") -> str:
    """Describe a value as ``conv1.w (3, 3, 1, 16) float32``: name, if it has one, shape and dtype."""
    name = getattr(value, "name", None)
    form = f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else repr(value)[:40]
    return " ".join(part for part in (label, name if name != label else "", form) if part)


def missing(name: str, owner: str, known: Iterable[str]) -> str:
    """Return the text of an error, ``Tensor has no 'view'. Here: ag.reshape(x, shape)``."""
    text = f"{owner} has no {name!r}"
    if cure := advice.get(f"{owner}.{name}", advice.get(name)):
        return f"{text}. Here: {cure}"
    if name.startswith("_"):  # NumPy, pickle and notebooks look for many private names
        return text
    if name.endswith("_"):
        return f"{text}. Nothing works in place; outside a graph: x.data[...] = values"
    known = [k for k in known if not k.startswith("_")]
    theirs, of_arrays = getattr(np, name, None), hasattr(np.ndarray, name)
    if "sum" in known and (of_arrays or theirs is not None):  # `owner` uses NumPy's names
        called = f"np.{name}(x.data)" if callable(theirs) and not isinstance(theirs, type) else f"np.{name}"
        return f"{text}. NumPy's, outside the graph: {f'x.data.{name}' if of_arrays else called}"
    return f"{text}.{did_you_mean(name, known)}".removesuffix(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'out'?`` if a known name is the same but for a slip, else an empty string."""
    known = [*known]
    digits = {*filter(str.isdigit, name)}  # Conv3d is not Conv2d
    near = [k for k in get_close_matches(name, known, 3, 0.8) if digits <= {*k} and k[0].lower() == name[0].lower()]
    begun = [k for k in known if k.startswith(name) and len(name) > 2]
    close = [k for k in known if _bare(k) == _bare(name)] or near or begun * (len(begun) == 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _bare(name: str) -> str:
    """Return what ``ag.log_softmax`` and LogSoftmax, or MSELoss and mse_loss, have in common."""
    return name.removeprefix("ag.").replace("_", "").lower().removesuffix("loss")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line. Python's default filters show the warning once per line."""
    frame = user_frame()
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    file = cell_of(frame.f_code) or frame.f_code.co_filename
    warnings.warn_explicit(text, category, file, frame.f_lineno, registry=registry)
