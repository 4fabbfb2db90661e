"""Answers exercise 7."""

import numpy as np


def max_pool(x):
    """Return y (N, H/2, W/2, C), the largest pixel of every window."""
    n, h, w, c = x.shape
    windows = x.reshape(n, h // 2, 2, w // 2, 2, c)
    return windows.max(axis=(2, 4))
    # wrong: return windows.mean(axis=(2, 4))
    # y is the mean of every window. Want the largest pixel
    # wrong: return windows.min(axis=(2, 4))
    # y is the smallest pixel of every window. Want the largest
    # wrong: return windows[:, :, 0, :, 0]
    # y is the first pixel of every window. Want the largest
    # wrong: return np.broadcast_to(windows.max(axis=(0, 2, 4, 5))[:, :, None], (n, h // 2, w // 2, c))
    # y is the maximum over all images and channels. Each is on its own: .max(axis=(1, 2)) of a window
    # wrong: return windows.max(axis=(2, 4, 5))
    # y is the maximum over all channels, too. Each channel is on its own
    # wrong: return np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2)).max((4, 5))
    # the stride is ignored: windows move by 2 pixels, so that they do not overlap
    # wrong: return np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2)).max((4, 5))[:, : h // 2, : w // 2]
    # the stride is ignored: the window of pixel (i, j) begins at 2 * i, 2 * j


def max_pool_backward(g, x):
    """Return gx (N, H, W, C), the gradient of x in y = max_pool(x)."""
    gx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(g.shape):
        place = np.s_[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        # wrong: place = np.s_[n, i : i + 2, j : j + 2, c]
        # the stride is ignored: the window of pixel (i, j) begins at 2 * i, 2 * j
        winner = np.argmax(x[place])
        # wrong: winner = 3 - np.argmax(x[place].ravel()[::-1])
        # at a tie the last pixel wins. Here it is the first one
        # wrong: winner = np.argmin(x[place])
        # the smallest pixel receives g. The largest one moves the loss
        gx[place].flat[winner] += g[n, i, j, c]
        # wrong: gx[place] += g[n, i, j, c]
        # every pixel of a window receives g. Only the winner moves the loss
        # wrong: gx[place] += g[n, i, j, c] / 4
        # g is shared by all four pixels, as in a mean. Only the winner moves the loss
        # wrong: gx[place] += g[n, i, j, c] * (x[place] == x[place].max())
        # ties are paid twice: every largest pixel receives g. Only the first one wins
        # wrong: gx[place] += g[n, i, j, c] * (x[place] == x[place].max()) / np.sum(x[place] == x[place].max())
        # the pixels of a tie share g. Here the first one receives all of it
        # wrong: gx[place].flat[winner] += x[place].max()
        # the winner receives its own value. Want the number of g
    return gx
