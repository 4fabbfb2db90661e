"""The pixels under each tap of a window that slides over images, for convolution and pooling.

Images are NHWC. Options come normalised: `stride` and `dilation` are (vertical, horizontal), `padding` is
((top, bottom), (left, right)). Padding less than 0 cuts rows or columns off.
"""

from __future__ import annotations

from collections.abc import Iterator

from autograd_cnn.ops.windows import Padding, Pair, Shape

Index = tuple[slice, slice, slice]


def taps(
    x_size: Shape, y_size: Shape, kernel_size: Shape, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
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
    >>> for tap, windows, pixels in taps((1, 4), (1, 3), (1, 3), (1, 2), ((0, 0), (1, 1))):
    ...     print(tap, windows[2], pixels[2])
    (0, 0) slice(1, 3, None) slice(1, 4, 2)
    (0, 1) slice(0, 2, None) slice(0, 3, 2)
    (0, 2) slice(0, 2, None) slice(1, 4, 2)
    """
    down, across = (
        _taps_of_axis(*axis) for axis in zip(x_size, y_size, kernel_size, stride, padding, dilation, strict=True)
    )
    for i, window_rows, rows in down:
        for j, window_columns, columns in across:
            yield (i, j), (slice(None), window_rows, window_columns), (slice(None), rows, columns)


def _taps_of_axis(
    size: int, windows: int, kernel: int, stride: int, padding: Pair, dilation: int
) -> list[tuple[int, slice, slice]]:
    found = []
    for tap in range(kernel):
        offset = tap * dilation - padding[0]  # in window r this tap lies on pixel r * stride + offset
        first = max(0, -(offset // stride))
        last = min(windows - 1, (size - 1 - offset) // stride)
        if first <= last:
            pixels = slice(first * stride + offset, last * stride + offset + 1, stride)
            found.append((tap, slice(first, last + 1), pixels))
    return found
