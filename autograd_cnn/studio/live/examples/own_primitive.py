# Your own primitive, with a mistake in its rule
import numpy as np

import autograd_cnn as ag


@ag.primitive
def swish(x):
    """Multiplies x by its sigmoid."""
    return x / (1 + np.exp(-x))


swish.vjp(x=lambda g, x, out: g * (out + ag.sigmoid(x) * (1 + out)))  # one sign is wrong

x = np.linspace(-2, 2, 5)
try:
    ag.check_gradients(swish, x)
    print("The rule agrees with finite differences.")
except AssertionError as error:
    print(error)


def f(x):
    return swish(x).sum()


ag.trace(f, x)
