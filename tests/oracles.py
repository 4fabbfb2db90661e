"""Convolution and pooling as explicit loops, one for each index, which the operations and the kernels must equal.

Arguments are explicit: stride, kernel_size and dilation as (down, across), padding as
((above, below), (left, right)). Images are (N, H, W, C), weights (KH, KW, C // groups, O).
"""

from __future__ import annotations

import math

import numpy as np


def output_size(size, kernel, stride, edges, dilation=1):
    count = 0
    while count * stride + dilation * (kernel - 1) < size + sum(edges):
        count += 1
    return count


def conv2d_links(x_shape, w_shape, stride, padding, dilation, groups):
    """Every (index of y, index of x, index of w): conv2d adds the product of the last two to the first."""
    (n, height, width, _), (kh, kw, per_group, outputs) = x_shape, w_shape
    oh = output_size(height, kh, stride[0], padding[0], dilation[0])
    ow = output_size(width, kw, stride[1], padding[1], dilation[1])
    for image, r, s, i, j in np.ndindex(n, oh, ow, kh, kw):
        row = r * stride[0] + i * dilation[0] - padding[0][0]
        column = s * stride[1] + j * dilation[1] - padding[1][0]
        if 0 <= row < height and 0 <= column < width:
            for o, c in np.ndindex(outputs, per_group):
                channel = o // (outputs // groups) * per_group + c
                yield (image, r, s, o), (image, row, column, channel), (i, j, c, o)


def conv2d(x, w, b, stride, padding, dilation, groups):
    oh = output_size(x.shape[1], w.shape[0], stride[0], padding[0], dilation[0])
    ow = output_size(x.shape[2], w.shape[1], stride[1], padding[1], dilation[1])
    y = np.zeros((x.shape[0], oh, ow, w.shape[3]), np.result_type(x, w))
    for of_y, of_x, of_w in conv2d_links(x.shape, w.shape, stride, padding, dilation, groups):
        y[of_y] += x[of_x] * w[of_w]
    return y if b is None else y + b


def conv2d_input_gradient(g, w, x_shape, stride, padding, dilation, groups):
    gx = np.zeros(x_shape, np.result_type(g, w))
    for of_y, of_x, of_w in conv2d_links(x_shape, w.shape, stride, padding, dilation, groups):
        if of_y[1] < g.shape[1] and of_y[2] < g.shape[2]:  # the others lie in the output padding of a transposed one
            gx[of_x] += g[of_y] * w[of_w]
    return gx


def conv2d_weight_gradient(x, g, w_shape, stride, padding, dilation, groups):
    gw = np.zeros(w_shape, np.result_type(x, g))
    for of_y, of_x, of_w in conv2d_links(x.shape, w_shape, stride, padding, dilation, groups):
        gw[of_w] += x[of_x] * g[of_y]
    return gw


def pooled_size(size, kernel, stride, edges, dilation, ceil_mode):
    count = output_size(size, kernel, stride, edges, dilation)
    reached = (count - 1) * stride + dilation * (kernel - 1) + 1
    return count + (ceil_mode and reached < size + sum(edges) and count * stride < size + edges[0])


def pool_windows(x_shape, kernel_size, stride, padding, dilation=(1, 1), ceil_mode=False):
    """Every window: its output, (place, index of x) for each place in the image, the number of places in the padding.

    Places beyond the padding, to which `ceil_mode` leads, count nowhere.
    """
    _, height, width, _ = x_shape
    (above, below), (left, right) = padding
    for image, r, s, c in np.ndindex(*pooled_shape(x_shape, kernel_size, stride, padding, dilation, ceil_mode)):
        inside, margin = [], 0
        for i, j in np.ndindex(*kernel_size):
            row, column = r * stride[0] + i * dilation[0] - above, s * stride[1] + j * dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                inside.append((i * kernel_size[1] + j, (image, row, column, c)))
            elif row < height + below and column < width + right:
                margin += 1
        yield (image, r, s, c), inside, margin


def pooled_shape(x_shape, kernel_size, stride, padding, dilation=(1, 1), ceil_mode=False):
    axes = zip(x_shape[1:3], kernel_size, stride, padding, dilation, strict=True)
    return x_shape[0], *(pooled_size(*axis, ceil_mode) for axis in axes), x_shape[3]


def max_pool2d(x, *options):
    y = np.zeros(pooled_shape(x.shape, *options), x.dtype)
    argmax = np.zeros(y.shape, int)
    for out, inside, _ in pool_windows(x.shape, *options):
        best, *others = inside
        for place, at in others:
            larger = x[at] > x[best[1]] or (math.isnan(x[at]) and not math.isnan(x[best[1]]))
            best = (place, at) if larger else best
        argmax[out], y[out] = best[0], x[best[1]]
    return y, argmax


def max_unpool2d(g, argmax, x_shape, *options):
    gx = np.zeros(x_shape, g.dtype)
    for out, inside, _ in pool_windows(x_shape, *options):
        gx[dict(inside)[argmax[out]]] += g[out]
    return gx


def max_gather2d(x, argmax, *options):
    y = np.zeros(pooled_shape(x.shape, *options), x.dtype)
    for out, inside, _ in pool_windows(x.shape, *options):
        y[out] = x[dict(inside)[argmax[out]]]
    return y


def avg_pool2d(x, kernel_size, stride, padding, ceil_mode=False, count_include_pad=True):
    y = np.zeros(pooled_shape(x.shape, kernel_size, stride, padding, (1, 1), ceil_mode), x.dtype)
    for out, inside, margin in pool_windows(x.shape, kernel_size, stride, padding, (1, 1), ceil_mode):
        for _, at in inside:
            y[out] += x[at]
        y[out] /= len(inside) + (margin if count_include_pad else 0)
    return y


def avg_unpool2d(g, x_shape, kernel_size, stride, padding, ceil_mode=False, count_include_pad=True):
    gx = np.zeros(x_shape, g.dtype)
    for out, inside, margin in pool_windows(x_shape, kernel_size, stride, padding, (1, 1), ceil_mode):
        for _, at in inside:
            gx[at] += g[out] / (len(inside) + (margin if count_include_pad else 0))
    return gx
