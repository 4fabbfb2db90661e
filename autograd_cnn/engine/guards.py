"""Nobody may write into an array while a live graph has saved it.

An array that a rule will read must not change between forward and backward, or the gradient would be silently
wrong. Outputs of recorded operations are read-only for good. Arrays that belong to the user (a leaf's data, a raw
operand, and the owner of their memory) are locked while a node holds a `Guard` on them, and writable again when the
last of these nodes dies.

No Python code runs when a guard dies, only C functions, and there is no lock. So an interrupt is not lost there,
threads and forked processes cannot block each other, and a signal handler may run backward at any moment.

Memory that others reach without NumPy cannot be locked: that of PyTorch, of a bytearray, of a file or another process.
An array over it is saved as a copy.

NumPy's flag has holes, such as a writable view that the user took before the forward pass ran, and ``np.add.at``:
docs/promises.md lists them.
"""

from __future__ import annotations

import os
import weakref
from functools import partial
from itertools import chain
from operator import countOf, methodcaller
from threading import RLock
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.numpy_calls import copied_index

# A thread takes the lock to claim a graph, or to change the gradients of leaves. It may take it again, since a signal
# handler may run backward meanwhile.
exclusive = SimpleNamespace(lock=RLock())
if hasattr(os, "register_at_fork"):  # a child must not inherit a lock that another thread holds
    os.register_at_fork(after_in_child=lambda: setattr(exclusive, "lock", RLock()))


def claim(root: Any, place: Any) -> None:
    """Note that a walk began at a node. Of two threads that walk one graph, the second raises an error."""
    with exclusive.lock:
        if root.walked is not None:
            raise errors.walked_before(root)
        root.walked = place


class Guard:
    """A token that keeps the memory of one array, and its locked views, read-only while a node holds it."""

    __slots__ = ("__weakref__",)


class _Lock:
    """The arrays that became read-only with one guard, the owner of the memory first.

    `token` is a weak reference to the guard.
    """

    __slots__ = ("arrays", "token")

    def __init__(self, owner: np.ndarray, fresh: Guard) -> None:
        self.arrays: list[np.ndarray] = []
        unlocked = map(methodcaller("setflags", write=True), self.arrays)
        forgotten = map(_locks.pop, [id(owner)])
        # Python calls `countOf` with the dead reference, which equals no element: it only drives the two maps, in C.
        # The lock is forgotten last: it holds the only reference to `token`, which Python lends to the call.
        self.token = weakref.ref(fresh, partial(countOf, chain(unlocked, forgotten)))

    def add(self, array: np.ndarray) -> None:
        if array.flags.writeable:
            self.arrays.append(array)
            array.setflags(write=False)


_locks: dict[int, _Lock] = {}  # by id of the owner of the memory, which its lock keeps alive


def guard(array: np.ndarray) -> Guard | np.ndarray | None:
    """Return the guard that all views of the memory of `array` share, or None if that can never be written.

    If the memory cannot be locked and unlocked, return a read-only copy of `array`, to be saved in its place.
    """
    lock = _locks.get(id(array))
    if lock is not None:
        return lock.token() or guard(array)  # it may have died meanwhile, in another thread
    owner = array if array.base is None else _owner(array)
    if owner is None:
        array = array.copy()
        array.setflags(write=False)
        return array
    lock = _locks.get(id(owner))
    if lock is None:
        if not (owner.flags.writeable or array.flags.writeable or id(owner) in _locks):
            return None
        fresh = Guard()
        lock = _locks.setdefault(id(owner), _Lock(owner, fresh))  # another thread may have been first
    token = lock.token()
    if token is None:
        return guard(array)
    lock.add(owner)  # before its view, as it is unlocked: the thread that made the lock may not have come so far
    if array is not owner:
        lock.add(array)
    return token


def fixed(index: tuple[Any, ...]) -> Any:
    """Return a copy of an index that contains arrays or lists, which could change, else None."""
    return None if {list, np.ndarray}.isdisjoint(map(type, index)) else copied_index(index)


def _owner(array: np.ndarray) -> np.ndarray | None:
    """Return the array that owns the memory, or None if others may write there, or NumPy could not unlock it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    base: Any = array.base
    if isinstance(getattr(base, "base", None), np.ndarray):  # `as_strided` puts an object between a view and its owner
        return None if array.flags.writeable else _owner(base.base)
    return array if base is None or _is_exclusive(base) else None


def _is_exclusive(base: Any) -> bool:
    """Return whether memory that is not an array's own can change only through arrays over it, if at all."""
    try:
        exporter = memoryview(base).obj
    except TypeError:  # memory of another library
        return False
    return isinstance(exporter, bytes) or getattr(exporter, "lent", False)  # the latter: of `fast.memory`


def of_all(array: Any) -> Any:
    """Return an array itself, or all examples if it stands for one of a batch."""
    while not isinstance(array, np.ndarray):
        array = array.batch
    return array
