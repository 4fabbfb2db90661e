"""Decides whether the walk may write into an array: it must be writable, and nobody else may refer to it."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np


def is_ours(array: Any) -> bool:
    """Return whether `array` is writable and its memory has no reference but the caller's.

    A rule may return a view of an array that it keeps, or two views of one array. Then the owner of the memory has
    other references.
    """
    if getrefcount(array) > _OURS or not array.flags.writeable:
        return False
    owner = array.base
    return owner is None or not isinstance(owner, np.ndarray) or getrefcount(owner) <= _OWNER


def of_all(array: Any) -> Any:
    """Return an array itself, or all examples if it stands for one of a batch."""
    while not isinstance(array, np.ndarray):
        array = array.batch
    return array


def other_references(array: Any) -> int:
    """Return how many references lead to `array` or to the owner of its memory, besides the caller's."""
    array = of_all(array)
    owner = array.base
    return getrefcount(array) - _OURS + (getrefcount(owner) - _OWNER if isinstance(owner, np.ndarray) else 0)


def _references(array: Any) -> tuple[int, int]:
    owner = array.base
    return getrefcount(array), getrefcount(owner)


def _least_references() -> tuple[int, int]:
    """Count the references that `is_ours` finds for a view and its owner if nobody else has one. Pythons differ."""
    entry, local = [np.empty(1)[:]], np.empty(1)[:]
    one, other = _references(entry[0]), _references(local)
    return min(one[0], other[0]), min(one[1], other[1])


_OURS, _OWNER = _least_references()
