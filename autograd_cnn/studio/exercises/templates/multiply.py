"""Exercise 1: the rule of multiply.

A network computes y = x * u on its way to a loss, number by number. On the way back
you are given

    g = d loss / d y       the "incoming gradient": how the loss changes with y

and you return how the loss changes with x and with u. By the chain rule:

    d loss / d x = (d loss / d y) * (d y / d x)

x, u, g and both results have the same shape, for example (2, 3).

Hint: if x moves by 0.01, by how much does x * 5 move? And 3 * u, if u does?

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def multiply_backward(g, x, u):
    """Return gx and gu, the gradients of x and of u in y = x * u."""
    # your turn: replace each ...
    gx = ...
    gu = ...
    return gx, gu
