"""Fixtures for the tests of the kernels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import oracles
from autograd_cnn.fast import mailbox, threads, tiles, twins


@pytest.fixture(scope="session")
def naive():
    """The kernels written as explicit loops, under the same names. They remember results: many tests ask again."""
    known = {}

    def remembered(function):
        def run(*args):
            key = function, *((a.shape, a.dtype.str, a.tobytes()) if isinstance(a, np.ndarray) else a for a in args)
            if key not in known:
                known[key] = function(*args)
            return known[key]

        return run

    return SimpleNamespace(**{name: remembered(f) for name, f in vars(oracles).items() if callable(f)})


@pytest.fixture(scope="session")
def compiled():
    """Leaves out a test of what exists in compiled code only, where nothing is compiled."""
    if twins.kernel_set() == "numpy":
        pytest.skip("Numba is not installed, or turned off")  # no twin of NumPy to test in its place


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def num_threads():
    """`set_num_threads`, whose effect ends with the test."""
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.fixture
def same_bits(num_threads):
    """Assert that a function returns arrays of the same bits on any number of threads."""

    def check(compute):
        found = set()
        for n in 1, 2, 3, 3:
            num_threads(n)
            found.add(b"".join(a.tobytes() for a in compute()))
        assert len(found) == 1

    return check


@pytest.fixture(scope="session")
def normal():
    """Standard normal numbers in float32, by shape and seed."""
    return lambda *shape, seed=0: np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.fixture(autouse=True)
def no_plans(monkeypatch):
    """Plans of other tests may have other tiles."""
    monkeypatch.setattr(mailbox, "_plans", {})


@pytest.fixture
def small_tiles(monkeypatch):
    """A cache so small that images of a few pixels are cut into many tiles, and into rows."""
    monkeypatch.setattr(tiles, "CACHE", 1000)


@pytest.fixture(scope="session")
def other_layouts():
    """The same numbers in other memory layouts: read-only, Fortran order, every other one, backwards, among others."""

    def all_of(a):
        read_only = a.copy()
        read_only.flags.writeable = False
        every_other = np.zeros([2 * n for n in a.shape], a.dtype)
        every_other[(slice(None, None, 2),) * a.ndim] = a
        return {
            "read-only": read_only,
            "Fortran": np.asfortranarray(a),
            "every other": every_other[(slice(None, None, 2),) * a.ndim],
            "among others": np.concatenate([a, np.ones_like(a)], axis=-1)[..., : a.shape[-1]] if a.ndim else a,
            "backwards": a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim],
        }

    return all_of
