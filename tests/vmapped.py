"""A function under `ag.vmap`, beside a loop over the examples."""

from unittest import mock

import numpy as np

import autograd_cnn as ag
from autograd_cnn.calculus.vmap import Level
from autograd_cnn.engine.tensor import Tensor


def example(value, axis, i):
    """Example `i` of an operand; the operand itself if it is shared by all."""
    return value if axis is None else np.take(value, i, axis)


def numbers(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def tensors(args):
    """Floats as Tensors, since some functions call their methods."""
    return [Tensor(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]


def looped(f, args, axes, size):
    """Each result of `f` for one example after the other, stacked; None if the shapes of the examples differ."""
    rows = [f(*tensors(example(a, axis, i) for a, axis in zip(args, axes, strict=True))) for i in range(size)]
    if any(len({np.shape(part) for part in parts}) > 1 for parts in zip(*rows, strict=True)):
        return None
    return [np.stack([numbers(part) for part in parts]) for parts in zip(*rows, strict=True)]


def mapped(f, args, axes):
    """The results of `f` under `vmap`, and the names of what ran for one example after the other."""
    names, loop = set(), Level.loop
    with mock.patch.object(Level, "loop", lambda level, name, run: [names.add(name), loop(level, name, run)][1]):
        results = ag.vmap(f, in_axes=tuple(axes))(*tensors(args))
    return [*map(numbers, results)], names


def check(got, want, what, rtol=1e-9):
    """Compare lists of arrays."""
    assert len(got) == len(want), what
    for g, w in zip(got, want, strict=True):
        assert (g.shape, g.dtype) == (w.shape, w.dtype), what
        scale = np.abs(w[np.isfinite(w)]).max(initial=0) if w.dtype.kind == "f" else 0
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * scale * 0.1, err_msg=what)


def slopes(f, weights, varied):
    """The gradients of the sum of what `f` returns, times `weights`, with respect to some of its arguments."""

    def total(*args):
        products = [part * w for part, w in zip(f(*args), weights, strict=True)]
        parts = [p.real if np.iscomplexobj(p) else p for p in products]
        return sum(map(ag.sum, parts), 0.0 * ag.sum(args[varied[0]]))

    return ag.grad(total, argnums=tuple(varied))
