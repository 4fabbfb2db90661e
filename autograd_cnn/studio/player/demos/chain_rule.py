"""The chain rule on four numbers, small enough to check by hand or with a pocket calculator.

x is used three times, so its gradient is the sum of three shares.
"""

from pathlib import Path

import autograd_cnn as ag


def f(x, y):
    h = x * y
    s = ag.sin(h)
    t = s + x * x
    return ag.exp(-t)


if __name__ == "__main__":
    ag.trace(f, 0.5, 1.2).save(Path(__file__).with_suffix(".html"))
