"""Reuses the memory of dead arrays, because the first touch of a fresh page costs more than the pass that fills it.

`empty` cuts arrays out of large regions. When the last view of an array is gone, its part of the region is free again,
merges with free parts beside it, and serves a later array. So a training step runs in the memory that the previous step
freed, which is little more than the peak of its use. `scratch` provides the temporary arrays of a tile.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from bisect import bisect
from collections import deque
from pickle import PickleBuffer
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST = 1 << 19  # bytes of an array; malloc itself reuses the memory of smaller ones, in less time
REGION = 1 << 28  # bytes that are reserved at once: a page costs nothing before it is touched
SPARE = 1 << 29  # bytes that may stay free; beyond this, idle regions are released
LINE = 64  # bytes of a cache line
KEPT = 1 << 26  # bytes of a scratch buffer that its thread keeps; a larger one, for a huge image, is released


class Pages(np.ndarray):
    """The memory of a region. An array in it is the only way to its part, which `lent` tells the engine's guards."""

    lent = True


class _Region:
    """A block of memory, and its free parts: pairs (start, stop), sorted and never adjacent."""

    def __init__(self, size: int) -> None:
        self.memory: Any = aligned((size,), np.uint8).view(Pages)
        self.free = [(0, size)]

    def is_idle(self) -> bool:
        return self.free == [(0, self.memory.size)]

    def release(self, start: int, stop: int) -> None:
        at = bisect(self.free, (start, stop))
        if at < len(self.free) and self.free[at][0] == stop:
            stop = self.free.pop(at)[1]
        if at and self.free[at - 1][1] == start:
            at -= 1
            start = self.free.pop(at)[0]
        self.free.insert(at, (start, stop))


class _Local(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[np.uint8]] = {}
        self.taking = False


_local = _Local()
_regions: list[_Region] = []
_lent: dict[int, tuple[Any, _Region, int, int]] = {}  # id(weak reference) -> the reference, and its array's place
_returned: deque[Any] = deque()  # weak references to dead arrays whose places are not yet marked as free
_lock = threading.Lock()  # guards `_regions` and the free parts in them
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised array, in the memory of dead arrays where possible.

    Examples
    --------
    >>> a = empty((1000, 1000), np.float32)
    >>> place = a.ctypes.data
    >>> del a
    >>> empty((100, 10000), np.float32).ctypes.data == place
    True
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    size = -(-size // LINE) * LINE
    if _local.taking:  # a signal handler runs in the thread that holds the lock
        return np.empty(shape, dtype)
    with _lock:  # an interrupt after a bare `acquire` would leave it locked
        _local.taking = True
        try:
            region, start = _take(size)
        finally:
            _local.taking = False
    # Without the PickleBuffer, the region would be the base of views of `array`, which could then outlive it unnoticed.
    lent: Any = PickleBuffer(region.memory[start : start + size])
    array: NDArray[Any] = np.ndarray(shape, dtype, lent)
    # The callback is a C function: it needs no lock, and Python loses no interrupt in it.
    loan = weakref.ref(array, _returned.append)
    _lent[id(loan)] = loan, region, start, start + size
    return array


def _take(size: int) -> tuple[_Region, int]:
    """Take memory from the smallest free part that is large enough, or from a new region."""
    while _returned:
        place = _lent.pop(id(_returned.popleft()), None)
        if place is None:  # an interrupt came before `empty` could note the place
            continue
        _, region, start, stop = place
        region.release(start, stop)
        if region.is_idle() and sum(stop - start for r in _regions for start, stop in r.free) > SPARE:
            _regions[:] = [r for r in _regions if r is not region]
    fits = [
        (stop - start, i, k)
        for i, region in enumerate(_regions)
        for k, (start, stop) in enumerate(region.free)
        if stop - start >= size
    ]
    if not fits:
        _regions.append(_Region(max(size, REGION)))
        fits = [(0, len(_regions) - 1, 0)]
    _, i, k = min(fits)
    region = _regions[i]
    start, stop = region.free[k]
    region.free[k : k + 1] = [(start + size, stop)] if start + size < stop else []
    return region, start


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised array that begins with a line of the cache: a load of 64 bytes would else touch two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised array of this thread, valid until the thread requests the same name again."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = _local.buffers.get(name)
    if buffer is None or buffer.size < size:
        buffer = aligned((size,), np.uint8)
        if size <= KEPT:
            _local.buffers[name] = buffer
    return buffer[:size].view(dtype).reshape(shape)
