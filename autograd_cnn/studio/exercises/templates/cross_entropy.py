"""Exercise 6: softmax with cross-entropy, for any numbers.

    p[n, c] = exp(z[n, c]) / (sum over all classes k of exp(z[n, k]))      softmax
    loss    = mean over all items n of -log(p[n, y[n]])                    cross-entropy

    z (N, C)   scores of N items for C classes     y (N,)   the right class of each

Scores of 1000 must work, too. exp(1000) is infinite, and log(0) is minus infinity;
so never take the log of p. Two facts help:
- adding the same number to all scores of a row does not change p: subtract the
  largest one of the row, and every exp is at most 1;
- log(p[n, c]) = z[n, c] - log(sum over k of exp(z[n, k])), without a division.

The gradient is short: gz = (p - 1 at the right class, p elsewhere) / N.

Hint: z[np.arange(N), y] has the score of the right class of each item.

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def cross_entropy(z, y):
    """Return loss, one number."""
    # your turn
    return ...


def cross_entropy_backward(z, y):
    """Return gz (N, C), the gradient of z in loss = cross_entropy(z, y)."""
    # your turn
    return ...
