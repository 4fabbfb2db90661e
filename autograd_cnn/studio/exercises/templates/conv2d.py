"""Exercise 8: convolution, and its three gradients.

    x (N, H, W, C)    images           w (KH, KW, C, O)   a kernel for each output O
    y, g (N, H', W', O)                b (O,)             a number for each output

Put `padding` rows and columns of zeros around each image. Slide a window of KH x KW
over it, `stride` pixels at a time, and at each place multiply and add up:

    y[n, i, j, o] = b[o] + sum over u, v, c of window[n, u, v, c] * w[u, v, c, o]
    H' = (H + 2 * padding - KH) // stride + 1             (W' likewise)

Going back, at each place (i, j): the window's pixels get g times w, ADDED to what
other windows gave them; w gets window times g, summed over all images and places.

Hint: loop over i and j only. np.tensordot(window, w, 3) sums over three axes at
once. Pad with np.pad(x, [(0, 0), (p, p), (p, p), (0, 0)]), and cut gx at the end.

Check:  python -m autograd_cnn exercises . --check       (in this folder)
"""

import numpy as np


def conv2d(x, w, b, stride, padding):
    """Return y (N, H', W', O)."""
    # your turn
    return ...


def conv2d_backward(g, x, w, b, stride, padding):
    """Return gx, gw and gb, with the shapes of x, w and b."""
    # your turn
    gx = ...
    gw = ...
    gb = ...
    return gx, gw, gb
