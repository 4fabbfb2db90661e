"""Answers exercise 8."""

import numpy as np


def conv2d(x, w, b, stride, padding):
    """Return y (N, H', W', O)."""
    p, (kh, kw) = padding, w.shape[:2]
    # wrong: p, stride, (kh, kw) = padding, 1, w.shape[:2]
    # the stride is ignored: H' = (H + 2 * padding - KH) // stride + 1
    # wrong: p, (kh, kw) = 0, w.shape[:2]
    # the padding is ignored: put zeros around the images first
    x = np.pad(x, [(0, 0), (p, p), (p, p), (0, 0)])
    # wrong: x = np.pad(x, [(0, 0), (0, 2 * p), (0, 2 * p), (0, 0)])
    # all of the padding is at the bottom and on the right. Half of it belongs to the other side
    height, width = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    # wrong: height, width = (x.shape[1] - kh) // stride, (x.shape[2] - kw) // stride
    # the last row and column are missing: H' = (H + 2 * padding - KH) // stride + 1
    y = np.zeros((len(x), height, width, w.shape[3]))
    for i, j in np.ndindex(height, width):
        top, left = i * stride, j * stride
        # wrong: top, left = i, j
        # the stride is ignored: the window of (i, j) begins at i * stride, j * stride
        window = x[:, top : top + kh, left : left + kw]
        y[:, i, j] = np.tensordot(window, w, 3) + b
        # wrong: y[:, i, j] = np.tensordot(window, w[::-1, ::-1], 3) + b
        # the kernel is turned by 180 degrees: window[u, v] meets w[u, v]
        # wrong: y[:, i, j] = np.tensordot(window, w, 3) * b
        # b multiplies. It is added
        # wrong: y[:, i, j] = np.tensordot(window, w, 3)
        # b is missing
    return y


def conv2d_backward(g, x, w, b, stride, padding):
    """Return gx, gw and gb, with the shapes of x, w and b."""
    p, (kh, kw) = padding, w.shape[:2]
    x = np.pad(x, [(0, 0), (p, p), (p, p), (0, 0)])
    gx, gw = np.zeros(x.shape), np.zeros(w.shape)
    for i, j in np.ndindex(g.shape[1:3]):
        top, left = i * stride, j * stride
        # wrong: top, left = i, j
        # the stride is ignored going back: the window of (i, j) begins at i * stride, j * stride
        window = x[:, top : top + kh, left : left + kw]
        gx[:, top : top + kh, left : left + kw] += np.tensordot(g[:, i, j], w, (1, 3))
        # wrong: gx[:, top : top + kh, left : left + kw] = np.tensordot(g[:, i, j], w, (1, 3))
        # windows overwrite each other in gx. Where they overlap, contributions add up: += and not =
        # wrong: gx[:, top : top + kh, left : left + kw] += np.tensordot(g[:, i, j], w[::-1, ::-1], (1, 3))
        # the kernel is turned by 180 degrees in gx: window[u, v] met w[u, v]
        gw += np.tensordot(window, g[:, i, j], (0, 0))
        # wrong: gw = np.tensordot(window, g[:, i, j], (0, 0))
        # gw is that of the last place. Every place uses w, so contributions add up: += and not =
    gx = gx[:, p : gx.shape[1] - p, p : gx.shape[2] - p]
    # wrong: gx = gx
    # the padding is still on gx: cut it off, since x has none
    # wrong: gx = gx[:, : gx.shape[1] - 2 * p, : gx.shape[2] - 2 * p]
    # the padding is cut off on one side of gx only: its first p rows and columns belong to it, too
    gb = g.sum(axis=(0, 1, 2))
    # wrong: gb = g.sum(axis=(1, 2))
    # a sum over the images, axis 0, is missing in gb
    # wrong: gb = g.sum(axis=0)
    # a sum over rows and columns, axes 1 and 2, is missing in gb
    return gx, gw, gb
