"""What a live graph has saved is read-only.

An array that a rule will read must not change between forward and backward, or the gradient would be silently
wrong. Outputs of recorded operations are read-only for good. Arrays that belong to the user (a leaf's data, a
raw operand, and whatever owns their memory) are locked while a node holds a `Guard` on them and writable again
when the last node lets go: Python's own reference count is the counter.

One hole, by NumPy's design: a writable view that the user took before the forward pass ran stays writable.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from autograd_cnn.engine.tape import Constant


class Guard:
    """A token: while somebody holds it, one array and the owner of its memory stay read-only."""

    __slots__ = ("__weakref__", "constant")

    def __init__(self, array: np.ndarray) -> None:
        self.constant = Constant(None, array)  # for every node that holds it


class _Lock(weakref.ref):
    """What a guard locks. It runs `_release` once the guard is gone for good."""

    array: np.ndarray
    owner: Guard | None
    writeable: bool
    views: list[weakref.ref[np.ndarray]]


_locks: dict[int, _Lock] = {}  # by id of the array, which its lock keeps alive
_changing = threading.RLock()  # reentrant: a guard may die while another one is being made


def guard(array: np.ndarray) -> Guard | None:
    """A guard for `array`, shared with whoever holds one already; None if it can never be written."""
    lock = _locks.get(id(array))
    if lock is None:
        if array.base is None and not array.flags.writeable:
            return None
    elif (held := lock()) is not None:
        return held
    with _changing:
        lock = _locks.get(id(array))
        if lock is not None and (held := lock()) is not None:
            return held
        owner = guard(array.base) if isinstance(array.base, np.ndarray) else None
        if lock is None and owner is None and not array.flags.writeable:
            return None
        token = Guard(array)
        made = _Lock(token, _release)
        made.array, made.owner, made.views = array, owner, []
        made.writeable = array.flags.writeable or (lock is not None and lock.writeable)
        array.flags.writeable = False
        _locks[id(array)] = made
        return token


def _release(lock: Any) -> None:
    with _changing:
        current: Any = _locks.get(id(lock.array))
        if current is not lock:
            return  # a new guard took over in the meantime
        del _locks[id(lock.array)]
        if not lock.writeable:
            return
        if lock.owner is not None:  # a view cannot be writable before its owner is: hand it on
            _locks[id(lock.array.base)].views.append(weakref.ref(lock.array))
            return
        for array in (lock.array, *(view() for view in lock.views)):
            if array is not None:
                array.flags.writeable = True
