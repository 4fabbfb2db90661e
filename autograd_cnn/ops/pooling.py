"""Pooling over windows of NHWC images: any kernel and stride, overlapping windows included.

Maximum pooling gathers elements and its gradient scatters them back: `max_unpool2d` and `max_gather2d` are adjoints of
each other. Average pooling is linear, and `avg_unpool2d` is its adjoint.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.mode import enable_grad
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.ops.arithmetic import power, root
from autograd_cnn.ops.axes import as_float, cut
from autograd_cnn.ops.convolution import as_images
from autograd_cnn.ops.indexing import stack, take
from autograd_cnn.ops.reductions import mean
from autograd_cnn.ops.shapes import squeeze
from autograd_cnn.ops.windows import (
    Extent,
    Margins,
    Shape,
    add_windows,
    check_images,
    coverage,
    pair,
    pool_window,
    windows,
)

__all__ = [
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "avg_unpool2d", "lp_pool2d",
    "max_gather2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_unpool2d",
]  # fmt: skip

Steps = Extent | None


def _in_rows(parts: Any) -> Any:
    """Turn windows (N, H', W', C, KH, KW) into rows (N, H', W', C, KH * KW)."""
    return parts.reshape(*parts.shape[:4], prod(parts.shape[4:]))


def _in_windows(rows: Any, kernel_size: Any) -> Any:
    """Turn rows (N, H', W', C, KH * KW) into windows (N, H', W', C, KH, KW)."""
    return rows.reshape(*rows.shape[:4], *kernel_size)


def _area(kernel_size: Any) -> int:
    return prod(kernel_size)


@primitive(
    batch="images", integers=True, byproducts=("argmax",),
    check=lambda x, *options: (check_images(x), *pool_window(x.shape[1:3], *options), options[-1]),
)  # fmt: skip
def max_pool2d(
    x: Any, kernel_size: Extent, stride: Steps = None, padding: Margins = 0, dilation: Extent = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """Takes the largest number of every window.

    At a tie, the first in row-major order wins and receives all of the gradient. A NaN wins, and padding never does.
    Where windows overlap, gradients add up.

    Parameters
    ----------
    x : (N, H, W, C)
    kernel_size : int or pair
    stride : int or pair, optional
        Default: `kernel_size`.
    padding : int, pair, "same" or "valid"
        As in `conv2d`, and less than the kernel.
    dilation : int or pair
        Distance between the pixels of a window.
    ceil_mode : bool
        Whether pixels that are left over at the end get a window of their own, which sees fewer pixels.

    Returns
    -------
    (N, H', W', C)
        With ``H' = (H + padding - dilation * (kernel - 1) - 1) // stride + 1``, where `padding` counts both sides.
        The division rounds down, or up with `ceil_mode`.

    Raises
    ------
    ValueError
        If the window is larger than the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    sliding = kernel_size, stride, padding, dilation
    lowest = -np.inf if x.dtype.kind == "f" else x.dtype.kind != "b" and np.iinfo(x.dtype).min
    seen = _in_rows(windows(x, *sliding, fill=lowest))
    real = _in_rows(windows(np.ones(x.shape, bool), *sliding, fill=False))  # padding never wins, not even against -inf
    largest = seen.max(axis=-1, keepdims=True)  # NaN if there is one
    argmax = (real & ((seen == largest) | np.isnan(seen))).argmax(axis=-1)  # the first of those that win
    y = np.take_along_axis(seen, argmax[..., None], axis=-1)[..., 0]
    return y, argmax.astype(np.min_scalar_type(seen.shape[-1]))


def _size(shape: Shape, x: Any) -> Shape:
    if len(shape) != 4 or np.shape(x)[::3] != tuple(shape)[::3]:
        raise ValueError(f"shape is {shape}, want (N, H, W, C), with the N and C of x {np.shape(x)}")
    return shape[1:3]


@primitive(check=lambda x, argmax, shape, *options: (x, argmax, shape, *pool_window(_size(shape, x), *options)))
def max_unpool2d(
    x: Any, argmax: Any, shape: Shape, kernel_size: Extent, stride: Steps = None, padding: Any = 0, dilation: Extent = 1
) -> Any:
    """Puts each number at the place of the maximum of its window, and 0 elsewhere.

    The result has `shape` (N, H, W, C). Numbers that meet at one place are added.
    """
    rows = np.where(argmax[..., None] == np.arange(_area(kernel_size)), x[..., None], 0)
    return add_windows(_in_windows(rows, kernel_size), shape, stride, padding, dilation)


@primitive(check=lambda x, argmax, *options: (x, argmax, *pool_window(x.shape[1:3], *options)))
def max_gather2d(
    x: Any, argmax: Any, kernel_size: Extent, stride: Steps = None, padding: Margins = 0, dilation: Extent = 1
) -> Any:
    """Takes from every window of `x` the number at which `argmax` points."""
    seen = _in_rows(windows(x, kernel_size, stride, padding, dilation))
    return np.take_along_axis(seen, argmax[..., None], axis=-1)[..., 0]


max_pool2d.vjp(x=lambda g, argmax, x_shape, kernel_size, stride, padding, dilation, ceil_mode: max_unpool2d(
    g, argmax, x_shape, kernel_size=kernel_size, stride=stride, dilation=dilation,
    padding=pool_window(x_shape[1:3], kernel_size, stride, padding, dilation, True)[2] if ceil_mode else padding,
))  # fmt: skip
max_unpool2d.vjp(x=lambda g, argmax, kernel_size, stride, padding, dilation: max_gather2d(
    g, argmax, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
))  # fmt: skip
max_gather2d.vjp(x=lambda g, argmax, x_shape, kernel_size, stride, padding, dilation: max_unpool2d(
    g, argmax, x_shape, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
))  # fmt: skip


def max_pool2d_with_indices(
    x: Any, kernel_size: Extent, stride: Steps = None, padding: Margins = 0, dilation: Extent = 1,
    ceil_mode: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Returns `max_pool2d`, and for each maximum the index of its pixel, ``row * W + column``, as in PyTorch."""
    options = kernel_size, stride, padding, dilation, ceil_mode
    y, (_, high, wide, _) = max_pool2d(x, *options), x.shape
    pixels = np.broadcast_to(np.arange(high * wide).reshape(high, wide, 1), x.shape)
    with enable_grad():  # else the places may be left out
        _, argmax = max_pool2d.raw(as_float(plain(x)), *options)
    return y, max_gather2d.raw(pixels, argmax, *pool_window((high, wide), *options))


def max_pool1d(
    x: Any, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> Any:
    """Takes the largest number of every window of sequences (N, L, C): see `max_pool2d`."""
    return squeeze(max_pool2d(as_images(x), *_line(kernel_size, stride, padding), (1, dilation), ceil_mode), 1)


def _line(kernel_size: int, stride: int | None, padding: int) -> tuple[Extent, Extent, Extent]:
    return (1, kernel_size), (1, kernel_size if stride is None else stride), (0, padding)


@primitive(batch="images", check=lambda x, *options: (check_images(x), *options))
def avg_pool2d(
    x: Any, kernel_size: Extent, stride: Steps = None, padding: Margins = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Takes the mean of every window.

    The divisor counts the zeros of the padding, too, unless `count_include_pad` is False. It never counts what lies
    beyond the padding, where `ceil_mode` lets windows reach.

    Parameters
    ----------
    x : (N, H, W, C)
    kernel_size : int or pair
    stride : int or pair, optional
        Default: `kernel_size`.
    padding : int, pair, "same" or "valid"
        Zeros around the image, less than the kernel.
    ceil_mode : bool
        Whether pixels that are left over at the end get a window of their own, which sees fewer pixels.
    count_include_pad : bool
        Whether the zeros count.

    Returns
    -------
    (N, H', W', C)
        With ``H' = (H + padding - kernel) // stride + 1``, where `padding` counts both sides. The division rounds down,
        or up with `ceil_mode`.

    Raises
    ------
    ValueError
        If the window is larger than the padded image.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    sliding, share = coverage(x.shape[1:3], kernel_size, stride, padding, ceil_mode, count_include_pad)
    y = windows(x, *sliding).mean(axis=(-2, -1))
    return y if share is None else y / share.astype(y.dtype)


@primitive(check=lambda x, shape, *options: (x, shape, *pool_window(_size(shape, x), *options)[:3]))
def avg_unpool2d(x: Any, shape: Shape, kernel_size: Extent, stride: Steps = None, padding: Margins = 0) -> Any:
    """Spreads every number evenly over its window, in images of `shape`.

    This is the adjoint of `avg_pool2d`.
    """
    area = _area(kernel_size)
    rows = np.repeat(x[..., None] / area, area, axis=-1)
    return add_windows(_in_windows(rows, kernel_size), shape, stride, padding)


def _avg_pool2d_rule(
    g: Any, x_shape: Shape, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool
) -> Any:
    sliding, share = coverage(x_shape[1:3], kernel_size, stride, padding, ceil_mode, count_include_pad)
    if share is not None:
        g, padding = g / share.astype(g.dtype), sliding[2]
    return avg_unpool2d(g, x_shape, kernel_size=kernel_size, stride=stride, padding=padding)


max_unpool2d.batch = max_gather2d.batch = avg_unpool2d.batch = "images"
avg_pool2d.vjp(x=_avg_pool2d_rule)
avg_unpool2d.vjp(
    x=lambda g, kernel_size, stride, padding: avg_pool2d(g, kernel_size=kernel_size, stride=stride, padding=padding)
)


def avg_pool1d(
    x: Any, kernel_size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Takes the mean of every window of sequences (N, L, C): see `avg_pool2d`."""
    return squeeze(avg_pool2d(as_images(x), *_line(kernel_size, stride, padding), ceil_mode, count_include_pad), 1)


def lp_pool2d(
    x: Any, norm_type: float, kernel_size: Extent, stride: Extent | None = None, ceil_mode: bool = False
) -> Any:
    """Takes the p-norm of every window without absolute values, ``sum(x ** p) ** (1 / p)``, where p is `norm_type`.

    The gradient is 0 where the sum is 0. As in PyTorch, a window that `ceil_mode` adds is scaled as if it were full.
    """
    high, wide = pair(kernel_size, "kernel_size")
    total = avg_pool2d(power(as_float(x), norm_type), kernel_size, stride, 0, ceil_mode) * (high * wide)
    return root(total, norm_type)


def _bins(x: Any, output_size: Extent) -> list[tuple[Any, Any]]:
    """Return for rows and for columns where each bin starts and ends: floor(i * n / m), ceil((i + 1) * n / m)."""
    check_images(x)
    sizes = pair(output_size, "output_size")
    if min(sizes) < 1:
        raise ValueError(f"output_size is {output_size}, want 1 or more")
    axes = zip(sizes, x.shape[1:3], strict=True)
    return [(np.arange(m) * n // m, -(-np.arange(1, m + 1) * n // m)) for m, n in axes]


def _even(bins: list[tuple[Any, Any]]) -> Extent | None:
    """Return the extent of the bins, if all have the same and none overlap."""
    high, wide = (int(ends[0]) for _, ends in bins)
    return (high, wide) if all(ends[0] * len(ends) == ends[-1] for _, ends in bins) else None


def adaptive_avg_pool2d(x: Any, output_size: Extent) -> Any:
    """Cuts images into bins, `output_size` down and across, and takes the mean of each: with 1, the global average.

    Bin i of m covers the rows from ``floor(i * H / m)`` up to ``ceil((i + 1) * H / m)``, so neighbours may overlap.
    """
    bins = _bins(x, output_size)
    if kernel := _even(bins):
        return avg_pool2d(x, kernel)
    for axis, (starts, ends) in enumerate(bins, 1):
        x = stack([mean(cut(x, axis, a, b), axis) for a, b in zip(starts, ends, strict=True)], axis)
    return x


def adaptive_max_pool2d(x: Any, output_size: Extent) -> Any:
    """Cuts images into bins, as `adaptive_avg_pool2d` does, and takes the largest number of each."""
    bins = _bins(x, output_size)
    if kernel := _even(bins):
        return max_pool2d(x, kernel)
    high, wide = (int(np.max(ends - starts)) for starts, ends in bins)
    for axis, extent, (starts, ends) in zip((1, 2), (high, wide), bins, strict=True):
        # shorter bins repeat their last pixel, which changes neither the maximum nor its first place
        x = take(x, np.minimum(starts[:, None] + np.arange(extent), ends[:, None] - 1).ravel(), axis)
    return max_pool2d(x, (high, wide))
