"""Exercise 5: relu.

relu keeps positive numbers, and turns all others into 0. Its slope is 1 where x is
positive, and 0 where x is negative. At exactly 0 there is a corner, and one has to
choose: like most engines, this one takes the slope 0 there.

x, g = d loss / d y, and the results have the same shape, of any number of axes.

Hint: x > 0 is a mask of True and False, which count as 1 and 0 in a product.

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def relu(x):
    """Return y: x where it is positive, else 0."""
    # your turn
    return ...


def relu_backward(g, x):
    """Return gx, the gradient of x in y = relu(x)."""
    # your turn
    return ...
