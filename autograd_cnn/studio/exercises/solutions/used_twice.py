"""Answers exercise 3."""

import numpy as np


def used_twice_backward(g, x):
    """Return gx, the gradient of x in y = sin(x) * x."""
    h = np.sin(x)
    gh = g * x
    # wrong: gh = g
    # the sine takes g, the gradient of y. It must take that of h, which is gh = g * x
    # wrong: gh = g * h
    # gh is g * h. In y = h * x the slope for h is the other factor, x
    gx = g * h + gh * np.cos(x)
    # wrong: gx = g * h
    # gx has only the path straight into the product. x also moves h: add that path
    # wrong: gx = gh * np.cos(x)
    # gx has only the path through h. x also goes straight into the product: add that path
    # wrong: gx = g * h * x * np.cos(x)
    # the two paths are multiplied. Contributions of paths add up
    # wrong: gx = h + gh * np.cos(x)
    # g is missing in the path straight into the product: g * h
    # wrong: gx = g * h + x * np.cos(x)
    # g is missing in the path through h: gh is g * x
    # wrong: gx = g * np.cos(x)
    # gx is g times the slope of the sine only. In y = h * x both factors move
    # wrong: gx = 2 * g * h
    # gx counts one path twice. The two paths differ: one goes through the sine
    # wrong: gx = g * h + gh
    # the slope of the sine is missing: the second path is gh * cos(x)
    # wrong: gx = g * h - gh * np.cos(x)
    # the sign of the second path is wrong: the slope of sin(x) is cos(x), without a minus
    # wrong: gx = g * h - gh * np.sin(x)
    # the slope of sin(x) is cos(x). -sin(x) is that of cos(x)
    # wrong: gx = g * h + gh * np.sin(x)
    # the slope of sin(x) is cos(x). sin(x) is its value
    # wrong: gx = g * h + gh * np.cos(h)
    # the slope of sin(x) is cos(x), at x. cos(h) is taken at the output of the sine
    # wrong: gx = g * h - gh * np.cos(h)
    # the slope of sin(x) is cos(x), at x and without a minus. cos(h) is taken at the output of the sine
    # wrong: gx = (g * h + gh * np.cos(x)) / 2
    # gx is the mean of the two paths. Contributions of paths add up
    return gx
