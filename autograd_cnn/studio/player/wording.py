"""Writes the numbers and the standing sentences of the player's lesson."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np

LOSS = "Loss: the number at the end, to be made small. Gradient: how fast the loss changes when one number is raised."
SHORT = "g_{0} is short for the gradient of the loss with respect to {0}; calculus writes d loss / d {0}."
BACKWARD = (
    "Local slope: how fast the result of one operation changes when its input is raised. Rule: the line that "
    "multiplies the incoming gradient by it. Kept: what stayed in memory because a rule needs it. Check: a gradient "
    "predicts a straight line, which only nearly fits. Numbers are shown with four digits, so a product of two can "
    "differ in the last."
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


_NUMBER = re.compile("\ue000([^\ue001\ue002]*)\ue001?([^\ue002]*)\ue002")  # no name contains these: `plain`


def number(x: Any, short: str = "") -> str:
    """Format a number with four digits, and mark it up with all of its digits; `pieces` and `visible` read the mark."""
    short = (short or f"{x if np.iscomplexobj(x) else float(x):.4g}").replace("-", "−")
    return f"\ue000{short}\ue001{x}\ue002" if short != str(x) else f"\ue000{short}\ue002"


def pieces(text: str) -> str | list[Any]:
    """Return the text as the page reads it: words, and each number as a list of four digits and all digits."""
    if "\ue000" not in text:
        return text
    words, short, exact = (_NUMBER.split(text)[k::3] for k in range(3))
    numbers = [[a, b] if b else [a] for a, b in zip(short, exact, strict=True)]
    return [piece for pair in zip_longest(words, numbers) for piece in pair if piece]


def visible(text: str) -> str:
    """Return what a reader sees: numbers with four digits."""
    return _NUMBER.sub(r"\1", text)


def signed(x: Any) -> str:
    """Format a number for use in an expression: in parentheses if it is negative."""
    return f"({number(x)})" if np.iscomplexobj(x) or float(x) < 0 else number(x)


def brief(x: float, digits: int = 2) -> str:
    """Format a small change, without an exponent if it has few zeros."""
    rounded = float(f"{x:.{digits}g}")
    plain = not rounded or 1e-8 < abs(rounded) < 1e6
    return np.format_float_positional(rounded, trim="-") if plain else f"{x:.{digits}g}"


def apart(before: float, after: float) -> list[str]:
    """Format two numbers and how far they are apart; the third is the difference of the first two as they are shown."""
    change = abs(after - before)
    digits = max(4, 2 - math.floor(math.log10(change))) if 0 < change < math.inf else 4
    if digits > 12 or not abs(before) + abs(after) < 1e6:
        return [number(before), number(after), number(change, brief(change, 3))]
    shown = [f"{float(x):.{digits}f}" for x in (before, after)]
    apart_as_shown = abs(float(shown[1]) - float(shown[0]))
    return [*map(number, (before, after), shown), number(change, f"{apart_as_shown:.{digits}f}")]


@lru_cache(4096)
def bare(line: str) -> str:
    """Return a line of the program as mathematics is written: without modules, with × for ``*``."""
    return re.sub(r"\b(ag|np)\.", "", line).replace(" * ", " × ")
