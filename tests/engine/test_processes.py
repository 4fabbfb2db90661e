"""Failures, signals and forks: nothing stays locked, nothing blocks."""

import os
import signal
import weakref

import numpy as np
import pytest

import autograd_cnn as ag
from leaves import leaf
from processes import finished


def test_a_failing_forward_leaves_no_reference_cycle(uncollected):
    w, images = leaf(np.ones((3, 3))), np.ones((2, 3))
    h = images @ w
    died = weakref.ref(h)
    with pytest.raises(ValueError, match="do not broadcast"):
        h + np.ones(4)
    del h
    assert died() is None
    assert w.data.flags.writeable
    assert images.flags.writeable


def test_a_failing_walk_leaves_no_reference_cycle(uncollected):
    @ag.primitive
    def faulty(x):
        return x * 1

    faulty.vjp(x=lambda g: g[:, None])
    w = leaf(np.ones((3, 3)))
    loss = ag.sum(faulty(ag.tanh(w)))
    died = weakref.ref(loss)
    with pytest.raises(ValueError, match="the rule for x"):
        loss.backward()
    del loss
    assert died() is None
    assert w.data.flags.writeable


FORKS = """
import os, signal, sys, threading, warnings
import numpy as np
import autograd_cnn as ag

warnings.simplefilter("ignore")  # from 3.12 on Python warns of every fork beside threads
stop = threading.Event()

def work():
    w = ag.Tensor(np.ones(3), requires_grad=True)
    while not stop.is_set():
        (w * np.ones(3)).sum().backward()

threads = [threading.Thread(target=work) for _ in range(3)]
sys.setswitchinterval(1e-6)
for thread in threads:
    thread.start()
statuses = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a child that hangs is killed
        w = ag.Tensor(np.ones(3), requires_grad=True)
        (w * np.full(3, 2.0)).sum().backward()
        os._exit(0 if w.grad.tolist() == [2.0] * 3 else 1)
    statuses.append(os.waitpid(pid, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print(statuses)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_beside_busy_threads_computes():
    done = finished("-c", FORKS)
    assert (done.returncode, done.stdout) == (0, f"{[0] * 20}\n"), done.stderr


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that signals")
def test_a_signal_handler_may_run_backward_at_any_moment():
    """The handler strikes a hundred times while a graph is made, walked and freed: its own graph must not block."""
    calls = []

    def handler(*_):
        calls.append(None)
        v = leaf(np.ones(3))
        (v * array).sum().backward()
        assert v.grad.tolist() == [2.0] * 3

    def hang(*_):
        raise TimeoutError("blocked")

    array, w = np.full(3, 2.0), leaf(np.ones(3))
    before = signal.signal(signal.SIGALRM, handler), signal.signal(signal.SIGVTALRM, hang)
    signal.setitimer(signal.ITIMER_VIRTUAL, 60)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
        count = 0
        while len(calls) < 100:
            (w * array).sum().backward()
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGVTALRM, before[1])
    assert w.grad.tolist() == [2.0 * count] * 3
    assert array.flags.writeable


def test_threads_that_share_an_array_leave_it_writable(in_threads):
    """Guards of one array, made and dropped by many threads."""
    array = np.ones(3)

    def work(i):
        w = leaf(np.ones(3))
        for _ in range(300):
            (w * array).sum().backward()

    in_threads(8, work)
    assert array.flags.writeable
