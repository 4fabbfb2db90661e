"""The tape: when operations are recorded, what a node remembers, and threads that record at once."""

import threading
import weakref

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine import tape
from autograd_cnn.engine.tape import Node
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf

# Recording


def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with ag.no_grad():
        assert not (x * 2).requires_grad
        with ag.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @ag.no_grad()
    def evaluate(x):
        return x * 2

    for _ in range(2):
        assert not evaluate(x).requires_grad
    with pytest.raises(KeyboardInterrupt), ag.no_grad():
        raise KeyboardInterrupt
    assert (x * 2).requires_grad


# Nodes


def test_a_node_is_older_than_its_children():
    x = leaf(1.0)
    y = ag.exp(x) * x
    for node in tape.history(y._node):
        assert all(parent.birth < node.birth for parent in tape.parents(node))


def test_structure_outlives_the_walk():
    x = leaf(np.ones((2, 3)), name="x")
    loss = ag.sum(ag.tanh(x) * 2.0)
    before = [(type(n), n.birth, n.shape) for n in tape.history(loss._node)]
    loss.backward()
    assert [(type(n), n.birth, n.shape) for n in tape.history(loss._node)] == before
    assert all(n.saved is None for n in tape.history(loss._node) if isinstance(n, Node))


def test_a_node_does_not_keep_the_arrays_of_the_users_frame():
    """A node knows code and offset of the user's line, never the frame."""
    x = leaf(1.0)

    def forward():
        big = np.ones(1000)
        forward.array = weakref.ref(big)
        return x * 2.0

    out = forward()
    assert forward.array() is None
    out.backward()


# Threads


def test_no_grad_in_one_thread_leaves_the_others_recording(in_threads):
    x, inside, outside = leaf(1.0), threading.Event(), threading.Event()
    recorded = []

    def work(i):
        if i == 0:
            with ag.no_grad():
                inside.set()
                outside.wait()
                recorded.append((x * 2).requires_grad)
        else:
            inside.wait()
            recorded.append((x * 2).requires_grad)
            outside.set()

    in_threads(2, work)
    assert recorded == [True, False]


def test_tensors_of_different_threads_combine(in_threads):
    made = {}

    def work(i):
        x = leaf(float(i + 1))
        made[i] = x, ag.exp(x)

    in_threads(2, work)
    (made[0][1] * made[1][1]).backward()
    assert made[0][0].grad == pytest.approx(np.exp(3))
    assert made[1][0].grad == pytest.approx(np.exp(3))


def test_eight_threads_with_fifty_graphs_each_are_exact(in_threads):
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
    batches = rng.normal(size=(8, 50, 6, 5))
    shared = Tensor(w1, requires_grad=False)

    def gradient(batch):
        a, b = leaf(w1), leaf(w2)
        h = ag.relu(batch @ a) + ag.tanh(batch @ shared)
        ag.logsumexp(h @ b).backward()
        return a.grad, b.grad

    want = [[gradient(batch) for batch in group] for group in batches]
    got = [[None] * 50 for _ in range(8)]

    def work(i):
        got[i] = [gradient(batch) for batch in batches[i]]

    in_threads(8, work)
    for i in range(8):
        for (a, b), (c, d) in zip(want[i], got[i], strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_threads_that_share_leaves_lose_no_contribution(in_threads):
    w = leaf(np.ones(3))

    def work(i):
        for _ in range(50):
            (w * float(i + 1)).sum().backward()

    in_threads(8, work)
    np.testing.assert_array_equal(w.grad, np.full(3, 50.0 * 36))
    w.data[...] = 5  # writable again


def test_only_one_of_two_threads_walks_a_graph(in_threads):
    for _ in range(20):
        x = leaf(np.ones(3))
        h = x
        for _ in range(20):
            h = h * 2.0
        loss, outcomes = h.sum(), []

        def work(i, loss=loss, outcomes=outcomes):
            try:
                loss.backward()
                outcomes.append("walked")
            except RuntimeError as error:
                outcomes.append("refused" if "was walked before" in str(error) else error)

        in_threads(2, work)
        assert sorted(outcomes) == ["refused", "walked"]
        np.testing.assert_array_equal(x.grad, np.full(3, 2.0**20))
