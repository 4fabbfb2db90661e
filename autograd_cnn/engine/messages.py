"""Where the user is, and how the engine speaks to them.

A message says what is wrong in the user's own numbers, names the operands, points at the user's line and ends
with a cure. Nothing here runs unless something is said: the tape keeps a code object and an offset for every
operation (never the frame, which would keep the user's arrays alive), and only a message resolves them.
"""

from __future__ import annotations

import math
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
"""A code object and an offset into its bytecode: a line of somebody's file, not resolved yet."""


class _Inside(dict[str, bool]):
    """Whether a file is one of the package's: asked for every operation, so the answer is kept."""

    def __missing__(self, filename: str) -> bool:
        answer = self[filename] = filename.startswith(PACKAGE)
        return answer


inside = _Inside()


def user_frame() -> FrameType:
    """The first frame outside the package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and inside[frame.f_code.co_filename]:
        frame = frame.f_back
    return frame


def here() -> Place:
    """The user's line, as code object and offset."""
    frame = user_frame()
    return frame.f_code, frame.f_lasti


def line_of(place: Place) -> int:
    """The line number of a place."""
    code, offset = place
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return line
    return code.co_firstlineno


def spell(place: Place | None) -> str:
    """``model.py:23``."""
    return "an unknown line" if place is None else f"{os.path.basename(place[0].co_filename)}:{line_of(place)}"


def label_of(tensor: Any) -> str:
    """What a message calls a Tensor."""
    return tensor.name or "this tensor"


def describe(value: Any, label: str = "") -> str:
    """``conv1.w (3, 3, 1, 16) float32``: the name if there is one, the shape, the dtype."""
    name = getattr(value, "name", None)
    kind = f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else repr(value)[:40]
    return " ".join(part for part in (label, name if name != label else "", kind) if part)


def is_explained(error: Exception) -> bool:
    """Whether `error` needs no retelling: an operation inside this one has done it, or it is not about operands."""
    return getattr(error, "explained", False) or not isinstance(error, (ValueError, TypeError, IndexError))


def explained(error: Exception, name: str, labelled: Iterable[tuple[str, Any]]) -> Exception:
    """The same kind of error, retold: operation, what is wrong, operands, the user's line, the cure.

    The first line of the original text says what is wrong; what follows it is the cure.
    """
    operands = [(label, v) for label, v in labelled if hasattr(v, "dtype")]
    wrong, _, cure = str(error).partition("\n")
    if "could not be broadcast together with shapes" in wrong and len(operands) == 2:
        wrong = " and ".join(_short(v, label) for label, v in operands) + " do not broadcast"
        cure = _column_cure(*operands)
    lines = [f"{name}: {wrong.removeprefix(name + ': ')}"]
    if operands:
        lines.append("  " + "    ".join(describe(v, label) for label, v in operands))
    lines.append(f"  at {spell(here())}")
    if cure:
        lines.append(f"  {cure}")
    lines += [f"  {origin}" for label, v in operands if (origin := _origin(v, label))]
    retold: Any = next(k for k in (ValueError, TypeError, IndexError) if isinstance(error, k))("\n".join(lines))
    retold.explained = True
    return retold


def _short(value: Any, label: str) -> str:
    return f"{getattr(value, 'name', None) or label} {value.shape}"


def _origin(value: Any, label: str) -> str:
    """Where a number like 400 comes from: ``x is flatten (model.py:31) of (64, 5, 5, 16), and 5*5*16 = 400``."""
    node: Any = getattr(value, "_node", None)
    if not hasattr(node, "plan") or not node.plan.primitive.moves:
        return ""
    before = node.inputs[0].shape
    joined = before[len(value.shape) - 1 :]
    if len(joined) < 2 or (*before[: len(value.shape) - 1], math.prod(joined)) != value.shape:
        return ""
    return f"{label} is {node} of {before}, and {'*'.join(map(str, joined))} = {value.shape[-1]}"


def _column_cure(first: tuple[str, Any], second: tuple[str, Any]) -> str:
    """(64, 10) with (64,): the short one was meant as a column."""
    (label, short), (_, long) = sorted((first, second), key=lambda pair: pair[1].ndim)
    if short.ndim and short.ndim < long.ndim and long.shape[: short.ndim] == short.shape:
        shape = short.shape + (1,) * (long.ndim - short.ndim)
        return f"{getattr(short, 'name', None) or label}.reshape{shape}?"
    return "Shapes are compared from the right; each pair must be equal or contain a 1."


def missing(name: str, owner: str, known: Iterable[str]) -> str:
    """``Tensor has no 'view'. Here: ag.reshape(x, shape)``."""
    text = f"{owner} has no {name!r}"
    if name in advice:
        return f"{text}. Here: {advice[name]}"
    if name.startswith("_"):  # NumPy, pickle and notebooks ask for much
        return text
    if name.endswith("_"):
        return f"{text}. Nothing works in place; outside a graph: x.data[...] = values"
    known = [*known]
    if "sum" in known and (hasattr(np, name) or hasattr(np.ndarray, name)):  # an owner with NumPy's names
        called = f"x.data.{name}" if hasattr(np.ndarray, name) else f"np.{name}(x.data)"
        return f"{text}. NumPy's, outside the graph: {called}"
    same = [k for k in known if _bare(k) == _bare(name)]
    return f"{text}.{did_you_mean(name, same or known)}".removesuffix(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'out'?``, or nothing."""
    known = [*known]
    close = get_close_matches(name, known, 1) or (known if len(known) == 1 and _bare(known[0]) == _bare(name) else [])
    return f" Did you mean {close[0]!r}?" if close else ""


def _bare(name: str) -> str:
    """What is common to ``ag.log_softmax`` and LogSoftmax, to MSELoss and mse_loss."""
    return name.removeprefix("ag.").replace("_", "").lower().removesuffix("loss")


def note(error: BaseException, text: str) -> None:
    """Add a line to an error on its way up (Python 3.10 has no notes and goes without)."""
    if hasattr(error, "add_note"):
        error.add_note(text)


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, once a line under Python's default filters."""
    frame = user_frame()
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, category, frame.f_code.co_filename, frame.f_lineno, registry=registry)
