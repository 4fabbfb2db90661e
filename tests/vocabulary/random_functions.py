"""Random functions over the whole vocabulary, made from the steps of `steps`.

A function is text, so a failure shows it, and its seed makes it again.
"""

import re
import warnings

import numpy as np

import autograd_cnn as ag
from vocabulary import steps

FAMILIES = [
    [line.strip() for line in text.splitlines()]
    for text in (steps.ELEMENTWISE, steps.ALONG, steps.SHAPES, steps.MATRICES, steps.PAIRS)
]
SHARES = [0.25, 0.25, 0.2, 0.1, 0.2]
LEAVES = {"a": (2, 3), "b": (3,)}
FAST, SLOW = range(12), range(12, 1000)
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


def filled(line, rng, live):
    """A step with recent values for its letters; numbers have no axis."""
    recent = [name for name in live if live[name].ndim or "{i}" not in line][-3:]
    x, y = (recent[i] for i in rng.integers(len(recent), size=2))
    if "{i}" in line:
        axis = int(rng.integers(live[x].ndim))
        line = line.replace("{i}", str(axis)).replace("{n}", str(live[x].shape[axis]))
    return re.sub(r"\b[xy]\b", lambda letter: {"x": x, "y": y}[letter.group()], line)


def program(seed):
    """The text of a program of 3 to 8 steps, and its leaves.

    NumPy runs each step, and it gives finite numbers of moderate size.
    """
    rng = np.random.default_rng(seed)
    leaves = {name: rng.normal(size=shape) for name, shape in LEAVES.items()}
    live, names, texts = dict(leaves), numpy_names(), []
    while len(texts) < 3 + seed % 6:
        family = FAMILIES[rng.choice(len(FAMILIES), p=SHARES)]
        step = filled(family[rng.integers(len(family))], rng, live)
        try:
            with np.errstate(all="raise"), warnings.catch_warnings():
                warnings.simplefilter("error")
                value = np.asarray(eval(step, {**names, **live}))
        except REFUSED:
            continue
        if value.ndim <= 4 and 0 < value.size <= 40 and np.max(np.abs(value)) < 20:
            name = f"t{len(texts)}"
            live[name] = value
            texts.append(f"    {name} = {step}\n")
    read = " ".join(text.partition("=")[2] for text in texts)
    ends = [name for name in live if not re.search(rf"\b{name}\b", read)] + [f"0.1 * {name}" for name in leaves]
    last = f"    return {' + '.join(f'square({end})' for end in ends)}\n"
    return f"def f({', '.join(leaves)}):\n" + "".join(texts) + last, leaves


def function(text, names):
    exec(text, names)
    return names["f"]
