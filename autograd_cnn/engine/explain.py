"""Explains the errors of operations: a message names the operation, the operands, the user's line and a cure.

All of this runs only when a call has failed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import refusal
from autograd_cnn.engine.messages import describe, here, spell
from autograd_cnn.engine.tensor import Tensor

_KINDS = (np.linalg.LinAlgError, ValueError, TypeError, IndexError)
# Errors of code that met an argument of a kind or a size that it does not expect
_INTERNAL = (AttributeError, OverflowError, MemoryError, ZeroDivisionError)


_SIMPLE = (int, float, bool, str, bytes, list, tuple, dict, type, slice)


def is_explained(error: Exception, packaged: bool = True) -> bool:
    """Return whether `error` needs no explanation, since it is not about operands.

    An error of an inner operation is explained again, with the name of the function of the package that called it.
    """
    if not packaged and (hasattr(error, "explained") or isinstance(error, _INTERNAL)):
        return hasattr(error, "explained") or "'NoneType'" not in str(error)
    return not isinstance(error, (*_KINDS, *_INTERNAL))


def explained(error: Exception, name: str, labelled: Iterable[tuple[str, Any]], needed: Collection[str]) -> Exception:
    """Return an error that names the operation, the problem, operands, the user's line and the cure.

    The first line of the original text is the problem, and the rest is the cure. `labelled` has the arguments with
    their names, of which those in `needed` must not be None.
    """
    labelled = [*labelled]
    operands = [(label, v) for label, v in labelled if hasattr(v, "dtype")]
    problem, _, cure = getattr(error, "explained", None) or str(error).partition("\n")
    problem = re.sub(rf"^{re.escape(name)}\w*: ", "", problem)  # also that of its own primitive, such as pad_constant
    kind: type[Exception] = next((k for k in _KINDS if isinstance(error, k)), TypeError)
    if absent := [n for n, v in labelled if v is None and n in needed]:
        problem, cure = f"{absent[0]} is None", "Does the function that computes it end with `return ...`?"
        kind = TypeError
    elif isinstance(error, _INTERNAL):
        kind, problem, cure = _unsuited(error, labelled, problem)
        if not problem:
            return error
    elif "not supported for the input types" in problem:  # of a ufunc
        problem = "wants real numbers" if any(v.dtype.kind == "c" for _, v in operands) else "wants numbers"
    elif operands and (cast := re.match(r"Cannot cast .* from dtype\('(\w+)'\) to dtype\('[uib]", problem)):
        cure = f"Convert first: {operands[0][0]}.astype(np.{cast[1]})"
    elif "could not be broadcast together with shapes" in problem and len(operands) == 2:
        problem = " and ".join(f"{getattr(v, 'name', None) or label} {v.shape}" for label, v in operands)
        problem += " do not broadcast"
        cure = _column_cure(*operands)
    shown = [describe(v, label) for label, v in operands]
    if not cure:
        shown += [
            f"{n}={v!r:.40}" for n, v in labelled if not hasattr(v, "dtype") and v is not None and n not in problem
        ]
    lines = [f"{name}: {problem}"]
    if shown:
        lines.append("  " + "    ".join(shown))
    lines.append(f"  at {spell(here())}")
    if cure:
        lines.append(f"  {cure}")
    lines += [f"  {origin}" for label, v in operands if (origin := _origin(v, label))]
    explanation: Any = kind("\n".join(lines))
    explanation.explained = problem, "", cure
    return explanation


def _unsuited(error: Exception, labelled: list[tuple[str, Any]], problem: str) -> tuple[type[Exception], str, str]:
    """Return kind, problem and cure of an error inside code that met an argument of another kind or size."""
    if isinstance(error, AttributeError):
        lacking = [(n, v) for n, v in labelled if f"'{type(v).__name__}' object" in str(error)]
        strange = [(n, v) for n, v in labelled if not (hasattr(v, "dtype") or v is None or type(v) in _SIMPLE)]
        found = [(n, v) for n, v in lacking + strange if not hasattr(v, "dtype")]
        name, value = found[0] if found else ("", "")
        want = "" if value is None else ", want an array"
        return TypeError, f"{name} is {value!r:.40}{want}" if found else "", ""
    return ValueError, problem or "too large for the memory", ""


def _origin(value: Any, label: str) -> str:
    """Explain a number such as 400: ``x is flatten (model.py:31) of (64, 5, 5, 16), and 5*5*16 = 400``."""
    node: Any = getattr(value, "_node", None)
    if not hasattr(node, "plan") or not node.plan.primitive.moves:
        return ""
    before = getattr(node.inputs[0], "shape", ())  # that of stack may be a number
    joined = before[len(value.shape) - 1 :]
    if len(joined) < 2 or (*before[: len(value.shape) - 1], math.prod(joined)) != value.shape:
        return ""
    return f"{label} is {node} of {before}, and {'*'.join(map(str, joined))} = {value.shape[-1]}"


def _column_cure(first: tuple[str, Any], second: tuple[str, Any]) -> str:
    """Suggest a column, or the shape of a bias, for shapes such as (64, 10) and (64,); else state NumPy's rule."""
    (label, short), (_, long) = sorted((first, second), key=lambda pair: pair[1].ndim)
    if short.ndim and short.ndim < long.ndim and long.shape[: short.ndim] == short.shape:
        shape = short.shape + (1,) * (long.ndim - short.ndim)
        column = f"{getattr(short, 'name', None) or label}.reshape{shape}"
        is_bias = getattr(short, "requires_grad", False) and not getattr(long, "is_leaf", True)  # added to a result
        if is_bias:
            return f"A bias has the shape of the last axes, {long.shape[-short.ndim :]}; {column} has one for each row"
        return f"{column}?"
    return "Shapes are compared from the right; each pair must be equal or contain a 1."


def explain(error: Exception, primitive: Any, args: Any, values: Sequence[Any]) -> None:
    """Raise a better error than a call of a primitive raised, if there is one."""
    if is_explained(error, primitive.packaged):
        return
    cause = None if primitive.packaged else error
    error = nested(primitive, args) or refusal(primitive, values) or error
    raise explained(error, primitive.name, *described(primitive, args)) from cause


def refuse_nested(primitive: Any, args: Any) -> None:
    """Raise an error if a Tensor with a history is inside of an argument of a user's primitive."""
    if not primitive.packaged and (error := nested(primitive, args)):
        raise explained(error, primitive.name, *described(primitive, args))


def described(primitive: Any, args: Any) -> tuple[list[tuple[str, Any]], set[str]]:
    """Return the arguments that are not defaults, by name, and the names of those that must not be None."""
    pairs, missing = zip(primitive.flat_names(len(args)), args, strict=True), object()
    given = [(name, value) for name, value in pairs if value is not primitive.defaults.get(name, missing)]
    return given, primitive.rules.keys() - primitive.defaults.keys()


def nested(primitive: Any, args: Sequence[Any]) -> TypeError | None:
    """Return an error if a Tensor with a history is inside of an argument, where no rule reaches it, else None."""
    names = primitive.flat_names(len(args))
    for i, (name, value) in enumerate(zip(names, args, strict=True)):
        label = f"{name}[{i - names.index(name)}]" if name == primitive.sequence else name
        if not isinstance(value, Tensor) and (path := _path_of_tensor(label, value, set())):
            return errors.nested(primitive, name, value, path)
    return None


_LEAVES = frozenset({int, float, bool, complex, str, bytes, type(None), np.ndarray})


def _path_of_tensor(path: str, value: Any, visited: set[int]) -> str | None:
    """Return the path of a Tensor with a history in nested containers and objects, ``params['w']``, or None."""
    if isinstance(value, Tensor):
        return path if value.requires_grad else None
    if isinstance(value, (type, ModuleType)) or id(value) in visited:
        return None
    visited.add(id(value))
    if isinstance(value, Mapping):
        parts = [(f"[{k!r}]", v) for k, v in value.items()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = [(f"[{i}]", v) for i, v in enumerate(value) if type(v) not in _LEAVES]
    else:
        parts = [(f".{k}", v) for k, v in getattr(value, "__dict__", {}).items()]
    return next((found for k, v in parts if (found := _path_of_tensor(path + k, v, visited))), None)
