"""Chains of random uses: a function in which each use adds what came before it to its own inputs.

Each use is in one chain, so a chain mixes operations that no other test has side by side.
"""

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from uses import every_use

LENGTH = 4
APART = "divmod", "modf"  # results that are plain outside of a trace
_USES = [u for u in every_use() if u.order == 2 and not u.name.startswith("nan")]  # differentiable twice, and finite
_SHUFFLED = [_USES[i] for i in np.random.default_rng(0).permutation(len(_USES))]
_GROUPS = [_SHUFFLED[start : start + LENGTH] for start in range(0, len(_SHUFFLED), LENGTH)]
CHAINS = [[u for u in group if u.name not in APART] for group in _GROUPS]
FAST, SLOW = range(12), range(12, len(CHAINS))


def inputs_of(chain):
    """The inputs of all uses of a chain: the arguments of its function, by name."""
    return {f"x{i}_{k}": np.asarray(x) for i, use in enumerate(chain) for k, x in enumerate(use.inputs)}


def recorded(result):
    """The real parts of all that is recorded in a result, which may be a list or a tuple, in one vector."""
    parts = result if isinstance(result, (list, tuple)) else [result]
    return ag.concatenate([np.real(p) for p in parts if isinstance(p, Tensor)], None)


def function_of(chain):
    """A function of the inputs of a chain, which returns a number that depends on every result."""

    def f(*inputs):
        inputs, total, before = iter(inputs), 0, None
        for use in chain:
            own = [next(inputs) for _ in use.inputs]
            if before is not None:
                own = [x + np.resize(before, np.shape(x)).astype(x.dtype) for x in own]
            out = np.arctan(recorded(use.f(*own)))  # of moderate size
            total = total + np.sum(out * np.linspace(-1, 1, out.size, dtype=out.dtype)) + np.sum(out * out)
            before = 0.01 * out
        return total

    return f


def leaves_of(chain, dtype=float):
    return [Tensor(x.astype(dtype), requires_grad=True, name=name) for name, x in inputs_of(chain).items()]


def title(chain):
    return ", ".join(use.name for use in chain)
