"""Parity of `vmap` with a loop over the examples, on the samples of PyTorch's operator database."""

import warnings
from itertools import islice

import numpy as np
import pytest

import vmapped
from vocabulary.test_torch_operators import OURS, PLAIN, converted, parts, samples

SIZE, SAMPLES, GRADIENTS = 3, 8, 3  # examples in a batch; samples of each operator, and how many are differentiated

REFUSED = """
    bincount cov masked_scatter narrow put repeat_interleave tensor_split
"""  # for some arguments: shapes depend on numbers that differ, or NumPy itself asks for the numbers


def operands(value, found):
    """Replace the tensors in the arguments of PyTorch by their places in the list `found`."""
    import torch

    if isinstance(value, torch.Tensor):
        found.append(value)
        return Place(len(found) - 1)
    if type(value) in (list, tuple):
        return type(value)(operands(v, found) for v in value)
    return {k: operands(v, found) for k, v in value.items()} if isinstance(value, dict) else value


class Place(int):
    """The place of an operand among the operands."""


def filled(value, arrays):
    """Replace places by arrays."""
    if isinstance(value, Place):
        return arrays[value]
    if type(value) in (list, tuple):
        return type(value)(filled(v, arrays) for v in value)
    return {k: filled(v, arrays) for k, v in value.items()} if isinstance(value, dict) else value


class Sample:
    """A sample of an operator: our function of its operands, which returns a list of floats."""

    def __init__(self, name, sample):
        self.name, found = name, []
        self.arguments = converted(operands([sample.input, sample.args, sample.kwargs], found), [])
        self.arrays = [t.detach().numpy() for t in found]
        self.floats = [i for i, a in enumerate(self.arrays) if a.dtype == np.float64 and a.size]

    def f(self, *arrays):
        x, args, options = filled(self.arguments, arrays)
        found = parts(OURS[self.name](x, *args, **options), self.name)
        return [p for p in found if self.name in PLAIN or p.dtype.kind == "f"]

    def batches(self, i):
        """Ways to batch the operands: an axis for each of them, or None."""
        n, floats = len(self.arrays), self.floats
        others = [k for k in range(n) if k not in floats and self.arrays[k].size]
        ways = [[0 if k in floats else None for k in range(n)]] if floats else []
        if floats:
            ways.append([self.arrays[k].ndim if k == floats[i % len(floats)] else None for k in range(n)])
        if others:
            ways += [[0 if k in others else None for k in range(n)], [0] * n]
        return [way for i, way in enumerate(ways) if way not in ways[:i] and any(a is not None for a in way)]


def copies(array, axis, rng, gentle):
    """Stack an array, one with changed numbers, and one in another order, or again changed if that must be `gentle`."""
    if axis is None:
        return array
    if array.dtype.kind == "f":
        changed = [array * rng.uniform(1, 1.1, array.shape) for _ in range(2)]
    else:
        changed = [array, array]
    moved = changed[1] if gentle or not array.ndim else np.roll(changed[1], 1, -1)
    return np.stack([array, changed[0], moved], axis)


def loop_of(f, sample, axes):
    """Return batches of the operands and the results of a loop over the examples; None if it refuses both."""
    for gentle in (False, True):
        rng = np.random.default_rng(7)
        batches = [copies(a, axis, rng, gentle) for a, axis in zip(sample.arrays, axes, strict=True)]
        try:
            want = vmapped.looped(f, batches, axes, SIZE)
        except Exception:
            continue
        if want is not None:
            return batches, want
    return None, None


def compare(sample, axes, gradients):
    """Compare values, and gradients if asked; return whether `vmap` refuses."""
    batches, want = loop_of(sample.f, sample, axes)
    if want is None:
        return False
    f = sample.f
    varied = [i for i in sample.floats if axes[i] is not None]
    if gradients and varied and all(w.dtype.kind == "f" for w in want):
        rng = np.random.default_rng(3)
        f = vmapped.slopes(sample.f, [rng.normal(size=w.shape[1:]) for w in want], varied)
    for what, g in ("values", sample.f), ("gradients", f):
        if what == "gradients":
            if g == sample.f:
                return False
            try:
                want = vmapped.looped(g, batches, axes, SIZE)
            except TypeError as error:
                assert "no rule" in str(error)
                return False
        try:
            got, _ = vmapped.mapped(g, batches, axes)
        except TypeError as error:
            if "vmap" not in str(error):
                raise
            return True
        vmapped.check(got, want, what)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_an_operator(name):
    refused = False
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, (sample, reason) in enumerate(islice(samples(name, of_complex=False), SAMPLES)):
            if reason:
                continue
            of_operator = Sample(name, sample)
            for axes in of_operator.batches(i):
                try:
                    refused |= compare(of_operator, axes, i < GRADIENTS and name not in PLAIN)
                except Exception as error:
                    raise AssertionError(f"{name}, sample {i}, axes {axes}, {sample.summary()}: {error!r}") from error
    assert refused == (name in REFUSED.split())
