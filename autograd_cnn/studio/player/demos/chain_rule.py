"""The chain rule on a few numbers.

It is small enough to check by hand or with a pocket calculator. x is used three times, so its gradient is the sum of
three shares.
"""

import autograd_cnn as ag


def f(x, y):
    h = x * y
    s = ag.sin(h)
    t = s + x * x
    u = -t
    return ag.exp(u)


ag.trace(f, 0.5, 1.2).show()
