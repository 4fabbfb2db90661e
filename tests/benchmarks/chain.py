"""A chain of small operations, whose time is the engine's own: y = y * c + x, LINKS times on 10 numbers, then the
gradient of the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from work import OURS, Array, Builder, Work

LINKS = 1000
START, FACTOR = np.ones(10, np.float32), np.full(10, 0.999, np.float32)


def _chain(x: Any, c: Any) -> Any:
    y = x
    for _ in range(LINKS):
        y = y * c + x
    return y


def chain(library: str, leaf: Callable[[Any, Array], Any], guard: str = "") -> Work:
    """Build the chain in a library; `guard` names the context in which it runs.

    ``leaf(module, array)`` is a tensor that requires a gradient. The factor requires none.
    """
    module = import_module(library)
    c = module.from_numpy(FACTOR) if library == "torch" else FACTOR

    def run() -> Any:
        with getattr(module, guard) if guard else nullcontext():
            x = leaf(module, START)
            _chain(x, c).sum().backward()
            return x.grad

    return Work(run, lambda: [np.asarray(run())], 2 * LINKS)


def hips_chain() -> Work:
    numpy = import_module("autograd.numpy")
    gradient = import_module("autograd").grad(lambda x: numpy.sum(_chain(x, FACTOR)))
    return Work(lambda: gradient(START), lambda: [gradient(START)], 2 * LINKS)


def numpy_chain() -> Work:
    return Work(lambda: _chain(START, FACTOR).sum(), per=2 * LINKS)


MYGRAD = partial(chain, "mygrad", lambda mygrad, a: mygrad.tensor(a))
CONTESTS: dict[str, dict[str, Builder]] = {
    "chain": {
        OURS: partial(chain, "autograd_cnn", lambda ag, a: ag.Tensor(a, requires_grad=True)),
        "PyTorch": partial(chain, "torch", lambda torch, a: torch.from_numpy(a).clone().requires_grad_()),
        "MyGrad default": partial(MYGRAD, "mem_guard_on"),  # locks the arrays that backward needs
        "MyGrad unguarded": partial(MYGRAD, "mem_guard_off"),
        "HIPS autograd": hips_chain,
        "NumPy": numpy_chain,
    }
}
