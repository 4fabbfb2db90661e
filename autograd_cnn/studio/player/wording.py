"""Writes the numbers and the expressions of the player's lesson."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.studio.program.syntax import names_in


def record(**fields: Any) -> dict[str, Any]:
    """Return an object of the page, without the fields that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def number(x: Any, digits: int = 4) -> str:
    """Format a number with four digits, or others."""
    return f"{x if np.iscomplexobj(x) else float(x):.{digits}g}".replace("e-0", "e-").replace("-", "−")


def signed(x: Any) -> str:
    """Format a number for use in an expression: in parentheses if it is negative."""
    return f"({number(x)})" if np.iscomplexobj(x) or float(x) < 0 else number(x)


def significant(x: Any, digits: int = 9) -> float | None:
    """Return a number for the page, which writes four digits of it, with some; or None if it is not finite."""
    return float(f"{float(x):.{digits}g}") if x is not None and math.isfinite(x) else None


def bare(line: str) -> str:
    """Return a line of the program as mathematics is written: without modules and types, with × for ``*``."""
    line = re.sub(r"\bnp\.float\d+\(([^()]*)\)|\b(?:ag|np)\.", r"\1", line).replace(" * ", " × ")
    return re.sub(r"\((\w+)\[\.\.\., None\] == arange\(\d+\)\)", r"one_hot(\1)", line)


def template(tree: Any, ids: Mapping[str, str]) -> list[str]:
    """Return an expression in parts: text, the id of a value by its name, text, and so on."""
    names = sorted({re.escape(name) for name in names_in(tree) if name in ids}, key=len, reverse=True)
    parts = re.split(rf"(?<![\w.])({'|'.join(names)})(?!\w)", ast.unparse(tree)) if names else [ast.unparse(tree)]
    return [ids[part] if k % 2 else bare(part).replace(" - ", " − ") for k, part in enumerate(parts)]
