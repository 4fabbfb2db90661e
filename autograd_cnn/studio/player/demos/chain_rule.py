"""The chain rule on four numbers.

It is small enough to check by hand or with a pocket calculator. x is used three times, so its gradient is the sum of
three shares.
"""

import autograd_cnn as ag


def f(x, y):
    h = x * y
    s = ag.sin(h)
    t = s + x * x
    return ag.exp(-t)


ag.trace(f, 0.5, 1.2).show()
