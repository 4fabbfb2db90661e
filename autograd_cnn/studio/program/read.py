"""Translates a derivative rule into text by running it on stand-ins for arrays, which record each operation.

A stand-in has the shape and dtype of its array, and options are passed as they are. So Python decides the conditions,
unrolls the loops and computes the constants, and only operations on arrays become text. A helper from the rule's own
package runs on stand-ins too, so the operations in it replace the call. A call of any other function becomes a call in
the text, without the options that have their default. The text of a stand-in is evaluated for its value, and has the
operands in the same order as the rule, so it gives the same bits.

A rule cannot be read if it writes into an array, or decides by the numbers in an array. Then the helper that does so,
or else the whole rule, is called by its name. In the rules of this package, a condition on numbers is an edge case, and
the program requires its outcome.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import known, peek, plain_array
from autograd_cnn.studio.program.syntax import NoSource, call, evaluate, form, index, literal, names_in, parsed, renamed

OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call)
SHORT = 2  # operations and tuples; a longer expression stays in its variable, even if used once
LONGEST = 2_000  # characters of a rule; a longer one, such as an unrolled loop, is called by its name
APART = 99  # digits in the name of a stand-in: no name in a program is so long
OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "ge": ">=", "gt": ">",
}  # fmt: skip

Names = Callable[[Any, str], str]


def read(function: Any, given: list[Any], scope: dict[str, Any], known: Names, local: Names, buffer: bool) -> list[str]:
    """Return the first paragraph of the docstring of `function`, its statements, and the expression of its result.

    The trees in `given` replace its parameters, and `scope` maps the names in them to arrays. ``known(object, name)``
    writes an object that has this name in the source, ``local(name, identifier)`` a variable. Raises `NoSource` if
    `function` cannot be read.
    """
    names = {name: scope.get(name, getattr(builtins, name, None)) for tree in given for name in names_in(tree)}
    values = {name: _read_only(value) for name, value in names.items()}
    return _Reading(function, values, known, local).lines_of(given, buffer)


class _Reading:
    """One run of a rule on stand-ins; `scope` maps their names to values, so that trees can be evaluated."""

    def __init__(self, function: Any, values: dict[str, Any], known: Names, local: Names) -> None:
        self.function = function
        self.values = values
        self.known, self.local = known, local
        self.package = _package(function)
        self.scope: dict[str, Any] = {"np": np}
        self.stand_ins: dict[str, _StandIn] = {}
        self.required: list[Any] = []  # conditions on numbers, with their outcomes
        self.effects: list[Any] = []  # statements that add to the buffer of a rule
        self.uses: Counter[str] = Counter()
        self.lines: list[str] = []  # the last one is the result
        self.variables: dict[str, str] = {}  # variable of the program -> its name in the source

    def lines_of(self, given: list[Any], buffer: bool) -> list[str]:
        """Return the lines of the rule; raise `NoSource` if it cannot be read."""
        try:
            names = {n: _StandIn(self, v, n, given=_data(v)) for n, v in self.values.items()}
            arguments = [evaluate(tree, names) for tree in given]
            self.buffer = arguments[0] if buffer else None
            self.write(self.spelled(self.entered(self.function)(*arguments)))
        except Exception:  # such as an operation that stand-ins do not support
            raise NoSource from None
        finally:
            self.buffer = None
            self.stand_ins.clear()  # no cycle keeps the arrays alive
        comment = (inspect.getdoc(self.function) or "").partition("\n\n")[0]
        if " = " in comment:  # a formula, with the parameters of the rule
            own = {
                n: t.id for n, t in zip(self.function.__code__.co_varnames, given, strict=False) if type(t) is ast.Name
            }
            comment = re.sub(r"\b\w+\b(?!\()", lambda found: own.get(found[0], found[0]), comment)
        return [*(f"# {line}" for line in comment.splitlines()), *self.lines]

    # Functions

    def entered(self, function: Any) -> Callable[..., Any]:
        """Return a copy of `function` that finds stand-ins in place of the functions and modules that it refers to."""
        code, outer = function.__code__, function.__globals__
        referred = {name: self.referred(outer[name], name) for name in _names(code) if name in outer}
        inner = zip(code.co_freevars, function.__closure__ or (), strict=True)
        cells = tuple(CellType(self.referred(cell.cell_contents, name)) for name, cell in inner)
        return FunctionType(code, referred, code.co_name, function.__defaults__, cells)

    def referred(self, value: Any, name: str) -> Any:
        """Return the value of a global or enclosing variable as the rule sees it."""
        if isinstance(value, type) or _data(value) or name.startswith("__"):
            return value
        if value is known:  # a program has arrays, and no examples of `vmap`
            return lambda _: True
        value = np.asarray if value is plain_array or value is peek else value
        stand_in = _StandIn(self, value, hint=name)
        if not isinstance(value, FunctionType) or _package(value) != self.package:
            return stand_in

        def helper(*args: Any, **options: Any) -> Any:
            required = len(self.required)
            try:
                return self.entered(value)(*args, **options)
            except Exception:
                del self.required[required:]
                return stand_in(*args, **options)

        return helper

    # Expressions

    def evaluated(self, tree: Any) -> Any:
        """Return the value of `tree`, or a stand-in if it is an array or function or depends on the arguments."""
        value = evaluate(tree, self.scope)
        self.name_variables()
        given = any(self.stand_ins[name]._given for name in names_in(tree) if name in self.stand_ins)
        if value is None and given:
            raise NoSource  # it may have written into an array
        if isinstance(value, type) or (_data(value) and not given and not isinstance(value, np.ndarray)):
            return value
        return _StandIn(self, _read_only(value), tree=tree, given=given)

    def name_variables(self) -> None:
        """Name stand-ins after the local variables of the rule."""
        frame: Any = sys._getframe(1)
        while frame.f_code.co_filename == __file__:
            frame = frame.f_back
        for name, value in frame.f_locals.items():
            if type(value) is _StandIn and not value._hint:
                value._hint = name

    def spelled(self, value: Any, _: str = "") -> Any:
        """Write `value` as an expression, with the names of stand-ins."""
        return literal(value, self.name)

    def name(self, value: Any) -> Any:
        if type(value) is not _StandIn:
            if _data(value):
                raise NoSource
            value = _StandIn(self, value, hint="function")
        return parsed(value._name)

    # Lines

    def write(self, result: Any) -> None:
        """Write the statements and the result."""
        for tree in (*self.effects, result):
            self.count(tree)
        for tree in (*self.required, *self.effects, result):
            self.lines.append(ast.unparse(renamed(tree, self.written)))
        if sum(map(len, self.lines)) > LONGEST:
            raise NoSource

    def count(self, tree: Any) -> None:
        for name in names_in(tree):
            self.uses[name] += 1
            if self.uses[name] == 1 and name in self.stand_ins and self.stand_ins[name]._tree:
                self.count(self.stand_ins[name]._tree)

    def written(self, name: str) -> Any:
        """Return the expression of a stand-in: a variable if the result has it twice, or it is long and has a name."""
        stand_in = self.stand_ins.get(name)
        if stand_in is None or name in self.values:
            return None
        if stand_in._tree is None:
            return parsed(self.known(stand_in._value, stand_in._hint))
        tree, hint = renamed(stand_in._tree, self.written), stand_in._hint
        short = not self.uses[name] or (self.uses[name] < 2 and (not hint or is_short(tree)))
        if short or (type(tree) is ast.Name and tree.id in self.variables):
            return tree
        hint = hint or "part"
        variable = self.local(hint, f"{hint}_{[*self.variables.values()].count(hint)}")
        self.variables[variable], stand_in._tree = hint, parsed(variable)
        self.lines.append(f"{variable} = {ast.unparse(tree)}")
        return stand_in._tree


class _StandIn:
    """Stands for a value in a rule, and records each operation on it.

    `tree` is the expression that made the value, with names of other stand-ins; arguments and globals have None.
    `given` is true if the value depends on the arguments.
    """

    __slots__ = ("_given", "_hint", "_name", "_reading", "_tree", "_value")
    __array_ufunc__ = None  # so that NumPy's arrays leave their operators to this class

    def __init__(
        self, reading: _Reading, value: Any, name: str = "", tree: Any = None, hint: str = "", given: bool = False
    ) -> None:
        self._reading = reading
        self._value = value
        self._name = name or f"_{len(reading.stand_ins):0{APART}}"
        self._tree = tree
        self._hint = hint
        self._given = given
        reading.stand_ins[self._name] = self
        reading.scope[self._name] = value

    @property  # type: ignore[misc]  # for `isinstance`
    def __class__(self) -> Any:
        return np.ndarray if _is_array(self._value) else _StandIn

    def __getattr__(self, name: str) -> Any:
        reading, value = self._reading, getattr(self._value, name)
        if isinstance(self._value, ModuleType) and (hasattr(value, "raw") or _package(self._value) == reading.package):
            return _StandIn(reading, value, hint=name)
        if name in ("shape", "ndim", "size", "dtype") and _is_array(self._value):
            return value
        return reading.evaluated(form(f"a.{name}", parsed(self._name)))

    def __call__(self, *args: Any, **options: Any) -> Any:
        reading, stand_ins = self._reading, [a for a in args if type(a) is _StandIn]
        if "out" in options:
            raise NoSource
        if self._value is np.asarray and len(args) == len(stand_ins) == 1 and _is_array(args[0]._value) and not options:
            return args[0]
        if len(args) == 2 and stand_ins and getattr(self._value, "symbol", "") in ("+", "-", "*", "/"):
            return _operation(f"a {self._value.symbol} b")(*args)
        function = getattr(self._value, "textbook", self._value)
        tree = call(parsed(self._name), function, args, options, _StandIn, reading.spelled)
        if any(a is reading.buffer for a in stand_ins):
            return reading.effects.append(tree)
        return reading.evaluated(tree)

    def __getitem__(self, key: Any) -> Any:
        return self._reading.evaluated(form("a[b]", parsed(self._name), index(key, self._reading.name)))

    def __iadd__(self, other: Any) -> Any:
        reading = self._reading
        match self._tree:
            case ast.Subscript(ast.Name(name)) if reading.buffer is reading.stand_ins[name]:
                reading.effects.append(ast.AugAssign(self._tree, ast.Add(), reading.spelled(other)))
                return reading.effects
        raise NoSource

    def __setitem__(self, key: Any, value: Any) -> None:
        if value is not self._reading.effects:  # as `__iadd__` returns
            raise NoSource

    def __bool__(self) -> bool:
        reading, holds = self._reading, bool(self._value)
        if self._given:
            if reading.package != ag.__name__:
                raise NoSource
            reading.required.append(form("require(a)" if holds else "require(not a)", parsed(self._name)))
        return holds

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, *_: Any) -> Any:
        raise NoSource  # a function without a stand-in needs the numbers


def _operation(text: str) -> Any:
    """Return a method of `_StandIn` that writes an operator."""

    def method(*operands: Any) -> Any:
        reading = next(o._reading for o in operands if type(o) is _StandIn)
        return reading.evaluated(form(text, *map(reading.spelled, operands)))

    return method


def _refused(*_: Any) -> Any:
    raise NoSource


for _name, _symbol in OPERATORS.items():
    setattr(_StandIn, f"__{_name}__", _operation(f"a {_symbol} b"))
    setattr(_StandIn, f"__r{_name}__", _operation(f"b {_symbol} a"))
    if not hasattr(_StandIn, f"__i{_name}__"):
        setattr(_StandIn, f"__i{_name}__", _refused)
for _name, _form in {"neg": "-a", "invert": "~a", "abs": "np.abs(a)"}.items():
    setattr(_StandIn, f"__{_name}__", _operation(_form))


def _data(value: Any) -> bool:
    """Return whether `value` is neither a function nor a class nor a module."""
    return not hasattr(value, "__name__")


def is_short(tree: ast.AST) -> bool:
    """Return whether a tree has at most two operations and tuples; a negative number and an index are neither."""
    return sum(map(_counts, ast.walk(tree))) <= SHORT


def _counts(node: Any) -> bool:
    if isinstance(node, ast.Tuple):
        return not any(isinstance(part, ast.Slice) for part in node.elts)
    return isinstance(node, OPERATIONS) and not isinstance(getattr(node, "operand", None), ast.Constant)


def _names(code: CodeType) -> set[str]:
    """Return the names of globals and attributes in a function, and in the functions that it defines."""
    return {*code.co_names}.union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _package(value: Any) -> str:
    return str(getattr(value, "__module__", None) or value.__name__).partition(".")[0]


def _read_only(value: Any) -> Any:
    """Return a read-only view of an array, which a rule cannot write into; any other value as it is."""
    if _is_array(value):
        value = np.asarray(value).view()
        value.flags.writeable = False
    return value


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))
