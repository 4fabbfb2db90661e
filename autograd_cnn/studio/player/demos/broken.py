"""Six operations. The rules of five of them run without an error, but have a mistake, each another one.

A sum is missing, a factor is missing, an operand is not transposed, a stride is forgotten, a tie is paid twice: which
is where? Go back step by step, and accuse a rule, or find it right, before the page does. It shows the remark beside a
rule, with what would be right, once you have judged.
"""

import numpy as np

import autograd_cnn as ag


@ag.primitive
def shrink(x):
    """Takes the largest number of every 2×2 window, two pixels apart."""
    n, height, width = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2).max(axis=(2, 4))


def to_winners(g, x):
    found = np.zeros_like(x)
    for n, i, j in np.ndindex(g.shape):
        top, left = i, j  # the stride is forgotten: 2 * i, 2 * j
        window = x[n, top : top + 2, left : left + 2]
        found[n, top : top + 2, left : left + 2] += g[n, i, j] * (window == window.max())
    return found


shrink.vjp(x=to_winners)


@ag.primitive
def mix(x, w):
    """Multiplies each row by a matrix."""
    return x @ w


mix.vjp(x=lambda g, w: g @ w, w=lambda g, x: x.T @ g)  # an operand is not transposed: g @ w.T


@ag.primitive
def shift(x, b):
    """Adds one number to each column."""
    return x + b


shift.vjp(x=lambda g: g, b=lambda g: g[0])  # a sum is missing: np.sum(g, axis=0)


@ag.primitive
def larger(x, y):
    """Takes the larger of two numbers."""
    return np.maximum(x, y)


larger.vjp(x=lambda g, x, y: g * (x >= y), y=lambda g, x, y: g * (y >= x))  # a tie is paid twice: g * (y > x)


@ag.primitive
def squared(x):
    """Multiplies each number by itself."""
    return x * x


squared.vjp(x=lambda g, x: 2 * g * x)  # this one is right


@ag.primitive
def middle(x):
    """Takes the mean of all numbers."""
    return np.mean(x)


middle.vjp(x=lambda g, x: g * np.ones_like(x))  # a factor is missing: g * np.ones_like(x) / x.size


def f(x, w, b):
    p = shrink(x)
    u = mix(ag.reshape(p, (3, 4)), w)
    v = shift(u, b)
    t = larger(v, v)
    s = squared(t)
    return middle(s)


rng = np.random.default_rng(0)
ag.trace(f, *(rng.normal(size=shape).round(1) + 0.0 for shape in ((3, 4, 4), (4, 4), (4,)))).show()
