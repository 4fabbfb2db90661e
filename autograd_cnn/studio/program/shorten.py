"""Shortens the functions of a standalone program to what its calls need.

An argument that is the same in all calls decides conditions, so that one branch remains. None, a bool, a word and a
function are written in its place; of another option the value becomes the default. Functions that nothing calls are
left out. A call of one that is NumPy's of the same name, or a helper of one expression, is that expression.
"""

from __future__ import annotations

import ast
import builtins
import copy
from typing import Any

import numpy as np

NEEDLESS = {"axis=None", "dtype=None", "keepdims=False", "where=True", "initial=np._NoValue", "correction=np._NoValue"}


def shorten(texts: list[str], functions: dict[str, Any]) -> list[str]:
    """Return the lines of a program with shorter calls, and shorten its `functions`, which come before their users."""
    lines: list[Any] = [ast.parse(text) for text in texts]
    outer = {id(call) for line in lines for call in ast.walk(line)}
    users = [*lines]
    for name, function in reversed([*functions.items()]):
        nodes = [node for user in users for node in ast.walk(user)]
        uses = [n for n in nodes if isinstance(n, ast.Name) and n.id == name]
        calls = [n for n in nodes if isinstance(n, ast.Call) and n.func in uses]
        starred = any(isinstance(a, ast.Starred) for call in calls for a in call.args)
        plain = isinstance(function, ast.FunctionDef) and not function.args.vararg and not starred
        inlined = False
        if calls and len(calls) == len(uses) and plain:
            _specialise(function, calls, outer.issuperset(map(id, calls)))
            inlined = _is_expression(function, calls)
        if inlined:
            users = [_Inlined(function).visit(user) for user in users]
        if inlined or not uses:
            del functions[name]
        else:
            users.append(function)
    return [ast.unparse(line) if line.body else text for line, text in zip(lines, texts, strict=True)]


def _defaults(function: Any) -> dict[str, ast.expr]:
    return {a.arg: d for a, d in zip(function.args.args[::-1], function.args.defaults[::-1], strict=False)}


def _given(function: Any, call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of a call by parameter, with defaults."""
    passed = {a.arg: value for a, value in zip(function.args.args, call.args, strict=False)}
    return _defaults(function) | passed | {str(k.arg): k.value for k in call.keywords}


def _names(tree: Any) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def _specialise(function: Any, calls: list[ast.Call], outer: bool) -> None:
    """Decide what the arguments of all `calls` decide, and leave out parameters and arguments.

    If all are `outer` calls, in the lines of the program, then an argument that is a variable is an array.
    """
    given, defaults = [_given(function, call) for call in calls], _defaults(function)
    values: dict[str, Any] = {}
    arrays: set[str] = set()
    inner = [n for part in function.body for n in ast.walk(part)]
    own = {n.arg for n in inner if isinstance(n, ast.arg)}
    own |= {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for name, first in [*given[0].items()]:
        if (
            {ast.unparse(g[name]) for g in given} == {ast.unparse(first)}
            and _names(first) <= {"np"}
            and name not in own
        ):
            values[name] = eval(ast.unparse(first), {"np": np})
            defaults |= {name: first} if name in defaults else {}
        elif outer and all(g[name] is not defaults.get(name) for g in given) and name not in own:
            arrays.add(name)
            defaults.pop(name, None)
    outside = {"np", *dir(builtins)} - given[0].keys() - own
    function.body = _Folder(values, arrays, given[0], outside).block(function.body)
    parameters = [a for a in function.args.args if any(a.arg in _names(part) for part in function.body)]
    last = max((i for i, a in enumerate(parameters, 1) if a.arg not in defaults), default=0)
    function.args.args, function.args.defaults = parameters, [defaults[a.arg] for a in parameters[last:]]
    for call, arguments in zip(calls, given, strict=True):
        call.args, call.keywords = [], []
        for i, (name, value) in enumerate((a.arg, arguments[a.arg]) for a in parameters):
            if i < last or ast.unparse(value) != ast.unparse(defaults[name]):
                call.args += [value] if i == len(call.args) else []
                call.keywords += [] if call.args and call.args[-1] is value else [ast.keyword(name, value)]


def _is_expression(function: Any, calls: list[ast.Call]) -> bool:
    """Return whether a function is NumPy's of the same name, or a helper of one expression that is passed names."""
    if not isinstance(function.body[0], ast.Return) or not isinstance(result := function.body[0].value, ast.Call):
        return False
    simple = all(isinstance(v, (ast.Name, ast.Constant)) for c in calls for v in _given(function, c).values())
    return ast.unparse(result.func) == f"np.{function.name.removesuffix('_2')}" or (simple and function.name[0] == "_")


class _Named(ast.NodeTransformer):
    """Writes expressions in the place of names."""

    def __init__(self, texts: dict[str, ast.expr]) -> None:
        self.texts = texts

    def visit_Name(self, node: ast.Name) -> Any:
        return self.texts.get(node.id, node)


class _Inlined(ast.NodeTransformer):
    """Writes the expression of a function in the place of its calls."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == self.function.name):
            return node
        call = _Named(_given(self.function, node)).visit(copy.deepcopy(self.function.body[0].value))
        call.keywords = [k for k in call.keywords if ast.unparse(k) not in NEEDLESS]
        call.args = [a for a in call.args if ast.unparse(a) != "'C'"]  # the order of memory
        return call


class _Folder(_Named):
    """Decides conditions on known `values` and names from `outside`, and on whether `arrays` are None."""

    def __init__(self, values: dict[str, Any], arrays: set[str], texts: dict[str, ast.expr], outside: set[str]) -> None:
        short = {n for n, v in values.items() if v in (None, np._NoValue) or isinstance(v, (bool, str)) or callable(v)}
        super().__init__({name: texts[name] for name in short})
        self.values, self.known = values, values.keys() | outside
        self.absent = {f"{name} is None" for name in arrays}

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Return the statements up to the first that ends the block."""
        kept: list[ast.stmt] = []
        for statement in statements:
            found = self.visit(statement)
            kept += found if isinstance(found, list) else [found]
            if kept and isinstance(kept[-1], ast.Return):
                break
        return kept

    def decided(self, test: ast.expr) -> bool | None:
        """Return whether a condition holds, or None if it depends on what is not known."""
        if ast.unparse(test) in self.absent:
            return False
        if _names(test) <= self.known:
            return bool(eval(ast.unparse(test), {"np": np, **self.values}))
        ends = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or)  # what decides the whole
        parts = test.values if isinstance(test, ast.BoolOp) else []
        return ends if any(self.decided(part) is ends for part in parts) else None

    def visit_If(self, node: ast.If) -> Any:
        holds = self.decided(node.test)
        if holds is not None:
            return self.block(node.body if holds else node.orelse)
        node.test, node.body, node.orelse = self.visit(node.test), self.block(node.body), self.block(node.orelse)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        holds = self.decided(node.test)
        return self.generic_visit(node) if holds is None else self.visit(node.body if holds else node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        """Leave out the parts that do not matter."""
        ends = isinstance(node.op, ast.Or)
        node.values = [self.visit(part) for part in node.values if self.decided(part) is not (not ends)]
        return node.values[0] if len(node.values) == 1 else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        return [] if ast.unparse(node.targets[0]) == ast.unparse(node.value) else node
