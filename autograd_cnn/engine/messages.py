"""Where the user is, and how the engine speaks to them.

A message says what is wrong in the user's own numbers, names the operands, points at the user's line and ends
with a cure. Nothing here runs unless something is said: the tape keeps a code object and an offset for every
operation (never the frame, which would keep the user's arrays alive), and only a message resolves them.
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


def describe(value: Any, label: str = "") -> str:
    """``conv1.w (3, 3, 1, 16) float32``: the name if there is one, the shape, the dtype."""
    name = getattr(value, "name", None)
    kind = f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else repr(value)[:40]
    return " ".join(part for part in (label, name if name != label else "", kind) if part)


def explain(error: Exception, name: str, labelled: Iterable[tuple[str, Any]]) -> Exception:
    """The same kind of error, retold: operation, what is wrong, operands, the user's line, the cure.

    The first line of the original text says what is wrong; what follows it is the cure.
    """
    if getattr(error, "explained", False) or not isinstance(error, (ValueError, TypeError, IndexError)):
        return error
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
    kind = next(k for k in (ValueError, TypeError, IndexError) if isinstance(error, k))
    told: Any = kind("\n".join(lines))
    told.explained = True
    return told


def _short(value: Any, label: str) -> str:
    return f"{getattr(value, 'name', None) or label} {value.shape}"


def _origin(value: Any, label: str) -> str:
    """Where a number like 400 comes from: ``x is flatten (model.py:31) of (64, 5, 5, 16), and 5*5*16 = 400``."""
    node: Any = getattr(value, "_node", None)
    if not hasattr(node, "plan") or node.plan.primitive.name != "flatten":
        return ""
    before = node.inputs[0].shape
    joined = before[len(value.shape) - 1 :]
    return f"{label} is {node} of {before}, and {'*'.join(map(str, joined))} = {value.shape[-1]}"


def _column_cure(first: tuple[str, Any], second: tuple[str, Any]) -> str:
    """(64, 10) with (64,): the short one was meant as a column."""
    (label, short), (_, long) = sorted((first, second), key=lambda pair: pair[1].ndim)
    if short.ndim and short.ndim < long.ndim and long.shape[: short.ndim] == short.shape:
        shape = short.shape + (1,) * (long.ndim - short.ndim)
        return f"{getattr(short, 'name', None) or label}.reshape{shape}?"
    return "Shapes are compared from the right; each pair must be equal or contain a 1."


HERE = {
    name: here
    for names, here in {
        "view resize": "ag.reshape(x, shape)",
        "permute swapaxes moveaxis": "ag.transpose(x, axes)",
        "t mT": "x.T",
        "ravel": "ag.flatten(x)",
        "unsqueeze": "ag.expand_dims(x, axis)",
        "expand": "ag.broadcast_to(x, shape)",
        "cat concat hstack vstack": "ag.concatenate([x, y], axis)",
        "repeat tile": "ag.concatenate([x, x], axis)",
        "split chunk": "slices, x[:n] and x[n:]",
        "gather index_select": "ag.take(x, indices, axis)",
        "masked_fill": "ag.where(mask, value, x)",
        "clamp": "ag.clip(x, low, high)",
        "sub mul div neg pow eq gt lt": "operators: x - y, x ** y, x == y",
        "dot mm bmm": "x @ y",
        "norm": "ag.sqrt((x * x).sum())",
        "numel": "x.size",
        "dim": "x.ndim",
        "to type float double half long": "x.astype(np.float32); there are no devices",
        "cpu cuda device is_cuda": "nothing to do, arrays are NumPy's; x.data is one",
        "contiguous": "nothing to do, operations lay out their arrays themselves",
        "zero_grad": "x.grad = None, or optimiser.zero_grad()",
        "requires_grad_": "x.requires_grad = True",
        "retain_grad register_hook": "loss.gradient(x)",
        "grad_fn": "x.graph()",
        "zeros ones empty full eye arange rand randn": "an array first, ag.Tensor(np.zeros(shape))",
        "tensor array Parameter from_numpy": "ag.Tensor(array, requires_grad=True)",
        "seed manual_seed": "rng = np.random.default_rng(0), given to whatever draws",
        "functional": "functions are ag's own, as ag.relu(x) and ag.cross_entropy(logits, labels)",
        "Module Sequential Linear Conv2d MaxPool2d AvgPool2d BatchNorm2d Dropout Flatten ReLU Sigmoid": "ag.nn has it",
        "SGD Adam AdamW": "ag.optim has it",
        "binary_cross_entropy": "ag.bce(p, y)",
        "binary_cross_entropy_with_logits": "ag.bce_with_logits(z, y)",
        "NLLLoss nll_loss": "ag.cross_entropy(logits, labels), without a softmax before it",
        "L1Loss l1_loss": "ag.abs(x - y).mean()",
        "forward": "the class computes with def forward(self, x): ...",
        "weight": "layer.w",
        "bias": "layer.b",
        "children named_children named_modules apply": "model.modules(), where each has its path",
        "ModuleList ModuleDict add_module register_module register_buffer register_parameter": (
            "plain attributes, lists and dicts of the model"
        ),
        "lr_scheduler StepLR CosineAnnealingLR OneCycleLR": (
            "schedule = ag.optim.cosine(lr, steps), then optimiser.lr = schedule(step)"
        ),
    }.items()
    for name in names.split()
}
"""What users of PyTorch and NumPy type, and how it is said here."""


def missing(name: str, owner: str, known: Iterable[str]) -> str:
    """``Tensor has no 'view'. Here: ag.reshape(x, shape)``."""
    told = f"{owner} has no {name!r}"
    if name in HERE:
        return f"{told}. Here: {HERE[name]}"
    if name.startswith("_"):  # NumPy, pickle and notebooks ask for much
        return told
    if name.endswith("_"):
        return f"{told}. Nothing works in place; outside a graph: x.data[...] = values"
    known = [*known]
    if "sum" in known and (hasattr(np, name) or hasattr(np.ndarray, name)):  # of what has NumPy's names
        called = f"x.data.{name}" if hasattr(np.ndarray, name) else f"np.{name}(x.data)"
        return f"{told}. NumPy's, outside the graph: {called}"
    close = [k for k in known if _bare(k) == _bare(name)] or get_close_matches(name, known, 1)
    return f"{told}. Did you mean {close[0]!r}?" if close else told


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
