"""Reads the user's variable names from the source line that called an operation.

A node keeps a code object and an offset, which determine the lines and columns of the expression. The statement around
the expression names the variable of the result, and the expression names the variables of the operands. If the source
is not available, there are no names.
"""

from __future__ import annotations

import ast
import linecache
from itertools import takewhile
from types import CodeType
from typing import Any

from autograd_cnn.engine.messages import Place, line_of

_SYMBOLS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@", ast.USub: "-",
    ast.Mod: "%",
}  # fmt: skip


class Site:
    """An expression that called a primitive: the variable `target` of its result, and its operands.

    `operation` is the name of the function or the symbol of the operator.
    """

    def __init__(self, node: Any, parent: Any, modules: set[str]) -> None:
        self.operation, self.operands, self.keywords = _taken_apart(node, modules)
        self.target = None
        if isinstance(node, ast.AugAssign):
            self.target = _variable(node.target)
        elif isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            self.target = _variable(parent.targets[0] if isinstance(parent, ast.Assign) else parent.target)

    def calls(self, primitive: Any) -> bool:
        """Return whether the expression calls `primitive` itself, not a function that calls it."""
        operator = self.operation == primitive.symbol and len(self.operands) == len(primitive.parameters)
        return operator or self.operation == primitive.name

    def variables(self, primitive: Any, names: list[str]) -> dict[int, str]:
        """Return the variables by port, if the expression calls `primitive` itself."""
        if not self.calls(primitive):
            return {}
        given = dict(zip(primitive.parameters, self.operands, strict=False)) | self.keywords
        if primitive.variadic:
            k = primitive.parameters.index(primitive.sequence)
            given[primitive.sequence] = ast.Tuple(self.operands[k:])
        found = {}
        for port, name in enumerate(names):
            expression = given.get(name)
            if name == primitive.sequence:
                elements = getattr(expression, "elts", [])
                place = port - names.index(name)
                expression = elements[place] if len(elements) == names.count(name) else None
            if (variable := _variable(expression)) is not None:
                found[port] = variable
        return found


class Source:
    """The user's files, each parsed once."""

    def __init__(self) -> None:
        self.files: dict[str, dict[tuple[int | None, int], list[tuple[Any, Any]]]] = {}  # by their ends
        self.modules: dict[str, set[str]] = {}
        self.positions: dict[CodeType, list[Any]] = {}

    def position(self, place: Place) -> tuple[int, int | None, int, int]:
        """Return the first line, last line, first column and last column of an expression."""
        code, offset = place
        if code not in self.positions:
            self.positions[code] = list(code.co_positions())
        line, end_line, column, end_column = self.positions[code][offset // 2]
        return line or line_of(place), end_line, column or 0, end_column or 0

    def site(self, place: Place) -> Site | None:
        """Return the expression at `place`, if its source is available."""
        file = place[0].co_filename
        if file not in self.files:
            self._parse(file)
        line, end_line, column, end_column = self.position(place)
        ending = self.files[file].get((end_line, end_column), [])
        exact = [s for s in ending if (s[0].lineno, s[0].col_offset) == (line, column)]
        # a method call begins at its attribute in the code object, but at its receiver in the syntax tree
        found = exact or [s for s in ending if isinstance(s[0], ast.Call)]
        return Site(*found[0], self.modules[file]) if len(found) == 1 else None

    def _parse(self, file: str) -> None:
        self.files[file], self.modules[file] = {}, set()
        try:
            tree = ast.parse("".join(linecache.getlines(file)))
        except (SyntaxError, ValueError, RecursionError):
            return
        for parent in ast.walk(tree):
            if isinstance(parent, (ast.Import, ast.ImportFrom)):
                self.modules[file] |= {(a.asname or a.name).partition(".")[0] for a in parent.names}
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, (ast.Call, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.AugAssign)):
                    end = (node.end_lineno or 0, node.end_col_offset or 0)
                    self.files[file].setdefault(end, []).append((node, parent))


def _taken_apart(node: Any, modules: set[str]) -> tuple[str | None, list[Any], dict[str | None, Any]]:
    """Return the name or symbol of the operation, its positional operands, and its keyword operands."""
    if not isinstance(node, ast.Call):
        symbol = "[]" if isinstance(node, ast.Subscript) else _SYMBOLS.get(type(node.op))
        return symbol, [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)], {}
    arguments = list(takewhile(lambda a: not isinstance(a, ast.Starred), node.args))
    keywords = {k.arg: k.value for k in node.keywords}
    if isinstance(node.func, ast.Attribute):
        receiver = node.func.value
        method = not (isinstance(receiver, ast.Name) and receiver.id in modules)
        return node.func.attr, [receiver, *arguments] if method else arguments, keywords
    return getattr(node.func, "id", None), arguments, keywords


def _variable(expression: Any) -> str | None:
    """Return ``w1`` for w1, self.w1 and p["w1"]; ``conv1.w`` for self.conv1.w; None if it is not a variable."""
    if isinstance(expression, ast.Subscript) and isinstance(expression.slice, ast.Constant):
        return expression.slice.value if isinstance(expression.slice.value, str) else None
    base = expression
    while isinstance(base, ast.Attribute):
        base = base.value
    return ast.unparse(expression).removeprefix("self.") if isinstance(base, ast.Name) else None
