"""Checks of single arguments, which return them. An error names the argument and its value; callers add their name."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np


def count(value: Any, name: str, least: int = 1) -> int:
    """Return `value` as an int of at least `least`; a bool is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r:.40}, want an int")
    if number < least:
        raise ValueError(f"{name} is {value}, want {least} or more")
    if number >= 2**63:
        raise ValueError(f"{name} is {value}, which no array has room for")
    return number


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """Return `value`, a finite number from `low` to `high`."""
    try:
        given = math.nan if isinstance(value, (str, bytes, bool, np.bool_)) else float(value)
    except (TypeError, ValueError, OverflowError):
        given = math.nan
    if not (math.isfinite(given) and low <= given <= high):
        bounds = f" from {low} to {high}" if high < math.inf else f", {low} or more" if low > -math.inf else ""
        kind = ValueError if isinstance(value, (int, float)) else TypeError
        raise kind(f"{name} is {value!r:.40}, want a number{bounds}")
    return value


def flag(value: Any, name: str, cure: str = "") -> Any:
    """Return `value`, a bool. A number in its place may be meant for another parameter, which `cure` names."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r:.40}, want True or False" + (f"\n{cure}" if cure else ""))
    return value
