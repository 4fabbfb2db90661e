"""Tiles of a batch over a few threads: the one place that knows about threads, and about those of BLAS.

NumPy lets go of the interpreter while it computes, so plain threads use all cores. Work is cut into tiles,
each so small that every pass over it finds it in a core's cache, and the threads take tiles from one queue
until it is empty. BLAS has threads of its own: while tiles run it is held to one, or the two kinds would
crowd each other out. Neither the tiles nor the order in which their results are joined depend on the number
of threads, so no bit of a result does.

Imports NumPy, the standard library and, when the first tile runs, threadpoolctl.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from functools import cache
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")


class _Local(threading.local):
    def __init__(self) -> None:
        self.in_tile = False


class _Shared:
    """What the threads of a process share; a forked child, which has none of them, starts a new one."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None
        self.holders = 0  # calls that hold BLAS to one thread
        self.blas_threads: list[int] = []  # of each library, when nobody holds it


_local = _Local()
_shared = _Shared()


def get_num_threads() -> int:
    """Number of threads that compute tiles, the caller's own included.

    Set by `set_num_threads`, else by the environment variable `AUTOGRAD_CNN_NUM_THREADS`, else one for each
    core that this process may use.
    """
    if _shared.threads is None:
        value = os.environ.get("AUTOGRAD_CNN_NUM_THREADS", "")
        if value and not (value.isdecimal() and int(value)):
            raise ValueError(f"AUTOGRAD_CNN_NUM_THREADS is {value!r}: give a number from 1 up, or unset it")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        _shared.threads = int(value or cores or 1)
    return _shared.threads


def set_num_threads(n: int) -> None:
    """Compute tiles on `n` threads from now on, the caller's own included. No bit of a result depends on it.

    Raises
    ------
    TypeError
        If `n` is no whole number.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(3)
    >>> get_num_threads()
    3
    >>> set_num_threads(before)
    """
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"set_num_threads: n is {n!r}, want a whole number")
    if n < 1:
        raise ValueError(f"set_num_threads: n is {n}, and the caller's own thread counts: give 1 or more")
    with _shared.lock:
        pool, _shared.pool, _shared.threads = _shared.pool, None, int(n)
    if pool:
        pool.shutdown(wait=False)


def map_tiles(function: Callable[[int], Result], count: int, products: bool = True) -> list[Result]:
    """Results of `function(0)`, ..., `function(count - 1)`, in that order, computed on all threads.

    The caller's thread works too; alone if there is one tile, or if it is in a tile already. An exception in
    a tile drops the tiles not yet begun, and is raised as itself when those under way have ended. With
    ``products=False``, for tiles that multiply no matrices, BLAS is left alone.

    Examples
    --------
    >>> map_tiles(lambda tile: tile * tile, 4)
    [0, 1, 4, 9]
    """
    if _local.in_tile:
        return [function(tile) for tile in range(count)]
    waiting = deque(range(count))
    results: dict[int, Result] = {}
    errors: list[BaseException] = []

    def work() -> None:
        _local.in_tile = True
        try:
            while True:
                try:
                    tile = waiting.popleft()
                except IndexError:
                    return
                results[tile] = function(tile)
        except BaseException as error:
            waiting.clear()
            errors.append(error)
        finally:
            _local.in_tile = False

    def help_out() -> None:
        if products:
            _set_blas(repeat(1))  # in this thread too, for a BLAS that runs on OpenMP
        work()

    with _one_blas_thread() if products else nullcontext():
        helpers = []
        with suppress(RuntimeError):  # no more threads to be had, or Python is ending: fewer will do
            for _ in range(min(get_num_threads(), count) - 1):
                # in a copy of the caller's context, because NumPy keeps `errstate` there
                helpers.append(_pool().submit(copy_context().run, help_out))
        work()
        if helpers:
            wait([helper for helper in helpers if not helper.cancel()])
    try:
        if errors:
            raise errors[0]
        return [results[tile] for tile in range(count)]
    finally:
        errors.clear()  # error -> traceback -> this frame -> error would be a cycle
        results.clear()
        function = None  # type: ignore[assignment]  # a thread may hold on to `work` for a moment: not to arrays


def _pool() -> ThreadPoolExecutor:
    with _shared.lock:
        if _shared.pool is None:
            _shared.pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), "autograd_cnn")
        return _shared.pool


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """BLAS on one thread until the last of all callers has left; in 5 us."""
    shared = _shared
    with shared.lock:
        if not shared.holders:
            shared.blas_threads = [library.num_threads for library in _blas()]
        shared.holders += 1
        _set_blas(repeat(1))
    try:
        yield
    finally:
        with shared.lock:
            shared.holders -= 1
            _set_blas(shared.blas_threads, only_here=shared.holders > 0)


def _set_blas(numbers: Iterable[int], only_here: bool = False) -> None:
    """Set the number of threads of each library; with `only_here`, of those that count for each caller."""
    for library, number in zip(_blas(), numbers, strict=False):
        if only_here and getattr(library, "threading_layer", None) != "openmp":
            continue
        # From 3.8 on, threadpoolctl obeys the first thread that comes and, without a word, no other. Here the
        # first to come may not be the last to leave, and the lock keeps order.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


@cache
def _blas() -> list[Any]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _after_fork() -> None:
    global _shared  # noqa: PLW0603
    if _shared.holders:
        _set_blas(_shared.blas_threads)
    _shared = _Shared(_shared.threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
