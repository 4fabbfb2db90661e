"""Which arrays the walk may write into: fresh ones, that nobody else refers to."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np


def is_ours(array: Any) -> bool:
    """Whether only the caller's one reference leads to the memory of `array`, and the memory is writable.

    A rule may return a view of an array that it keeps, or two views of one array: their owner has other references.
    """
    if getrefcount(array) > _OURS or not array.flags.writeable:
        return False
    owner = array.base
    return owner is None or not isinstance(owner, np.ndarray) or getrefcount(owner) <= _OWNER


def _references(array: Any) -> tuple[int, int]:
    owner = array.base
    return getrefcount(array), getrefcount(owner)


def _least_references() -> tuple[int, int]:
    """The references that `is_ours` counts for a view, and for its owner, that nobody else has: Pythons differ."""
    entry, local = [np.empty(1)[:]], np.empty(1)[:]
    one, other = _references(entry[0]), _references(local)
    return min(one[0], other[0]), min(one[1], other[1])


_OURS, _OWNER = _least_references()
