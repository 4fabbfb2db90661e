"""Finds the source of a function, and rewrites expressions.

A function is found in its file by its first line, and only accepted if it compiles to the code object that runs.
Expressions are text here; `tidy` leaves only the parentheses that they need.
"""

from __future__ import annotations

import ast
import keyword
import linecache
import math
import re
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from autograd_cnn.graph.text import spelled as between

_NAME = re.compile(r"""(b?'(?:\\.|[^'\\])*'|b?"(?:\\.|[^"\\])*")|(?<![\w.])[^\W\d]\w*""")  # or a string; no attribute


class NoSource(Exception):
    """There is no source text for this."""


class Rewriter(ast.NodeVisitor):
    """A `NodeTransformer` that makes new nodes: the old ones may be shared, and do not change."""

    def generic_visit(self, node: ast.AST) -> Any:
        fields = dict(ast.iter_fields(node))
        for name, value in fields.items():
            if isinstance(value, ast.AST):
                fields[name] = self.visit(value)
            elif isinstance(value, list):
                fields[name] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
        return type(node)(**fields)


def source(function: Any) -> Any:
    """The `lambda` or `def` that `function` was made from; not to be changed."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_freevars:
        raise NoSource
    return _found(code, "".join(linecache.getlines(code.co_filename)))


@lru_cache(maxsize=1024)
def _found(code: CodeType, text: str) -> Any:
    functions, imports = _functions(text)
    for node in functions.get(code.co_firstlineno, ()):
        if _same(node, code, imports):
            return node
    raise NoSource


@lru_cache
def _functions(text: str) -> tuple[dict[int, list[Any]], list[ast.stmt]]:
    """The functions in a file, by their first line, and the imports of its module."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}, []
    found: dict[int, list[Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            first: Any = (*getattr(node, "decorator_list", ()), node)[0]
            found.setdefault(first.lineno, []).append(node)
    outside = [n for n in tree.body if not isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.Expr))]
    return found, [n for o in outside for n in ast.walk(o) if isinstance(n, (ast.Import, ast.ImportFrom))]


def _same(node: Any, code: CodeType, imports: list[ast.stmt]) -> bool:
    """Whether `node` compiles to `code`: not if it is a closure, nor if the file has changed since.

    The compiler treats attributes of imported modules differently, so the imports are compiled too.
    """
    tree: Any = ast.Module([*imports, ast.Expr(node) if isinstance(node, ast.Lambda) else node], [])
    compiled = compile(ast.fix_missing_locations(tree), code.co_filename, "exec", dont_inherit=True)
    return any(c.replace(co_flags=code.co_flags) == code for c in compiled.co_consts if isinstance(c, CodeType))


def parsed(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def renamed(text: str, new: Callable[[str], str]) -> str:
    """An expression with other names."""
    return _NAME.sub(lambda found: found[0] if found[1] or keyword.iskeyword(found[0]) else new(found[0]), text)


def numbered(text: str, names: dict[str, str]) -> str:
    """An expression with numbers for its names, which go into `names`: ``x * np.exp(x)`` is ``_0 * _1.exp(_0)``."""
    return renamed(text, lambda name: names.setdefault(name, f"_{len(names)}"))


def tidy(text: str) -> str:
    """An expression without parentheses that change nothing."""
    names: dict[str, str] = {}
    pattern = _tidied(numbered(text, names))
    back = {number: name for name, number in names.items()}
    return renamed(pattern, back.__getitem__)


@lru_cache(maxsize=1024)
def _tidied(pattern: str) -> str:
    return ast.unparse(parsed(pattern))


def literal(value: Any) -> str:
    """A plain value as an expression."""
    if value is ...:
        return "..."
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value)
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({literal(value.item())})"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else re.sub("inf|nan", r"np.\g<0>", repr(value))
    if isinstance(value, slice):
        literal((value.start, value.stop, value.step))
        return f"np.s_[{between(value)}]"
    if isinstance(value, np.dtype):
        return f"np.{value.name}" if value == getattr(np, value.name, None) else f"np.dtype({value.str!r})"
    if type(value) is tuple and any(isinstance(part, slice) for part in value):
        parts = [literal(part).removeprefix("np.s_[").removesuffix("]") for part in value]
        return f"np.s_[{', '.join(parts)}{',' * (len(parts) == 1)}]"
    if type(value) in (tuple, list):
        return sequence(value, map(literal, value))
    raise NoSource


def sequence(like: Any, parts: Any) -> str:
    """`parts` as a tuple or a list."""
    inner = "".join(f"{part}, " for part in parts)
    return f"({inner})" if isinstance(like, tuple) else f"[{inner}]"
