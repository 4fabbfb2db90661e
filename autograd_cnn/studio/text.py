"""Formats names, options, shapes and byte counts on one line, the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.environment import plain as plain  # noqa: PLC0414 - passed on

LONGEST = 40  # characters of a label; its tooltip shows the whole text


def clip(text: str, longest: int = LONGEST) -> str:
    """Return ``plain(text)``, cut to `longest` characters."""
    text = plain(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def cut(text: str, longest: int = LONGEST) -> str:
    """Return ``plain(text)``, cut in its middle: names may differ in their ends, as ``conv1.w`` and ``conv1.b``."""
    text, end = plain(text), longest // 2
    return text if len(text) <= longest else f"{text[: longest - end - 1]}…{text[-end:]}"


def bytes_text(count: float) -> str:
    """Format a byte count as ``2.1 MB``, with two or three digits; 1 kB is 1000 B."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.1f} {units[0]}" if count < 9.95 and units[0] != "B" else f"{count:.0f} {units[0]}"


def listed(names: Sequence[str]) -> str:
    """Join names as ``a, b and c``; of more than eight, list the first six."""
    if len(names) > 8:
        names = [*names[:6], f"{len(names) - 6} more"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"


def count_text(number: int, noun: str) -> str:
    """Format a count as ``1 operation`` or ``2,000 operations``."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def shape_text(shape: tuple[int, ...]) -> str:
    """Format a shape as ``(32,10)``, without spaces."""
    return str(shape).replace(" ", "")


def spelled(value: Any) -> str:
    """Format an option without addresses of objects, so that its text is the same in every run."""
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(spelled, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, slice):
        start, stop, step = ("" if part is None else spelled(part) for part in (value.start, value.stop, value.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.dtype):
        return value.name
    if value is Ellipsis:
        return "..."
    if hasattr(value, "shape"):
        return f"{shape_text(value.shape)} {value.dtype}"
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    return str(getattr(value, "__name__", type(value).__name__))
