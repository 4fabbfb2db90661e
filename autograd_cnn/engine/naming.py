"""Errors of public functions and classes, which name what the user called, its arguments and the user's line.

Primitives explain their own errors. `enrol` does the same for the functions of primitives in a package of operations.
`publish` does it for the public functions and classes of another room, for calls that do not fit the parameters. A call
through this costs one frame, so methods do without.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import partial, wraps
from inspect import Parameter, isfunction, ismodule, unwrap
from traceback import walk_tb
from types import CodeType, MethodType
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.explain import explained, is_explained
from autograd_cnn.engine.messages import inside, missing
from autograd_cnn.engine.registry import composites, counterparts, numpys, registry
from autograd_cnn.engine.rules import untyped

FACE = "autograd_cnn"
_NAMED = re.compile(r"\S+: ")  # a text that begins with the name of a function
_NUMPY = os.path.dirname(np.__file__)
_OF_ARGUMENTS = TypeError, ValueError, AttributeError  # the last: an argument is of another class


def enrol(room: dict[str, Any], prefix: str = "") -> None:
    """Register the functions in ``__all__`` of a package of operations: ``enrol(globals())`` at its end.

    So Tensor's methods find them by name, and NumPy's functions of the same names find them. The errors of functions of
    primitives get their names, in the package and in all its files.
    """
    room.setdefault("__dir__", lambda: room["__all__"])
    named: dict[Any, Any] = {}
    for name in room["__all__"]:
        function = room[name]
        if isfunction(function) and not _is_named(function) and function not in named:
            named[function] = _named(function, prefix + function.__name__, _explain)
            composites[unwrap(function).__code__] = named[function]
            primitive: Any = registry.get(prefix + name)  # of the same name: a function over it
            if primitive is not None:
                named[function].primitive, named[function].rules = primitive, primitive.rules
        registry[prefix + name] = named.get(function, function)
        if (theirs := numpys(prefix + name)) is not None:
            counterparts[theirs] = prefix + name
    for names in (room, *(vars(file) for file in room.values() if ismodule(file))):
        names.update({n: named[v] for n, v in names.items() if isfunction(v) and v in named})


def publish(room: dict[str, Any], *later: str) -> None:
    """Give the functions and classes in ``__all__`` of a room errors about calls that do not fit their parameters.

    Errors about an argument get the name before them. `later` has names instead of ``__all__``. Names that are imported
    when they are first used are left out.
    """
    if not later:
        room.setdefault("__dir__", lambda: room["__all__"])
        room.setdefault("__getattr__", partial(_absent, room))
    for name in later or room["__all__"]:
        value = room.get(name)
        if not getattr(value, "__module__", FACE).startswith(FACE + "."):
            continue
        if isinstance(value, type):
            for base in value.__mro__:
                function = vars(base).get("__init__")
                if base.__module__.startswith(FACE + ".") and isfunction(function) and not _is_named(function):
                    base.__init__ = _named(function, "", _prefix)  # type: ignore[misc]  # mypy: it may be a subclass's
        elif isfunction(value) and not _is_named(value):
            named = _named(value, name, _prefix)
            for names in (room, vars(sys.modules[value.__module__])):
                names.update({n: named for n, v in names.items() if v is value})


def _absent(room: dict[str, Any], name: str) -> Any:
    raise AttributeError(missing(name, room["__name__"], room["__all__"]), name=name)  # with it, Python guesses no more


def _is_named(function: Callable[..., Any]) -> bool:
    return getattr(function, "__code__", None) is _CODE


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
                bound, passed = (function, args) if title else (MethodType(function, args[0]), args[1:])
                signature = untyped(bound)
                try:
                    signature.bind(*passed, **options)
                except TypeError:
                    raise errors.wrong_arguments(name, signature, passed, options) from None
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
    signature = untyped(function)
    labelled: list[tuple[str, Any]] = []
    for name, value in signature.bind(*args, **options).arguments.items():
        several = signature.parameters[name].kind is Parameter.VAR_POSITIONAL
        labelled += [(name, v) for v in value] if several else [(name, value)]
    needed = {n for n, p in signature.parameters.items() if p.default is p.empty}
    if (better := explained(error, title, labelled, needed)) is not error:
        raise better from None


def _prefix(error: Exception, title: str, *call: Any) -> None:
    """Put the name before an error about an argument."""
    problem = ". ".join(str(error).split("\n"))
    told = hasattr(error, "explained") or _NAMED.match(problem)
    if isinstance(error, _OF_ARGUMENTS) and not told:
        raise (ValueError if isinstance(error, ValueError) else TypeError)(f"{title}: {problem}") from None


def _foreign(code: CodeType) -> bool:
    """Return whether code is neither the package's nor NumPy's."""
    return not inside[code.co_filename] and not code.co_filename.startswith(("numpy", _NUMPY))


_CODE = _named(print, "print", _prefix).__code__
