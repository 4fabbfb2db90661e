"""Takes the lines of a derived program apart, as syntax trees, and runs parts of them; text is made of them last."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from autograd_cnn.studio.player.wording import bare, number, signed
from autograd_cnn.studio.program.syntax import Replaced, evaluate, names_in

ONE = ast.Constant(1)
STEP = 1e-6  # of differences
LARGEST = 300_000  # elements of an input or output; for more, differences take too long


def statement(line: str) -> Any:
    """Return the last statement of a line of a rule, or None if the line is a comment."""
    return next(iter(ast.parse(line).body[-1:]), None)


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the value of a call, or None if it raises an error.

    A user's operation may need its own dtype or the recorded arrays, and may raise anything.
    """
    with suppress(Exception):
        return function(*arguments)


def flat_value(tree: Any, scope: dict[str, Any]) -> Any:
    """Return the value of an expression, flat, or None if it has none."""
    return attempt(lambda: np.reshape(evaluate(tree, scope), -1))


def factor(tree: Any, g: str) -> Any:
    """Return the factor of the name `g` in a product, or None if the expression is not a product with one `g`."""
    match tree:
        case ast.Name(name) if name == g:
            return ONE
        case ast.UnaryOp(ast.USub(), inner):
            return (found := factor(inner, g)) and ast.UnaryOp(ast.USub(), found)
        case ast.BinOp(left, ast.Div(), right) if g not in names_in(right):
            return (found := factor(left, g)) and ast.BinOp(found, ast.Div(), right)
        case ast.BinOp(left, ast.Mult(), right) if (g in names_in(left)) != (g in names_in(right)):
            inside, other = (left, right) if g in names_in(left) else (right, left)
            found = factor(inside, g)
            return other if found is ONE else found and ast.BinOp(found, ast.Mult(), other)
    return None


def as_mathematics(tree: Any, value: Callable[[str], Any] = lambda name: None) -> str:
    """Write an expression as mathematics; a variable with a `value` becomes a number."""

    def number_of(node: Any) -> Any:
        match node:
            case ast.Call(function, [ast.Name(name)], []) if (x := value(name)) is not None:
                return ast.Call(rewriter.visit(function), [ast.Name(number(x))], [])  # in parentheses anyway
            case ast.Name(name) if (x := value(name)) is not None:
                return ast.Name(signed(x))
        return None

    rewriter = Replaced(number_of)
    return bare(ast.unparse(ast.fix_missing_locations(rewriter.visit(tree))))


def nudged(code: Any, scope: dict[str, Any], name: str, i: int, output: str) -> tuple[Any, Any, float]:
    """Run code with the i-th number of an array a step lower, and a step higher: return both `output`, and the step."""
    step = STEP * max(1.0, abs(float(scope[name].flat[i])))

    def result(move: float) -> Any:
        moved = np.array(scope[name])
        moved.flat[i] += move
        inner = {**scope, name: moved}
        exec(code, inner)
        return inner[output]

    return result(-step), result(step), step
