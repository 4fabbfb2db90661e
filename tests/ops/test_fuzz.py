"""Random programs over the whole vocabulary, against NumPy, differences, the printed derivation, and PyTorch.

A program is text, so a failure shows it, and its seed makes it again: ``python tests/ops/test_fuzz.py 17``.
"""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does so by itself

import autograd_cnn as ag
import steps
from autograd_cnn.engine.tensor import Tensor

FAMILIES = [
    [line.strip() for line in text.splitlines()]
    for text in (steps.ELEMENTWISE, steps.ALONG, steps.SHAPES, steps.MATRICES, steps.PAIRS)
]
SHARES = [0.25, 0.25, 0.2, 0.1, 0.2]
LEAVES = {"a": (2, 3), "b": (3,)}
FAST, SLOW = range(50), range(50, 1000)
REFUSED = (ValueError, IndexError, TypeError, ArithmeticError, np.linalg.LinAlgError, Warning)  # by NumPy


def constants(x, low, high):
    """Numbers from `low` to `high`, of the shape of x, in no order."""
    n = int(np.prod(x.shape))
    return np.random.default_rng(n).permutation(np.linspace(low, high, n)).reshape(tuple(x.shape))


def numpy_names():
    def ramp(x):
        return x * constants(x, 0.5, 1.5).astype(x.dtype)

    def spd(x):
        return x @ np.swapaxes(x, -1, -2) + np.diag(np.linspace(2, 4, x.shape[-2], dtype=x.dtype))

    names = {"np": np, "ag": ag, "ramp": ramp, "spd": spd, "slope": lambda x: constants(x, -1, 1).astype(x.dtype)}
    return names | {"square": lambda x: np.sum(ramp(x) * x)}


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


def filled(line, rng, live):
    """A step for NumPy and one for PyTorch, or None, with recent values for its letters; numbers have no axis."""
    recent = [name for name in live if live[name].ndim or "{i}" not in line][-3:]
    x, y = (recent[i] for i in rng.integers(len(recent), size=2))
    if "{i}" in line:
        axis = int(rng.integers(live[x].ndim))
        line = line.replace("{i}", str(axis)).replace("{n}", str(live[x].shape[axis]))
    line = re.sub(r"\b[xy]\b", lambda letter: {"x": x, "y": y}[letter.group()], line)
    ours, _, theirs = (part.strip() for part in line.partition(" | "))
    return ours, ours.replace("np.", "torch.").replace("axis=", "dim=") if theirs == "=" else theirs or None


def program(seed):
    """Texts of a program of 3 to 8 steps, ours and PyTorch's or None, and its leaves.

    NumPy runs each step, and it gives finite numbers of moderate size.
    """
    rng = np.random.default_rng(seed)
    leaves = {name: rng.normal(size=shape) for name, shape in LEAVES.items()}
    live, names, texts = dict(leaves), numpy_names(), []
    while len(texts) < 3 + seed % 6:
        family = FAMILIES[rng.choice(len(FAMILIES), p=SHARES)]
        ours, theirs = filled(family[rng.integers(len(family))], rng, live)
        try:
            with np.errstate(all="raise"), warnings.catch_warnings():
                warnings.simplefilter("error")
                value = np.asarray(eval(ours, {**names, **live}))
        except REFUSED:
            continue
        if value.ndim <= 4 and 0 < value.size <= 40 and np.max(np.abs(value)) < 20:
            name = f"t{len(texts)}"
            live[name] = value
            texts.append((f"    {name} = {ours}\n", theirs and f"    {name} = {theirs}\n"))
    read = " ".join(ours.partition("=")[2] for ours, _ in texts)
    ends = [name for name in live if not re.search(rf"\b{name}\b", read)] + [f"0.1 * {name}" for name in leaves]
    last = f"    return {' + '.join(f'square({end})' for end in ends)}\n"
    ours, theirs = zip(*texts, strict=True)
    head = f"def f({', '.join(leaves)}):\n"
    return head + "".join(ours) + last, None if None in theirs else head + "".join(theirs) + last, leaves


def function(text, names):
    exec(text, names)
    return names["f"]


def check(f, leaves):
    """Derivatives of both orders, NumPy's value, the printed derivation, and float32."""
    ag.check_gradients(f, *leaves, order=2, rtol=1e-5)
    variables = [Tensor(v, requires_grad=True) for v in leaves]
    loss = f(*variables)
    loss.backward()
    np.testing.assert_allclose(loss.data, f(*leaves), rtol=1e-12)
    value, gradients = ag.trace(f, *leaves).program().run()
    np.testing.assert_array_equal(value, loss.data)
    for name, variable in zip(LEAVES, variables, strict=True):
        np.testing.assert_array_equal(gradients[name], variable.grad)
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
