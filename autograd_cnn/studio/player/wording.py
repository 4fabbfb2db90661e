"""Writes the numbers, the expressions and the standing sentences of the player's lesson."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autograd_cnn.studio.program.syntax import Replaced

LOSS = "Loss: the number at the end, to be made small. Gradient: how fast the loss changes when one number is raised."
SHORT = "g_{0} is short for the gradient of the loss with respect to {0}; calculus writes d loss / d {0}."
BACKWARD = (
    "Local slope: how fast the result of one operation changes when its input is raised. Rule: the line that "
    "multiplies the incoming gradient by it. Kept: what stayed in memory because a rule needs it. Check: a gradient "
    "predicts a straight line, which only nearly fits: drag the point, or reach it by Tab and press ← or →. Numbers "
    "are shown with four digits, so a product of two can differ in the last."
)
ARRAYS = {  # explained at the start, if a role or an axis has one of these names
    "parameter": " Parameters: the numbers that training changes.",
    "item image": " Batch: the items that run together, along the first axis.",
    "channel colour": " Channel: one place on the last axis, as a colour of an image or what one filter makes.",
    "row": " In brackets: [item, row, column, channel]; of filters [row, column, input channel, filter].",
}
FIRST = {  # explained where they first appear
    "class": "Class: one of the answers to choose from; each has a score, and the highest is the network's answer.",
    "softmax": (
        "Softmax: turns the scores of an item into probabilities, which add up to 1: exp of each, divided by the sum "
        "of all. If the right class has probability p, −log p is near 0 for p near 1, and large for p near 0."
    ),
}
DEAD = (
    "Where relu gives 0 its slope is 0: nothing comes back. A channel that is 0 for all items of this batch gets no "
    "gradient from it; if it is 0 for all others too, it never learns, and is wasted."
)
ADD = "Raise {0} a little: each way changes the loss a little, and the changes add up."
SQUARE = "A square, for example, uses its number twice, and its slope is twice the number. "
KERNEL = "Each number of {} is used at every place, so its gradient is a sum over them; below is one."
MINUS = "Where g is above 0, raising the number raises the loss, so it goes down; where g is below 0, it goes up."


def record(**fields: Any) -> dict[str, Any]:
    """Return an object of the page, without the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def number(x: Any) -> str:
    """Format a number with four digits."""
    return (f"{x:.4g}" if np.iscomplexobj(x) else f"{float(x):.4g}").replace("-", "−")


def signed(x: Any) -> str:
    """Format a number for use in an expression: in parentheses if it is negative."""
    return f"({number(x)})" if np.iscomplexobj(x) or float(x) < 0 else number(x)


def brief(x: float, digits: int = 2) -> str:
    """Format a small change, without an exponent if it has few zeros."""
    rounded = float(f"{x:.{digits}g}")
    plain = not rounded or 1e-8 < abs(rounded) < 1e6
    return (np.format_float_positional(rounded, trim="-") if plain else f"{x:.{digits}g}").replace("-", "−")


def apart(before: float, after: float) -> list[str]:
    """Format two numbers and how far they are apart; the third is the difference of the first two as they are shown."""
    change = abs(after - before)
    digits = max(4, 2 - math.floor(math.log10(change))) if 0 < change < math.inf else 4
    if digits > 12 or not abs(before) + abs(after) < 1e6:
        return [number(before), number(after), brief(change, 3)]
    start, end = (f"{float(x):.{digits}f}" for x in (before, after))
    return [text.replace("-", "−") for text in (start, end, f"{abs(float(end) - float(start)):.{digits}f}")]


def bare(line: str) -> str:
    """Return a line of the program as mathematics is written: without modules, with × for ``*``."""
    return re.sub(r"\b(ag|np)\.", "", line).replace(" * ", " × ")


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


def template(tree: Any, ids: Mapping[str, str]) -> list[str]:
    """Return an expression in parts: text, the id of a value, text, and so on."""
    names = "|".join(sorted(map(re.escape, ids), key=len, reverse=True))
    parts = re.split(rf"(?<![\w.])({names})(?!\w)", as_mathematics(tree)) if ids else [as_mathematics(tree)]
    return [ids[part] if k % 2 else part for k, part in enumerate(parts)]
