"""Workers that wait in compiled code: 1 to 16 threads, many callers, interrupts, forks, sleep and the end."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast import mailbox, threads
from autograd_cnn.fast.twins import compiled_pass, cut
from processes import finished

pytestmark = pytest.mark.skipif(not find_spec("numba"), reason="Numba is not installed")
SIZE = 80_000  # enough to wake the workers


def plan(tiles, size=SIZE):
    """The plan of a relu in so many tiles."""
    x, y = np.empty((2, size), np.float32)
    return mailbox.Plan(compiled_pass("elementwise.relu_tile"), [*map(cut((x, y), tiles), range(tiles))], (x, y))


def check(of, seed=0, size=SIZE):
    """Compare a relu by a plan with NumPy's."""
    x, y = np.random.default_rng(seed).standard_normal(size, np.float32), np.full(size, 7, np.float32)
    of.run(x, y)
    np.testing.assert_array_equal(y, np.maximum(x, 0))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16])
def test_every_tile_is_computed_once_on_any_number_of_threads(num_threads, n):
    num_threads(n)
    for tiles in 1, 2, 3, 7, 64:
        of = plan(tiles)
        for seed in range(10):
            check(of, seed)


def test_each_worker_has_memory_of_its_own(num_threads):
    """The words of a tile are written there; two that shared it would compute one tile twice."""
    num_threads(3)
    of, area = plan(50), np.empty(100, np.uint8)
    with_area = mailbox.Plan(
        compiled_pass("elementwise.relu_tile"), [(area.view(np.float32), area.view(np.float32))], (), area
    )
    assert with_area.bases[0, 4] == 1 and with_area.words[0, 4] == of.area
    assert with_area.area >= of.area + area.nbytes


def test_tiles_may_differ_in_layout():
    """The code is compiled once for all tiles: for numbers in one piece, it would read the second tile's wrongly."""
    x, y = np.arange(12, dtype=np.float32), np.zeros(8, np.float32)
    tiles = [(x[:4], y[:4]), (x[4::2], y[4:])]
    mailbox.Plan(compiled_pass("elementwise.relu_tile"), tiles, (x, y)).run(x, y)
    np.testing.assert_array_equal(y, [0, 1, 2, 3, 4, 6, 8, 10])


def test_callers_in_many_threads_get_their_own_results(num_threads):
    num_threads(3)
    of = plan(16)

    def use(seed):
        for _ in range(50):
            check(of, seed)

    with ThreadPoolExecutor(6) as users:
        calls = users.map(use, range(6))
        for change in range(30):
            threads.set_num_threads(1 + change % 4)
            check(of, change)
    assert len(list(calls)) == 6


def test_a_tile_of_python_computes_alone(num_threads):
    num_threads(2)
    of = plan(8)
    threads.map_tiles(lambda seed: check(of, seed), 20)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_an_interrupt_waits_for_the_tiles_and_leaves_the_workers_ready(num_threads):
    num_threads(2)
    of, interrupts, armed = plan(16), 0, []

    def interrupt(*_):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while interrupts < 100:
            try:
                armed.append(True)
                check(of)
                armed.clear()
            except KeyboardInterrupt:
                interrupts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert mailbox._workers().memory[0] == 0  # nobody has taken the workers for good
    check(of)


def test_a_worker_sleeps_when_there_is_nothing_to_do_and_wakes(num_threads):
    num_threads(2)
    of, pause = plan(8), threading.Event()
    for _ in range(3):
        check(of)
        workers = mailbox._workers()
        asleep = workers.memory[mailbox.FIELDS * mailbox.LINE :][:1]
        while not asleep[0]:
            pause.wait(0.001)
    check(of)


def test_workers_leave_when_another_number_is_wanted(num_threads):
    num_threads(4)
    check(plan(8))
    before = mailbox._workers()
    assert len(before.threads) == 3 and all(thread.is_alive() for thread in before.threads)
    num_threads(2)
    check(plan(8))
    assert not any(thread.is_alive() for thread in before.threads)
    before.compute(plan(1).job)  # by a caller who still has them: alone


def test_a_kernel_without_memory_raises(monkeypatch):
    monkeypatch.setattr(mailbox._alone(), "compute", lambda job: job.__setitem__(0, 1))
    with pytest.raises(MemoryError, match="could not allocate"):
        plan(1).run(*np.empty((2, SIZE), np.float32))


START = """
import atexit, os, threading
import numpy as np
import autograd_cnn as ag
from autograd_cnn.fast import mailbox, threads

threads.set_num_threads(3)
x = np.random.default_rng(0).standard_normal(300_000, np.float32)

def compute():
    return bool((ag.relu.raw(x) == np.maximum(x, 0)).all())

compute()
"""
FORK = """
import warnings; warnings.simplefilter("ignore")
stop = threading.Event()
def others():
    while not stop.is_set():
        compute()
other = threading.Thread(target=others)
other.start()
statuses = []
for _ in range(10):
    child = os.fork()
    if not child:
        ok = all(compute() for _ in range(50)) and sum(thread.is_alive() for thread in mailbox._workers().threads) == 2
        os._exit(0 if ok else 1)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
other.join()
print(statuses == [0] * 10, compute())
"""
END = """
def forever():
    while True:
        compute()
threading.Thread(target=forever, daemon=True).start()
atexit.register(lambda: print(compute()))
"""


def run(script):
    """Run a script in a new process; return its output."""
    done = finished("-c", START + script, PYTHONPATH=str(Path(mailbox.__file__).parents[2]))
    return done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_workers_of_its_own():
    assert run(FORK) == "True True\n"


def test_python_ends_while_workers_wait_or_compute():
    assert run("atexit.register(lambda: print(compute(), len(mailbox._workers().threads)))") == "True 2\n"
    assert run("mailbox._end(); print(compute(), len(mailbox._workers().threads))") == "True 0\n"
    for _ in range(2):
        assert run(END) == "True\n"


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [8, 16])
def test_a_call_with_one_array_twice_leaves_no_plan_that_reads_one_for_the_other(rng, channels, stride):
    x, w = rng.normal(size=(2, 3, 3, channels, channels))
    images, g = rng.normal(size=(2, 3, 6, 6, channels))
    calls = [
        lambda a, b: ag.conv2d(a[0], b[1], stride=stride, padding=1),
        lambda a, b: ag.conv2d_weight_gradient(a[2], b[3], (3, 3, channels, channels), padding=1),
    ]
    for call in calls:
        mailbox._plans.clear()
        expected = call((x, w, images, g), (x, w, images, g))
        mailbox._plans.clear()
        call((x, x, images, images), (x, x, images, images))
        assert np.array_equal(call((x, w, images, g), (x, w, images, g)), expected)
