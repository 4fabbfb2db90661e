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

import numpy as np

_guards: dict[int, weakref.ref[Guard]] = {}
_lock = threading.RLock()  # reentrant: a Guard may be collected while another one is being made


class Guard:
    """Keeps one array, and the owner of its memory, read-only for as long as it lives."""

    __slots__ = ("__weakref__", "array", "owner", "views", "writeable")

    def __init__(self, array: np.ndarray, owner: Guard | None) -> None:
        self.array = array
        self.owner = owner
        self.writeable = array.flags.writeable
        self.views: list[weakref.ref[np.ndarray]] = []
        array.flags.writeable = False
        _guards[id(array)] = weakref.ref(self)

    def __del__(self) -> None:
        with _lock:
            reference = _guards.get(id(self.array))
            successor = reference() if reference is not None else None
            if successor is not None:  # another thread has just taken over
                successor.writeable |= self.writeable
                return
            _guards.pop(id(self.array), None)
            if not self.writeable:
                return
            if self.owner is not None:  # a view cannot be writable before its owner is: hand it on
                self.owner.views.append(weakref.ref(self.array))
                return
            for array in (self.array, *(view() for view in self.views)):
                if array is not None:
                    array.flags.writeable = True


def guard(array: np.ndarray) -> Guard | None:
    """A guard for `array`, shared with whoever holds one already; None if it can never be written."""
    reference = _guards.get(id(array))
    if reference is None and array.base is None and not array.flags.writeable:
        return None
    with _lock:
        reference = _guards.get(id(array))
        held = reference() if reference is not None else None
        if held is not None:
            return held
        owner = guard(array.base) if isinstance(array.base, np.ndarray) else None
        return Guard(array, owner) if owner is not None or array.flags.writeable else None
