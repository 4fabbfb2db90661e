"""Saved arrays are read-only while their graph lives, and writable afterwards."""

import array
import copy
import ctypes
import mmap
import operator
import pickle
import tempfile
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.guards import _Lock, guard
from autograd_cnn.engine.tape import Node, history
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf


def refused(array):
    try:
        array[...] = 5
    except ValueError as error:
        assert str(error) == "assignment destination is read-only"
        return True
    return False


def test_a_leaf_is_locked_until_its_last_graph_is_walked_or_dropped():
    x = leaf([1.0, 2.0])
    assert not refused(x.data)
    first, second = (x * x).sum(), (x**2).sum()
    assert refused(x.data)
    del first
    assert refused(x.data)
    second.backward(retain_graph=True)
    assert refused(x.data)
    second.backward()
    assert not refused(x.data)
    x.data[...] = 1
    dropped = (x * x).sum()
    assert refused(x.data)
    del dropped
    assert not refused(x.data)


def test_an_array_that_is_not_saved_is_not_locked():
    x, batch = leaf([1.0, 2.0]), np.ones(2)
    loss = (x + batch).sum()
    assert not refused(batch)
    assert not refused(x.data)
    loss.backward()


def test_a_batch_buffer_is_free_again_after_backward():
    buffer = np.ones((8, 3), np.float32)
    w = leaf(np.ones((3, 2), np.float32))
    for step in range(3):
        buffer[...] = step  # refused in the second round, were it still locked
        loss = ag.linear(buffer[2:6], w).sum()
        assert refused(buffer)
        loss.backward()
        np.testing.assert_array_equal(w.grad, np.full((3, 2), 4 * step))
        w.grad = None


def test_a_view_of_another_thread_is_locked_after_its_owner(monkeypatch):
    owner = np.arange(6.0)
    view, tokens, add = owner[1:4], [], _Lock.add

    def interrupted(lock, array):  # another thread comes between the new lock and its first array
        monkeypatch.setattr(_Lock, "add", add)
        tokens.append(guard(view))
        add(lock, array)

    monkeypatch.setattr(_Lock, "add", interrupted)
    tokens.append(guard(owner))
    assert tokens[0] is tokens[1]
    assert refused(owner)
    assert refused(view)
    tokens.clear()
    assert not refused(owner)
    assert not refused(view)


@pytest.mark.parametrize("part", [slice(None), slice(1, 4)])
def test_a_lock_that_another_thread_lets_go_is_made_again(monkeypatch, part):
    owner = np.arange(6.0)
    view = owner[part] if part.start else owner

    class Interrupted(dict):
        def get(self, key):
            nonlocal token
            found = super().get(key)
            if found is not None:
                token = None  # the last graph dies
            return found

    monkeypatch.setattr("autograd_cnn.engine.guards._locks", Interrupted())
    token = guard(owner)
    token = guard(view)
    assert token is not None
    assert refused(view)


def test_views_let_go_in_any_order():
    owner = np.arange(6.0)
    views = [owner[:3], owner[3:], owner]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        leaves = [leaf(np.ones(len(v))) for v in views]
        losses = [(w * v).sum() for w, v in zip(leaves, views, strict=True)]
        for i in order:
            assert refused(owner) and refused(views[i])
            losses[i].backward()
            np.testing.assert_array_equal(leaves[i].grad, views[i])
        assert not any(map(refused, [owner.reshape(2, 3), *views]))
        owner[...] = np.arange(6.0)


def test_a_read_only_array_stays_so():
    array = np.ones(2)
    array.flags.writeable = False
    (leaf([1.0, 2.0]) * array).sum().backward()
    assert refused(array)


def test_a_result_is_read_only_for_good():
    h = leaf([1.0, 2.0]) * 2
    assert refused(h.data)
    h.sum().backward()
    assert refused(h.data)
    with ag.no_grad():
        free = leaf([1.0]) * 2
    assert not refused(free.data)


def test_rebinding_data_while_a_graph_lives_keeps_the_old_gradient_exact():
    """An optimiser gives a locked parameter a new array."""
    x = leaf([1.0, 2.0])
    loss = (x * x).sum()
    x.data = np.array([100.0, 200.0])
    loss.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


INDICES = lambda i: i, lambda i: (i, 0), lambda i: (slice(None), i), lambda i: i.tolist(), lambda i: (i.tolist(), 0)


@pytest.mark.parametrize("read", [operator.getitem, ag.getitem, lambda x, at: ag.set_at(x * 0, at, x[at])[at]])
@pytest.mark.parametrize("index", INDICES)
def test_an_index_that_is_written_into_changes_no_gradient(index, read):
    rows = np.array([0, 1, 2])
    x = leaf(np.ones((3, 3)))
    at = index(rows)
    want = np.zeros((3, 3))
    np.add.at(want, copy.deepcopy(at), 1)
    loss = read(x, at).sum()
    for part in [at, *(at if isinstance(at, (tuple, list)) else [])]:
        if isinstance(part, np.ndarray) and part.flags.writeable:
            part[...] = 0
        elif isinstance(part, list):
            part[:] = [0, 0, 0]
    loss.backward()
    np.testing.assert_array_equal(x.grad, want)


# Memory that NumPy does not own


class Interface:
    """An object of another library that shares its memory with NumPy."""

    def __init__(self):
        self.memory = np.arange(6.0)
        self.__array_interface__ = self.memory.__array_interface__


def from_torch():
    return pytest.importorskip("torch").arange(6, dtype=pytest.importorskip("torch").float64).numpy()


def from_file(**options):
    with tempfile.TemporaryFile() as file:
        file.write(np.arange(6.0).tobytes())
        file.flush()
        return np.memmap(file, float, **options)


def record(name):
    return np.rec.fromarrays([np.arange(6.0), np.arange(6.0)], names="x,y")[name]


FOREIGN = {
    "interface": lambda: np.asarray(Interface()), "torch": from_torch, "dlpack": lambda: np.from_dlpack(np.arange(6.0)),
    "as_strided": lambda: np.lib.stride_tricks.as_strided(np.arange(6.0)),
    "view of as_strided": lambda: np.lib.stride_tricks.as_strided(np.arange(6.0))[1:],
    "every other byte": lambda: np.asarray(memoryview(np.arange(6.0))[::2]),
    "buffer": lambda: np.frombuffer(bytearray(np.arange(6.0).tobytes())), "memmap": lambda: from_file(mode="r+"),
    "part of a memmap": lambda: from_file(mode="r+")[1:3],
    "array of a memmap": lambda: np.asarray(from_file(mode="c"))[:2], "field": lambda: record("x"),
    "matrix": lambda: np.arange(6.0).reshape(2, 3).view(np.matrix),
}  # fmt: skip


EXPORTERS = {  # objects that share their memory, through which a program may write
    "bytearray": lambda: bytearray(48),
    "memoryview": lambda: memoryview(bytearray(48)),
    "map": lambda: mmap.mmap(-1, 48),
    "array": lambda: array.array("d", bytes(48)),
    "ctypes": lambda: (ctypes.c_double * 6)(),
    "view of a map, as processes share it": lambda: memoryview(mmap.mmap(-1, 48)),
    "buffer of a pickle": lambda: pickle.PickleBuffer(bytearray(48)),
    "array of another pickle": lambda: pickle.PickleBuffer(np.zeros(6)),
}
VIEWS = {
    "whole": lambda a: a, "a part": lambda a: a[1:5], "transposed": lambda a: a.reshape(2, 3).T,
    "read-only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
    "as a memmap is": lambda a: a.view(np.memmap),
}  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", EXPORTERS)
def test_memory_that_is_written_without_numpy_changes_no_gradient(name, view):
    exporter = EXPORTERS[name]()
    memory = np.frombuffer(exporter, float)
    memory[:] = np.arange(6.0)
    operand = VIEWS[view](memory)
    before = np.array(operand)
    w, x = leaf(np.ones(operand.shape)), leaf(before)
    x.data = operand
    loss = (w * operand).sum() + (x * x).sum()
    memoryview(exporter).cast("B")[:] = bytes(range(48))
    assert not np.array_equal(operand, before)
    loss.backward()
    np.testing.assert_array_equal(w.grad, before)
    np.testing.assert_array_equal(x.grad, 2 * before)


WAYS = {  # taken before the forward pass, to be called after it
    "a view": lambda x: partial(x[:].fill, 50.0),
    "a memoryview": lambda x: partial(memoryview(x).__setitem__, 0, 50.0),
    "add.at": lambda x: lambda: np.add.at(x, [0], 50.0),
    "maximum.at": lambda x: lambda: np.maximum.at(x, 0, 50.0),
    "setflags": lambda x: lambda: (x.setflags(write=True), x.fill(50.0)),
    "ctypes": lambda x: lambda: ctypes.memset(x.ctypes.data, 1, 8),
    "the interface": lambda x: lambda: np.asarray(addressed(x)).fill(50.0),
    "from_numpy": lambda x: lambda: pytest.importorskip("torch").from_numpy(x).fill_(50.0),
    "DLPack": lambda x: lambda: pytest.importorskip("torch").from_dlpack(x).fill_(50.0),
    "overwrite_a": lambda x: lambda: pytest.importorskip("scipy.linalg").lu_factor(x.reshape(2, 2).T, overwrite_a=True),
}


CLOSED = {"add.at", "maximum.at"} if np.lib.NumpyVersion(np.__version__) >= "2.5.0" else set()


def addressed(x):
    """An object of another library with the memory of `x`."""
    return SimpleNamespace(__array_interface__={**x.__array_interface__, "data": (x.ctypes.data, False)})


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_write_through_the_lock_of_numpy(way):
    """The page of promises names them all, and the versions of NumPy that have closed one."""
    x = np.arange(1.0, 5.0)
    write, before = WAYS[way](x), x.copy()
    loss = (leaf(np.ones(4)) * x).sum()
    assert not x.flags.writeable and loss.requires_grad
    with pytest.raises(ValueError, match="read-only") if way in CLOSED else nullcontext():
        write()
    assert np.array_equal(x, before) == (way in CLOSED)


def test_weights_in_shared_memory_stay_there_in_a_step_while_their_graph_is_alive():
    memory = bytearray(48)
    w = leaf(np.ones(6))
    w.data = np.frombuffer(memory)
    optimiser = ag.optim.SGD([w], lr=1.0)
    loss = (w * w + w * 3).sum()
    loss.backward(retain_graph=True)
    optimiser.step()
    np.testing.assert_array_equal(np.frombuffer(memory), np.full(6, -3.0))
    assert np.shares_memory(w.data, np.frombuffer(memory))
    optimiser.zero_grad()
    loss.backward()
    np.testing.assert_array_equal(w.grad, np.full(6, 3.0))  # at the old weights


def test_bytes_and_large_results_are_saved_without_a_copy():
    operand = np.frombuffer(np.arange(6.0).tobytes())
    result = leaf(np.ones((300, 300))) * 2
    loss = (leaf(np.ones(6)) * operand).sum() + ag.relu(ag.reshape(result, -1) * result.data.ravel()).sum()
    saved = [a for node in history(loss._node) if isinstance(node, Node) for a in node.saved or ()]
    assert any(a is operand for a in saved)
    assert any(np.shares_memory(a, result.data) for a in saved if isinstance(a, np.ndarray))
    loss.backward()


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_memory_changes_no_gradient_and_is_writable_again(name):
    array = FOREIGN[name]()
    writable, before = array.flags.writeable, np.array(array)
    w = leaf(np.ones(array.shape))
    for _ in range(2):
        loss = (w * array).sum()
        if array.flags.writeable:  # then a copy was saved
            array[...] = 99
        loss.backward()
        np.testing.assert_array_equal(w.grad, before)
        w.grad = None
        assert array.flags.writeable == writable
        if writable:
            array[...] = before


def test_a_window_view_locks_the_array_under_it():
    array = np.arange(4.0)
    windows = np.lib.stride_tricks.sliding_window_view(array, 2)
    w = leaf(np.ones((3, 2)))
    loss = (w * windows).sum()
    assert refused(array)
    loss.backward()
    np.testing.assert_array_equal(w.grad, [[0, 1], [1, 2], [2, 3]])
    assert not refused(array)


def test_a_graph_keeps_the_numbers_that_it_saved_of_a_tensor_that_is_written_into():
    w, batch = leaf([1.0, 1.0]), Tensor([1.0, 2.0], name="batch")
    loss = (w * batch).sum()
    batch[0] = 5
    loss.backward()
    assert w.grad.tolist() == [1, 2]
    batch[1] = 6
    assert batch.tolist() == [5, 6]


def test_an_unlocked_array_leaves_no_dead_reference_in_use(python, monkeypatch):
    """Python's debugging allocator overwrites freed memory: a use of it would end the process."""
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    program = "import autograd_cnn as ag\nx = ag.Tensor([1.0, 2.0], requires_grad=True)\n(x * x).sum().backward()\n"
    assert python(f"{program}x.data[0] = 5\nprint(x.grad.tolist())") == "[2.0, 4.0]\n"
