"""Answers exercise 2."""

import numpy as np


def add_backward(g, x, b):
    """Return gx and gb, the gradients of x and of b in y = x + b."""
    gx = gb = g
    # wrong: gx, gb = g * b, g
    # gx is g * b. That is the rule of multiply; the slope of x + b is 1
    # wrong: gx, gb = g, g * x
    # gb is a sum of g * x. That is the rule of multiply; the slope of x + b is 1
    # wrong: gx, gb = g, g * b
    # gb is a sum of g * b. That is the rule of multiply; the slope of x + b is 1
    # wrong: gx, gb = g, g.T
    # gb is a sum over the wrong axis. b (3,) stands in every row, so sum over the rows, axis 0
    while gb.ndim > b.ndim:
        gb = np.sum(gb, axis=0)
        # wrong: gb = gb[0]
        # gb is the first row of g only. b moves the loss through every row: a sum over axis 0 is missing
        # wrong: gb = np.max(gb, axis=0)
        # gb is the maximum over axis 0. Contributions add up: np.sum
    for axis in range(b.ndim):
        if b.shape[axis] == 1:
            gb = np.sum(gb, axis=axis, keepdims=True)
            # wrong: gb = np.take(gb, [0], axis)
            # gb has the first numbers along the axis where b has length 1. A sum over that axis is missing
    return gx, gb
