"""Reused memory: which part an array gets, when a part is free again, and that no two arrays share one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast import memory
from autograd_cnn.fast.memory import empty, scratch

SHAPE = 600, 800  # large enough for a region


@pytest.fixture(autouse=True)
def no_regions(monkeypatch):
    monkeypatch.setattr(memory, "_regions", [])


def place(array):
    return array.__array_interface__["data"][0]


def test_memory_is_reused_after_its_array_dies():
    a = empty(SHAPE, np.float32)
    at = place(a)
    assert place(empty(SHAPE, np.float32)) != at
    del a
    b = empty((1600, 30, 10), np.float32)
    assert place(b) == at
    assert b.flags.writeable and b.flags.c_contiguous and b.dtype == np.float32


def test_a_view_of_a_view_keeps_the_memory():
    a = empty(SHAPE, np.float64)
    a[...] = 7
    view = a[1:].reshape(-1)[5:].view(np.int64)
    del a
    other = empty(SHAPE, np.float64)
    other[...] = 3
    assert np.all(view.view(np.float64) == 7)
    assert not np.shares_memory(view, other)


def test_read_only_arrays_come_back_writable():
    a = empty(SHAPE, np.float32)
    a.setflags(write=False)
    del a
    empty(SHAPE, np.float32)[...] = 1


def test_free_memory_is_divided_and_merged_again():
    large = empty((1600, 2000), np.float32)
    at = place(large)
    del large
    parts = [empty(SHAPE, np.float32) for _ in range(6)]
    assert sorted(map(place, parts)) == list(range(at, at + 6 * 1_920_000, 1_920_000))
    for i in (2, 0, 5, 1, 4, 3):  # neighbours die in any order
        parts[i] = None
    assert place(empty((1600, 2000), np.float32)) == at


def test_the_smallest_part_that_is_large_enough_is_taken():
    arrays = [empty(shape, np.float64) for shape in ((800, 200), SHAPE, (680, 200), SHAPE, (760, 200), SHAPE)]
    at = [place(array) for array in arrays]
    arrays[0] = arrays[2] = arrays[4] = None
    assert place(empty((720, 200), np.float64)) == at[4]
    assert place(empty((680, 200), np.float64)) == at[2]


def test_parts_never_overlap():
    rng = np.random.default_rng(0)
    held = {}
    for number in range(3000):
        if len(held) > 20:
            old = list(held)[rng.integers(len(held))]
            assert np.all(held.pop(old) == old % 251)
        held[number] = empty((int(rng.integers(memory.SMALLEST, 1_600_000)),), np.uint8)
        held[number][...] = number % 251
    assert len(memory._regions) == 1  # and little of it was ever touched


def test_idle_regions_are_released_beyond_a_limit(monkeypatch):
    monkeypatch.setattr(memory, "REGION", 1 << 20)
    monkeypatch.setattr(memory, "SPARE", 3 << 20)
    arrays = [empty(SHAPE, np.float64) for _ in range(9)]
    assert len(memory._regions) == 9
    del arrays
    a = empty(SHAPE, np.float64)
    assert 1 <= len(memory._regions) <= 3
    assert any(np.shares_memory(a, region.memory) for region in memory._regions)


def test_small_arrays_take_no_region():
    empty((10, 10), np.float64)
    assert not memory._regions


def test_a_steady_loop_takes_no_new_memory():
    x = np.random.default_rng(0).standard_normal((700, 900), np.float32)
    places = set()
    for _ in range(5):
        y = ag.relu.raw(x)
        places.add(place(y))
        del y
    assert len(places) == 1


def test_arrays_of_many_threads_never_share_memory():
    def work(number):
        for _ in range(200):
            a, b = empty(SHAPE, np.float32), empty(SHAPE, np.float32)
            a[::50], b[::50] = number, -number
            assert np.all(a[::50] == number) and np.all(b[::50] == -number)

    with ThreadPoolExecutor(4) as workers:
        assert len(list(workers.map(work, range(1, 5)))) == 4
    held = empty(SHAPE, np.float32)  # takes back the memory of the dead arrays
    assert held.size
    assert not memory._lent or all(loan() is not None for loan, *_ in memory._lent.values())


def test_scratch_is_reused_by_name_and_not_shared_by_threads():
    a = scratch("test", (10, 3), np.float64)
    b = scratch("test", (7,), np.float32)
    assert a.shape == (10, 3) and a.dtype == np.float64 and b.shape == (7,) and b.dtype == np.float32
    assert np.shares_memory(a, b)
    assert not np.shares_memory(scratch("other", (10, 3), np.float64), a)
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(pool.submit(scratch, "test", (10, 3), np.float64).result(), a)


def test_a_huge_scratch_array_is_not_kept():
    small = scratch("huge", (10,), np.float64)
    huge = scratch("huge", (memory.KEPT + 1,), np.uint8)
    assert not np.shares_memory(scratch("huge", (memory.KEPT + 1,), np.uint8), huge)
    assert np.shares_memory(scratch("huge", (10,), np.float64), small)


def test_a_signal_handler_that_computes_inside_does_not_block(monkeypatch):
    take, inner = memory._take, []

    def interrupted(size):
        inner.append(memory.empty((1 << 20,), np.uint8))  # as a handler may, at this moment
        return take(size)

    monkeypatch.setattr(memory, "_take", interrupted)
    outer = memory.empty((1 << 20,), np.uint8)
    assert len(inner) == 1 and not np.may_share_memory(outer, inner[0])


def test_an_interrupt_inside_leaves_the_lock_free(monkeypatch):
    def interrupted(size):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(memory, "_take", interrupted)
        memory.empty((1 << 20,), np.uint8)
    assert not memory._lock.locked()
    place = memory.empty((1 << 20,), np.uint8).ctypes.data
    assert memory.empty((1 << 20,), np.uint8).ctypes.data == place


def test_no_python_code_runs_when_an_array_dies():
    """An interrupt would be lost in it."""
    array, calls = empty(SHAPE, np.float32), []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        del array
    finally:
        sys.setprofile(before)
    assert calls == []
