"""Compiled twins of the transforms in `kernels.winograd`.

They use that the points are 0, a, -a, b, -b and infinity, with a * b = 1: the even and the odd powers of a polynomial
are evaluated apart, and each sum serves two points.
"""

from __future__ import annotations

import numpy as np

from . import kernel


@kernel
def transform_images(x, v, top, left, down, across, parts):
    n, height, width, channels = x.shape
    high, wide = parts
    padded_width = 4 * across + 3 * wide - 1
    first_column, stop = max(0, -left), min(width, padded_width - left)
    zeros = np.zeros((width, channels), x.dtype)
    rows = np.zeros((6, padded_width, channels), x.dtype)
    a, b = x.dtype.type(2 / 3), x.dtype.type(3 / 2)
    aa, bb, total = a * a, b * b, x.dtype.type(97 / 36)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            for part_row in range(high):
                r = 4 * tile_row + 3 * part_row - top
                d0 = x[image, r] if 0 <= r < height else zeros
                d1 = x[image, r + 1] if 0 <= r + 1 < height else zeros
                d2 = x[image, r + 2] if 0 <= r + 2 < height else zeros
                d3 = x[image, r + 3] if 0 <= r + 3 < height else zeros
                d4 = x[image, r + 4] if 0 <= r + 4 < height else zeros
                d5 = x[image, r + 5] if 0 <= r + 5 < height else zeros
                for w in range(first_column, stop):
                    for k in range(channels):
                        p, q, r, s, u, z = d0[w, k], d1[w, k], d2[w, k], d3[w, k], d4[w, k], d5[w, k]
                        even, odd = u - bb * r, a * s - b * q
                        rows[0, w + left, k] = p + u - total * r
                        rows[1, w + left, k] = even + odd
                        rows[2, w + left, k] = even - odd
                        even, odd = u - aa * r, b * s - a * q
                        rows[3, w + left, k] = even + odd
                        rows[4, w + left, k] = even - odd
                        rows[5, w + left, k] = q + z - total * s
                for i in range(6):
                    for part in range(wide):
                        at = (part_row * wide + part) * channels
                        for tile in range(across):
                            w = 4 * tile + 3 * part
                            v0, v1, v2 = (
                                v[6 * i, t + tile, at:],
                                v[6 * i + 1, t + tile, at:],
                                v[6 * i + 2, t + tile, at:],
                            )
                            v3, v4, v5 = (
                                v[6 * i + 3, t + tile, at:],
                                v[6 * i + 4, t + tile, at:],
                                v[6 * i + 5, t + tile, at:],
                            )
                            for k in range(channels):
                                p, q, r = rows[i, w, k], rows[i, w + 1, k], rows[i, w + 2, k]
                                s, u, z = rows[i, w + 3, k], rows[i, w + 4, k], rows[i, w + 5, k]
                                even, odd = u - bb * r, a * s - b * q
                                v0[k] = p + u - total * r
                                v1[k] = even + odd
                                v2[k] = even - odd
                                even, odd = u - aa * r, b * s - a * q
                                v3[k] = even + odd
                                v4[k] = even - odd
                                v5[k] = q + z - total * s
            t += across


@kernel
def collect_images(m, bias, y, down, across):
    n, height, width, channels = y.shape
    half = np.empty((4, 6, across, channels), y.dtype)
    a, b = y.dtype.type(2 / 3), y.dtype.type(3 / 2)
    aa, bb = a * a, b * b
    aaa, bbb = a * aa, b * bb
    t = 0
    for image in range(n):
        for tile_row in range(down):
            for j in range(6):
                for tile in range(across):
                    for k in range(channels):
                        p, q = m[6 + j, t + tile, k], m[12 + j, t + tile, k]
                        r, s = m[18 + j, t + tile, k], m[24 + j, t + tile, k]
                        even, odd, evens, odds = p + q, p - q, r + s, r - s
                        half[0, j, tile, k] = m[j, t + tile, k] + even + evens
                        half[1, j, tile, k] = a * odd + b * odds
                        half[2, j, tile, k] = aa * even + bb * evens
                        half[3, j, tile, k] = aaa * odd + bbb * odds + m[30 + j, t + tile, k]
            for i in range(min(4, height - 4 * tile_row)):
                row = y[image, 4 * tile_row + i]
                for tile in range(across):
                    w = 4 * tile
                    for k in range(channels):
                        even, evens = (
                            half[i, 1, tile, k] + half[i, 2, tile, k],
                            half[i, 3, tile, k] + half[i, 4, tile, k],
                        )
                        row[w, k] = bias[k] + half[i, 0, tile, k] + even + evens
                        if w + 2 < width:
                            row[w + 2, k] = bias[k] + aa * even + bb * evens
                    if w + 1 < width:
                        for k in range(channels):
                            odd, odds = (
                                half[i, 1, tile, k] - half[i, 2, tile, k],
                                half[i, 3, tile, k] - half[i, 4, tile, k],
                            )
                            row[w + 1, k] = bias[k] + a * odd + b * odds
                            if w + 3 < width:
                                row[w + 3, k] = bias[k] + aaa * odd + bbb * odds + half[i, 5, tile, k]
            t += across


@kernel
def transform_gradients(g, v, down, across):
    n, height, width, channels = g.shape
    zeros = np.zeros((width, channels), g.dtype)
    half = np.zeros((6, 4 * across, channels), g.dtype)
    a, b = g.dtype.type(2 / 3), g.dtype.type(3 / 2)
    aa, bb = a * a, b * b
    aaa, bbb = a * aa, b * bb
    t = 0
    for image in range(n):
        for tile_row in range(down):
            h = 4 * tile_row
            g0 = g[image, h]
            g1 = g[image, h + 1] if h + 1 < height else zeros
            g2 = g[image, h + 2] if h + 2 < height else zeros
            g3 = g[image, h + 3] if h + 3 < height else zeros
            for w in range(width):
                for k in range(channels):
                    p, q, r, s = g0[w, k], g1[w, k], g2[w, k], g3[w, k]
                    half[0, w, k] = p
                    even, odd = p + aa * r, a * q + aaa * s
                    half[1, w, k] = even + odd
                    half[2, w, k] = even - odd
                    even, odd = p + bb * r, b * q + bbb * s
                    half[3, w, k] = even + odd
                    half[4, w, k] = even - odd
                    half[5, w, k] = s
            for i in range(6):
                for tile in range(across):
                    w = 4 * tile
                    for k in range(channels):
                        p, q, r, s = half[i, w, k], half[i, w + 1, k], half[i, w + 2, k], half[i, w + 3, k]
                        v[6 * i, t + tile, k] = p
                        even, odd = p + aa * r, a * q + aaa * s
                        v[6 * i + 1, t + tile, k] = even + odd
                        v[6 * i + 2, t + tile, k] = even - odd
                        even, odd = p + bb * r, b * q + bbb * s
                        v[6 * i + 3, t + tile, k] = even + odd
                        v[6 * i + 4, t + tile, k] = even - odd
                        v[6 * i + 5, t + tile, k] = s
            t += across
