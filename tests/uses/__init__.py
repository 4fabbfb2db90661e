"""Calls of operations as users write them, for tests/ops/test_uses.py: each family has a file with a list `USES`.

A `Use` is enrolled by being in a list: its value, its derivatives of both orders, its dtypes and its name are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Use:
    """``f(*inputs)``, a call of the operation `name` (``"roll"``, ``"linalg.inv"``), whose inputs are float64 arrays.

    On plain arrays, `f` must call NumPy's function. If NumPy has none, `want` computes the value from the textbook.
    """

    name: str
    f: Callable[..., Any]
    inputs: tuple[Any, ...]
    want: Callable[..., Any] | None = None
    order: int = 2

    def value(self) -> Any:
        return (self.want or self.f)(*self.inputs)


def use(name: str, f: Callable[..., Any], *inputs: Any, want: Callable[..., Any] | None = None, order: int = 2) -> Use:
    return Use(name, f, inputs, want, order)


def every_use() -> list[Use]:
    """Return the uses of all families, here and in the folders `uses` of rings."""
    tests = Path(__file__).parents[1]
    families = [path.relative_to(tests).with_suffix("") for path in sorted(tests.rglob("uses/[!_]*.py"))]
    return [u for family in families for u in import_module(".".join(family.parts)).USES]
