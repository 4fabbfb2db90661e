"""A chain of small operations, whose time is the engine's own: y = y * c + x, LINKS times on 10 numbers, then the
gradient of the sum.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from work import OURS, Array, Builder, Work

LINKS = 1000


def _chain(x: Any, c: Any) -> Any:
    y = x
    for _ in range(LINKS):
        y = y * c + x
    return y


def _chain_numbers() -> tuple[Array, Array]:
    return np.ones(10, np.float32), np.full(10, 0.999, np.float32)


def our_chain() -> Work:
    import autograd_cnn as ag

    start, c = _chain_numbers()

    def run() -> Any:
        x = ag.Tensor(start, requires_grad=True)
        _chain(x, c).sum().backward()
        return x.grad

    return Work(run, lambda: [run()], 2 * LINKS)


def torch_chain() -> Work:
    import torch

    start, c = map(torch.from_numpy, _chain_numbers())

    def run() -> Any:
        x = start.clone().requires_grad_()
        _chain(x, c).sum().backward()
        return x.grad

    return Work(run, lambda: [run().numpy()], 2 * LINKS)


def mygrad_chain(guarded: bool) -> Work:
    """The chain in MyGrad; `guarded` locks the arrays that backward needs, which is its default."""
    import mygrad

    start, c = _chain_numbers()
    guard = mygrad.mem_guard_on if guarded else mygrad.mem_guard_off

    def run() -> Any:
        with guard:
            x = mygrad.tensor(start)
            _chain(x, c).sum().backward()
            return x.grad

    return Work(run, lambda: [run()], 2 * LINKS)


def hips_chain() -> Work:
    numpy = import_module("autograd.numpy")
    x, c = _chain_numbers()
    gradient = import_module("autograd").grad(lambda x: numpy.sum(_chain(x, c)))
    return Work(lambda: gradient(x), lambda: [gradient(x)], 2 * LINKS)


def numpy_chain() -> Work:
    x, c = _chain_numbers()
    return Work(lambda: _chain(x, c).sum(), per=2 * LINKS)


CONTESTS: dict[str, dict[str, Builder]] = {
    "chain": {
        OURS: our_chain,
        "PyTorch": torch_chain,
        "MyGrad default": partial(mygrad_chain, True),
        "MyGrad unguarded": partial(mygrad_chain, False),
        "HIPS autograd": hips_chain,
        "NumPy": numpy_chain,
    },
}
