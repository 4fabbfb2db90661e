"""Shortens the functions of a standalone program to what its calls need.

An argument that is the same in all calls decides conditions, so that one branch remains. None, a number, a word and a
function are written in its place; of another option the value becomes the default. Functions that nothing calls are
left out. A call of one that is NumPy's of the same name, a helper of one expression, or an expression of two operations
at most is that expression.
"""

from __future__ import annotations

import ast
import builtins
from typing import Any

import numpy as np

from autograd_cnn.studio.program.read import is_short
from autograd_cnn.studio.program.syntax import renamed

NEEDLESS = {"axis=None", "dtype=None", "keepdims=False", "where=True", "initial=np._NoValue", "correction=np._NoValue"}


def shorten(texts: list[str], functions: dict[str, Any]) -> list[str]:
    """Return the lines of a program with shorter calls, and shorten its `functions`, which come before their users."""
    lines: list[Any] = [ast.parse(text) for text in texts]
    outer = [call for line in lines for call in ast.walk(line)]
    users = [*lines]
    for name, function in reversed([*functions.items()]):
        nodes = [node for user in users for node in ast.walk(user)]
        uses = [n for n in nodes if isinstance(n, ast.Name) and n.id == name]
        calls = [n for n in nodes if isinstance(n, ast.Call) and n.func in uses]
        starred = any(isinstance(a, ast.Starred) for call in calls for a in call.args)
        plain = isinstance(function, ast.FunctionDef) and not function.args.vararg and not starred
        inlined = False
        if calls and len(calls) == len(uses) and plain:
            _specialise(function, calls, {*map(id, outer)}.issuperset(map(id, calls)))
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


def _names(tree: Any, *contexts: type) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, contexts or ast.expr_context)}


def _needed(body: list[ast.stmt]) -> set[str]:
    """Return the names that `body` reads before it assigns them."""
    needed: set[str] = set()
    assigned: set[str] = set()
    for statement in body:
        plain = isinstance(statement, ast.Assign)
        needed |= (_names(statement, ast.Load) if plain else _names(statement)) - assigned
        assigned |= _names(statement, ast.Store) if plain else set()
    return needed


def _specialise(function: Any, calls: list[ast.Call], outer: bool) -> None:
    """Decide what the arguments of all `calls` decide, and leave out parameters and arguments.

    If all are `outer` calls, in the lines of the program, then an argument that is a variable is an array.
    """
    given, defaults = [_given(function, call) for call in calls], _defaults(function)
    values: dict[str, Any] = {}
    arrays: set[str] = set()
    inner = [n for part in function.body for n in ast.walk(part)]
    stored = {name for part in function.body for name in _names(part, ast.Store)}
    own = {n.arg for n in inner if isinstance(n, ast.arg)}
    own |= {name for n in inner if isinstance(n, _REPEATED) for name in _names(n) & stored}
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
    outside = {"np", *dir(builtins)} - given[0].keys() - own - stored
    function.body = _Folder(values, arrays, given[0], outside).block(function.body)
    needed = _needed(function.body)
    parameters = [a for a in function.args.args if a.arg in needed]
    last = max((i for i, a in enumerate(parameters, 1) if a.arg not in defaults), default=0)
    function.args.args, function.args.defaults = parameters, [defaults[a.arg] for a in parameters[last:]]
    for call, arguments in zip(calls, given, strict=True):
        call.args, call.keywords = [], []
        for i, (name, value) in enumerate((a.arg, arguments[a.arg]) for a in parameters):
            if i < last or ast.unparse(value) != ast.unparse(defaults[name]):
                call.args += [value] if i == len(call.args) else []
                call.keywords += [] if call.args and call.args[-1] is value else [ast.keyword(name, value)]


def _is_expression(function: Any, calls: list[ast.Call]) -> bool:
    """Return whether a function is NumPy's of the same name, or an expression that is short or a helper.

    Such an expression has each argument once, unless it is a name.
    """
    result = getattr(function.body[0], "value", None)
    if result is None or not isinstance(function.body[0], ast.Return):
        return False
    if isinstance(result, ast.Call) and ast.unparse(result.func) == f"np.{function.name.removesuffix('_2')}":
        return True
    inner = [*ast.walk(result)]
    names = [n.id for n in inner if isinstance(n, ast.Name)]
    bound = _names(result, ast.Store) | {n.arg for n in inner if isinstance(n, ast.arg)}
    given = [pair for call in calls for pair in _given(function, call).items()]
    once = all(isinstance(value, (ast.Name, ast.Constant)) or names.count(name) == 1 for name, value in given)
    captured = any(_names(value) & bound for _, value in given)
    plain = {*names} <= {"np", *(name for name, _ in given)} and not any(isinstance(node, ast.IfExp) for node in inner)
    return once and not captured and (function.name[0] == "_" or (plain and is_short(result)))


class _Inlined(ast.NodeTransformer):
    """Writes the expression of a function in the place of its calls."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == self.function.name):
            return node
        made = renamed(self.function.body[0].value, _given(self.function, node).get)
        if isinstance(made, ast.Call):
            made.keywords = [k for k in made.keywords if ast.unparse(k) not in NEEDLESS]
            made.args = [a for a in made.args if ast.unparse(a) != "'C'"]  # the order of memory
        return made


_REPEATED = ast.Lambda, ast.FunctionDef, ast.GeneratorExp, ast.For, ast.While, ast.comprehension, ast.NamedExpr


class _Folder(ast.NodeTransformer):
    """Decides conditions on known `values` and names from `outside`, and on whether `arrays` are None."""

    def __init__(self, values: dict[str, Any], arrays: set[str], texts: dict[str, ast.expr], outside: set[str]) -> None:
        self.values, self.arrays, self.outside = values, dict.fromkeys(arrays), outside
        short = {n for n, v in values.items() if v is None or v is np._NoValue or np.isscalar(v) or callable(v)}
        self.texts = {name: texts[name] for name in short}

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """Return the statements up to the first that ends the block; after an assignment a name has another value."""
        kept: list[Any] = []
        for statement in statements:
            found = self.visit(statement)
            kept += found if isinstance(found, list) else [found]
            if kept and isinstance(kept[-1], ast.Return):
                break
            for name in _names(statement, ast.Store):
                for known in (self.texts, self.values, self.arrays):
                    known.pop(name, None)
        match kept[-2:]:
            case [ast.Assign([ast.Name(made)], value), ast.Return(ast.Name(name))] if made == name:
                kept[-2:] = [ast.Return(value)]
        return kept

    def decided(self, test: ast.expr) -> bool | None:
        """Return whether a condition holds, or None if it depends on what is not known."""
        if ast.unparse(test) in {f"{name} is None" for name in self.arrays}:
            return False
        if _names(test) <= self.values.keys() | self.outside:
            return bool(eval(ast.unparse(test), {"np": np, **self.values}))
        ends = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or)  # what decides the whole
        parts = test.values if isinstance(test, ast.BoolOp) else []
        return ends if any(self.decided(part) is ends for part in parts) else None

    def visit_Name(self, node: ast.Name) -> Any:
        return self.texts.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

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
        """Leave out the parts that do not matter; the last one is the result, unless it is a condition as well."""
        needless, *_, last = not isinstance(node.op, ast.Or), *node.values
        kept = [part for part in node.values if self.decided(part) is not needless]
        if kept[-1:] != [last] and not (kept and isinstance(last, (ast.Compare, ast.UnaryOp))):
            kept.append(last)
        node.values = [*map(self.visit, kept)]
        return node.values[0] if len(kept) == 1 else node
