"""The pixels under each tap of a window that slides over images, for convolution and pooling.

Images are NHWC. `stride` and `dilation` are (vertical, horizontal). `corner` is the rows and columns of padding before
an image; less than 0 cuts rows or columns off. The padding behind it follows from the number of windows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from autograd_cnn.ops.windows import Padding, Pair, Shape, output_size

Index = tuple[slice, slice, slice]


class Phase(NamedTuple):
    """Windows without dilation, some of those that have one: the pixels that they see, and their own options."""

    pixels: Index
    windows: Index
    stride: Pair
    corner: Pair


def outputs(x_shape: Shape, kernel_size: Shape, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """How many windows (down, across) lie on images (N, H, W, C); `kernel_size` may have more axes."""
    rows, columns = (output_size(x_shape[a + 1], kernel_size[a], stride[a], *padding[a], dilation[a]) for a in (0, 1))
    return rows, columns


def corner_of(padding: Padding) -> Pair:
    """The rows and columns of padding before an image."""
    return padding[0][0], padding[1][0]


@lru_cache(1024)
def phases(windows: Shape, stride: Pair, corner: Pair, dilation: Pair) -> list[Phase]:
    """List sets of windows that together are dilated ones: each sees only pixels that are `dilation` apart.

    Parameters
    ----------
    windows : (rows, columns)
        How many there are.

    Examples
    --------
    >>> for phase in phases((1, 5), (1, 1), (0, 1), (1, 2)):
    ...     print(phase.pixels[2], phase.windows[2], phase.corner[1])
    slice(1, None, 2) slice(0, None, 2) 1
    slice(0, None, 2) slice(1, None, 2) 0
    """
    axes, every = map(_phases_of_axis, windows, stride, corner, dilation), slice(None)
    return [
        Phase((every, rows, columns), (every, window_rows, window_columns), (down, across), (top, left))
        for (rows, window_rows, down, top), (columns, window_columns, across, left) in itertools.product(*axes)
    ]


def _phases_of_axis(windows: int, stride: int, before: int, dilation: int) -> list[tuple[slice, slice, int, int]]:
    common = math.gcd(stride, dilation)
    apart = dilation // common  # so many windows further on, a window sees pixels of the same phase
    starts = [(first, first * stride - before) for first in range(min(apart, windows))]
    return [
        (slice(start % dilation, None, dilation), slice(first, None, apart), stride // common, -(start // dilation))
        for first, start in starts
    ]


def taps(
    x_size: Shape, y_size: Shape, kernel_size: Shape, stride: Pair, corner: Pair
) -> Iterator[tuple[Pair, Index, Index]]:
    """Yield, for each tap of a kernel, the windows in which it lies on the image, and the pixels under it.

    Parameters
    ----------
    x_size, y_size, kernel_size : (height, width)
        Sizes of the image, of the output and of the kernel.

    Yields
    ------
    tap : (row, column)
    windows, pixels : index
        Indices of outputs (N, OH, OW, ...) and of images (N, H, W, ...), which select the same shape: in the windows
        ``y[windows]`` this tap lies on ``x[pixels]``. Taps that lie on padding in every window are left out.

    Examples
    --------
    >>> for tap, windows, pixels in taps((1, 4), (1, 3), (1, 3), (1, 2), (0, 1)):
    ...     print(tap, windows[2], pixels[2])
    (0, 0) slice(1, 3, None) slice(1, 4, 2)
    (0, 1) slice(0, 2, None) slice(0, 3, 2)
    (0, 2) slice(0, 2, None) slice(1, 4, 2)
    """
    down, across = map(_taps_of_axis, x_size, y_size, kernel_size, stride, corner)
    for i, window_rows, rows in down:
        for j, window_columns, columns in across:
            yield (i, j), (slice(None), window_rows, window_columns), (slice(None), rows, columns)


def _taps_of_axis(size: int, windows: int, kernel: int, stride: int, before: int) -> list[tuple[int, slice, slice]]:
    found = []
    for tap in range(kernel):
        offset = tap - before  # in window r this tap lies on pixel r * stride + offset
        first = max(0, -(offset // stride))
        last = min(windows - 1, (size - 1 - offset) // stride)
        if first <= last:
            pixels = slice(first * stride + offset, last * stride + offset + 1, stride)
            found.append((tap, slice(first, last + 1), pixels))
    return found
