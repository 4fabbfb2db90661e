"""A rule read for one call: what options, shapes and dtypes decide is decided, what helps it is written out.

Partial evaluation of one expression, or of a few statements. Three things are known before any array is: literals, the
rule's globals, and the shapes and dtypes of arrays. An expression of these alone is replaced by its value, a condition
of these alone by the branch that is taken. A call of a function of the rule's own package becomes what that function
returns; a call that stays loses the options that are the default.

The rest stays as the rule has it, operand for operand, so that it gives the same bits. What cannot be told in this way,
a loop, a condition on numbers in an array, raises `NoSource`: then the function is called by its name.

So what is read depends on shapes and dtypes, not on numbers, and holds for every call that has the same; there only
names are put in.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.graph.program.sources import NoSource, Rewriter, literal, numbered, parsed, source
from autograd_cnn.graph.text import spelled as between

OPERATORS = {"add": ast.Add(), "subtract": ast.Sub(), "multiply": ast.Mult(), "divide": ast.Div()}  # of arrays


class Reader:
    """Reads a rule once for arguments of the same shapes and dtypes; for others only names change."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.templates: dict[Any, _Template | None] = {}

    def read(
        self, function: Any, given: list[str], known: Callable[[Any, str], str], local: Callable[[str, int], str]
    ) -> list[str]:
        """What the docstring of `function` says first, its statements, and at the end its result.

        Parameters become what is `given`, globals what `known` makes of an object and its name there, variables what
        `local` makes of their name and the number of the function. `scope` has the arrays of what is given.
        """
        names: dict[str, str] = {}
        given = [numbered(text, names) for text in given]
        values = [self.scope.get(name, getattr(builtins, name, None)) for name in names]
        key = id(function), *given, *map(_kind, values)
        template = self.templates.get(key)
        if key not in self.templates:
            reading = _Reading(known, dict(zip(names.values(), values, strict=True)))
            template = reading.template(function, given)
            if reading.lasting:
                self.templates[key] = template
        if template is None:
            raise NoSource
        return template.filled(dict(zip(names.values(), names, strict=True)), local)


def _kind(value: Any) -> Any:
    """What of an argument may decide."""
    return (value.shape, value.dtype) if _is_array(value) else id(value)


@dataclass(slots=True)
class _Template:
    """What a rule says, with marks for the names of its arguments and of its `variables`."""

    texts: list[str]
    variables: dict[str, tuple[str, int]]

    def filled(self, names: dict[str, str], local: Callable[[str, int], str]) -> list[str]:
        names |= {mark: local(*variable) for mark, variable in self.variables.items()}
        return [re.sub("\0(.*?)\0", lambda mark: names[mark[1]], text) for text in self.texts]


class _Reading:
    """What is known stands in the tree under a name of its own, and in the scope; so do arguments of helpers."""

    def __init__(self, known: Callable[[Any, str], str], scope: dict[str, Any]) -> None:
        self.known = known
        self.scope = scope
        self.given = set(scope)
        self.lasting = True  # until the shape of what a line has made matters: numbers may have decided it
        self.variables: dict[str, tuple[str, int]] = {}
        self.things: dict[str, str] = {}  # names of what is known -> what it is called in the source
        self.decided: set[str] = set()  # of these, what is no constant of the source
        self.statements: list[ast.stmt] = []
        self.numbers = count(1)

    def template(self, function: Any, given: list[str]) -> _Template | None:
        try:
            result = self.function(function, [self.expression(text) for text in given])
            nodes = map(_Spelling(self).visit, (*self.statements, result))
            texts = [ast.unparse(ast.fix_missing_locations(node)) for node in nodes]
        except NoSource:
            return None
        said = inspect.getdoc(function) if function.__name__ != "<lambda>" else None
        texts[:0] = [f"# {line}" for line in (said or "").partition("\n\n")[0].splitlines()]
        return _Template(texts, self.variables)

    def place(self, value: Any) -> ast.Name:
        self.scope[name := f"{len(self.scope)} place"] = value  # no identifier, so nobody else's name
        return ast.Name(name, ast.Load())

    def variable(self, name: str, frame: int) -> ast.Name:
        self.variables[f"{name} {frame}"] = name, frame
        return ast.Name(f"{name} {frame}", ast.Load())

    def thing(self, value: Any, wish: str = "", decided: bool = True) -> ast.Name:
        node = self.place(value)
        self.things[node.id] = wish
        if decided:
            self.decided.add(node.id)
        return node

    def is_known(self, node: Any) -> bool:
        return isinstance(node, ast.Name) and node.id in self.things

    def value(self, node: Any) -> Any:
        return eval(_compiled(ast.Expression(node)), self.scope)

    def value_of(self, node: Any) -> Any:
        """The value of what is known; of the rest the node."""
        return self.scope[node.id] if self.is_known(node) else node

    def expression(self, text: str) -> Any:
        """What is given: known, unless arrays are in it."""
        node = parsed(text)
        if all(isinstance(self.scope[n.id], ModuleType) for n in ast.walk(node) if isinstance(n, ast.Name)):
            return self.thing(eval(text, self.scope))
        return node

    def function(self, function: Any, given: list[Any]) -> Any:
        """The result of `function`; statements that go before are added to `statements`."""
        node = source(function)
        parameters = [a.arg for a in node.args.args]
        if len(parameters) != len(given) or node.args.vararg or node.args.kwonlyargs:
            raise NoSource
        frame = _Frame(self, next(self.numbers), dict(zip(parameters, given, strict=True)), function)
        if isinstance(node, ast.Lambda):
            return frame.visit(node.body)
        return frame.run(node.body[ast.get_docstring(node) is not None :]) or self.thing(None)

    def decide(self, node: Any) -> Any:
        """The value that options, shapes and dtypes alone give to `node`; else `node`."""
        if isinstance(node, ast.Name):
            return node
        free = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - self.bound(node)
        if not free <= self.things.keys() or not free & self.decided:
            return node
        with suppress(Exception), warnings.catch_warnings():  # ``len(None)``, where a condition around it rules it out
            warnings.simplefilter("ignore")
            literal(value := self.value(node))
            return self.thing(value)
        return node

    @staticmethod
    def bound(node: Any) -> set[str]:
        """The variables of comprehensions."""
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


class _Spelling(Rewriter):
    """What is known as it is called, marks for other names."""

    def __init__(self, reading: _Reading) -> None:
        self.reading = reading

    def visit_Name(self, node: ast.Name) -> Any:
        if self.reading.is_known(node):
            return parsed(self.reading.known(self.reading.scope[node.id], self.reading.things[node.id]))
        return ast.Name(f"\0{node.id}\0", node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        index, value = self.reading.value_of(node.slice), self.visit(node.value)
        if isinstance(index, (slice, tuple)) and index:
            parts = map(between, index if isinstance(index, tuple) else [index])
            return ast.Subscript(value, parsed(f"_[{', '.join(parts)}]").slice, node.ctx)
        return ast.Subscript(value, self.visit(node.slice), node.ctx)


class _Frame(Rewriter):
    """One function that is read: its names, and what they stand for."""

    def __init__(self, reading: _Reading, number: int, names: dict[str, Any], function: Any) -> None:
        self.reading = reading
        self.number = number
        self.names = names
        self.own: set[str] = set()  # its variables
        self.comprehensions = 0  # that are open
        self.outside = function.__globals__
        self.home = _package(function)

    # Statements

    def run(self, body: list[Any]) -> Any:
        """What is returned; None where the end is reached."""
        for statement in body:
            if isinstance(statement, ast.Return):
                return self.visit(statement.value or ast.Constant(None))
            if isinstance(statement, ast.If):
                test = self.visit(statement.test)
                if not self.reading.is_known(test):
                    raise NoSource
                if (
                    result := self.run(statement.body if self.reading.value_of(test) else statement.orelse)
                ) is not None:
                    return result
            elif isinstance(statement, ast.Expr):
                value = self.visit(statement.value)
                if not self.reading.is_known(value):
                    self.reading.statements.append(ast.Expr(value))
            elif isinstance(statement, ast.AugAssign):
                self.change(statement)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self.assign(statement.targets[0], self.visit(statement.value))
            elif isinstance(statement, ast.AnnAssign) and statement.value:
                self.assign(statement.target, self.visit(statement.value))
            elif not isinstance(statement, ast.Pass):
                raise NoSource
        return None

    def assign(self, target: Any, value: Any) -> None:
        """A name for what has one already; else a statement, run for the shapes of what it makes."""
        known = self.reading.value_of(value)
        if isinstance(target, ast.Name):
            names = value.elts if isinstance(value, ast.Tuple) else [value]
            if all(isinstance(n, ast.Name) and n.id not in self.own for n in names) and not isinstance(known, list):
                self.names[target.id] = value
                return
        elif isinstance(target, ast.Tuple) and isinstance(known, tuple):
            for part, v in zip(target.elts, known, strict=True):
                self.assign(part, self.reading.thing(v))
            return
        for name in self.reading.bound(target):
            self.names[name] = self.reading.variable(name, self.number)
            self.own.add(self.names[name].id)
        made = ast.Assign([self.visit(target)], value)
        self.reading.statements.append(made)
        exec(_compiled(ast.Module([made], [])), self.reading.scope)

    def change(self, statement: ast.AugAssign) -> None:
        target, value = self.visit(statement.target), self.visit(statement.value)
        if self.reading.is_known(target):
            before = ast.Name(target.id, ast.Load())
            self.assign(statement.target, self.reading.decide(ast.BinOp(before, statement.op, value)))
            return
        if isinstance(target, ast.Name) and target.id not in self.own:
            raise NoSource  # into somebody else's array
        self.reading.statements.append(ast.AugAssign(target, statement.op, value))

    # Expressions

    def visit(self, node: Any) -> Any:
        if isinstance(node, (ast.Lambda, ast.NamedExpr, ast.JoinedStr)):
            raise NoSource
        node = super().visit(node)
        return self.reading.decide(node) if isinstance(node, ast.expr) and not isinstance(node, ast.Starred) else node

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            found = self.names[node.id]
            return ast.Name(found.id, node.ctx) if isinstance(found, ast.Name) else found
        if node.id not in self.outside and not hasattr(builtins, node.id):
            raise NoSource
        value = self.outside[node.id] if node.id in self.outside else getattr(builtins, node.id)
        return self.reading.thing(value, node.id, decided=False)

    def visit_Constant(self, node: ast.Constant) -> Any:
        return self.reading.thing(node.value, decided=False)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test = self.visit(node.test)
        if self.reading.is_known(test):
            return self.visit(node.body if self.reading.value_of(test) else node.orelse)
        if self.number > 1 and not self.comprehensions:
            return self.visit(node.body if self.went(test) else node.orelse)
        with self.nothing_before():
            return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def went(self, test: Any) -> bool:
        """Which way an edge case of ours goes with the numbers at hand; a statement says on what it depends."""
        if self.home != ag.__name__:  # whose name says more than its text
            raise NoSource
        try:
            yes = bool(self.reading.value(test))
        except Exception as error:
            raise NoSource from error
        self.reading.lasting = False
        self.reading.statements.append(ast.Assert(test if yes else ast.UnaryOp(ast.Not(), test)))
        return yes

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        with self.nothing_before():
            return self.generic_visit(node)

    @contextmanager
    def nothing_before(self) -> Iterator[None]:
        """For what is evaluated only sometimes: its statements would be executed always."""
        before = len(self.reading.statements)
        yield
        if len(self.reading.statements) > before:
            raise NoSource

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        of = self.visit(node.value)
        if isinstance(of, ast.Name):
            value = self.reading.scope.get(of.id)
            if isinstance(value, ModuleType):
                part = getattr(value, node.attr)
                if value.__name__.startswith(f"{self.home}.") or hasattr(part, "raw"):
                    return self.reading.thing(part, node.attr, decided=False)
            if node.attr in ("shape", "ndim", "size", "dtype") and _is_array(value):
                self.reading.lasting &= of.id in self.reading.given
                return self.reading.thing(getattr(value, node.attr))
        return ast.Attribute(of, node.attr, node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        of, index = self.visit(node.value), self.visit(node.slice)
        if isinstance(of, (ast.List, ast.Tuple)):  # of arrays: which of them is known
            elements = self.reading.place(of.elts)
            found = self.reading.value(ast.Subscript(elements, index, ast.Load()))
            return type(of)(found, ast.Load()) if isinstance(found, list) else found
        return ast.Subscript(of, index, node.ctx)

    def visit_Tuple(self, node: Any) -> Any:
        return type(node)(self.flat([self.visit(e) for e in node.elts]), node.ctx)

    visit_List = visit_Tuple

    def flat(self, nodes: list[Any]) -> list[Any]:
        """What is starred, element by element, where it is known how many there are."""
        found: list[Any] = []
        for node in nodes:
            inner = node.value if isinstance(node, ast.Starred) else None
            if isinstance(inner, (ast.List, ast.Tuple)):
                found += inner.elts
            elif isinstance(value := self.reading.value_of(inner), (list, tuple)):
                found += [self.reading.thing(v) for v in value]
            else:
                found.append(node)
        return found

    def comprehension(self, node: Any) -> Any:
        before = dict(self.names)
        for name in self.reading.bound(node):
            self.names[name] = self.reading.variable(name, self.number)
        self.comprehensions += 1
        made = self.generic_visit(node)
        self.comprehensions -= 1
        self.names = before
        return made

    visit_ListComp = visit_GeneratorExp = visit_SetComp = visit_DictComp = comprehension

    def visit_Call(self, node: ast.Call) -> Any:
        node = ast.Call(
            self.visit(node.func),
            self.flat([self.visit(a) for a in node.args]),
            [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords],
        )
        if (array := self.about_an_array(node)) is not None:
            return array
        if (decided := self.reading.decide(node)) is not node:
            return decided
        function = self.reading.value_of(node.func)
        if isinstance(function, FunctionType) and _package(function) == self.home and not self.comprehensions:
            with suppress(NoSource):
                return self.written_out(function, node)
        name = getattr(function, "name", "")
        if name in OPERATORS and function is vars(ag)[name]:
            x, y = node.args
            if any(isinstance(a, ast.Name) and _is_array(self.reading.scope.get(a.id)) for a in (x, y)):
                return ast.BinOp(x, OPERATORS[name], y)
        if hasattr(function, "raw") or isinstance(function, FunctionType):
            self.leave_out_defaults(function, node)
        return node

    def about_an_array(self, node: ast.Call) -> Any:
        """``isinstance`` of an array is known, and ``np.asarray`` leaves it as it is."""
        first = node.args[0] if node.args else None
        if not isinstance(first, ast.Name) or not _is_array(self.reading.scope.get(first.id)):
            return None
        if self.reading.value_of(node.func) is isinstance:
            with suppress(NameError, TypeError):
                return self.reading.thing(issubclass(np.ndarray, self.reading.value(node.args[1])))
        if isinstance(node.func, ast.Attribute) and self.reading.value_of(node.func.value) is np:
            return first if node.func.attr == "asarray" and len(node.args) == 1 and not node.keywords else None
        return None

    def written_out(self, function: Any, node: ast.Call) -> Any:
        """What a helper of the rule's gives for these arguments."""
        start = len(self.reading.statements)
        places: dict[str, tuple[str, Any]] = {}
        try:
            bound = inspect.signature(function).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
            given = []
            for name, parameter in bound.signature.parameters.items():
                argument = bound.arguments.get(name, parameter.default)
                if not isinstance(argument, ast.AST) or self.reading.is_known(argument):
                    argument = self.reading.thing(self.reading.value_of(argument))
                elif not isinstance(argument, (ast.Name, ast.List, ast.Tuple)):  # nobody knows yet how often it is used
                    place = self.reading.place(self.reading.value(argument))
                    places[place.id] = name, argument
                    argument = place
                given.append(argument)
            result = self.reading.function(function, given)
        except (NoSource, TypeError):
            del self.reading.statements[start:]
            raise NoSource from None
        for place_id, (name, argument) in places.items():
            result = self.put(argument, place_id, name, result, start)
        return result

    def put(self, argument: Any, place: str, wish: str, result: Any, start: int) -> Any:
        """`argument` at its place; as a variable if there are several."""
        later = [*self.reading.statements[start:], result]
        lines = [part for part in later if not isinstance(part, ast.Assert)]
        uses = [n for part in lines for n in ast.walk(part) if isinstance(n, ast.Name) and n.id == place]
        if len(uses) > 1:
            variable = self.reading.variable(wish, next(self.reading.numbers))
            self.reading.scope[variable.id] = self.reading.scope[place]
            later = [ast.Assign([ast.Name(variable.id, ast.Store())], argument), *later]
            argument = variable

        class Put(Rewriter):
            def visit_Name(self, node: ast.Name) -> Any:
                return argument if node.id == place else node

        *self.reading.statements[start:], result = map(Put().visit, later)
        return result

    def leave_out_defaults(self, function: Any, node: ast.Call) -> None:
        """Options by name, and only where they differ from the default."""
        parameters = inspect.signature(getattr(function, "raw", function)).parameters
        plain = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values()) and all(
            k.arg for k in node.keywords
        )
        if not plain or any(isinstance(a, ast.Starred) for a in node.args):
            return
        given = dict(zip(parameters, node.args, strict=False))
        node.args = [a for name, a in given.items() if parameters[name].default is inspect.Parameter.empty]
        given = dict(list(given.items())[len(node.args) :]) | {str(k.arg): k.value for k in node.keywords}
        node.keywords = []
        for name, value in given.items():
            free = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
            if not free <= self.reading.things.keys() or repr(self.reading.value(value)) != repr(
                parameters[name].default
            ):
                node.keywords.append(ast.keyword(name, value))


def _package(function: Any) -> str:
    return str(function.__module__).partition(".")[0]


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))


def _compiled(tree: Any) -> Any:
    mode = "eval" if isinstance(tree, ast.Expression) else "exec"
    return compile(ast.fix_missing_locations(tree), "<rule>", mode)
