"""Threads that start at once and take turns every microsecond, and a time without the garbage collector."""

import gc
import sys
import threading

import pytest


@pytest.fixture
def in_threads():
    """Call ``function(i)`` in so many threads at once; an error in one of them is raised here."""

    def call(count, function):
        errors, start = [], threading.Barrier(count)

        def run(i):
            start.wait()
            try:
                function(i)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield call
    sys.setswitchinterval(before)


@pytest.fixture
def uncollected():
    """Free at once what has no more references, and nothing else: cycles stay."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
