"""Random programs over the whole vocabulary, against NumPy and differences.

A program is text, so a failure shows it, and its seed makes it again: ``python tests/vocabulary/test_fuzz.py 17``.
"""

import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does so by itself

import autograd_cnn as ag
from autograd_cnn.calculus.check import _Function
from autograd_cnn.engine.tensor import Tensor
from vocabulary.random_functions import FAMILIES, FAST, SLOW, function, numpy_names, program


def check(f, leaves):
    """Derivatives of both orders, NumPy's value, and float32."""
    with pytest.MonkeyPatch.context() as patch:  # elsewhere it may have kinks at every step, or fill the memory
        patch.setattr(_Function, "check_elsewhere", lambda self: None)
        ag.check_gradients(f, *leaves, order=2, rtol=1e-5)
    variables = [Tensor(v, requires_grad=True) for v in leaves]
    loss = f(*variables)
    loss.backward()
    np.testing.assert_allclose(loss.data, f(*leaves), rtol=1e-12)
    narrow = [Tensor(v.astype(np.float32), requires_grad=True) for v in leaves]
    small = f(*narrow)
    small.backward()
    assert {small.dtype, *(v.grad.dtype for v in narrow)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(small.data, loss.data, rtol=1e-3, atol=1e-3)


def run(seed):
    text, leaves = program(seed)
    try:
        check(function(text, numpy_names()), list(leaves.values()))
    except Exception as error:
        raise AssertionError(f"program {seed}:\n{text}{error!r}") from error


@pytest.mark.parametrize("seed", FAST)
def test_a_random_program(seed):
    run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [SLOW[i : i + 50] for i in range(0, len(SLOW), 50)], ids=str)
def test_more_random_programs(seeds):
    for seed in seeds:
        run(seed)


def test_every_step_is_in_some_program():
    """Else it is one that NumPy refuses."""
    found = {re.sub(r"\b(a|b|t\d)\b", "#", step) for seed in range(1000) for step in program(seed)[0].splitlines()}
    for step in itertools.chain(*FAMILIES):
        forms = {step.replace("{i}", str(i)).replace("{n}", str(n)) for i in range(4) for n in range(7)}
        assert not found.isdisjoint("    # = " + re.sub(r"\b[xy]\b", "#", form) for form in forms), step


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print(program(seed)[0])
