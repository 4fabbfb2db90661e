"""Assignment to Tensors: NumPy's numbers and right gradients, or a refusal. Old graphs keep their numbers."""

import re
import warnings
from collections import Counter

import numpy as np
import pytest

import autograd_cnn as ag
from assigned_programs import Program

REFUSALS = "is a parameter|shares memory with|an assignment changed its numbers|more dimensions"


def run(program, x, np=np, **constants):
    scope = {"np": np, **program.constants, **constants, "x": x}
    exec(program.source, scope)
    return scope["result"]


def differences(f, x):
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = 1e-6
        found[i] = (f(x + d) - f(x - d)) / 2e-6
    return found


def result(program, x):
    """Return value and gradient of a random program, compared with NumPy's run and differences; None if refused."""
    try:
        value, gradient = ag.value_and_grad(lambda x: run(program, x) + 0 * x.sum())(x)
    except (TypeError, ValueError, RuntimeError) as error:
        assert re.search(REFUSALS, str(error)), error
        return None
    np.testing.assert_allclose(value, run(program, x.copy()), 1e-12, err_msg=program.source)
    want = differences(lambda x: run(program, x.copy()), x)
    np.testing.assert_allclose(gradient, want, 1e-5, 1e-6 * (1 + abs(want).max()), err_msg=program.source)
    return value, gradient


def test_random_programs_have_the_numbers_of_numpy_or_are_refused():
    programs = [*map(Program, range(40))]
    results = [result(p, np.random.default_rng(0).normal(size=p.shape)) for p in programs]
    assert sum(r is not None for r in results) > 10


def torchs(torch, program, x):
    """Return value and gradient of a random program in PyTorch."""

    class Names:
        sin, zeros_like, full_like, sum, diagonal = (
            torch.sin,
            torch.zeros_like,
            torch.full_like,
            torch.sum,
            torch.diagonal,
        )
        squeeze, swapaxes = torch.squeeze, torch.swapaxes
        flip = staticmethod(lambda x: torch.flip(x, [*range(x.ndim)]))
        ix_ = staticmethod(lambda i, j: (i[:, None], j[None]))

    constants = {name: torch.tensor(array) for name, array in program.constants.items()}
    x = torch.tensor(x, requires_grad=True)
    value = run(program, x, Names, **constants) + 0 * x.sum()
    value.backward()
    return value.item(), x.grad.numpy()


@pytest.mark.slow
def test_300_random_programs_have_the_gradients_of_pytorch(torch):
    """PyTorch reads a number as a view, copies in `flip`, and refuses what overwrites an operand."""
    counts = Counter()
    for seed in range(300):
        program = Program(seed)
        x = np.random.default_rng(seed).normal(size=program.shape)
        if (ours := result(program, x)) is None:
            counts["refused"] += 1
            continue
        counts["right"] += 1
        try:
            with warnings.catch_warnings(), torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda t: t):
                warnings.simplefilter("ignore")
                value, gradient = torchs(torch, program, x)
        except (RuntimeError, TypeError) as error:
            counts[f"PyTorch: {str(error)[:20]}"] += 1
            continue
        same = np.isclose(value, ours[0])
        counts["compared with PyTorch" if same else "PyTorch has other numbers"] += 1
        if same:
            np.testing.assert_allclose(ours[1], gradient, 1e-10, 1e-12, err_msg=program.source)
    print(counts)
    assert counts["right"] > 100 and counts["compared with PyTorch"] > 90
