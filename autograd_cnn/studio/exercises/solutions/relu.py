"""Answers exercise 5."""

import numpy as np


def relu(x):
    """Return y: x where it is positive, else 0."""
    return np.maximum(x, 0)
    # wrong: return np.abs(x)
    # y is the absolute value of x. Negative numbers become 0
    # wrong: return np.minimum(x, 0)
    # y keeps the negative numbers, and turns the positive ones into 0: it is the other way round
    # wrong: return x > 0
    # y is the mask x > 0. Want the numbers themselves: x times the mask
    # wrong: return np.max(x)
    # y is the largest number of x. Want the larger of x and 0 for each number: np.maximum


def relu_backward(g, x):
    """Return gx, the gradient of x in y = relu(x)."""
    return g * (x > 0)
    # wrong: return g
    # gx is g everywhere. Where x is negative, y stays 0 however x moves: a mask is missing
    # wrong: return g * (x < 0)
    # the mask is inverted: g passes where x is positive
    # wrong: return g * x * (x > 0)
    # gx is g times relu(x). Want its slope, which is 1 or 0
    # wrong: return g * (g > 0)
    # the mask looks at g. It must look at x
    # wrong: return g * np.sign(x)
    # np.sign is -1 where x is negative. The slope of relu is 0 there
    # wrong: return g * (x >= 0)
    # at exactly 0 the slope is 0 here: x > 0, without the equals sign
