"""Exercise 7: max pooling.

Every window of 2 x 2 pixels becomes one: its largest. Windows do not overlap; each
image and each channel is on its own. H and W are even.

    x (N, H, W, C)   images, channels last      y, g (N, H/2, W/2, C)

On the way back only the winner of a window moves the loss, so it receives all of g,
and the other pixels 0. If two pixels tie, the FIRST one wins, row by row, and it
alone receives g: one number of g must not be paid out twice.

Hint: two loops over the pixels i, j of y are fine. The window of pixel (i, j) is
x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, :]. np.argmax returns the first winner;
np.ndindex(g.shape) visits every n, i, j, c.

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def max_pool(x):
    """Return y (N, H/2, W/2, C), the largest pixel of every window."""
    # your turn
    return ...


def max_pool_backward(g, x):
    """Return gx (N, H, W, C), the gradient of x in y = max_pool(x)."""
    # your turn
    return ...
