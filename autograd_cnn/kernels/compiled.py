"""Compiled twins of the passes of this folder: the same names, arguments and results, as plain loops.

Innermost loops run over channels, which lie side by side, and keep no sum across them: the compiler makes vector
instructions of them. They let go of the interpreter, so that tiles run on all cores.

Imports Numba and NumPy; only `twins` imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def kernel(function: Callable[..., None]) -> Any:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could keep it
        return numba.njit(**options)(function)


@kernel
def _copy(run, out):
    for k in range(out.size):
        out[k] = run[k]


@kernel
def _fill(out, number):
    for k in range(out.size):
        out[k] = number


@kernel
def _accumulate(run, out):
    for k in range(out.size):
        out[k] += run[k]


@kernel
def transform_images(x, v, top, left, down, across, parts):
    n, height, width, channels = x.shape
    high, wide = parts
    broad = 2 * across + 3 * wide - 1
    seen = max(0, -left), min(width, broad - left)
    nothing = np.zeros((width, channels), x.dtype)
    rows = np.zeros((4, broad, channels), x.dtype)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            for part_row in range(high):
                r = 2 * tile_row + 3 * part_row - top
                a = x[image, r] if 0 <= r < height else nothing
                b = x[image, r + 1] if 0 <= r + 1 < height else nothing
                c = x[image, r + 2] if 0 <= r + 2 < height else nothing
                d = x[image, r + 3] if 0 <= r + 3 < height else nothing
                for w in range(seen[0], seen[1]):
                    for k in range(channels):
                        rows[0, w + left, k] = a[w, k] - c[w, k]
                        rows[1, w + left, k] = b[w, k] + c[w, k]
                        rows[2, w + left, k] = c[w, k] - b[w, k]
                        rows[3, w + left, k] = b[w, k] - d[w, k]
                for i in range(4):
                    for part in range(wide):
                        at = (part_row * wide + part) * channels
                        for tile in range(across):
                            w = 2 * tile + 3 * part
                            first, second = v[4 * i, t + tile, at:], v[4 * i + 1, t + tile, at:]
                            third, fourth = v[4 * i + 2, t + tile, at:], v[4 * i + 3, t + tile, at:]
                            for k in range(channels):
                                p, q, s, u = rows[i, w, k], rows[i, w + 1, k], rows[i, w + 2, k], rows[i, w + 3, k]
                                first[k] = p - s
                                second[k] = q + s
                                third[k] = s - q
                                fourth[k] = q - u
            t += across


@kernel
def collect_images(m, b, y, down, across):
    n, height, width, channels = y.shape
    half = np.empty((2, 4, across, channels), y.dtype)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            for j in range(4):
                for tile in range(across):
                    for k in range(channels):
                        p, q = m[4 + j, t + tile, k], m[8 + j, t + tile, k]
                        half[0, j, tile, k] = m[j, t + tile, k] + p + q
                        half[1, j, tile, k] = p - q - m[12 + j, t + tile, k]
            for i in range(2):
                for tile in range(across):
                    for k in range(channels):
                        half[i, 1, tile, k] += b[k]  # the entry that all four pixels share
            for i in range(min(2, height - 2 * tile_row)):
                row = y[image, 2 * tile_row + i]
                for tile in range(across):
                    for k in range(channels):
                        row[2 * tile, k] = half[i, 0, tile, k] + half[i, 1, tile, k] + half[i, 2, tile, k]
                    if 2 * tile + 1 < width:
                        for k in range(channels):
                            row[2 * tile + 1, k] = half[i, 1, tile, k] - half[i, 2, tile, k] - half[i, 3, tile, k]
            t += across


@kernel
def transform_gradients(g, v, down, across):
    n, height, width, channels = g.shape
    nothing = np.zeros((width, channels), g.dtype)
    half = np.zeros((4, 2 * across, channels), g.dtype)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            upper = g[image, 2 * tile_row]
            lower = g[image, 2 * tile_row + 1] if 2 * tile_row + 1 < height else nothing
            for w in range(width):
                for k in range(channels):
                    p, q = upper[w, k], lower[w, k]
                    half[0, w, k] = p
                    half[1, w, k] = p + q
                    half[2, w, k] = p - q
                    half[3, w, k] = -q
            for i in range(4):
                for tile in range(across):
                    for k in range(channels):
                        p, q = half[i, 2 * tile, k], half[i, 2 * tile + 1, k]
                        v[4 * i, t + tile, k] = p
                        v[4 * i + 1, t + tile, k] = p + q
                        v[4 * i + 2, t + tile, k] = p - q
                        v[4 * i + 3, t + tile, k] = -q
            t += across


@kernel
def _give_back(columns, gx, windows, kernel, stride, padding, dilation):
    groups, (_, height, width, channels), (kh, kw) = len(columns), gx.shape, kernel
    some, together = channels // groups, groups == dilation[1] == 1  # then a row of a window is one run of numbers
    for group in range(groups):
        for window in range(columns.shape[1]):
            image, place = divmod(window, windows[0] * windows[1])
            r, c = divmod(place, windows[1])
            left = c * stride[1] - padding[1][0]
            inside = together and left >= 0 and left + kw <= width
            for i in range(kh):
                row = r * stride[0] - padding[0][0] + i * dilation[0]
                if not 0 <= row < height:
                    continue
                given, at = columns[group, window, i * kw * some :], gx[image, row].reshape(-1)
                if inside:
                    _accumulate(given, at[left * channels : (left + kw) * channels])
                    continue
                for j in range(kw):
                    column = left + j * dilation[1]
                    if 0 <= column < width:
                        first = column * channels + group * some
                        _accumulate(given[j * some :], at[first : first + some])


@numba.njit(inline="always")
def _stays(best, more):
    """Whether a window keeps its maximum: the first of equals, and of NaNs."""
    return more <= best or np.isnan(best)


@kernel
def _max_tile(x, y, argmax, kernel_size, stride, padding):
    n, height, _, channels = x.shape
    (kh, kw), wide = kernel_size, y.shape[2]
    # Maxima of single rows of windows, and their columns: windows that overlap share them.
    maxima = np.empty((kh, wide, channels), x.dtype)
    columns = np.empty((kh, wide, channels), argmax.dtype)
    for image in range(n):
        done = -1
        for r in range(y.shape[1]):
            top = r * stride[0] - padding[0][0]
            first, last = max(0, top), min(top + kh, height)
            for row in range(max(first, done + 1), last):
                _max_of_row(x[image, row], maxima[row % kh], columns[row % kh], kw, stride[1], padding[1][0])
            done = last - 1
            best, place = y[image, r].reshape(-1), argmax[image, r].reshape(-1)
            _copy(maxima[first % kh].reshape(-1), best)
            column, before = columns[first % kh].reshape(-1), (first - top) * kw
            for k in range(best.size):
                place[k] = column[k] + before
            for row in range(first + 1, last):
                more, column = maxima[row % kh].reshape(-1), columns[row % kh].reshape(-1)
                before = (row - top) * kw
                for k in range(best.size):
                    stays = _stays(best[k], more[k])
                    best[k] = best[k] if stays else more[k]
                    place[k] = place[k] if stays else column[k] + before


@kernel
def _max_values(x, y, kernel_size, stride, padding):
    n, height, width, channels = x.shape
    column = np.empty((width, channels), x.dtype)  # maxima of windows one column wide
    for image in range(n):
        for r in range(y.shape[1]):
            top = r * stride[0] - padding[0][0]
            first, last = max(0, top), min(top + kernel_size[0], height)
            best = column.reshape(-1)
            _copy(x[image, first].reshape(-1), best)
            for row in range(first + 1, last):
                more = x[image, row].reshape(-1)
                for k in range(best.size):
                    best[k] = best[k] if _stays(best[k], more[k]) else more[k]
            for c in range(y.shape[2]):
                left = c * stride[1] - padding[1][0]
                first, last = max(0, left), min(left + kernel_size[1], width)
                out = y[image, r, c]
                _copy(column[first], out)
                for j in range(first + 1, last):
                    for k in range(channels):
                        out[k] = out[k] if _stays(out[k], column[j, k]) else column[j, k]


@kernel
def _max_of_row(x, best, place, kw, stride, before):
    width, channels = x.shape
    inside = len(best), len(best)  # windows that lie on the image and are one run of numbers
    if stride == 1 and kw > 1 and before + width >= kw:
        inside = max(0, before), max(0, before) + max(0, min(len(best), before + width - kw + 1) - max(0, before))
        at = inside[0] - before
        _max_of_run(
            x[at:].reshape(-1),
            channels,
            best[inside[0] : inside[1]].reshape(-1),
            place[inside[0] : inside[1]].reshape(-1),
            kw,
        )
    for c in range(len(best)):
        if inside[0] <= c < inside[1]:
            continue
        left = c * stride - before
        first, last = max(0, -left), min(kw, width - left)
        seen = x[left + first]
        if first + 1 == last:
            best[c] = seen
            place[c] = first
            continue
        more = x[left + first + 1]
        for k in range(channels):
            stays = _stays(seen[k], more[k])
            best[c, k] = seen[k] if stays else more[k]
            place[c, k] = first if stays else first + 1
        for j in range(first + 2, last):
            more = x[left + j]
            for k in range(channels):
                stays = _stays(best[c, k], more[k])
                best[c, k] = best[c, k] if stays else more[k]
                place[c, k] = place[c, k] if stays else j


@kernel
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


@kernel
def _unpool_tile(g, argmax, gx, kernel_size, stride, padding):
    n, height, width, channels = gx.shape
    (kh, kw), windows, before = kernel_size, g.shape[2], padding[1][0]
    # At stride 1 windows side by side meet columns side by side: with zeros around them, runs of numbers.
    given = np.zeros((windows + 2 * kw - 2) * channels, g.dtype)
    places = np.zeros(given.size, argmax.dtype)
    inner = slice((kw - 1) * channels, (kw - 1 + windows) * channels)
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            top = r * stride[0] - padding[0][0]
            if stride[1] == 1:
                _copy(g[image, r].reshape(-1), given[inner])
                _copy(argmax[image, r].reshape(-1), places[inner])
            for i in range(max(0, -top), min(kh, height - top)):
                if stride[1] == 1:
                    out = gx[image, top + i].reshape(-1)
                    for j in range(kw):
                        at = (kw - 1 + before - j) * channels  # the window that has column 0 under tap j
                        if j % 3 == 0 and j + 3 <= kw:
                            at -= 2 * channels
                            _unpool_three(given[at:], places[at:], out, channels, i * kw + j)
                        elif j >= kw - kw % 3:
                            _unpool_one(given[at:], places[at:], out, i * kw + j)
                    continue
                for j in range(kw):
                    for c in range(windows):
                        column = c * stride[1] + j - before
                        if 0 <= column < width:
                            for k in range(channels):
                                taken = argmax[image, r, c, k] == i * kw + j
                                gx[image, top + i, column, k] += g[image, r, c, k] if taken else 0


@kernel
def _unpool_one(g, argmax, out, place):
    wanted = argmax.dtype.type(place)
    for k in range(out.size):
        out[k] += g[k] if argmax[k] == wanted else 0


@kernel
def _unpool_three(g, argmax, out, channels, place):
    a, b, c = g[2 * channels :], g[channels:], g
    p, q, r = argmax[2 * channels :], argmax[channels:], argmax
    # of the type they are compared with: a wider one makes narrow vectors
    first, second, third = argmax.dtype.type(place), argmax.dtype.type(place + 1), argmax.dtype.type(place + 2)
    for k in range(out.size):
        out[k] = (
            out[k] + (a[k] if p[k] == first else 0) + (b[k] if q[k] == second else 0) + (c[k] if r[k] == third else 0)
        )


@kernel
def _mean_tile(x, y, kernel_size, stride, padding):
    n, height, width, channels = x.shape
    (kh, kw), (before, after) = kernel_size, padding[1]
    line = np.zeros((before + width + after, channels), x.dtype)  # sums of windows one column wide, and padding
    sums, seen = line[before : before + width].reshape(-1), line.reshape(-1)
    for image in range(n):
        for r in range(y.shape[1]):
            top = r * stride[0] - padding[0][0]
            _fill(sums, 0)
            for row in range(max(0, top), min(top + kh, height)):
                _accumulate(x[image, row].reshape(-1), sums)
            out = y[image, r].reshape(-1)
            if stride[1] == 1:
                _copy(seen, out)
                for j in range(1, kw):
                    _accumulate(seen[j * channels :], out)
            else:
                for c in range(y.shape[2]):
                    at = c * stride[1]
                    for k in range(channels):
                        y[image, r, c, k] = line[at, k]
                    for j in range(at + 1, at + kw):
                        for k in range(channels):
                            y[image, r, c, k] += line[j, k]
            for k in range(out.size):
                out[k] /= kh * kw


@kernel
def _spread_tile(g, gx, kernel_size, stride, padding):
    n, height, width, channels = gx.shape
    (kh, kw), windows, before = kernel_size, g.shape[2], padding[1][0]
    given = np.zeros((windows + 2 * kw - 2, channels), g.dtype)  # a share of each window, and zeros around them
    shares = given[kw - 1 : kw - 1 + windows].reshape(-1)
    line = np.empty((width, channels), g.dtype)  # what each place of a row receives
    sums = line.reshape(-1)
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            _copy(g[image, r].reshape(-1), shares)
            for k in range(shares.size):
                shares[k] /= kh * kw
            _fill(sums, 0)
            for j in range(kw):
                if stride[1] == 1:
                    _accumulate(given[kw - 1 + before - j :].reshape(-1), sums)
                    continue
                for c in range(windows):
                    column = c * stride[1] + j - before
                    if 0 <= column < width:
                        for k in range(channels):
                            line[column, k] += given[kw - 1 + c, k]
            top = r * stride[0] - padding[0][0]
            for row in range(max(0, top), min(top + kh, height)):
                _accumulate(sums, gx[image, row].reshape(-1))


@kernel
def _rectify(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = 0 if v <= 0 else v


@kernel
def _mask(y, out):
    for i in range(out.size):
        out[i] = 0 if y[i] <= 0 else out[i]


BLOCK = 256  # rows that are summed up one by one, in float32 too: sums of sums lose fewer digits


@kernel
def _moments(x, mean, squares):
    n, channels = x.shape
    first, rest, part = x[0], np.zeros(channels, x.dtype), np.empty(channels, x.dtype)
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                part[k] += x[i, k] - first[k]  # around a row, not around 0: fewer digits again
        rest += part
    for k in range(channels):
        rest[k] /= n
        mean[k] = first[k] + rest[k]
    squares[:] = 0
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                d = x[i, k] - first[k] - rest[k]
                part[k] += d * d
        squares += part


@kernel
def _normalise(x, y, mean, scale, shift):
    n, channels = x.shape
    for i in range(n):
        for k in range(channels):
            y[i, k] = (x[i, k] - mean[k]) * scale[k] + shift[k]


@kernel
def _project(g, x, sums, mean):
    n, channels = x.shape
    sums[:] = 0
    parts = np.empty_like(sums)
    plain, weighted = parts[0], parts[1]
    for start in range(0, n, BLOCK):
        parts[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                plain[k] += g[i, k]
                weighted[k] += (x[i, k] - mean[k]) * g[i, k]
        sums += parts


@kernel
def _pull_back(g, x, gx, mean, slope, bend, shift):
    n, channels = x.shape
    for i in range(n):
        for k in range(channels):
            gx[i, k] = (x[i, k] - mean[k]) * bend[k] + shift[k] + g[i, k] * slope[k]


@kernel
def adam(p, g, m, v, numbers):
    shrink, decay, fresh1, beta2 = numbers[0], numbers[1], numbers[2], numbers[3]
    fresh2, root, eps, rate = numbers[4], numbers[5], numbers[6], numbers[7]
    for i in range(p.size):
        old = p[i] * shrink
        slope = g[i] + old * decay if decay != 0 else g[i]
        # by names, not read again from what was written: the compiler makes no vectors of that
        first = m[i] + (slope - m[i]) * fresh1
        second = v[i] * beta2 + slope * slope * fresh2
        m[i] = first
        v[i] = second
        p[i] = old - first / (np.sqrt(second) * root + eps) * rate


# Depthwise. At stride 1, what a tap meets in a row of a padded image and the outputs it goes into are two runs of
# numbers, with weights repeated as often: loops over the channels of one pixel at a time are short, and spend their
# time on being set up. For the same reason runs are copied by loops, not by slices.


@kernel
def _add(seen, weights, out):
    for k in range(out.size):
        out[k] += seen[k] * weights[k]


@kernel
def _add_three(seen, step, weights, out):
    """Three taps of a row: saves two of three loads and stores of the sums."""
    p, q, r = seen, seen[step:], seen[2 * step :]
    u, v, w = weights[0], weights[1], weights[2]
    for k in range(out.size):
        out[k] = out[k] + p[k] * u[k] + q[k] * v[k] + r[k] * w[k]


@kernel
def _pad(image, out, padding):
    """Into the middle of zeros; less padding than none leaves rows or columns out."""
    (top, _), (left, _) = padding
    first, last = max(0, -left), min(image.shape[1], out.shape[1] - left)
    for row in range(max(0, -top), min(image.shape[0], out.shape[0] - top)):
        _copy(image[row, first:last].reshape(-1), out[row + top, first + left : last + left].reshape(-1))


@kernel
def _room(x, windows, kernel_size, stride, dilation):
    """Zeros of the size that these windows cover."""
    high = (windows[0] - 1) * stride[0] + (kernel_size[0] - 1) * dilation[0] + 1
    wide = (windows[1] - 1) * stride[1] + (kernel_size[1] - 1) * dilation[1] + 1
    return np.zeros((high, wide, x.shape[3]), x.dtype)


@kernel
def _depthwise_runs(x, w, b, y, stride, padding, dilation):
    kh, kw, _, channels = w.shape
    rows, shift = np.empty((kh, kw, y.shape[2], channels), x.dtype), np.empty(y.shape[2:], x.dtype)
    for c in range(y.shape[2]):
        _copy(b, shift[c])
        for i in range(kh):
            for j in range(kw):
                _copy(w[i, j, 0], rows[i, j, c])
    padded, step = _room(x, y.shape[1:3], (kh, kw), stride, dilation), dilation[1] * channels
    for image in range(len(x)):
        _pad(x[image], padded, padding)
        for r in range(y.shape[1]):
            out = y[image, r].reshape(-1)
            _copy(shift.reshape(-1), out)
            for i in range(kh):
                seen = padded[r * stride[0] + i * dilation[0]].reshape(-1)
                weights = rows[i].reshape(kw, -1)
                for j in range(0, kw - kw % 3, 3):
                    _add_three(seen[j * step :], step, weights[j : j + 3], out)
                for j in range(kw - kw % 3, kw):
                    _add(seen[j * step :], weights[j], out)


@kernel
def _depthwise_weight_runs(x, g, total, stride, padding, dilation):
    kh, kw, _, channels = total.shape
    rows, step = np.zeros((kh, kw, g.shape[2] * channels), x.dtype), dilation[1] * channels
    padded = _room(x, g.shape[1:3], (kh, kw), stride, dilation)
    for image in range(len(x)):
        _pad(x[image], padded, padding)
        for r in range(g.shape[1]):
            given = g[image, r].reshape(-1)
            for i in range(kh):
                seen = padded[r * stride[0] + i * dilation[0]].reshape(-1)
                for j in range(kw):
                    _add(seen[j * step :], given, rows[i, j])
    total[:] = 0
    for i in range(kh):
        for j in range(kw):
            for c in range(g.shape[2]):
                for k in range(channels):
                    total[i, j, 0, k] += rows[i, j, c * channels + k]


@kernel
def _depthwise(x, w, b, y, stride, padding, dilation):
    n, height, width, channels = x.shape
    outputs = w.shape[3] // channels
    if outputs == stride[1] == 1:
        _depthwise_runs(x, w, b, y, stride, padding, dilation)
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
                        seen, weight = x[image, row, column], w[i, j, 0]
                        if outputs == 1:
                            for k in range(channels):
                                out[k] += seen[k] * weight[k]
                        else:
                            for k in range(channels):
                                for q in range(k * outputs, (k + 1) * outputs):
                                    out[q] += seen[k] * weight[q]


@kernel
def _depthwise_input(g, w, gx, stride, padding, dilation):
    n, height, width, channels = gx.shape
    outputs = w.shape[3] // channels
    gx[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                given = g[image, r, c]
                for i in range(w.shape[0]):
                    row = r * stride[0] - padding[0][0] + i * dilation[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(w.shape[1]):
                        column = c * stride[1] - padding[1][0] + j * dilation[1]
                        if not 0 <= column < width:
                            continue
                        out, weight = gx[image, row, column], w[i, j, 0]
                        if outputs == 1:
                            for k in range(channels):
                                out[k] += given[k] * weight[k]
                        else:
                            for k in range(channels):
                                for q in range(k * outputs, (k + 1) * outputs):
                                    out[k] += given[q] * weight[q]


@kernel
def _depthwise_weights(x, g, total, stride, padding, dilation):
    n, height, width, channels = x.shape
    outputs = total.shape[3] // channels
    if outputs == stride[1] == 1:
        _depthwise_weight_runs(x, g, total, stride, padding, dilation)
        return
    total[:] = 0
    for image in range(n):
        for r in range(g.shape[1]):
            for c in range(g.shape[2]):
                given = g[image, r, c]
                for i in range(total.shape[0]):
                    row = r * stride[0] - padding[0][0] + i * dilation[0]
                    if not 0 <= row < height:
                        continue
                    for j in range(total.shape[1]):
                        column = c * stride[1] - padding[1][0] + j * dilation[1]
                        if not 0 <= column < width:
                            continue
                        seen, out = x[image, row, column], total[i, j, 0]
                        if outputs == 1:
                            for k in range(channels):
                                out[k] += seen[k] * given[k]
                        else:
                            for k in range(channels):
                                for q in range(k * outputs, (k + 1) * outputs):
                                    out[q] += seen[k] * given[q]
