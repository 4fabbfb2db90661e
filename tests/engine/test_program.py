"""The engine as a program: depth, width, memory, determinism, processes. Counted, never timed."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import autograd_cnn as ag
from leaves import leaf

# Depth and width


DEEP = """
import sys, copy, pickle
import numpy as np
import autograd_cnn as ag
sys.setrecursionlimit(1000)
x = ag.Tensor([1.0, 2.0], requires_grad=True)

def chain(length):
    h = x
    for _ in range(length // 2):
        h = h * 1.0 + 0.0
    return h

h = chain(LENGTH)
h.sum().backward()                          # recorded and walked
assert (x.grad == 1).all(), x.grad
del h                                       # freed, walked
h = chain(LENGTH)
assert len(ag.engine.tape.history(h._node)) == LENGTH + 1
del h                                       # freed, not walked
h = chain(LENGTH)
assert (h.sum().gradient(x) == 1).all()     # retained
copy.deepcopy(h.detach()), pickle.dumps(h.detach())
for f in (copy.deepcopy, pickle.dumps):
    try:
        f(h)
    except TypeError:
        pass
del h
g = chain(20_000).sum().gradient(x, create_graph=True)
del g
print("done")
"""


@pytest.mark.parametrize("length", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_many_thousand_operations_at_the_usual_recursion_limit(python, length):
    assert python(DEEP.replace("LENGTH", str(length))) == "done\n"


def test_a_walk_visits_every_node_once_on_two_to_the_power_of_many_paths():
    visits = []

    @ag.primitive
    def spy(x, y):
        return x + y

    spy.vjp(x=lambda g: visits.append(1) or g, y=lambda g: g)
    x = leaf(1.0)
    h = x
    for _ in range(200):
        h = spy(h, h)
    h.backward()
    assert (len(visits), x.grad) == (200, 2.0**200)


# Memory


@pytest.fixture
def traced():
    """bytes(): allocated now; peak(f): highest above the start while f runs."""
    tracemalloc.start()

    class Traced:
        @staticmethod
        def bytes():
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        @staticmethod
        def peak(f):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            f()
            return tracemalloc.get_traced_memory()[1] - before

    yield Traced
    tracemalloc.stop()


def test_indexing_scatters_into_one_buffer(traced):
    """Ten times as many `x[i]` allocate ten times as little each: no array of zeros for every one of them."""
    x = leaf(np.ones((1000, 100)))

    def walk(count):
        loss = sum((x[i].sum() for i in range(1, count)), x[0].sum())
        allocated = traced.peak(loss.backward)
        x.grad = None
        return allocated

    walk(10)
    few, many = walk(30), walk(300)
    assert many < 20 * few  # a bound that also holds for time
    assert many < 3 * x.data.nbytes


def test_a_walk_makes_one_array_of_zeros_however_often_it_is_indexed(monkeypatch):
    made, zeros = [], np.zeros
    monkeypatch.setattr(np, "zeros", lambda *args: made.append(args[0]) or zeros(*args))
    x = leaf(np.ones((300, 50)))
    sum((x[i].sum() for i in range(1, 300)), x[0].sum()).backward()
    assert made == [(300, 50)]
    np.testing.assert_array_equal(x.grad, np.ones((300, 50)))


def networks(rng):
    """Two-layer CNN: (parameters, loss of a batch)."""
    w1, b1 = leaf(rng.normal(size=(3, 3, 3, 4)).astype(np.float32)), leaf(np.zeros(4, np.float32))
    w2, b2 = leaf(rng.normal(size=(64, 5)).astype(np.float32)), leaf(np.zeros(5, np.float32))

    def loss(images, labels):
        h = ag.max_pool2d(ag.relu(ag.conv2d(images, w1, b1, padding=1)), 2)
        return ag.cross_entropy(ag.linear(ag.flatten(h, 1), w2, b2), labels)

    return [w1, b1, w2, b2], loss


def train(parameters, loss, rng, steps):
    for _ in range(steps):
        images, labels = rng.normal(size=(8, 8, 8, 3)).astype(np.float32), rng.integers(0, 5, 8)
        for p in parameters:
            p.grad = None
        loss(images, labels).backward()
        for p in parameters:
            p.data -= 0.01 * p.grad


def test_memory_stays_flat_over_200_steps_without_the_collector(traced, rng, uncollected):
    parameters, loss = networks(rng)
    train(parameters, loss, rng, 1)  # loads what is loaded once
    gc.collect()
    growth, rounds = 20_000, 0
    while growth >= 20_000:  # a leak grows in every round, Python's own caches only in the first ones
        assert (rounds := rounds + 1) < 5, growth
        before = traced.bytes()
        train(parameters, loss, rng, 200)
        assert gc.collect() == 0
        growth = traced.bytes() - before


def test_dropping_the_loss_frees_everything_without_the_collector(rng, uncollected):
    parameters, loss = networks(rng)
    x, labels = rng.normal(size=(4, 8, 8, 3)).astype(np.float32), np.arange(4)
    gc.collect()
    for program in (
        lambda: loss(x, labels),
        lambda: loss(x, labels).backward(),
        lambda: loss(x, labels).backward(retain_graph=True),
        lambda: loss(x, labels).gradient(parameters[0], create_graph=True),
        lambda: ag.checkpoint(lambda x: loss(x, labels), x).backward(),
        lambda: ag.jvp(lambda x: ag.sin(x) * x, (np.ones(3),), (np.ones(3),)),
        lambda: ag.hessian(lambda x: ag.sum(x**3))(np.ones(3)),
    ):
        program()
        for p in parameters:
            p.grad = None
        assert gc.collect() == 0


def test_activations_that_no_rule_needs_die_with_the_users_name():
    x = leaf(np.ones((4, 3)))
    h = x + 1.0
    dead = weakref.ref(h.data)
    out = ag.sum(h + 2.0)
    del h
    assert dead() is None
    out.backward()


def live_bytes(traced, make):
    """Bytes of arrays that the result of `make` keeps alive."""
    before = traced.bytes()
    kept = make()
    after = traced.bytes()
    del kept
    return after - before


def test_a_held_loss_keeps_one_number_alive(traced):
    """After backward nothing that was saved is held: neither activations, nor the batch, nor an index."""
    w = leaf(np.ones((100, 100)))
    w.grad = np.zeros((100, 100))

    def walked(f):
        loss = f()
        loss.backward()
        return loss

    rows = np.arange(100)
    for f in (
        lambda: ag.tanh(np.ones((200, 100)) @ w).sum(),
        lambda: (w * np.ones((100, 100)) + np.ones((100, 100))).mean(),
        lambda: ag.cross_entropy(w, np.zeros(100, int)),
        lambda: w[np.tile(rows, 100)].sum(),
        lambda: w[np.tile(rows, 100), 0].sum(),
        lambda: ag.take(w, np.tile(rows, 100)).sum(),
        lambda: ag.where(np.ones((100, 100), bool), w, np.zeros((100, 100))).sum(),
        lambda: ag.dropout(w, 0.5, np.random.default_rng(0)).sum(),
        lambda: ag.checkpoint(lambda v: ag.sum(ag.exp(v * np.ones((100, 100)))), w),
    ):
        walked(f)
        held = live_bytes(traced, lambda f=f: walked(f))
        assert held < 20_000, held  # one array here has 80,000 bytes


def test_saved_arrays_go_during_the_walk(traced):
    """A chain of n activations of 80 kB: the walk frees each as it passes, and needs two or three at a time."""
    x = leaf(np.full(10_000, 0.5))
    h = x
    for _ in range(50):
        h = ag.sin(h)
    loss = h.sum()
    del h
    assert traced.peak(loss.backward) < 6 * x.data.nbytes


def test_a_walked_history_costs_less_than_a_kilobyte_an_operation(traced):
    x = leaf(np.ones(100))

    def walked(length=2000):
        h = x
        for _ in range(length):
            h = ag.sin(h) if length % 2 else h * 1.0001
        loss = h.sum()
        loss.backward()
        return loss

    walked()
    assert live_bytes(traced, walked) < 2000 * 1000


# Determinism and processes


SEEDED = """
import hashlib, sys
import numpy as np
import autograd_cnn as ag
rng = np.random.default_rng(0)
w1 = ag.Tensor(rng.normal(size=(3, 3, 3, 8)).astype(np.float32), True)
w2 = ag.Tensor(rng.normal(size=(2048, 10)).astype(np.float32) / 45, True)
for step in range(5):
    x, y = rng.normal(size=(16, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 16)
    h = ag.max_pool2d(ag.relu(ag.conv2d(x, w1, padding=1)), 2)
    h = ag.dropout(ag.flatten(h, 1), 0.1, rng)
    w1.grad = w2.grad = None
    ag.cross_entropy(h @ w2, y).backward()
    w1.data -= 0.01 * w1.grad
    w2.data -= 0.01 * w2.grad
print(hashlib.sha256(w1.data.tobytes() + w2.data.tobytes()).hexdigest())
"""


def test_one_seed_gives_the_same_bits_at_any_number_of_threads(python, monkeypatch):
    digests = set()
    for threads in ("1", "2"):
        for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.setenv(variable, threads)
        digests.add(python(SEEDED))
    assert len(digests) == 1


def test_the_global_generator_is_neither_read_nor_set():
    before = np.random.get_state()[1].copy()
    ag.dropout(leaf(np.ones(100)), 0.5, np.random.default_rng(0)).sum().backward()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
