"""Compiled twins of the passes in `fast.pooling`.

A tap of the kernel goes over a row of windows at a time. At stride 1 their pixels are adjacent, and the row is one run
of numbers; otherwise each window has a run of its own, as long as there are channels.
"""

from __future__ import annotations

import numpy as np

from . import allocating, copy_run, helper, kernel, run_of


@helper
def _runs(tap, windows, width, stride, before, channels):
    """Return the first window in which a tap lies on a row of `width` pixels, how many runs there are, and their size.

    `before` columns of padding are on the left.
    """
    first = max(0, -((tap - before) // stride))
    count = min(windows, (width - 1 - tap + before) // stride + 1) - first
    return (first, min(1, count), count * channels) if stride == 1 else (first, count, channels)


@helper
def _stays(best, more):
    """Whether a later number leaves the maximum as it is: the first of equal numbers wins, and the first NaN."""
    return more <= best or np.isnan(best)


@allocating
def max_argmax_tile(x, y, argmax, kernel_size, stride, corner):
    (kh, kw), height, wide = kernel_size, x.shape[1], y.shape[2] * y.shape[3]
    # Maxima over single rows of windows, and the columns of these maxima; overlapping windows share them.
    maxima, columns = np.empty((kh, wide), x.dtype), np.empty((kh, wide), argmax.dtype)
    for image in range(len(x)):
        done = -1
        for r in range(y.shape[1]):
            top, best, place = r * stride[0] - corner[0], run_of(y[image, r]), run_of(argmax[image, r])
            first, last = max(0, top), min(top + kh, height)
            for row in range(max(first, done + 1), last):
                _max_of_row(x[image, row], maxima[row % kh], columns[row % kh], kw, stride[1], corner[1])
            done = last - 1
            copy_run(maxima[first % kh], best)
            column, before = columns[first % kh], argmax.dtype.type((first - top) * kw)
            for k in range(place.size):
                place[k] = column[k] + before
            for row in range(first + 1, last):
                more, column, before = maxima[row % kh], columns[row % kh], argmax.dtype.type((row - top) * kw)
                for k in range(best.size):
                    stays = _stays(best[k], more[k])
                    best[k] = best[k] if stays else more[k]
                    place[k] = place[k] if stays else column[k] + before


@helper
def _max_of_row(x, best, place, kw, stride, before):
    width, channels = x.shape
    row, windows = run_of(x), best.size // channels
    for window in range(windows):
        tap, at = max(0, before - window * stride), window * channels
        copy_run(x[window * stride + tap - before], best[at : at + channels])
        place[at : at + channels] = tap
    for tap in range(1, kw):
        first, count, size = _runs(tap, windows, width, stride, before, channels)
        for window in range(first, first + count):
            at, to = (window * stride + tap - before) * channels, window * channels
            _more(row[at : at + size], best[to : to + size], place[to : to + size], tap)


@helper
def _more(pixels, best, place, tap):
    tap = place.dtype.type(tap)
    for k in range(best.size):
        stays = _stays(best[k], pixels[k])
        best[k] = best[k] if stays else pixels[k]
        place[k] = place[k] if stays else tap


@allocating
def max_tile(x, y, kernel_size, stride, corner):
    n, height, width, channels = x.shape
    column = np.empty((width, channels), x.dtype)  # maxima of columns, over the rows of a window
    for image in range(n):
        for r in range(y.shape[1]):
            top = r * stride[0] - corner[0]
            first, last = max(0, top), min(top + kernel_size[0], height)
            best = run_of(column)
            copy_run(run_of(x[image, first]), best)
            for row in range(first + 1, last):
                more = run_of(x[image, row])
                for k in range(best.size):
                    best[k] = best[k] if _stays(best[k], more[k]) else more[k]
            for c in range(y.shape[2]):
                left = c * stride[1] - corner[1]
                first, last = max(0, left), min(left + kernel_size[1], width)
                out = y[image, r, c]
                copy_run(column[first], out)
                for j in range(first + 1, last):
                    for k in range(channels):
                        out[k] = out[k] if _stays(out[k], column[j, k]) else column[j, k]


@kernel
def max_unpool_tile(g, argmax, gx, kernel_size, stride, corner):
    (kh, kw), (_, height, width, channels), windows = kernel_size, gx.shape, g.shape[2]
    gx[:] = 0
    for image in range(len(g)):
        for r in range(g.shape[1]):
            top, given, places = r * stride[0] - corner[0], run_of(g[image, r]), run_of(argmax[image, r])
            for i in range(max(0, -top), min(kh, height - top)):
                row = run_of(gx[image, top + i])
                for j in range(kw):
                    first, count, size = _runs(j, windows, width, stride[1], corner[1], channels)
                    for window in range(first, first + count):
                        to, at = (window * stride[1] + j - corner[1]) * channels, window * channels
                        _add(given[at : at + size], places[at : at + size], row[to : to + size], i * kw + j)


@helper
def _add(g, argmax, gx, tap):
    tap = argmax.dtype.type(tap)  # in a wider dtype, vectors would hold fewer numbers
    for k in range(gx.size):
        gx[k] += g[k] if argmax[k] == tap else 0
