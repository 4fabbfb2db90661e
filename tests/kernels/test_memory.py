"""Memory that is used again: who gets whose, and when never."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from autograd_cnn.kernels import memory
from autograd_cnn.kernels.memory import empty, scratch

SHAPE = 300, 400  # large enough to be kept


@pytest.fixture(autouse=True)
def no_blocks(monkeypatch):
    monkeypatch.setattr(memory, "_spare", {})


def place(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_the_array_is_gone():
    a = empty(SHAPE, np.float32)
    at = place(a)
    assert place(empty(SHAPE, np.float32)) != at
    del a
    b = empty((400, 30, 10), np.float32)
    assert place(b) == at
    assert b.flags.writeable and b.flags.c_contiguous and b.dtype == np.float32


def test_a_view_of_a_view_keeps_it():
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


def test_sizes_that_nearly_agree_share_a_block():
    a = empty((100, 1000), np.float64)
    at = place(a)
    del a
    assert place(empty((105, 1000), np.float64)) == at
    assert place(empty((50, 1000), np.float64)) != at


def test_no_more_than_a_limit_waits(monkeypatch):
    monkeypatch.setattr(memory, "SPARE", 3 * 8 * 120_000)
    arrays = [empty(SHAPE, np.float64) for _ in range(9)]
    del arrays
    assert 1 <= sum(len(blocks) for blocks in memory._spare.values()) <= 3


def test_small_arrays_are_of_no_interest():
    empty((10, 10), np.float64)
    assert not memory._spare


def test_many_threads_never_share():
    def work(number):
        for _ in range(200):
            a, b = empty(SHAPE, np.float32), empty(SHAPE, np.float32)
            a[::50], b[::50] = number, -number
            if not (np.all(a[::50] == number) and np.all(b[::50] == -number)):
                wrong.append(number)

    wrong = []
    workers = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert not memory._lent or all(loan() is not None for loan, _ in memory._lent.values())


def test_scratch_is_reused_by_name_and_not_shared_by_threads():
    a = scratch("test", (10, 3), np.float64)
    b = scratch("test", (7,), np.float32)
    assert a.shape == (10, 3) and a.dtype == np.float64 and b.shape == (7,) and b.dtype == np.float32
    assert np.shares_memory(a, b)
    assert not np.shares_memory(scratch("other", (10, 3), np.float64), a)
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(scratch("test", (10, 3), np.float64)))
    thread.start()
    thread.join()
    assert not np.shares_memory(elsewhere[0], a)


def test_a_huge_scratch_array_is_given_back():
    small = scratch("huge", (10,), np.float64)
    huge = scratch("huge", (memory.KEPT + 1,), np.uint8)
    assert not np.shares_memory(scratch("huge", (memory.KEPT + 1,), np.uint8), huge)
    assert np.shares_memory(scratch("huge", (10,), np.float64), small)
