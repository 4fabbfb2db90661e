"""Reads a derivative rule for one call: its own source, with the arguments of the call in place of its parameters.

Options, shapes and dtypes are known before any array is. An expression of these alone becomes its value, a condition
on these alone the branch that is taken. A call of a helper in the rule's own package becomes what the helper returns;
any other call loses the options that have their default. The rest stays as it is written, operand for operand, so that
it gives the same bits.

A loop, or a condition on numbers, raises `NoSource`; then the helper, or the whole rule, is called by its name.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.graph.program.expressions import NoSource, Rewriter, literal, numbered, parsed, renamed, source
from autograd_cnn.graph.text import spelled as between

SHORT = 2  # operations of an expression that stands inside another, not on a line of its own


class Reader:
    """Reads a rule once for all arguments of the same shapes and dtypes, and puts in the names of each call.

    `scope` has the arrays that the arguments name.
    """

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.templates: dict[Any, tuple[list[str], dict[str, str]] | None] = {}

    def read(
        self, function: Any, given: list[str], known: Callable[[Any, str], str], local: Callable[[str, str], str]
    ) -> list[str]:
        """The first paragraph of the docstring of `function` as comments, its statements, and last its result.

        The expressions in `given` replace its parameters. `known` spells an object that has this name in the source,
        `local` a variable that has this name and identifier.
        """
        names: dict[str, str] = {}
        given = [numbered(text, names) for text in given]
        values = {n: _read_only(self.scope.get(name, getattr(builtins, name, None))) for name, n in names.items()}
        key = id(function), *given, *((v.shape, v.dtype) if _is_array(v) else id(v) for v in values.values())
        template = self.templates.get(key)
        if key not in self.templates:
            reading = _Reading(known, values)
            template = reading.texts(function, given)
            if reading.lasting:
                self.templates[key] = template
        if template is None:
            raise NoSource
        new = {number: name for name, number in names.items()} | {v: local(n, v) for v, n in template[1].items()}
        return [text if text[0] == "#" else renamed(text, lambda name: new.get(name, name)) for text in template[0]]


class _Known(ast.Name):
    """A name for a known value, `decided` by the call; otherwise `wish` is its name in the source."""

    value: Any
    wish: str
    decided: bool


class _Renaming(Rewriter):
    """Puts nodes in place of names."""

    def __init__(self, new: dict[str, Any]) -> None:
        self.new = new

    def visit_Name(self, node: ast.Name) -> Any:
        return self.new.get(node.id, node)

    visit__Known = visit_Name


class _Reading(Rewriter):
    """Reads one rule, and its helpers in turn. `scope` has a value for every name, so that parts can be evaluated."""

    def __init__(self, known: Callable[[Any, str], str], scope: dict[str, Any]) -> None:
        self.known = known
        self.scope = scope
        self.given = set(scope)
        self.lasting = True  # until a number in an array decides something
        self.statements: list[Any] = []
        self.variables: dict[str, str] = {}  # identifier -> name in the source
        self.spare: list[str] = []  # parameters, and variables of ours: users may write into theirs
        self.function: Any = None
        self.names: dict[str, Any] = {}  # what the parameters and variables of the function stand for

    def texts(self, function: Any, given: list[str]) -> tuple[list[str], dict[str, str]] | None:
        """The lines, and those of their names that are variables."""
        try:
            lines = self.merged(self.result(function, [self.argument(parsed(text)) for text in given]))
            known = [n for line in lines for n in ast.walk(line) if isinstance(n, _Known)]
            spelling = _Renaming({n.id: parsed(self.known(n.value, n.wish)) for n in known})
        except NoSource:
            return None
        comment = inspect.getdoc(function) if function.__name__ != "<lambda>" else None
        texts = [f"# {line}" for line in (comment or "").partition("\n\n")[0].splitlines()]
        texts += [ast.unparse(ast.fix_missing_locations(spelling.visit(line))) for line in lines]
        return texts, {v: name for v, name in self.variables.items() if any(v in text for text in texts)}

    def argument(self, node: Any) -> Any:
        modules = all(isinstance(self.scope[name.id], ModuleType) for name in _free(node))
        return self.put(self.value(node)) if modules else node

    def merged(self, result: Any) -> list[Any]:
        """The statements and the result, without the spare variables that are short and used once."""
        lines = [*self.statements, result]
        nodes = [n for line in lines for n in ast.walk(line)]
        if any(isinstance(n, (ast.Expr, ast.AugAssign)) or getattr(n, "arg", "") == "out" for n in nodes):
            return lines  # it may write into a variable
        for variable in self.spare:
            made = next((n for n in lines if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == variable), None)
            others = [line for line in lines if line is not made]
            nodes = [n for line in others if not isinstance(line, ast.Assert) for n in ast.walk(line)]
            uses = sum(isinstance(n, ast.Name) and n.id == variable for n in nodes)
            if made and uses < 2:
                operations = sum(isinstance(n, (ast.Call, ast.BinOp, ast.Compare)) for n in ast.walk(made.value))
                if not uses or operations <= SHORT or getattr(others[-1], "id", None) == variable:
                    lines = list(map(_Renaming({variable: made.value}).visit, others))
        return lines

    # Values

    def put(self, value: Any, wish: str = "", decided: bool = True) -> _Known:
        node = _Known(f"{len(self.scope)} known", ast.Load())  # no identifier, so no other name is equal
        self.scope[node.id] = node.value = value
        node.wish, node.decided = wish, decided
        return node

    def value(self, node: Any) -> Any:
        return eval(compile(ast.fix_missing_locations(ast.Expression(node)), "<rule>", "eval"), self.scope)

    def array(self, node: Any) -> Any:
        """The array that a name stands for; None for anything else."""
        value = self.scope.get(node.id) if type(node) is ast.Name else None
        return value if _is_array(value) else None

    def is_known(self, node: Any) -> bool:
        return all(isinstance(name, _Known) for name in _free(node))

    def folded(self, node: Any) -> Any:
        """The value of `node` where it is known, and more than a constant of the source."""
        if not isinstance(node, ast.Name) and self.is_known(node) and any(name.decided for name in _free(node)):
            with suppress(Exception), warnings.catch_warnings():  # of a branch that is not taken: ``len(None)``
                warnings.simplefilter("ignore")
                literal(value := self.value(node))
                return self.put(value)
        return node

    def holds(self, test: Any) -> bool:
        """Whether a condition holds. A condition on numbers, an edge case in a rule of ours, is asserted."""
        holds = bool(self.value(test))
        if not self.is_known(test):
            if _package(self.function) != ag.__name__:
                raise NoSource
            self.lasting = False
            self.statements.append(ast.Assert(test if holds else ast.UnaryOp(ast.Not(), test)))
        return holds

    # Functions

    def result(self, function: Any, given: list[Any]) -> Any:
        """What `function` returns for these nodes; its statements are added to the others."""
        node, outer, start = source(function), (self.function, self.names), len(self.statements)
        parameters = [a.arg for a in node.args.args]
        if len(parameters) != len(given) or node.args.vararg or node.args.kwonlyargs:
            raise NoSource
        self.function, self.names = function, dict(zip(parameters, given, strict=True))
        try:
            for name in parameters if outer[0] else ():
                self.bind(name, self.names[name], spare=True)
            if isinstance(node, ast.Lambda):
                return self.visit(node.body)
            return self.run(node.body[ast.get_docstring(node) is not None :]) or ast.Constant(None)
        except Exception as error:  # also of a part that is evaluated
            del self.statements[start:]
            raise NoSource from error
        finally:
            self.function, self.names = outer

    def bind(self, name: str, node: Any, spare: bool) -> None:
        """Let `name` stand for `node`, by a variable if that is more than a name."""
        parts = node.elts if isinstance(node, ast.Tuple) else [node]  # a list may be changed
        if not all(isinstance(part, (ast.Name, ast.Constant, ast.Starred)) for part in parts):
            variable = self.variable(name)
            self.spare += [variable.id] if spare else []
            self.scope[variable.id] = self.value(node)
            self.statements.append(ast.Assign([ast.Name(variable.id, ast.Store())], node))
            node = variable
        self.names[name] = node

    def variable(self, name: str) -> ast.Name:
        variable = f"_{name}_{[*self.variables.values()].count(name)}"
        self.variables[variable] = name
        return ast.Name(variable, ast.Load())

    def run(self, body: list[Any]) -> Any:
        """The value that is returned; None at the end of `body`."""
        for statement in body:
            result = None
            if isinstance(statement, ast.Return):
                result = self.visit(statement.value or ast.Constant(None))
            elif isinstance(statement, ast.If):
                result = self.run(statement.body if self.holds(self.visit(statement.test)) else statement.orelse)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self.assign(statement.targets[0], self.visit(statement.value))
            elif isinstance(statement, (ast.AugAssign, ast.Expr)):
                self.change(statement, self.visit(statement.value))
            else:
                raise NoSource
            if result is not None:
                return result
        return None

    def assign(self, target: Any, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value, spare=_package(self.function) == ag.__name__)
            return
        parts = map(self.put, value.value) if isinstance(value, _Known) else value.elts
        for part, v in zip(target.elts, parts, strict=True):
            self.assign(part, v)

    def change(self, statement: Any, value: Any) -> None:
        """A statement that may write into an array."""
        target = self.visit(statement.target) if isinstance(statement, ast.AugAssign) else None
        if isinstance(target, _Known):
            self.assign(statement.target, self.folded(ast.BinOp(target, statement.op, value)))
        elif isinstance(target, ast.Subscript):
            self.statements.append(ast.AugAssign(target, statement.op, value))
        elif target or any(isinstance(n, ast.List) for n in ast.walk(value)):  # it may change a variable or a list
            raise NoSource
        elif not self.is_known(value):
            self.statements.append(ast.Expr(value))

    # Expressions

    def visit(self, node: Any) -> Any:
        if isinstance(node, (ast.Lambda, ast.NamedExpr, ast.JoinedStr)):
            raise NoSource
        made = super().visit(node)
        return self.folded(made) if isinstance(made, ast.expr) else made

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            found = self.names[node.id]
            return ast.Name(found.id, node.ctx) if type(found) is ast.Name else found
        return self.put({**vars(builtins), **self.function.__globals__}[node.id], node.id, decided=False)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test, before = self.visit(node.test), len(self.statements)
        with suppress(NoSource, NameError):
            return self.visit(node.body if self.holds(test) else node.orelse)
        made = ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))
        if len(self.statements) > before:  # they would be executed for both
            raise NoSource
        return made

    def visit_ListComp(self, node: Any) -> Any:
        before, names = self.names, [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        self.names = before | {n.id: self.variable(n.id) for n in names if isinstance(n.ctx, ast.Store)}
        made = self.generic_visit(node)
        self.names = before
        return made

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        of = self.visit(node.value)
        if isinstance(of, _Known) and isinstance(of.value, ModuleType):
            part = getattr(of.value, node.attr)
            if hasattr(part, "raw") or of.value.__name__.startswith(f"{_package(self.function)}."):
                return self.put(part, node.attr, decided=False)
        elif node.attr in ("shape", "ndim", "size", "dtype") and (array := self.array(of)) is not None:
            self.lasting &= of.id in self.given
            return self.put(getattr(array, node.attr))
        return ast.Attribute(of, node.attr, node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        of, index = self.visit(node.value), self.visit(node.slice)
        if isinstance(of, (ast.List, ast.Tuple)):  # of arrays
            found = self.value(ast.Subscript(self.put(of.elts), index, ast.Load()))
            return type(of)(found, ast.Load()) if isinstance(found, list) else found
        if isinstance(index, _Known) and index.value and isinstance(index.value, (slice, tuple)):
            parts = index.value if isinstance(index.value, tuple) else [index.value]
            index = parsed(f"_[{', '.join(map(between, parts))}]").slice
        return ast.Subscript(of, index, node.ctx)

    def visit_Tuple(self, node: Any) -> Any:
        return type(node)(self.flat(node.elts), node.ctx)

    visit_List = visit_Tuple

    def flat(self, nodes: list[Any]) -> list[Any]:
        """These, visited; a starred list element by element where its length is known."""
        found: list[Any] = []
        for node in map(self.visit, nodes):
            inner = node.value if isinstance(node, ast.Starred) else None
            if isinstance(inner, (ast.List, ast.Tuple)):
                found += inner.elts
            elif isinstance(inner, _Known):
                found += map(self.put, inner.value)
            else:
                found.append(node)
        return found

    def visit_Call(self, node: ast.Call) -> Any:
        keywords = [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]
        call = ast.Call(self.visit(node.func), self.flat(node.args), keywords)
        if self.is_known(call) or not self.is_known(call.func):
            return call
        function, args = self.value(call.func), call.args
        if function is isinstance and self.array(args[0]) is not None:
            return self.put(issubclass(np.ndarray, self.value(args[1])))
        if function is np.asarray and self.array(args[0]) is not None and len(args) == 1 and not keywords:
            return args[0]
        raw = getattr(function, "raw", function)
        if not isinstance(raw, FunctionType) or any(isinstance(a, ast.Starred) for a in args):
            return call
        given = inspect.signature(raw).bind(*args, **{str(k.arg): k.value for k in keywords})
        if raw is function and _package(function) == _package(self.function):
            with suppress(NoSource):
                given.apply_defaults()
                nodes = [a if isinstance(a, ast.AST) else self.put(a) for a in given.arguments.values()]
                return self.result(function, nodes)
        if len(args) == 2 and getattr(function, "symbol", "") in [*"+-*/"]:
            return ast.BinOp(args[0], parsed(f"_ {function.symbol} _").op, args[1])
        return self.plain(call, given)

    def plain(self, call: ast.Call, given: inspect.BoundArguments) -> ast.Call:
        """`call` with options by name, and only those that differ from the default."""
        parameters, args, keywords = given.signature.parameters, [], []
        if any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters.values()):
            return call
        for name, node in given.arguments.items():
            default = parameters[name].default
            if default is inspect.Parameter.empty and node in call.args:
                args.append(node)
            elif isinstance(node, ast.expr) and not (self.is_known(node) and repr(self.value(node)) == repr(default)):
                keywords.append(ast.keyword(name, node))
        return ast.Call(call.func, args, keywords)


def _free(node: Any) -> list[Any]:
    """The names in `node` but for the variables of comprehensions."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return [n for n in names if n.id not in bound]


def _package(function: Any) -> str:
    return str(function.__module__).partition(".")[0]


def _read_only(value: Any) -> Any:
    """A view of an array that nothing can write into while parts are evaluated."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))
