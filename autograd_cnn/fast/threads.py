"""Computes tiles of NumPy's on several threads, and keeps the threads of BLAS out of their way.

NumPy releases the interpreter's lock while it computes, so Python threads use all cores. Work is cut into tiles, each
small enough to stay in a core's cache over several passes, and the threads take tiles from one queue until it is
empty. Tiles of compiled code have workers of their own, in `mailbox`. BLAS has threads of its own, which would compete
for the same cores: while tiles run it is limited to one. Neither the tiles nor the order in which their results are
joined depend on the number of threads, so every result has the same bits on any number of threads.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from itertools import repeat
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")


class _Local(threading.local):
    in_tile = False


class _Shared:
    """State that the threads of a process share; a forked child, which has none of the threads, gets a new one."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.lock = threading.RLock()  # a signal handler may compute while its thread holds the lock
        self.pool: ThreadPoolExecutor | None = None
        self.holders: set[int] = set()  # the threads whose call of `map_tiles` limits BLAS to one thread
        self.blas_threads: list[int] = []  # of each library while no call limits it
        self.workers: Any = None  # those of `mailbox`
        self.ended = False  # Python is: no new workers


_local = _Local()
shared = _Shared()


def get_num_threads() -> int:
    """Number of threads that compute tiles, including the caller's own.

    Set by `set_num_threads`, else by the environment variable `AUTOGRAD_CNN_NUM_THREADS`, else one for each
    core that this process may use.
    """
    if shared.threads is None:
        value = os.environ.get("AUTOGRAD_CNN_NUM_THREADS", "")
        if value and not (value.isdecimal() and int(value)):
            raise ValueError(f"AUTOGRAD_CNN_NUM_THREADS is {value!r}: give a number from 1 up, or unset it")
        shared.threads = int(value or number_of_cores())
    return shared.threads


@cache
def number_of_cores() -> int:
    """Cores that this process may use."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


def set_num_threads(n: int) -> None:
    """Compute tiles on `n` threads from now on, including the caller's own; results keep their bits.

    Raises
    ------
    TypeError
        If `n` is not a whole number.
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
    with shared.lock:
        pool, shared.pool, shared.threads = shared.pool, None, int(n)
    if pool:
        pool.shutdown(wait=False)


def in_tile() -> bool:
    """Return whether this thread is computing a tile."""
    return _local.in_tile


def map_tiles(function: Callable[[int], Result], count: int, products: bool = True) -> list[Result]:
    """Compute ``function(0)``, ..., ``function(count - 1)`` on all threads, and return the results in this order.

    The caller's thread takes part; it works alone if there is one tile, or if it is computing a tile already. If a
    tile raises an exception, no further tile starts; when the running ones have ended, the exception is raised
    unchanged. ``products=False``, for tiles without matrix products, leaves the threads of BLAS alone. A call from such
    a tile may have products.

    Examples
    --------
    >>> map_tiles(lambda tile: tile * tile, 4)
    [0, 1, 4, 9]
    """
    nested = _local.in_tile
    if nested and (not products or threading.get_ident() in shared.holders):
        return [function(tile) for tile in range(count)]
    if count == 1 and not products:  # the way below takes 5 us more
        _local.in_tile = True
        try:
            return [function(0)]
        finally:
            _local.in_tile = False
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
            _local.in_tile = nested

    def work_in_pool() -> None:
        if products:
            _set_blas(repeat(1), only_here=True)  # a BLAS on OpenMP has a limit for each thread
        work()

    interrupt: BaseException | None = None
    try:
        if products:
            _limit_blas()
        futures = _submitted(work_in_pool, 0 if nested else min(get_num_threads(), count) - 1)
        work()
        if futures:
            wait([future for future in futures if not future.cancel()])
    finally:
        while products:  # Ctrl-C must not leave BLAS on one thread
            try:
                _free_blas()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            errors.append(interrupt)
            interrupt = None
    try:
        if errors:
            raise errors[0]
        return [results[tile] for tile in range(count)]
    finally:
        errors.clear()  # error -> traceback -> this frame -> error would be a cycle
        results.clear()
        function = None  # type: ignore[assignment]  # a thread may hold `work` a moment longer: free its arrays


def cut(args: Sequence[Any], count: int, whole: Collection[int] = ()) -> Callable[[int], list[Any]]:
    """Return a function of the number of a tile, which returns its parts of the arrays, as `each_part` passes them."""
    cuts = [isinstance(a, np.ndarray) and n not in whole for n, a in enumerate(args)]
    return lambda tile: [
        a[len(a) * tile // count : len(a) * (tile + 1) // count] if cut else a
        for a, cut in zip(args, cuts, strict=True)
    ]


def each_part(
    function: Callable[..., Result], count: int, *args: Any, whole: Collection[int] = (), products: bool = False
) -> list[Result]:
    """Call a function on `count` equal parts of arrays, cut along the first axis; those in `whole` uncut.

    Examples
    --------
    >>> each_part(lambda x, n: x.sum().item() + n, 2, np.arange(6), 10)
    [13, 22]
    """
    part = cut(args, count, whole)
    return map_tiles(lambda tile: function(*part(tile)), count, products)


def _submitted(function: Callable[[], None], times: int) -> list[Any]:
    futures = []
    with suppress(RuntimeError):  # no more threads can be started, or Python is shutting down: fewer will do
        for _ in range(times):
            # NumPy keeps `errstate` in the context, so the function runs in a copy of the caller's.
            futures.append(_pool().submit(copy_context().run, function))
    return futures


def _pool() -> ThreadPoolExecutor:
    with shared.lock:
        if shared.pool is None:
            shared.pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), "autograd_cnn")
        return shared.pool


def _limit_blas() -> None:
    """Limit BLAS to one thread until the last concurrent caller has called `_free_blas`; each takes 5 us."""
    with shared.lock:
        if not shared.holders:
            shared.blas_threads = [library.num_threads for library in _blas()]
        shared.holders.add(threading.get_ident())
        _set_blas(repeat(1))


def _free_blas() -> None:
    with shared.lock:
        shared.holders.discard(threading.get_ident())
        _set_blas(shared.blas_threads, only_here=bool(shared.holders))


def _set_blas(counts: Iterable[int], only_here: bool = False) -> None:
    """Set the threads of each library; with `only_here`, only if it has a limit for each calling thread."""
    for library, count in zip(_blas(), counts, strict=False):
        if only_here and getattr(library, "threading_layer", None) != "openmp":
            continue
        # Since version 3.8, threadpoolctl obeys only the first thread that sets a number, and ignores others silently.
        # Here any thread may be the last to leave, so the claim is released; the lock of `_Shared` prevents races.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(count)
        release(force=True)


@cache
def _blas() -> list[Any]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _after_fork() -> None:
    global shared  # noqa: PLW0603 - a lock of the parent may be held by a thread that the child does not have
    if shared.holders:
        _set_blas(shared.blas_threads)
    shared = _Shared(shared.threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
