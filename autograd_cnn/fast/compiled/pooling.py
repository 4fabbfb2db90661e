"""Compiled twins of the passes in `fast.pooling`."""

from __future__ import annotations

import numpy as np

from . import allocating, copy_run, helper, run_of


@helper
def _stays(best, more):
    """Whether a later number leaves the maximum as it is: the first of equal numbers wins, and the first NaN."""
    return more <= best or np.isnan(best)


@allocating
def max_argmax_tile(x, y, argmax, kernel_size, stride, corner):
    n, height, _, channels = x.shape
    (kh, kw), wide = kernel_size, y.shape[2]
    # Maxima over single rows of windows, and the columns of these maxima; overlapping windows share them.
    maxima = np.empty((kh, wide, channels), x.dtype)
    columns = np.empty((kh, wide, channels), argmax.dtype)
    for image in range(n):
        done = -1
        for r in range(y.shape[1]):
            top = r * stride[0] - corner[0]
            first, last = max(0, top), min(top + kh, height)
            for row in range(max(first, done + 1), last):
                _max_of_row(x[image, row], maxima[row % kh], columns[row % kh], kw, stride[1], corner[1])
            done = last - 1
            best, place = run_of(y[image, r]), run_of(argmax[image, r])
            copy_run(run_of(maxima[first % kh]), best)
            column, before = run_of(columns[first % kh]), (first - top) * kw
            for k in range(best.size):
                place[k] = column[k] + before
            for row in range(first + 1, last):
                more, column = run_of(maxima[row % kh]), run_of(columns[row % kh])
                before = (row - top) * kw
                for k in range(best.size):
                    stays = _stays(best[k], more[k])
                    best[k] = best[k] if stays else more[k]
                    place[k] = place[k] if stays else column[k] + before


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


@helper
def _max_of_row(x, best, place, kw, stride, before):
    width, channels = x.shape
    inside = len(best), len(best)  # windows that lie wholly on the image, so that they read adjacent numbers
    if stride == 1 and kw > 1 and before + width >= kw:
        start = max(0, before)
        stop = max(start, min(len(best), before + width - kw + 1))
        inside = start, stop
        _max_of_run(run_of(x[start - before :]), channels, run_of(best[start:stop]), run_of(place[start:stop]), kw)
    for c in range(len(best)):
        if inside[0] <= c < inside[1]:
            continue
        left = c * stride - before
        first, last = max(0, -left), min(kw, width - left)
        pixel = x[left + first]
        if first + 1 == last:
            copy_run(pixel, best[c])
            place[c] = first
            continue
        more = x[left + first + 1]
        for k in range(channels):
            stays = _stays(pixel[k], more[k])
            best[c, k] = pixel[k] if stays else more[k]
            place[c, k] = first if stays else first + 1
        for j in range(first + 2, last):
            more = x[left + j]
            for k in range(channels):
                stays = _stays(best[c, k], more[k])
                best[c, k] = best[c, k] if stays else more[k]
                place[c, k] = place[c, k] if stays else j


@helper
def _max_of_run(x, channels, best, place, kw):
    more = x[channels:]
    for k in range(best.size):
        stays = _stays(x[k], more[k])
        best[k] = x[k] if stays else more[k]
        place[k] = 0 if stays else 1
    for j in range(2, kw):
        more = x[j * channels :]
        for k in range(best.size):
            stays = _stays(best[k], more[k])
            best[k] = best[k] if stays else more[k]
            place[k] = place[k] if stays else j


@allocating
def max_unpool_tile(g, argmax, gx, kernel_size, stride, corner):
    n, height, width, channels = gx.shape
    (kh, kw), windows, before = kernel_size, g.shape[2], corner[1]
    # At stride 1 a tap of adjacent windows lies on adjacent columns. With zeros around them, rows of windows and of
    # columns are runs of the same length. Three taps are added at a time; the place of one beyond the last is no place.
    margin = kw + 1
    padded = np.zeros((margin + windows + kw - 1) * channels, g.dtype)
    places = np.zeros(padded.size, argmax.dtype)
    inner = slice(margin * channels, (margin + windows) * channels)
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            top = r * stride[0] - corner[0]
            if stride[1] == 1:
                copy_run(run_of(g[image, r]), padded[inner])
                copy_run(run_of(argmax[image, r]), places[inner])
            for i in range(max(0, -top), min(kh, height - top)):
                if stride[1] == 1:
                    for j in range(0, kw, 3):
                        second = i * kw + j + 1 if j + 1 < kw else kh * kw
                        third = i * kw + j + 2 if j + 2 < kw else kh * kw
                        at = (margin + before - j - 2) * channels  # the window whose tap j + 2 lies on column 0
                        place = i * kw + j, second, third
                        _unpool_three(padded[at:], places[at:], run_of(gx[image, top + i]), channels, place)
                    continue
                for j in range(kw):
                    for c in range(windows):
                        column = c * stride[1] + j - before
                        if 0 <= column < width:
                            for k in range(channels):
                                chosen = argmax[image, r, c, k] == i * kw + j
                                gx[image, top + i, column, k] += g[image, r, c, k] if chosen else 0


@helper
def _unpool_three(g, argmax, out, channels, place):
    a, b, c = g[2 * channels :], g[channels:], g
    p, q, r = argmax[2 * channels :], argmax[channels:], argmax
    # Places are converted to the dtype of argmax: in a wider one, vectors would hold fewer numbers.
    first, second, third = argmax.dtype.type(place[0]), argmax.dtype.type(place[1]), argmax.dtype.type(place[2])
    for k in range(out.size):
        out[k] = (
            out[k] + (a[k] if p[k] == first else 0) + (b[k] if q[k] == second else 0) + (c[k] if r[k] == third else 0)
        )
