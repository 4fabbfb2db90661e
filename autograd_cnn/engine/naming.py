"""Explains errors: a message names the operation, the operands, the user's line and a cure.

Primitives explain their own errors. `enrol` does the same for the functions of primitives in a package of operations.
`publish` does it for the public functions and classes of another room, for calls that do not fit the parameters. A call
through these costs one frame, so methods do without. The rest runs only when a call has failed.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial, wraps
from inspect import isfunction, ismodule, unwrap
from traceback import walk_tb
from types import CodeType, MethodType
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import refusal
from autograd_cnn.engine.messages import describe, here, inside, missing, spell
from autograd_cnn.engine.numpy_calls import LEAVES, recorded
from autograd_cnn.engine.registry import composites, counterparts, numpys, registry
from autograd_cnn.engine.rules import Parameters, untyped
from autograd_cnn.engine.tensor import Tensor

FACE = "autograd_cnn"
_NAMED = re.compile(r"\S+: ")  # a text that begins with the name of a function
_OF_ARGUMENTS = TypeError, ValueError, AttributeError  # the last: an argument is of another class
_KINDS = (np.linalg.LinAlgError, ValueError, TypeError, IndexError)
# Errors of code that met an argument of a kind or a size that it does not expect
_INTERNAL = (AttributeError, OverflowError, MemoryError, ZeroDivisionError)


def enrol(room: dict[str, Any], prefix: str = "") -> None:
    """Publish a package of operations, ``enrol(globals())`` at its end, and register all of them.

    So Tensor's methods find them by name, and NumPy's functions of the same names find them.
    """
    publish(room, prefix=prefix, explain=_explain)
    for name in room["__all__"]:
        function = room[name]
        if _is_named(function):
            composites[unwrap(function).__code__] = function
            primitive: Any = registry.get(prefix + name)  # of the same name: a function over it
            if primitive not in (None, function):
                function.primitive, function.rules = primitive, primitive.rules
        registry[prefix + name] = function
        if (theirs := numpys(prefix + name)) is not None:
            counterparts[theirs] = prefix + name


def publish(room: dict[str, Any], *later: str, prefix: str = "", explain: Any = None) -> None:
    """Give the functions and classes in ``__all__`` of a room, and in its files, errors that begin with their names.

    These are errors about calls that do not fit the parameters, and those that `explain` raises: by default all about
    an argument. `later` has names instead of ``__all__``. Names that are imported when they are first used are left
    out.
    """
    if not later:
        room.setdefault("__dir__", lambda: room["__all__"])
        room.setdefault("__getattr__", partial(_absent, room))
    named: dict[Any, Any] = {}
    for value in (room.get(name) for name in later or room["__all__"]):
        if not getattr(value, "__module__", FACE).startswith(FACE + "."):
            continue
        if isinstance(value, type):
            for base in value.__mro__:
                function = vars(base).get("__init__")
                if base.__module__.startswith(FACE + ".") and isfunction(function) and not _is_named(function):
                    base.__init__ = _named(function, "", _prefix)  # type: ignore[misc]  # mypy: it may be a subclass's
        elif isfunction(value) and not _is_named(value):
            named.setdefault(value, _named(value, prefix + value.__name__, explain or _prefix))
    files = [room, *(vars(sys.modules[f.__module__]) for f in named), *map(vars, filter(ismodule, room.values()))]
    for names in files:
        names.update({n: named[v] for n, v in names.items() if isfunction(v) and v in named})


def _absent(room: dict[str, Any], name: str) -> Any:
    raise AttributeError(missing(name, room["__name__"], room["__all__"]), name=name)  # with it, Python guesses no more


def _is_named(function: Callable[..., Any]) -> bool:
    return isfunction(function) and function.__code__.co_filename == __file__  # as `call` below has


def _named(function: Callable[..., Any], title: str, explain: Callable[..., None]) -> Any:
    """Return `function` with other errors about calls that it refuses; `explain` raises a better one than others.

    Without a `title` it is a constructor, which is called by the class of `self`.
    """

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except Exception as error:
            name = title or type(args[0]).__name__
            if isinstance(error, TypeError):
                called, passed = (function, args) if title else (MethodType(function, args[0]), args[1:])
                errors.bound(name, untyped(called), passed, options)
            if not any(_foreign(frame.f_code) for frame, _ in walk_tb(error.__traceback__)):
                explain(error, name, function, args, options)
            raise

    return call


def _explain(
    error: Exception, title: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Raise an explanation of an error about arguments."""
    if is_explained(error):
        return
    parameters = Parameters(function, title)
    given, needed = described(parameters, parameters.bind(args, {**options}))
    if (better := explained(error, title, given, needed)) is not error:
        raise better from None


def _prefix(error: Exception, title: str, *call: Any) -> None:
    """Put the name before an error about an argument."""
    problem = ". ".join(str(error).split("\n"))
    told = hasattr(error, "explained") or _NAMED.match(problem)
    if isinstance(error, _OF_ARGUMENTS) and not told:
        raise (ValueError if isinstance(error, ValueError) else TypeError)(f"{title}: {problem}") from None


def _foreign(code: CodeType) -> bool:
    """Return whether code is neither the package's nor NumPy's."""
    return not inside[code.co_filename] and not code.co_filename.startswith(("numpy", *np.__path__))


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
    problem = problem.replace("newaxis", "-1")  # NumPy's word for it in an error about a shape
    kind: type[Exception] = next((k for k in _KINDS if isinstance(error, k)), TypeError)
    if absent := [n for n, v in labelled if v is None and n in needed]:
        problem, cure = f"{absent[0]} is None", "Does the function that computes it end with `return ...`?"
        kind = TypeError
    elif isinstance(error, AttributeError):  # it met an argument of another class
        given = [(n, v) for n, v in labelled if not hasattr(v, "dtype")]
        misfits = [(n, v) for n, v in given if f"'{type(v).__name__}' object" in problem]
        misfits += [(n, v) for n, v in given if type(v) not in (*LEAVES, list, tuple, dict, type, slice)]
        if not misfits:
            return error
        label, value = misfits[0]
        problem = f"{label} is {value!r:.40}" + (", want an array" if value is not None else "")
    elif isinstance(error, _INTERNAL):
        kind, problem = ValueError, problem or "too large for the memory"
    elif "not supported for the input types" in problem:  # of a ufunc
        problem = "wants real numbers" if any(v.dtype.kind == "c" for _, v in operands) else "wants numbers"
    elif operands and (cast := re.match(r"Cannot cast .* from dtype\('(\w+)'\) to dtype\('[uib]", problem)):
        cure = f"Convert first: {operands[0][0]}.astype(np.{cast[1]})"
    elif re.search("broadcast (together|to a single shape)", problem) and len(operands) == 2:
        problem = " and ".join(f"{getattr(v, 'name', None) or label} {v.shape}" for label, v in operands)
        problem += " do not broadcast"
        cure = _column_cure(*operands)
    shown = [describe(v, label) for label, v in operands]
    if not cure:
        shown += [
            f"{n}={v!r:.40}" for n, v in labelled if not hasattr(v, "dtype") and v is not None and n not in problem
        ]
    details = ["    ".join(shown), f"at {spell(here())}", cure, *(_origin(v, label) for label, v in operands)]
    explanation: Any = kind("\n  ".join([f"{name}: {problem}", *filter(None, details)]))
    explanation.explained = problem, "", cure
    return explanation


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
    """Suggest a column for shapes such as (64, 10) and (64,); else state NumPy's rule."""
    (label, short), (_, long) = sorted((first, second), key=lambda pair: pair[1].ndim)
    if short.ndim and short.ndim < long.ndim and long.shape[: short.ndim] == short.shape:
        shape = short.shape + (1,) * (long.ndim - short.ndim)
        return f"{getattr(short, 'name', None) or label}.reshape{shape}?"
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


def described(primitive: Parameters, args: Any) -> tuple[list[tuple[str, Any]], set[str]]:
    """Return the arguments that are not defaults, by name, and the names of those that must not be None."""
    pairs, absent = zip(primitive.flat_names(len(args)), args, strict=True), object()
    given = [(name, value) for name, value in pairs if value is not primitive.defaults.get(name, absent)]
    return given, {*getattr(primitive, "rules", primitive.parameters)} - primitive.defaults.keys()


def nested(primitive: Any, args: Sequence[Any]) -> TypeError | None:
    """Return an error if a Tensor with a history is inside of an argument, where no rule reaches it, else None."""
    for name, value in zip(primitive.flat_names(len(args)), args, strict=True):
        if not isinstance(value, Tensor) and recorded(value) is not None:
            cure = "Pass each Tensor as an argument, or join them: ag.stack(list), ag.ravel_pytree(tree)[0]"
            return TypeError(f"{name} has a Tensor inside of it, where no rule reaches it\n{cure}")
    return None
