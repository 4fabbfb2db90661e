"""Random programs over the whole vocabulary, against NumPy, differences and PyTorch.

A program is text, so a failure shows it, and its seed makes it again: ``python tests/vocabulary/test_fuzz.py 17``.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does so by itself

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from vocabulary.random_functions import FAMILIES, FAST, SLOW, constants, function, numpy_names, program


def torch_names():
    import torch

    functional = torch.nn.functional

    def ramp(x):
        return x * torch.tensor(constants(x, 0.5, 1.5))

    def spd(x):
        return x @ torch.swapaxes(x, -1, -2) + torch.diag(torch.linspace(2, 4, x.shape[-2], dtype=x.dtype))

    return {
        **{"torch": torch, "F": functional, "ramp": ramp, "spd": spd, "square": lambda x: torch.sum(ramp(x) * x)},
        "slope": lambda x: torch.tensor(constants(x, -1, 1)),
        "conv2d": lambda x: functional.conv2d(x[None, None], x[None, None, :2, :2], padding=1)[0, 0],
        "conv_transpose2d": lambda x: functional.conv_transpose2d(x[None, None], x[None, None, :2, :2])[0, 0],
        "upscaled": lambda x: functional.interpolate(x[None, None], scale_factor=2, mode="bilinear")[0, 0],
    }


def check(f, leaves):
    """Derivatives of both orders, NumPy's value, and float32."""
    try:
        ag.check_gradients(f, *leaves, order=2, rtol=1e-5)
    except AssertionError as error:  # elsewhere a random program may have kinks at every step, and steep slopes
        if not re.match(r"f (on longer|where|in) ", str(error)):
            raise
    variables = [Tensor(v, requires_grad=True) for v in leaves]
    loss = f(*variables)
    loss.backward()
    np.testing.assert_allclose(loss.data, f(*leaves), rtol=1e-12)
    narrow = [Tensor(v.astype(np.float32), requires_grad=True) for v in leaves]
    small = f(*narrow)
    small.backward()
    assert {small.dtype, *(v.grad.dtype for v in narrow)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(small.data, loss.data, rtol=1e-3, atol=1e-3)


def compare(f, theirs, leaves):
    """The value and derivatives of both orders beside PyTorch's."""
    import torch

    ours, others = (
        [Tensor(v, requires_grad=True) for v in leaves],
        [torch.tensor(v, requires_grad=True) for v in leaves],
    )
    loss, expected = f(*ours), theirs(*others)
    np.testing.assert_allclose(loss.data, expected.item(), rtol=1e-9)
    slopes, wanted = loss.gradient(*ours, create_graph=True), torch.autograd.grad(expected, others, create_graph=True)
    for got, want in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=1e-7, atol=1e-9)
    second = sum(np.sum(g * g) for g in slopes).gradient(*ours)
    for got, want in zip(second, torch.autograd.grad(sum((g * g).sum() for g in wanted), others), strict=True):
        if want.isfinite().all():  # PyTorch's second derivative of sinc is NaN at 0
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-6, atol=1e-8)


def run(seed):
    ours, _, leaves = program(seed)
    try:
        check(function(ours, numpy_names()), list(leaves.values()))
    except Exception as error:
        raise AssertionError(f"program {seed}:\n{ours}{error!r}") from error


@pytest.mark.parametrize("seed", FAST)
def test_a_random_program(seed):
    run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [SLOW[i : i + 50] for i in range(0, len(SLOW), 50)], ids=str)
def test_more_random_programs(seeds):
    for seed in seeds:
        run(seed)


@pytest.mark.slow
def test_random_programs_beside_pytorch(torch):
    names, compared = torch_names(), 0
    for seed in range(1000):
        ours, theirs, leaves = program(seed)
        if theirs is not None:
            try:
                compare(function(ours, numpy_names()), function(theirs, names), list(leaves.values()))
            except Exception as error:
                raise AssertionError(f"program {seed}:\n{ours}{theirs}{error!r}") from error
            compared += 1
    assert compared > 300


def test_every_step_is_in_some_program():
    """Else it is one that NumPy refuses."""
    found = {re.sub(r"\b(a|b|t\d)\b", "#", step) for seed in range(1000) for step in program(seed)[0].splitlines()}
    for step in (line.partition(" | ")[0].strip() for family in FAMILIES for line in family):
        forms = {step.replace("{i}", str(i)).replace("{n}", str(n)) for i in range(4) for n in range(7)}
        assert not found.isdisjoint("    # = " + re.sub(r"\b[xy]\b", "#", form) for form in forms), step


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print(*program(seed)[:2], sep="\n")
