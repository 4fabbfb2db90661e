"""Tiles on threads: order, exceptions, nesting, many callers, the threads of BLAS, and forks."""

from __future__ import annotations

import gc
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from arguments import complaints_of
from autograd_cnn.fast import columns, threads
from autograd_cnn.fast.threads import map_tiles, set_num_threads
from processes import finished

ROOT = Path(threads.__file__).parents[2]


def blas_threads():
    """Those of the libraries that multiply for us: SciPy, which Numba may import, brings another one."""
    return {library.num_threads for library in threads._blas()}


def run(script, **environment):
    """Run a script in a new process; return its output."""
    done = finished("-W", "error", "-c", script, PYTHONPATH=str(ROOT), **environment)
    return done.stdout + re.sub(r"autograd_cnn: Numba compiles kernels.*\n", "", done.stderr)


@pytest.fixture(params=[1, 2, 3])
def n(request, num_threads):
    num_threads(request.param)
    return request.param


@pytest.fixture
def two_of_blas(num_threads):
    num_threads(2)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("threadpoolctl cannot set the threads of this BLAS")
        yield


def test_results_are_in_order_whichever_tile_ends_first(n):
    assert map_tiles(lambda tile: tile * tile, 100) == [tile * tile for tile in range(100)]
    assert map_tiles(str, 0) == []


def test_tiles_run_at_the_same_time(num_threads):
    num_threads(3)
    together = threading.Barrier(3, timeout=30)
    arrivals = map_tiles(lambda tile: (together.wait(), threading.get_ident()), 3)
    assert len({who for _, who in arrivals}) == 3


def test_one_tile_runs_in_the_callers_thread(num_threads):
    num_threads(2)
    assert map_tiles(lambda tile: threading.get_ident(), 1) == [threading.get_ident()]
    assert map_tiles(lambda tile: threading.get_ident(), 1, products=False) == [threading.get_ident()]
    with pytest.raises(ZeroDivisionError):
        map_tiles(lambda tile: 1 // tile, 1, products=False)


def test_one_thread_is_the_callers_own(num_threads):
    num_threads(1)
    assert set(map_tiles(lambda tile: threading.get_ident(), 20)) == {threading.get_ident()}


def test_an_exception_in_a_tile_is_raised_unchanged_and_drops_the_rest(n):
    error = KeyError("tile 3")
    begun = []

    def tile(index):
        begun.append(index)
        if index == 3:
            raise error

    with pytest.raises(KeyError) as caught:
        map_tiles(tile, 10_000)
    assert caught.value is error
    assert len(begun) < 10_000
    assert map_tiles(abs, 3) == [0, 1, 2]


def test_running_tiles_end_before_an_exception_is_raised(num_threads):
    num_threads(2)
    failed, ended = threading.Event(), []

    def tile(index):
        if index == 0:
            failed.set()
            raise ValueError("tile 0")
        assert failed.wait(30)
        ended.append(index)

    with pytest.raises(ValueError, match="tile 0"):
        map_tiles(tile, 2)
    assert ended in ([], [1])
    before = list(ended)
    map_tiles(abs, 2)
    assert ended == before


def test_an_interrupt_in_a_tile_is_raised_too(n):
    def tile(index):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_tiles(tile, 8)
    assert map_tiles(abs, 3) == [0, 1, 2]


def test_an_exception_leaves_no_cycle(n):
    def tile(index):
        raise ValueError(index)

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError):
            map_tiles(tile, 4)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_tiles_inside_a_tile_run_in_its_thread(n):
    def inner(_):
        return threading.get_ident()

    def outer(_):
        return threading.get_ident(), set(map_tiles(inner, 5))

    for who, inside in map_tiles(outer, 10):
        assert inside == {who}


def test_many_user_threads_at_once(n):
    def use(seed):
        return [map_tiles(lambda tile: (seed, tile), count) for count in range(40)]

    before = blas_threads()
    with ThreadPoolExecutor(8) as users:
        for seed, found in enumerate(users.map(use, range(8))):
            assert found == [[(seed, tile) for tile in range(count)] for count in range(40)]
    assert blas_threads() == before


@contextmanager
def another_caller(look):
    """Another thread is in a tile until the end; yields the list of what it sees at both ends, and when it is out."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    def stay(_):
        seen.append(look())
        inside.set()
        assert leave.wait(30)
        seen.append(look())

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: (map_tiles(stay, 1), seen.append(look())))
        assert inside.wait(30)
        try:
            yield seen
        finally:
            leave.set()
        other.result()


def test_blas_is_limited_to_one_thread_until_the_last_caller_leaves(two_of_blas):
    with another_caller(blas_threads) as seen:
        assert map_tiles(lambda tile: blas_threads(), 4) == [{1}] * 4
        assert blas_threads() == {1}  # the other caller is still inside
    assert seen == [{1}, {1}, {2}]
    assert blas_threads() == {2}
    with pytest.raises(ZeroDivisionError):
        map_tiles(lambda tile: 1 // tile, 4)
    assert blas_threads() == {2}


def test_products_in_tiles_without_products_keep_blas_on_one_thread(two_of_blas):
    """As of images with a far pixel: two threads of tiles, each with two of BLAS, wait for each other."""

    def tile(_):
        return map_tiles(lambda _: blas_threads(), 2), threads.in_tile()

    assert map_tiles(tile, 8, products=False) == [([{1}, {1}], True)] * 8
    assert blas_threads() == {2}
    assert map_tiles(tile, 8) == [([{1}, {1}], True)] * 8
    assert blas_threads() == {2}


def test_a_convolution_of_one_block_keeps_blas_on_one_thread(two_of_blas, monkeypatch):
    """A thread that BLAS wakes stays awake for milliseconds, on the core of the next tiles."""
    seen, im2col = [], columns.im2col
    monkeypatch.setattr(columns, "im2col", lambda *args: (seen.append(blas_threads()), im2col(*args))[1])
    x, w = np.ones((2, 5, 5, 3)), np.ones((2, 2, 3, 4))
    columns.conv2d(x, w, None, np.empty((2, 4, 4, 4)), (1, 1), (0, 0))
    assert seen == [{1}]


def test_blas_on_openmp_is_limited_and_restored_in_each_thread(num_threads, monkeypatch):
    class OpenMP(threading.local):
        threading_layer = "openmp"
        num_threads = 4

        def set_num_threads(self, number):
            self.num_threads = number

    library = OpenMP()
    monkeypatch.setattr(threads, "_blas", lambda: [library])
    num_threads(3)
    with another_caller(lambda: library.num_threads) as seen:
        together = threading.Barrier(3, timeout=30)
        assert map_tiles(lambda tile: (together.wait(), library.num_threads)[1], 3) == [1, 1, 1]
        assert library.num_threads == 4  # though the other caller is still inside
    assert seen == [1, 1, 4]


def test_errstate_of_the_caller_applies_in_every_tile(n):
    def tile(_):
        return np.array([1.0]) / 0

    with np.errstate(divide="ignore"):
        assert np.isinf(map_tiles(tile, 50)).all()
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        map_tiles(tile, 50)


def test_the_number_of_threads_can_change_while_others_compute(num_threads):
    stop = threading.Event()

    def use():
        while not stop.is_set():
            assert map_tiles(abs, 20) == list(range(20))

    with ThreadPoolExecutor(3) as users:
        calls = [users.submit(use) for _ in range(3)]
        for change in range(60):
            num_threads(1 + change % 4)
        stop.set()
    assert [call.result() for call in calls] == [None] * 3


@pytest.mark.parametrize("wrong", [0, -2])
def test_less_than_one_thread_is_refused(wrong):
    with pytest.raises(ValueError) as caught:
        set_num_threads(wrong)
    assert str(caught.value) == (f"set_num_threads: n is {wrong}, and the caller's own thread counts: give 1 or more")


@pytest.mark.parametrize("wrong", ["2", 2.5, None])
def test_a_number_of_threads_that_is_not_whole(wrong):
    with pytest.raises(TypeError, match="want a whole number"):
        set_num_threads(wrong)


ASK = "from autograd_cnn.fast.threads import get_num_threads; print(get_num_threads())"


@pytest.mark.parametrize("wrong", ["0", "two", "-1", "1.5"])
def test_a_wrong_environment_is_named(wrong):
    message = f"AUTOGRAD_CNN_NUM_THREADS is {wrong!r}: give a number from 1 up, or unset it"
    assert run(ASK, AUTOGRAD_CNN_NUM_THREADS=wrong).endswith(f": {message}\n")


FORK = """
import os, sys, threading
import numpy as np, threadpoolctl
from autograd_cnn.fast import convolution, threads

threads.set_num_threads(3)
x = np.random.default_rng(0).standard_normal((200, 16, 16, 8), np.float32)
w = np.random.default_rng(1).standard_normal((3, 3, 8, 8), np.float32)
same = ((1, 1), (1, 1))

def compute():
    return convolution.conv2d(x, w, None, (1, 1), same, (1, 1), 1).tobytes()

def blas():
    return [i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]

expected, free = compute(), blas()
inside, leave = threading.Event(), threading.Event()
other = threading.Thread(target=threads.map_tiles, args=(lambda tile: (inside.set(), leave.wait()), 1))
other.start()
inside.wait()  # when the process forks, another thread is in a tile and limits BLAS
child = os.fork()
if not child:
    ok = blas() == free and compute() == expected and blas() == free and threading.active_count() > 1
    os._exit(0 if ok else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
leave.set()
other.join()
print(status, compute() == expected, blas() == free)
"""


ONE_CORE = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
TWO = "from autograd_cnn.fast.threads import *; set_num_threads(2);"
SCRIPTS = {  # a script, the number of threads in the environment, what it prints, and what the system must have
    "the environment sets the default": (ASK, "5", "5"),
    "the default is the cores that this process may use": (ONE_CORE + ASK, "", "1", "sched_setaffinity"),
    "a forked child makes a pool of its own": (
        "import warnings; warnings.simplefilter('ignore')" + FORK, "", "0 True True", "fork"),
    "without threadpoolctl": (
        f"import sys; sys.modules['threadpoolctl'] = None;{TWO} print(map_tiles(abs, 3))", "", "[0, 1, 2]"),
    "tiles while Python is ending": (
        f"import atexit;{TWO} atexit.register(lambda: print(map_tiles(abs, 3))); map_tiles(abs, 9)", "", "[0, 1, 2]"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_process(name):
    script, number, printed, *needs = SCRIPTS[name]
    if needs and not hasattr(os, needs[0]):
        pytest.skip(f"no {needs[0]} on this system")
    assert run(script, AUTOGRAD_CNN_NUM_THREADS=number) == f"{printed}\n"


def test_a_bad_number_of_threads_is_refused_by_a_clear_error():
    assert complaints_of(threads.set_num_threads, 1) == []
