"""Exercise 4: a linear layer.

    y = x @ w

    x (N, D)   N items with D features      w (D, M)   weights
    g (N, M)   d loss / d y                 y (N, M)

Return the gradients of x and of w. Each has the shape of what it belongs to.

Hint: shapes leave little choice. gx has shape (N, D), g has (N, M), w has (D, M):
which product of the two, with a transpose (w.T) where it is needed, is (N, D)?
Then make sure with one number: y[n, m] is the sum over d of x[n, d] * w[d, m].

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def matmul_backward(g, x, w):
    """Return gx (N, D) and gw (D, M), the gradients of x and of w in y = x @ w."""
    # your turn: replace each ...
    gx = ...
    gw = ...
    return gx, gw
