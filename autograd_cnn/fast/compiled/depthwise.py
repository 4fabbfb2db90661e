"""Compiled twins of the passes in `fast.depthwise`.

At stride 1, a tap reads a run of adjacent numbers from a row of pixels, and adds to a run of adjacent numbers in a row
of outputs. With the weights repeated along the row, one loop covers all of it. A loop over the channels of a single
pixel is short, and spends most of its time on set-up. For the same reason, loops copy runs, not slices.
"""

from __future__ import annotations

import numpy as np

from . import allocating, helper, kernel, run_of


@helper
def _copy(run, out):
    for k in range(out.size):
        out[k] = run[k]


@helper
def _add(pixels, weights, out):
    for k in range(out.size):
        out[k] += pixels[k] * weights[k]


@helper
def _add_three(pixels, step, weights, out):
    """Add three taps of a row at once, which saves two of three loads and stores of the sums."""
    p, q, r = pixels, pixels[step:], pixels[2 * step :]
    u, v, w = weights[0], weights[1], weights[2]
    for k in range(out.size):
        out[k] = out[k] + p[k] * u[k] + q[k] * v[k] + r[k] * w[k]


@helper
def _pad(image, out, padding):
    """Copy an image into zeros, behind its padding; negative padding cuts rows or columns off."""
    (top, _), (left, _) = padding
    first, last = max(0, -left), min(image.shape[1], out.shape[1] - left)
    for row in range(max(0, -top), min(image.shape[0], out.shape[0] - top)):
        _copy(run_of(image[row, first:last]), run_of(out[row + top, first + left : last + left]))


@allocating
def _zeros(x, windows, kernel_size, stride, dilation):
    """Zeros as large as the area that the windows of an image cover."""
    height = (windows[0] - 1) * stride[0] + (kernel_size[0] - 1) * dilation[0] + 1
    width = (windows[1] - 1) * stride[1] + (kernel_size[1] - 1) * dilation[1] + 1
    return np.zeros((height, width, x.shape[3]), x.dtype)


@allocating
def _output_runs(x, w, b, y, stride, padding, dilation):
    kh, kw, _, channels = w.shape
    rows, shift = np.empty((kh, kw, y.shape[2], channels), x.dtype), np.empty(y.shape[2:], x.dtype)
    for c in range(y.shape[2]):
        _copy(b, shift[c])
        for i in range(kh):
            for j in range(kw):
                _copy(w[i, j, 0], rows[i, j, c])
    padded, step = _zeros(x, y.shape[1:3], (kh, kw), stride, dilation), dilation[1] * channels
    for image in range(len(x)):
        _pad(x[image], padded, padding)
        for r in range(y.shape[1]):
            out = run_of(y[image, r])
            _copy(run_of(shift), out)
            for i in range(kh):
                pixels = run_of(padded[r * stride[0] + i * dilation[0]])
                weights = rows[i].reshape(kw, -1)
                for j in range(0, kw - kw % 3, 3):
                    _add_three(pixels[j * step :], step, weights[j : j + 3], out)
                for j in range(kw - kw % 3, kw):
                    _add(pixels[j * step :], weights[j], out)


@allocating
def _weight_gradient_runs(x, g, gw, stride, padding, dilation):
    kh, kw, _, channels = gw.shape
    rows, step = np.zeros((kh, kw, g.shape[2] * channels), x.dtype), dilation[1] * channels
    padded = _zeros(x, g.shape[1:3], (kh, kw), stride, dilation)
    for image in range(len(x)):
        _pad(x[image], padded, padding)
        for r in range(g.shape[1]):
            gradient = run_of(g[image, r])
            for i in range(kh):
                pixels = run_of(padded[r * stride[0] + i * dilation[0]])
                for j in range(kw):
                    _add(pixels[j * step :], gradient, rows[i, j])
    gw[:] = 0
    for i in range(kh):
        for j in range(kw):
            for c in range(g.shape[2]):
                for k in range(channels):
                    gw[i, j, 0, k] += rows[i, j, c * channels + k]


@allocating
def output_tile(x, w, b, y, stride, padding, dilation):
    n, height, width, _ = x.shape
    if stride[1] == 1:
        _output_runs(x, w, b, y, stride, padding, dilation)
        return
    for image in range(n):
        for r in range(y.shape[1]):
            for c in range(y.shape[2]):
                out = y[image, r, c]
                out[:] = b
                for i in range(w.shape[0]):
                    row = r * stride[0] - padding[0][0] + i * dilation[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(w.shape[1]):
                        column = c * stride[1] - padding[1][0] + j * dilation[1]
                        if not 0 <= column < width:
                            continue
                        pixels, weight = x[image, row, column], w[i, j, 0]
                        for k in range(out.size):
                            out[k] += pixels[k] * weight[k]


@kernel
def input_gradient_tile(g, w, gx, stride, padding, dilation):
    n, height, width, _ = gx.shape
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                gradient = g[image, r, c]
                for i in range(w.shape[0]):
                    row = r * stride[0] - padding[0][0] + i * dilation[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(w.shape[1]):
                        column = c * stride[1] - padding[1][0] + j * dilation[1]
                        if not 0 <= column < width:
                            continue
                        out, weight = gx[image, row, column], w[i, j, 0]
                        for k in range(out.size):
                            out[k] += gradient[k] * weight[k]


@allocating
def weight_gradient_tile(x, g, gw, stride, padding, dilation):
    n, height, width, _ = x.shape
    if stride[1] == 1:
        _weight_gradient_runs(x, g, gw, stride, padding, dilation)
        return
    gw[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                gradient = g[image, r, c]
                for i in range(gw.shape[0]):
                    row = r * stride[0] - padding[0][0] + i * dilation[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(gw.shape[1]):
                        column = c * stride[1] - padding[1][0] + j * dilation[1]
                        if not 0 <= column < width:
                            continue
                        pixels, out = x[image, row, column], gw[i, j, 0]
                        for k in range(out.size):
                            out[k] += pixels[k] * gradient[k]
