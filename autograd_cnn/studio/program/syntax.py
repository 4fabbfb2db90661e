"""Makes expressions as syntax trees: literals, indices and calls. Trees share nodes, so a node never changes."""

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


class NoSource(Exception):
    """Raised if an object cannot be written as an expression."""


class Replaced(ast.NodeVisitor):
    """Copies a tree, and replaces each node for which ``new(node)`` is a node."""

    def __init__(self, new: Callable[[Any], Any]) -> None:
        self.new = new

    def visit(self, node: Any) -> Any:
        if type(node) is list:
            return [self.visit(part) for part in node]
        if not getattr(node, "_fields", ()):  # a constant, an operator or a context
            return node
        return self.new(node) or type(node)(*[self.visit(getattr(node, name)) for name in node._fields])


@lru_cache(maxsize=8192)
def parsed(text: str) -> Any:
    name = text.isidentifier() and not keyword.iskeyword(text)
    return ast.Name(text, ast.Load()) if name else ast.parse(text, mode="eval").body


@lru_cache(maxsize=8192)
def text_of(tree: ast.AST) -> str:
    return ast.unparse(tree)


def names_in(tree: ast.AST) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def renamed(tree: Any, new: Callable[[str], Any]) -> Any:
    """Return the tree with the tree ``new(name)`` in place of each name, unless that is None."""
    if type(tree) is ast.Name:  # as most arguments are
        return new(tree.id) or tree
    return Replaced(lambda node: new(node.id) if type(node) is ast.Name else None).visit(tree)


def form(text: str, *parts: Any) -> Any:
    """Return the tree of `text` with the trees `parts` in place of a and b: ``form("a.sum(axis=b)", x, axis)``."""
    return renamed(parsed(text), dict(zip("ab", parts, strict=False)).get)


def evaluate(tree: Any, scope: dict[str, Any]) -> Any:
    if type(tree) is ast.Name and tree.id in scope:
        return scope[tree.id]
    return eval(compile(ast.fix_missing_locations(ast.Expression(tree)), "<expression>", "eval"), scope)


def _refuse(value: Any) -> Any:
    raise NoSource


def literal(value: Any, other: Callable[[Any], Any] = _refuse) -> Any:
    """Write a plain value as an expression; `other` writes any other value."""
    if value is ... or value is None or isinstance(value, (bool, int, str, bytes)):
        return parsed("..." if value is ... else repr(value))
    if isinstance(value, np.generic):
        return form(f"np.{value.dtype.name}(a)", literal(value.item()))
    if isinstance(value, float):
        return parsed(repr(value) if math.isfinite(value) else re.sub("inf|nan", r"np.\g<0>", repr(value)))
    if isinstance(value, complex):
        return form("complex(a, b)", literal(value.real), literal(value.imag))  # its own form may lose the sign of a 0
    if isinstance(value, np.dtype):
        return parsed(f"np.{value.name}" if value == getattr(np, value.name, None) else f"np.dtype({value.str!r})")
    if isinstance(value, slice):
        return form("np.s_[a]", index(value, other))
    if type(value) is tuple and any(isinstance(part, slice) for part in value):
        return form("np.s_[a]", ast.Tuple([index(part, other) for part in value], ast.Load()))
    if type(value) in (tuple, list):
        return (ast.List if type(value) is list else ast.Tuple)([literal(part, other) for part in value], ast.Load())
    return other(value)


def index(value: Any, other: Callable[[Any], Any] = _refuse) -> Any:
    """Write an index, as it stands between brackets."""
    if type(value) is tuple and value:
        parts = [index(part, other) for part in value]
        return ast.Tuple(parts, ast.Load()) if parts[1:] else parts[0]
    if not isinstance(value, slice):
        return literal(value, other)
    return ast.Slice(*(None if end is None else literal(end, other) for end in (value.start, value.stop, value.step)))


def call(
    name: Any, function: Any, args: Sequence[Any], options: dict[str, Any], array: type, part: Callable[[Any, str], Any]
) -> ast.Call:
    """Write a call of `function` by its `name`, with options by name, and only if they differ from the default.

    An option is an argument that has a default and is not of the type `array`. ``part(value, name)`` writes a value.
    """
    if not isinstance(function, FunctionType):
        return ast.Call(name, [part(a, "") for a in args], [ast.keyword(n, part(a, n)) for n, a in options.items()])
    bound = inspect.signature(function).bind(*args, **options)
    given: list[Any] = []
    named: list[Any] = []
    by_name = False
    for k, (port, value) in enumerate(bound.arguments.items()):
        parameter = bound.signature.parameters[port]
        if parameter.kind is parameter.VAR_POSITIONAL:
            given += [part(element, port) for element in value]
            continue
        by_name |= k >= len(args) or (parameter.default is not parameter.empty and not isinstance(value, array))
        if repr(value) != repr(parameter.default):
            tree = part(value, port)
            (named if by_name else given).append(ast.keyword(port, tree) if by_name else tree)
    return ast.Call(name, given, named)
