"""What a rule says: its source, with the names of the place where it is to stand.

A function is found in its file by its first line, and believed only if compiling what was found gives the very code
object that runs. Expressions are text here; `tidy` gives them the parentheses they need and no more.
"""

from __future__ import annotations

import ast
import copy
import linecache
import math
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np


class NoSource(Exception):
    """Nothing in a source file could stand for this."""


def spelled(
    function: Any,
    given: list[str],
    known: Callable[[Any, str], str],
    local: Callable[[str], str],
    scope: dict[str, Any],
) -> list[str]:
    """The statements of `function`, and at the end its result.

    Parameters become what is `given`, globals what `known` makes of an object and its name there, variables what
    `local` makes of their name. `scope` has the arrays of that `given`: what their shapes decide, is decided.
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_freevars or function.__defaults__ or function.__kwdefaults__:
        raise NoSource
    imports, functions = _functions("".join(linecache.getlines(code.co_filename)))
    node = next((n for n in functions.get(code.co_firstlineno, []) if _same(n, code, imports)), None)
    if isinstance(node, ast.Lambda):
        parts: list[ast.AST] = [node.body]
    elif isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return) and node.body[-1].value:
        parts = [*node.body[ast.get_docstring(node) is not None : -1], node.body[-1].value]
    else:
        raise NoSource
    nodes = [n for p in parts for n in ast.walk(p)]
    straight = all(isinstance(p, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)) for p in parts[:-1])
    if not straight or any(isinstance(n, ast.Lambda) for n in nodes):
        raise NoSource
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names = dict(zip((a.arg for a in node.args.args), given, strict=True))
    moved = [f"{local(n)} = {names[n]}" for n in names if n in stored]  # a parameter that changes is a variable
    names |= {n: local(n) for n in sorted(stored)}
    arrays = {n: scope[n] for n in given if hasattr(scope.get(n), "shape")}
    spelling = _Spelling(names, function.__globals__, known, arrays)
    return moved + [ast.unparse(ast.fix_missing_locations(spelling.visit(copy.deepcopy(p)))) for p in parts]


@lru_cache
def _functions(text: str) -> tuple[list[ast.stmt], dict[int, list[Any]]]:
    """The imports of a file, and its functions by their first line."""
    imports: list[ast.stmt] = []
    found: dict[int, list[Any]] = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return imports, found
    for node in ast.walk(tree):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            first = (*getattr(node, "decorator_list", ()), node)[0]
            found.setdefault(first.lineno, []).append(node)
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            imports += [n for n in ast.walk(node) if isinstance(n, (ast.Import, ast.ImportFrom))]
    return imports, found


def _same(node: Any, code: CodeType, imports: list[ast.stmt]) -> bool:
    """Whether `node` compiles to `code`: not where it is a closure, nor where the file has changed since.

    The compiler treats attributes of imported modules differently, so it is shown the imports too.
    """
    tree: Any = ast.Module([*imports, ast.Expr(node) if isinstance(node, ast.Lambda) else node], [])
    compiled = compile(ast.fix_missing_locations(tree), code.co_filename, "exec", dont_inherit=True)
    return any(c.replace(co_flags=code.co_flags) == code for c in compiled.co_consts if isinstance(c, CodeType))


class _Spelling(ast.NodeTransformer):
    def __init__(
        self, names: dict[str, str], outside: dict[str, Any], known: Callable[[Any, str], str], arrays: dict[str, Any]
    ) -> None:
        self.names = names
        self.outside = outside
        self.known = known
        self.arrays = arrays

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return _parsed(self.names[node.id])
        return _parsed(self.known(self.outside[node.id], node.id)) if node.id in self.outside else node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test = self.visit(node.test)
        if self.open(test):
            return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))
        return self.visit(node.body if self.value(test) else node.orelse)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ("len", "tuple") and not self.open(node):
            with suppress(Exception):  # ``len(None)``, where a condition around it rules it out
                return _parsed(literal(self.value(node)))
        return node

    def open(self, node: ast.AST) -> bool:
        """Whether it takes more than options and shapes to know what `node` is."""
        if isinstance(node, ast.Attribute) and node.attr == "shape" and isinstance(node.value, ast.Name):
            return node.value.id not in self.arrays
        if isinstance(node, ast.Name):
            return node.id not in ("len", "range", "tuple")
        return any(self.open(n) for n in ast.iter_child_nodes(node))

    def value(self, node: ast.AST) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ``1 is None``
            return eval(ast.unparse(node), dict(self.arrays))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self.visit(ast.Assign([node.target], node.value)) if node.value else ast.Pass()


def _parsed(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def tidy(text: str) -> str:
    """An expression without parentheses that change nothing."""
    return ast.unparse(_parsed(text))


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
        return f"slice({literal(value.start)}, {literal(value.stop)}, {literal(value.step)})"
    if isinstance(value, np.dtype):
        return f"np.dtype({value.name!r})"
    if type(value) in (tuple, list):
        return sequence(value, map(literal, value))
    raise NoSource


def sequence(like: Any, parts: Any) -> str:
    """`parts` as a tuple or a list."""
    inner = "".join(f"{part}, " for part in parts)
    return f"({inner})" if isinstance(like, tuple) else f"[{inner}]"
