"""Compiled twins of the passes in `fast.depthwise`.

A tap reads a run of adjacent numbers from a row of pixels, and adds to a run of adjacent numbers in a row of outputs.
With a stride, columns that are a stride apart lie side by side in the padded image. With the weights repeated along the
row, one loop covers all of it. A loop over the channels of a single pixel is short, and spends most of its time on
set-up. For the same reason, loops copy runs, not slices.
"""

from __future__ import annotations

import numpy as np

from . import allocating, copy_run, helper, kernel, run_of


@helper
def _add(pixels, weights, out):
    for k in range(weights.size):
        out[k] += pixels[k] * weights[k]


@helper
def _add_three(p, q, r, weights, out):
    """Add three taps of a row at once, which saves two of three loads and stores of the sums."""
    u, v, w = weights[0], weights[1], weights[2]
    for k in range(out.size):
        out[k] = out[k] + p[k] * u[k] + q[k] * v[k] + r[k] * w[k]


@allocating
def _zeros(x, windows, kernel_size, stride):
    """Zeros for the area that the windows of an image cover: (rows, stride, columns that are a stride apart, C)."""
    height, width = (windows[0] - 1) * stride[0] + kernel_size[0], windows[1] + (kernel_size[1] - 1) // stride[1]
    return np.zeros((height, stride[1], width, x.shape[3]), x.dtype)


@helper
def _pad(image, padded, corner):
    """Copy an image into zeros, behind its corner, which cuts rows or columns off if it is negative."""
    (top, left), (height, step, width, _) = corner, padded.shape
    for row in range(max(0, -top), min(image.shape[0], height - top)):
        for phase in range(step):
            for n in range(max(0, (left - phase + step - 1) // step), width):
                column = n * step + phase - left
                if column < image.shape[1]:
                    copy_run(image[row, column], padded[row + top, phase, n])


@allocating
def _repeated(w, windows):
    """The weights of each tap, repeated for every window of a row: (KH, KW, windows * C)."""
    kh, kw, _, channels = w.shape
    rows = np.empty((kh, kw, windows * channels), w.dtype)
    for i in range(kh):
        for j in range(kw):
            for start in range(0, windows * channels, channels):
                copy_run(w[i, j, 0], rows[i, j, start : start + channels])
    return rows


@allocating
def output_tile(x, w, b, y, stride, corner):
    kh, kw = w.shape[:2]
    weights, shift = _repeated(w, y.shape[2]), _repeated(b.reshape((1, 1, 1, b.size)), y.shape[2])
    padded = _zeros(x, y.shape[1:3], (kh, kw), stride)
    for image in range(len(x)):
        _pad(x[image], padded, corner)
        for r in range(y.shape[1]):
            out = run_of(y[image, r])
            copy_run(shift[0, 0], out)
            for i in range(kh):
                line, step, threes = padded[r * stride[0] + i], stride[1], kw - kw % 3
                for j in range(0, threes, 3):
                    p, q = run_of(line[j % step, j // step :]), run_of(line[(j + 1) % step, (j + 1) // step :])
                    _add_three(p, q, run_of(line[(j + 2) % step, (j + 2) // step :]), weights[i, j : j + 3], out)
                for j in range(threes, kw):
                    _add(run_of(line[j % step, j // step :]), weights[i, j], out)


@kernel
def input_gradient_tile(g, w, gx, stride, corner):
    n, height, width, _ = gx.shape
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                gradient = g[image, r, c]
                for i in range(w.shape[0]):
                    row = r * stride[0] - corner[0] + i
                    if not 0 <= row < height:
                        continue
                    for j in range(w.shape[1]):
                        column = c * stride[1] - corner[1] + j
                        if not 0 <= column < width:
                            continue
                        out, weight = gx[image, row, column], w[i, j, 0]
                        for k in range(out.size):
                            out[k] += gradient[k] * weight[k]


@allocating
def weight_gradient_tile(x, g, gw, stride, corner):
    kh, kw, _, channels = gw.shape
    rows = np.zeros((kh, kw, g.shape[2] * channels), x.dtype)
    padded = _zeros(x, g.shape[1:3], (kh, kw), stride)
    for image in range(len(x)):
        _pad(x[image], padded, corner)
        for r in range(g.shape[1]):
            for i in range(kh):
                for j in range(kw):
                    line = padded[r * stride[0] + i, j % stride[1]]
                    _add(run_of(line[j // stride[1] :]), run_of(g[image, r]), rows[i, j])
    gw[:] = 0
    for i in range(kh):
        for j in range(kw):
            for c in range(g.shape[2]):
                for k in range(channels):
                    gw[i, j, 0, k] += rows[i, j, c * channels + k]
