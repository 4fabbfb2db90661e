"""Five operations. The rule of each one runs without an error, but has a mistake, each another one.

A sum is missing, a factor is missing, an operand is not transposed, a stride is forgotten, a tie is paid twice: which
is where? Go back step by step, and accuse a rule, or find it right, before the page does. The answers are at the end.
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
        window = x[n, i : i + 2, j : j + 2]
        a, b = np.unravel_index(np.argmax(window), window.shape)
        found[n, i + a, j + b] += g[n, i, j]
    return found


shrink.vjp(x=to_winners)


@ag.primitive
def mix(x, w):
    """Multiplies each row by a matrix."""
    return x @ w


mix.vjp(x=lambda g, w: g @ w, w=lambda g, x: x.T @ g)


@ag.primitive
def shift(x, b):
    """Adds one number to each column."""
    return x + b


shift.vjp(x=lambda g: g, b=lambda g: g[0])


@ag.primitive
def larger(x, y):
    """Takes the larger of two numbers."""
    return np.maximum(x, y)


larger.vjp(x=lambda g, x, y: g * (x >= y), y=lambda g, x, y: g * (y >= x))


@ag.primitive
def middle(x):
    """Takes the mean of all numbers."""
    return np.mean(x)


middle.vjp(x=lambda g, x: g * np.ones_like(x))


def f(x, w, b):
    p = shrink(x)
    u = mix(ag.reshape(p, (3, 4)), w)
    v = shift(u, b)
    t = larger(v, v)
    return middle(t * t)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    arguments = (rng.normal(size=shape).round(1) + 0.0 for shape in ((3, 4, 4), (4, 4), (4,)))
    ag.trace(f, *arguments).show()

    # middle: a factor is missing, 1 / x.size. larger: a tie is paid twice; each of two equal numbers gets half.
    # shift: a sum is missing, np.sum(g, axis=0). mix: an operand is not transposed, g @ w.T.
    # shrink: the stride is forgotten; the window begins at x[n, 2 * i, 2 * j].
