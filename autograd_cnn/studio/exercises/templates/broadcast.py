"""Exercise 2: undo broadcasting.

NumPy spreads a small array over a larger one: in y = x + b, with x of shape (4, 3)
and b of shape (3,), each number of b is used in all 4 rows. It moves the loss
through each of them, so its gradient is the sum of 4 numbers of g.

Here b may have any shape that NumPy spreads over that of x:

    x (4, 3)       b (3,)      spread over axis 0
    x (4, 3)       b (4, 1)    spread over axis 1, where b has length 1
    x (2, 4, 3)    b (4, 1)    spread over axes 0 and 2
    x (4, 3)       b ()        spread over both

g and gx have the shape of x; gb has exactly the shape of b, ones included.

Hint: first sum away the axes that b does not have (they come first), then sum
over those where b has length 1, and keep them: np.sum(g, axis=k, keepdims=True).

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def add_backward(g, x, b):
    """Return gx and gb, the gradients of x and of b in y = x + b."""
    # your turn: replace each ...
    gx = ...
    gb = ...
    return gx, gb
