"""Compiled twins of the transforms in `kernels.winograd`."""

from __future__ import annotations

import numpy as np

from . import kernel


@kernel
def transform_images(x, v, top, left, down, across, parts):
    n, height, width, channels = x.shape
    high, wide = parts
    padded_width = 2 * across + 3 * wide - 1
    first_column, stop = max(0, -left), min(width, padded_width - left)
    zeros = np.zeros((width, channels), x.dtype)
    rows = np.zeros((4, padded_width, channels), x.dtype)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            for part_row in range(high):
                r = 2 * tile_row + 3 * part_row - top
                a = x[image, r] if 0 <= r < height else zeros
                b = x[image, r + 1] if 0 <= r + 1 < height else zeros
                c = x[image, r + 2] if 0 <= r + 2 < height else zeros
                d = x[image, r + 3] if 0 <= r + 3 < height else zeros
                for w in range(first_column, stop):
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
                        half[i, 1, tile, k] += b[k]  # this entry goes into all four pixels with factor 1
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
    zeros = np.zeros((width, channels), g.dtype)
    half = np.zeros((4, 2 * across, channels), g.dtype)
    t = 0
    for image in range(n):
        for tile_row in range(down):
            upper = g[image, 2 * tile_row]
            lower = g[image, 2 * tile_row + 1] if 2 * tile_row + 1 < height else zeros
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
