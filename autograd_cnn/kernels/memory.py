"""Memory that is used again: the first touch of a fresh page costs more than the pass that fills it.

`empty` makes arrays whose memory comes back when the last view of them is gone, and goes to the next that asks:
a training step lives in what the step before has left. `scratch` is what a tile needs while it computes.

Imports NumPy and the standard library.
"""

from __future__ import annotations

import math
import threading
import weakref
from pickle import PickleBuffer
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SMALLEST = 1 << 17  # bytes that are worth it: malloc itself keeps what is smaller
SPARE = 1 << 29  # bytes that may wait for another use
LINE = 64  # bytes of a line of the cache
KEPT = 1 << 24  # bytes of a scratch buffer that its thread keeps; more, for one huge image, is given back

_spare: dict[int, list[Any]] = {}  # blocks of each size
_lent: dict[int, tuple[Any, Any]] = {}  # by the id of a weak reference: it, and its array's block


class _Local(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[np.uint8]] = {}


_local = _Local()


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Array, not initialised, in memory that an earlier one has given back.

    Examples
    --------
    >>> a = empty((100, 1000), np.float32)
    >>> place = a.ctypes.data
    >>> del a
    >>> empty((1000, 100), np.float32).ctypes.data == place
    True
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    step = 1 << max(0, size.bit_length() - 4)
    size = -(-size // step) * step  # nearly equal sizes, of the last batch say, share blocks
    block: Any
    try:
        block = _spare[size].pop()
    except (KeyError, IndexError):
        memory = np.empty(size + LINE, np.uint8)
        start = -memory.ctypes.data % LINE
        block = memory[start : start + size]
    # Wrapped, or views of views would refer to `block` itself, and not to the array whose death is awaited.
    lent: Any = PickleBuffer(block)
    array: NDArray[Any] = np.ndarray(shape, dtype, lent)
    loan = weakref.ref(array, _take_back)
    _lent[id(loan)] = loan, block
    return array


def _take_back(loan: Any) -> None:
    # Runs wherever an array dies, in the middle of anything: no lock, and only steps that are atomic.
    _, block = _lent.pop(id(loan))
    if block.size + sum(size * len(blocks) for size, blocks in list(_spare.items())) <= SPARE:
        _spare.setdefault(block.size, []).append(block)


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Array of this thread, not initialised, good until the thread asks for the same name again."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = _local.buffers.get(name)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, np.uint8)
        if size <= KEPT:
            _local.buffers[name] = buffer
    return buffer[:size].view(dtype).reshape(shape)
