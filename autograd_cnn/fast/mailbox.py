"""Runs a compiled kernel over all tiles of an operation in one call, with workers that wait in compiled code.

A thread of Python that shall compute a tile waits for the interpreter's lock first: 60 microseconds pass until it
begins. The workers here entered a compiled function once, without the lock, and find their work there. What the tiles
need follows from shapes and options alone: a `Plan` is made once for each, and a call fills in where its arrays are.
"""

from __future__ import annotations

import atexit
import ctypes
import itertools
import math
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from operator import index
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from . import threads
from .memory import aligned, scratch
from .threads import get_num_threads, in_tile, number_of_cores

Array = NDArray[Any]

SPINS = 30_000  # looks of a worker for the next job before it sleeps: 0.3 to 1 ms, by the processor
MOST, HEAD = 128, 1088  # words of a tile, and bytes of these and of a counter, at the beginning of a worker's memory
AREA, ARRAYS = 7, 9  # places in the words of a job: see `compiled.mailbox`
FIELDS, LINE = 4, 8  # lines of a mailbox, before those of its workers; words of a line of the cache
DATA = object.__basicsize__  # where an array has the address of its numbers: behind what every object has
KEPT = 1024  # plans

_plans: dict[Hashable, Plan] = {}


class Plan:
    """The calls of a kernel that compute an operation: the words of their arguments, as Numba passes them.

    Parameters
    ----------
    kernel : function of `compiled`
    tiles : sequence of sequences
        The arguments of each call: whole numbers, tuples of them, and arrays that are parts of those in `arrays`.
    arrays : sequence of arrays
        `run` has others in their places, with the same shapes, strides and dtypes.
    area : array, optional
        Stands for memory that each worker has for itself; arguments may be parts of it.
    """

    def __init__(
        self,
        kernel: Any,
        tiles: Sequence[Sequence[Any]],
        arrays: Sequence[Array],
        area: Array | None = None,
    ) -> None:
        bounds = [(8 * (ARRAYS + n), _place(a), *byte_bounds(a)) for n, a in enumerate(arrays)]
        if area is not None:
            bounds.append((1, _place(area) - HEAD, _place(area), _place(area) + area.nbytes))
        spans = sorted((low, high) for _, _, low, high in bounds if low < high)
        # If two of the arrays share memory, their parts cannot be told apart, and other arrays need another plan.
        self.lasts = all(high <= low for (_, high), (low, _) in itertools.pairwise(spans))
        table = np.array([_words(arguments, bounds) for arguments in tiles], np.int64)
        self.words, self.bases = (np.ascontiguousarray(table[..., n]) for n in (0, 1))
        assert self.words.shape[1] <= MOST
        # An argument is compiled for numbers in one piece only if those of all tiles are.
        loosest = [
            min(each, key=lambda a: isinstance(a, np.ndarray) and a.flags.c_contiguous)
            for each in zip(*tiles, strict=True)
        ]
        code = address(kernel, loosest)
        self.area = HEAD + (0 if area is None else -(-area.nbytes // 64) * 64)
        self.job = np.zeros(ARRAYS + len(arrays), np.int64)
        places = _place(self.words), _place(self.bases)
        self.job[:AREA] = 0, code, *self.words.shape, *places, self.area

    def run(self, *arrays: Array) -> None:
        """Compute all tiles, with the workers unless another thread of Python has them."""
        job, workers = self.job.copy(), _alone()
        if len(self.words) > 1 and not in_tile():
            workers = _workers()
        shares = len(workers.locks) + 1
        area = scratch("area", (shares, self.area), np.uint8)
        job[AREA:] = _place(area), shares, *map(_place, arrays)
        workers.compute(job)
        if job[0]:
            raise MemoryError("a compiled kernel could not allocate its arrays")


def address(kernel: Any, arguments: Sequence[Any]) -> int:
    """Compile a kernel for such arguments; return the address of its code."""
    found: int = import_module(f"{__package__}.compiled.mailbox").address(kernel, arguments)
    return found


def kept(key: Hashable, make: Callable[[], Plan]) -> Plan:
    """Return the plan of this key; make it if there is none."""
    plan = _plans.get(key)
    if plan is None:
        plan = make()
        if len(_plans) >= KEPT:
            _plans.clear()
        if plan.lasts:
            _plans[key] = plan
    return plan


def carved(dtype: Any, shapes: Sequence[Sequence[tuple[int, ...]]]) -> tuple[Array, list[list[Array]]]:
    """Return an area with room for the arrays that any of the tiles needs, and these, which are parts of it."""
    itemsize = np.dtype(dtype).itemsize
    places = [
        [*itertools.accumulate((-(-math.prod(shape) * itemsize // 64) * 64 for shape in each), initial=0)]
        for each in shapes
    ]
    area = np.empty(max(each[-1] for each in places), np.uint8)
    return area, [
        [np.ndarray(shape, dtype, area, start) for shape, start in zip(each, starts, strict=False)]
        for each, starts in zip(shapes, places, strict=True)
    ]


def _words(arguments: Sequence[Any], bounds: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """Return the words of the arguments of a call: pairs of a number and its base, 0, or where the job has the base."""
    words: list[tuple[int, int]] = []
    for a in arguments:
        if isinstance(a, np.ndarray):
            place = _place(a)
            base, start = next(((base, start) for base, start, low, high in bounds if low <= place < high), (0, 0))
            numbers = 0, 0, a.size, a.itemsize, place - start, *a.shape, *a.strides
            words += [(number, base if n == 4 else 0) for n, number in enumerate(numbers)]
        else:
            words += _words(a, bounds) if isinstance(a, tuple) else [(index(a), 0)]
    return words


def _place(a: Array) -> int:
    """Address of the numbers of an array; ``a.ctypes.data`` takes six times as long."""
    return ctypes.c_void_p.from_address(id(a) + DATA).value or 0


class _Workers:
    """Threads that wait for jobs in compiled code. A job that finds them taken is computed by its caller alone."""

    def __init__(self, count: int) -> None:
        self.count = count  # with the caller
        self.compiled: Any = import_module(f"{__package__}.compiled.mailbox")
        self.memory = aligned(((FIELDS + count) * LINE,), np.int64)
        self.memory[:] = 0
        # Never freed: a thread may be about to acquire one. The last is for naps.
        *locks, never = (_held_lock() for _ in range(count))
        self.threads: list[threading.Thread] = []
        with suppress(RuntimeError):  # no more threads can be started, or Python is shutting down: fewer will do
            for n, lock in enumerate(locks):
                thread = threading.Thread(target=self._serve, args=(n + 1, lock), name="autograd_cnn", daemon=True)
                thread.start()
                self.threads.append(thread)
        self.locks = np.array(locks[: len(self.threads)], np.int64)
        self.calls = self.locks, _function("release_lock"), _function("acquire_lock_timed"), never

    def _serve(self, worker: int, lock: int) -> None:
        # With more workers than cores, one that spins would keep another from its work.
        spins = SPINS if worker < number_of_cores() else 1
        self.compiled.serve(_place(self.memory), worker, lock, _function("acquire_lock"), spins)

    def compute(self, job: Array) -> None:
        self.compiled.run(_place(self.memory), job, *self.calls)

    def end(self) -> None:
        """Let the threads leave, when they have computed their tiles."""
        self.compiled.end(_place(self.memory), *self.calls[:2])
        for thread in self.threads:
            thread.join()


def _function(name: str) -> int:
    """Address of one of Python's functions of locks, which need no interpreter's lock."""
    return ctypes.cast(getattr(ctypes.pythonapi, f"PyThread_{name}"), ctypes.c_void_p).value or 0


def _held_lock() -> int:
    python = ctypes.pythonapi
    python.PyThread_allocate_lock.restype = ctypes.c_void_p
    lock: int = python.PyThread_allocate_lock()
    python.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
    return lock


@cache
def _alone() -> _Workers:
    return _Workers(1)


def _workers() -> _Workers:
    """As many workers as `set_num_threads` asks for; a forked child, which has none of the threads, gets new ones."""
    found: _Workers | None = threads.shared.workers
    if found is None or found.count != get_num_threads():
        with threads.shared.lock:
            before = threads.shared.workers
            found = threads.shared.workers = _alone() if threads.shared.ended else _Workers(get_num_threads())
        if before is not None:
            before.end()
    return found


def _end() -> None:
    """Let the workers leave while Python can still wait for them."""
    with threads.shared.lock:
        before, threads.shared.workers, threads.shared.ended = threads.shared.workers, None, True
    if before is not None:
        before.end()


atexit.register(_end)
