"""Writes the numbers and the expressions of the player's lesson."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np


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


def significant(x: Any, digits: int = 5) -> float | None:
    """Return a number for the page with some digits, or None if it is not finite."""
    return float(f"{float(x):.{digits}g}") if x is not None and math.isfinite(x) else None


def bare(line: str) -> str:
    """Return a line of the program as mathematics is written: without modules, with × for ``*``."""
    line = re.sub(r"\b(ag|np)\.", "", line).replace(" * ", " × ")
    return re.sub(r"\((\w+)\[\.\.\., None\] == arange\(\d+\)\)", r"one_hot(\1)", line)


def template(tree: Any, ids: Mapping[str, str]) -> list[str]:
    """Return an expression in parts: text, the id of a value, text, and so on."""
    names, text = "|".join(sorted(map(re.escape, ids), key=len, reverse=True)), ast.unparse(tree)
    parts = re.split(rf"(?<![\w.])({names})(?!\w)", text) if ids else [text]
    return [ids[part] if k % 2 else bare(part).replace(" - ", " − ") for k, part in enumerate(parts)]
