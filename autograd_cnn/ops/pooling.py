"""Pooling over windows of NHWC images, and images of another size: resampled, or with pixels moved to channels.

Maximum pooling gathers elements and its gradient scatters them back: `max_unpool2d` and `max_gather2d` are adjoints of
each other. Average pooling is linear, and `avg_unpool2d` is its adjoint. Resizing is linear, too, and made of
primitives. Resampling is separable: a matrix for the rows and one for the columns.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.arithmetic import power, root
from autograd_cnn.ops.axes import as_float, cut
from autograd_cnn.ops.convolution import as_images
from autograd_cnn.ops.indexing import pad_constant, scatter, stack, take
from autograd_cnn.ops.products import matmul, repeat
from autograd_cnn.ops.reductions import mean
from autograd_cnn.ops.shapes import reshape, squeeze, transpose
from autograd_cnn.ops.windows import (
    Extent,
    Margins,
    Shape,
    add_windows,
    check_images,
    coverage,
    output_size,
    pair,
    pool_window,
    window,
    windows,
)

__all__ = [
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "avg_unpool2d", "fold", "interpolate",
    "lp_pool2d", "max_gather2d", "max_pool1d", "max_pool2d", "max_unpool2d", "pixel_shuffle", "pixel_unshuffle",
    "unfold",
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


# Images of another size


def picked(x: Any, index: Any, axis: int) -> Any:
    """Take elements along an axis; if each is taken equally often, without an index, since its adjoint is slow."""
    n = x.shape[axis]
    times = len(index) // max(n, 1)
    return repeat(x, times, axis) if np.array_equal(index, np.repeat(np.arange(n), times)) else take(x, index, axis)


def _sources(n: int, m: int, scale: Any, mode: str, align_corners: bool) -> Any:
    """Return the place in an axis of `n` pixels that each of `m` new pixels comes from."""
    if align_corners:
        return np.arange(m) * (n - 1) / max(m - 1, 1)
    half = 0.5 if mode == "bilinear" else 0  # the centre of a pixel
    given = scale is not None and m != n and (m != 2 * n or mode == "bilinear")  # as PyTorch: sizes that are exact win
    at = (np.arange(m) + half) / scale if given else (np.arange(m) + half) * n / m
    return np.clip(at - half, 0, n - 1)


def interpolate(
    x: Any, size: Extent | None = None, scale_factor: float | tuple[float, float] | None = None,
    mode: Literal["nearest", "bilinear"] = "nearest", align_corners: bool = False,
) -> Any:  # fmt: skip
    """Resizes images.

    Conventions are PyTorch's: "nearest" takes the pixel ``floor(i / scale)``. "bilinear" takes the weighted mean of
    the four pixels around ``(i + 0.5) / scale - 0.5``, or, with `align_corners`, around ``i * (H - 1) / (H' - 1)``. It
    does not smooth before it shrinks. As it multiplies by matrices, an infinity makes its row and column NaN.

    Parameters
    ----------
    x : (N, H, W, C)
    size : int or pair
    scale_factor : number or pair
        Give one of the two. The new size is ``floor(H * scale_factor)``.
    mode : "nearest" or "bilinear"
    align_corners : bool
        Whether the corners keep their values; for "bilinear".

    Returns
    -------
    (N, H', W', C)

    Raises
    ------
    ValueError
        If the options do not fit together.
    """
    check_images(x)
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes size or scale_factor, one of them")
    if mode not in ("nearest", "bilinear") or (align_corners and mode == "nearest"):
        raise ValueError(
            f'mode is {mode!r}, align_corners {align_corners}\nmode is "nearest", or "bilinear" with either'
        )
    scales = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
    old = x.shape[1:3]
    new = pair(size, "size") if size is not None else tuple(int(n * s) for n, s in zip(old, scales, strict=True))
    if min(new) < 1:
        raise ValueError(f"the new size would be {new}\nEach is 1 or more")
    rows, columns = (_sources(n, m, s, mode, align_corners) for n, m, s in zip(old, new, scales, strict=True))
    if mode == "nearest":
        return picked(picked(x, rows.astype(int), 1), columns.astype(int), 2)
    # A hat over each source is 1 there and 0 from the next pixels on.
    hats = [np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n))) for at, n in zip((rows, columns), old, strict=True)]
    x = as_float(x)
    down, across = (hat.astype(x.dtype) for hat in hats)
    y = matmul(down, reshape(x, (len(x), old[0], old[1] * x.shape[3])))
    return matmul(across, reshape(y, (len(x), new[0], old[1], x.shape[3])))


def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    """Moves channels into space: (N, H, W, C * r * r) -> (N, H * r, W * r, C), where r is `upscale_factor`.

    The channels are in PyTorch's order: channel ``(c * r + i) * r + j`` becomes row i and column j of channel c.
    """
    (n, height, width, channels), r = x.shape, upscale_factor
    if channels % (r * r):
        raise ValueError(f"pixel_shuffle: {channels} channels are not a multiple of {r} * {r}")
    parts = reshape(x, (n, height, width, channels // (r * r), r, r))
    return reshape(transpose(parts, (0, 1, 4, 2, 5, 3)), (n, height * r, width * r, channels // (r * r)))


def pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    """Moves space into channels: (N, H * r, W * r, C) -> (N, H, W, C * r * r): the inverse of `pixel_shuffle`."""
    (n, height, width, channels), r = x.shape, downscale_factor
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: {height} x {width} pixels are not multiples of {r}")
    parts = reshape(x, (n, height // r, r, width // r, r, channels))
    return reshape(transpose(parts, (0, 1, 3, 5, 2, 4)), (n, height // r, width // r, channels * r * r))


def _patches(size: Shape, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the padding, and the index (:, H', W', KH, KW) of the windows in padded images."""
    options = window(size, kernel_size, stride, padding, dilation)
    rows, columns = (
        np.arange(output_size(n, k, s, *p, d))[:, None] * s + np.arange(k) * d
        for n, k, s, p, d in zip(size, *options, strict=True)
    )
    return options[2], (slice(None), rows[:, None, :, None], columns[None, :, None, :])


def unfold(x: Any, kernel_size: Extent, dilation: Extent = 1, padding: Margins = 0, stride: Extent = 1) -> Any:
    """Lays out every window of images as a row: (N, H, W, C) -> (N, H' * W', KH * KW * C).

    The order is that of the weights of `conv2d`: ``unfold(x, (KH, KW)) @ w.reshape(-1, O)`` is the convolution.
    """
    check_images(x)
    sides, index = _patches(x.shape[1:3], kernel_size, dilation, padding, stride)
    n, down, across, high, wide, channels = (windows := pad_constant(x, ((0, 0), *sides, (0, 0)))[index]).shape
    return reshape(windows, (n, down * across, high * wide * channels))


def fold(
    x: Any, output_size: Extent, kernel_size: Extent, dilation: Extent = 1, padding: Margins = 0, stride: Extent = 1
) -> Any:
    """Adds the windows of images of `output_size` to their pixels: the adjoint of `unfold`."""
    size = height, width = pair(output_size, "output_size")
    ((top, bottom), (left, right)), index = _patches(size, kernel_size, dilation, padding, stride)
    down, across, high, wide = np.broadcast_shapes(index[1].shape, index[2].shape)
    channels = x.shape[2] // (high * wide)
    windows = reshape(as_float(x), (len(x), down, across, high, wide, channels))
    images = scatter(windows, index, (len(x), top + height + bottom, left + width + right, channels))
    return images[:, top : top + height, left : left + width]
