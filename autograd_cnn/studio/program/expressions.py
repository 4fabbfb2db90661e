"""Handles expressions as text: changes names, removes needless parentheses, and writes literals and arguments."""

from __future__ import annotations

import ast
import inspect
import keyword
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np

_NAME = re.compile(r"""(b?'(?:\\.|[^'\\])*'|b?"(?:\\.|[^"\\])*")|(?<![\w.])[^\W\d]\w*""")  # or a string; no attribute


class NoSource(Exception):
    """Raised if an object cannot be written as an expression."""


class Rewriter(ast.NodeVisitor):
    """A `NodeTransformer` that makes new nodes and leaves the old ones unchanged, because they may be shared."""

    def generic_visit(self, node: ast.AST) -> Any:
        fields = dict(ast.iter_fields(node))
        for name, value in fields.items():
            if isinstance(value, ast.AST):
                fields[name] = self.visit(value)
            elif isinstance(value, list):
                fields[name] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
        return type(node)(**fields)


def parsed(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def names_in(text: str) -> list[str]:
    """Return the names and keywords in an expression, without attributes."""
    return [found[0] for found in _NAME.finditer(text) if not found[1]]


def renamed(text: str, new: Callable[[str], str]) -> str:
    """Return the expression with each name replaced by ``new(name)``."""
    return _NAME.sub(lambda found: found[0] if found[1] or keyword.iskeyword(found[0]) else new(found[0]), text)


def numbered(text: str, names: dict[str, str]) -> str:
    """Replace names by numbers, and store these in `names`: ``x * np.exp(x)`` becomes ``_0 * _1.exp(_0)``."""
    return renamed(text, lambda name: names.setdefault(name, f"_{len(names)}"))


def tidy(text: str) -> str:
    """Return the expression without needless parentheses."""
    names: dict[str, str] = {}
    pattern = _tidied(numbered(text, names))
    back = {number: name for name, number in names.items()}
    return renamed(pattern, back.__getitem__)


@lru_cache(maxsize=1024)
def _tidied(pattern: str) -> str:
    return ast.unparse(parsed(pattern))


def _refuse(value: Any) -> str:
    raise NoSource


def literal(value: Any, other: Callable[[Any], str] = _refuse) -> str:
    """Write a plain value as an expression; `other` writes any other value."""
    if value is ...:
        return "..."
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({literal(value.item())})"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else re.sub("inf|nan", r"np.\g<0>", repr(value))
    if isinstance(value, slice) or (type(value) is tuple and any(isinstance(part, slice) for part in value)):
        return f"np.s_[{index(value, other)}{',' if type(value) is tuple and len(value) == 1 else ''}]"
    if isinstance(value, np.dtype):
        return f"np.{value.name}" if value == getattr(np, value.name, None) else f"np.dtype({value.str!r})"
    if type(value) in (tuple, list):
        return sequence(value, [literal(part, other) for part in value])
    return other(value)


def index(value: Any, other: Callable[[Any], str] = _refuse) -> str:
    """Write an index as the text between brackets."""
    if type(value) is tuple and value:
        return ", ".join(index(part, other) for part in value)
    if not isinstance(value, slice):
        return literal(value, other)
    start, stop, step = ("" if end is None else literal(end, other) for end in (value.start, value.stop, value.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


def sequence(like: Any, parts: Any) -> str:
    """Write `parts` as a tuple if `like` is one, else as a list."""
    inner = "".join(f"{part}, " for part in parts)
    return f"({inner})" if isinstance(like, tuple) else f"[{inner}]"


def passed(
    function: Any, args: Sequence[Any], options: dict[str, Any], array: type, text: Callable[[Any, str], str]
) -> str:
    """Write the arguments of a call: options by name, and only if they differ from the default.

    An option is an argument that has a default and is not of the type `array`. ``text(value, name)`` writes a value.
    """
    if not isinstance(function, FunctionType):
        return ", ".join([*(text(a, "") for a in args), *(f"{name}={text(a, name)}" for name, a in options.items())])
    bound = inspect.signature(function).bind(*args, **options)
    texts: list[str] = []
    by_name = False
    for k, (name, value) in enumerate(bound.arguments.items()):
        parameter = bound.signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            texts += [text(element, name) for element in value]
            continue
        by_name |= k >= len(args) or (parameter.default is not parameter.empty and type(value) is not array)
        if repr(value) != repr(parameter.default):
            texts.append(f"{name}={text(value, name)}" if by_name else text(value, name))
    return ", ".join(texts)
