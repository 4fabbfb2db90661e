"""Writes the derived program with the source of all functions that it calls, so that it needs NumPy and nothing else.

Each function is that of the textbook, without the checks of its arguments, and runs as it is written: a line of the
program passes the arguments that the check would have returned. In the end `shorten` leaves out what no call needs.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
from collections import defaultdict
from copy import deepcopy
from functools import lru_cache
from itertools import count
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.arrays import is_complex
from autograd_cnn.engine.mode import no_grad
from autograd_cnn.engine.numpy_calls import known, peek, plain, plain_array
from autograd_cnn.ops.losses import cross_entropy_of_labels
from autograd_cnn.studio.program.shorten import shorten
from autograd_cnn.studio.program.syntax import NoSource, call, evaluate, literal, parsed
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Op

LABELS = """\
if not ((labels >= 0) & (labels < logits.shape[-1])).all():
    raise ValueError(f'program: labels have {labels.min()}..{labels.max()}, want 0..{logits.shape[-1] - 1}')
"""


class Standalone(Author):
    """Writes a program that calls functions of its own: `functions` has their definitions, and constants, by name."""

    faces: ClassVar[dict[str, ModuleType]] = {
        "np": np,
        "np.fft": np.fft,
        "np.linalg": np.linalg,
        "np.lib.stride_tricks": np.lib.stride_tricks,
    }

    def write(self) -> None:
        if self.graph.arrays is None:
            raise ValueError("program: a standalone one takes all arrays, which a tape has not saved: ag.trace(f, ...)")
        del self.scope["ag"]
        self.functions: dict[str, ast.stmt] = {}
        self.comments: dict[str, str] = {}
        self.primitives: dict[str, Any] = {}
        values, numbers = self.graph.values, count(1)
        self.complex = any(np.dtype(value.dtype).kind == "c" for value in values.values())
        named = {v.name for v in values.values()}
        for op in self.graph.ops:
            if re.fullmatch(rf"{re.escape(op.name)}(_\d+)?", values[op.output].name):  # the user has no name for it
                self.named(op.output, next(h for i in numbers if (h := f"h{i}") not in named), "g_")
        super().write()
        texts = [*self.forward_lines, *(text for lines in self.backward_lines for text, _ in lines)]
        lines = iter(shorten(texts, self.functions))
        self.forward_lines = [next(lines) for _ in self.forward_lines]
        self.backward_lines = [[(next(lines), size) for _, size in rule] for rule in self.backward_lines]

    def head(self) -> list[str]:
        sources = [f"{self.comments.get(name, '')}{ast.unparse(f)}\n\n" for name, f in self.functions.items()]
        return ["import numpy as np", *self.imports, "\n", *sources]

    # Functions

    def known(self, thing: Any, hint: str) -> str:
        """Return the name of a function, whose source is written if it is not there yet."""
        if thing is np._NoValue:
            return "np._NoValue"
        if getattr(thing, "numpy", None) is not None:
            return super().known(thing, hint)
        if not hasattr(thing, "__name__"):
            raise NoSource
        function = inspect.unwrap(getattr(thing, "textbook", thing))
        home = str(getattr(function, "__module__", None) or function.__name__).partition(".")[0]
        if home == "numpy" or home in sys.stdlib_module_names - {"__main__"}:
            return super().known(thing, hint)
        if function not in self.names:
            self.add(function, thing, getattr(thing, "name", hint))
        return self.names[function]

    def add(self, function: Any, thing: Any, hint: str) -> None:
        """Write the source of a function behind those of the functions that it calls."""
        tree = _definition(function)
        if tree is None:
            raise ValueError(
                f"program: the source of {hint} is in no file that needs NumPy alone, so it cannot stand in a "
                "standalone program. Write it in one, or leave out standalone=True: then the program imports it"
            )
        tree.name = name = self.named(function, hint)
        if hasattr(thing, "textbook"):
            self.primitives[name] = thing
        comment, outer = (inspect.getdoc(function) or "").partition("\n")[0], inspect.getclosurevars(function).nonlocals
        self.comments[name] = f"# {comment}\n" if comment else ""
        source = _Source(self, {**function.__globals__, **outer})
        written = source.written(tree)
        if thing is cross_entropy_of_labels:  # NumPy would count a label of -1 from the end
            written.body[:0] = ast.parse(LABELS).body
        self.keep(name, written)

    def keep(self, name: str, tree: ast.stmt) -> None:
        exec(ast.unparse(tree), self.scope)
        self.functions[name] = tree

    # Lines

    def rule(self, op: Op, rule: Any, positions: Any, *buffer: str) -> list[str]:
        texts = super().rule(op, rule.textbook, positions, *buffer)
        for i, text in enumerate(texts):
            if text[0] != "#":
                texts[i] = self.resolved(text)
                if not buffer and i < len(texts) - 1:
                    exec(texts[i], self.scope)  # the next lines may need the variable
        return texts

    def itself(self, op: Op, rule: Any) -> Any:
        return ast.Name(self.known(rule.textbook.function, f"{op.name}_gradient"), ast.Load())

    def resolved(self, text: str) -> str:
        return ast.unparse(_Calls(self).visit(ast.parse(text)))

    def checked(self, name: str, node: ast.Call) -> ast.Call:
        """Return a call that passes what the check of the primitive returns."""
        primitive = self.primitives[name]
        bound = inspect.signature(primitive.textbook).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
        bound.apply_defaults()
        given, values = [*bound.args], [evaluate(a, self.scope) if isinstance(a, ast.expr) else a for a in bound.args]
        for i, value in enumerate(primitive.check(*values) if primitive.check else ()):
            if value is not values[i] and not isinstance(value, (np.ndarray, np.generic)):
                given[i] = value  # an option
            elif getattr(values[i], "dtype", None) != getattr(value, "dtype", None):
                given[i] = _expression(f"np.asarray({ast.unparse(given[i])}, np.{value.dtype})")
        return call(parsed(name), primitive.textbook, given, {}, ast.expr, self.expression)

    def expression(self, value: Any, hint: str) -> Any:
        return value if isinstance(value, ast.expr) else super().expression(value, hint)


def _expression(text: str) -> Any:
    """Return a syntax tree of its own, which may be changed."""
    return ast.parse(text, mode="eval").body


class _Calls(ast.NodeTransformer):
    """Resolves the calls of primitives in a line, the inner ones first."""

    def __init__(self, author: Standalone) -> None:
        self.author = author

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name, raw, _ = ast.unparse(node.func).partition(".raw")
        if name not in self.author.primitives:
            return node
        made = self.author.checked(name, node)
        return _first(made) if self.author.primitives[name].byproducts and not raw else made


def _first(tree: ast.expr) -> ast.expr:
    return ast.Subscript(tree, ast.Constant(0), ast.Load())


def _definition(function: Any) -> Any:
    """Return the definition of a function or a lambda as a syntax tree, or None if it cannot be found."""
    try:
        code, names = function.__code__, frozenset(inspect.signature(function).parameters)
        found = _lines("".join(inspect.findsource(function)[0]))[code.co_firstlineno, code.co_name, names]
    except (AttributeError, OSError, TypeError, SyntaxError):
        return None
    if len(found) != 1 or hasattr(function, "__signature__"):  # one source for many functions
        return None
    if isinstance(node := deepcopy(found[0]), ast.Lambda):
        return ast.FunctionDef("", node.args, [ast.Return(node.body)], [], None, lineno=0)
    return node


@lru_cache
def _lines(file: str) -> dict[tuple[int, str, frozenset[str]], list[Any]]:
    """Return the functions in the text of a file by their first lines, names and parameters."""
    lines = defaultdict[tuple[int, str, frozenset[str]], list[Any]](list)
    for node in ast.walk(ast.parse(file)):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            line = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
            names = frozenset(n.arg for n in ast.walk(node.args) if isinstance(n, ast.arg))
            lines[line, getattr(node, "name", "<lambda>"), names].append(node)
    return lines


class _Source(ast.NodeTransformer):
    """Rewrites a function for a file of its own; `scope` has the values of the names that are not its own."""

    def __init__(self, author: Standalone, scope: dict[str, Any]) -> None:
        self.author, self.scope = author, scope

    def written(self, tree: ast.FunctionDef) -> Any:
        tree.args.defaults = [self.visit(default) for default in tree.args.defaults]
        inner = [*ast.walk(tree)]
        own = {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.own = own | {
            getattr(n, "arg", getattr(n, "name", "")) for n in inner if isinstance(n, (ast.arg, ast.FunctionDef))
        }
        self.scope = {name: value for name, value in self.scope.items() if name not in self.own}
        return self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list, node.returns = [], None
        del node.body[: ast.get_docstring(node) is not None]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        return self.visit(ast.Assign([node.target], node.value or ast.Constant(None), lineno=0))

    def visit_If(self, node: ast.If) -> Any:
        """Leave out a check of arguments."""
        check = all(isinstance(statement, ast.Raise) for statement in node.body) and not node.orelse
        return None if check else self.generic_visit(node)

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        return node if node.body else None

    def visit_With(self, node: ast.With) -> Any:
        """Leave out what holds for the whole program: it ignores warnings, and records nothing."""
        contexts = [inspect.unwrap(self.called(item.context_expr)) for item in node.items]
        needless = all(context in (np.errstate, inspect.unwrap(no_grad)) for context in contexts)
        return [self.visit(statement) for statement in node.body] if needless else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.called(node)
        if function in (plain, peek):  # there are no Tensors
            return self.visit(node.args[0])
        if function is known or (function is is_complex and not self.author.complex):
            return ast.Constant(function is known)
        self.generic_visit(node)
        return _first(node) if getattr(function, "byproducts", ()) else node

    def called(self, call: Any) -> Any:
        """Return the function of a call, or None if that is known only when it runs."""
        try:
            return eval(ast.unparse(call.func), {}, self.scope)
        except (AttributeError, NameError):
            return None

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        outer = self.scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if outer is builtins and node.attr not in self.own:
            return ast.Name(node.attr, ast.Load())
        if node.attr == "raw" and hasattr(outer, "textbook"):
            return self.visit(node.value)
        if isinstance(outer, ModuleType) and outer.__name__.partition(".")[0] == ag.__name__:
            return self.reference(getattr(outer, node.attr), node.attr)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        outer = isinstance(node.ctx, ast.Load) and node.id in self.scope
        return self.reference(self.scope[node.id], node.id) if outer else node

    def reference(self, value: Any, name: str) -> Any:
        """Return an expression for a value from outside of the function."""
        value = np.asarray if value is plain_array else value
        try:
            return literal(value, lambda part: _expression(self.author.known(part, name)))
        except NoSource:
            return _expression(self.constant(value, name))

    def constant(self, value: Any, name: str) -> str:
        """Write the assignment of a constant that has no short expression, such as a vectorised function."""
        names, file = self.author.names, ast.parse(inspect.getsource(sys.modules[self.scope["__name__"]]))
        for node in file.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and id(value) not in names:
                target = ast.Name(self.author.named(id(value), name), ast.Store())
                self.author.keep(target.id, ast.Assign([target], self.visit(node.value), lineno=0))
        if id(value) not in names:
            raise ValueError(f"program: {name} is {type(value).__name__}, which no standalone program can make")
        return names[id(value)]
