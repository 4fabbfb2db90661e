"""Windows that slide over images, and pooling over them.

First come the options and geometry of windows, the images seen through them, and the transpose of that. Images are
NHWC. Once `window` has normalised them, `stride` and `dilation` are (vertical, horizontal), and `padding` is
((top, bottom), (left, right)).

Maximum pooling gathers elements and its gradient scatters them back: `max_unpool2d` and `max_gather2d` are adjoints of
each other. Average pooling is linear, and `avg_unpool2d` is its adjoint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from math import prod
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.axes import cut
from autograd_cnn.ops.indexing import pad_constant, stack
from autograd_cnn.ops.reductions import mean
from autograd_cnn.ops.shapes import as_images, reshape, squeeze

__all__ = [
    "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "avg_unpool2d", "max_gather2d", "max_pool1d", "max_pool2d",
    "max_unpool2d", "unfold",
]  # fmt: skip

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Shape = tuple[int, ...]
Extent = int | Pair
Margins = Extent | Literal["same", "valid"] | Padding
Window = tuple[Pair, Pair, Padding, Pair]
Normaliser = TypeVar("Normaliser", bound=Callable[..., Window])


def windows(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any = (1, 1), fill: Any = 0) -> Any:
    """Return `x` (N, H, W, C) as it is seen through each window: (N, H', W', C, KH, KW). The padding shows `fill`."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    seen = sliding_window_view(x, reach, axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def add_windows(parts: Any, shape: Shape, stride: Any, padding: Any, dilation: Any = (1, 1)) -> Any:
    """Add the windows (N, H', W', C, KH, KW) to images of `shape`, each number to its pixel: transposes `windows`."""
    (top, bottom), (left, right) = padding
    n, high, wide, channels = shape
    x = np.zeros((n, top + high + bottom, left + wide + right, channels), parts.dtype)
    down, across = parts.shape[1] * stride[0], parts.shape[2] * stride[1]
    for row, column in np.ndindex(parts.shape[4:]):
        i, j = row * dilation[0], column * dilation[1]
        x[:, i : i + down : stride[0], j : j + across : stride[1]] += parts[..., row, column]
    return x[:, top : top + high, left : left + wide]


def output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Number of windows along one axis.

    Examples
    --------
    >>> output_size(32, kernel=3, stride=2, before=1, after=1)
    16
    """
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def remembered(function: Normaliser) -> Normaliser:
    """Remember the results for plain arguments, because a network normalises the same few options in every step.

    ``(1.0, 1.0) == (1, 1)``, and only one of them is a valid stride: so a tuple is plain if all in it are ints.
    """
    known = lru_cache(maxsize=1024, typed=True)(function)
    scalars, ints = {int, bool, str, type(None)}, {int}

    @wraps(function)
    def run(*args: Any) -> Window:
        for a in args:
            if a.__class__ not in scalars and not (a.__class__ is tuple and ints.issuperset(map(type, a))):
                return function(*args)
        return known(*args)

    return run  # type: ignore[return-value]


def pair(value: Any, name: str) -> Pair:
    """Return an int, or a pair of ints, as a pair."""
    both = (value, value) if isinstance(value, (int, np.integer)) else value
    if isinstance(both, (tuple, list)) and len(both) == 2 and all(isinstance(v, (int, np.integer)) for v in both):
        return int(both[0]), int(both[1])
    raise TypeError(f"{name} is {value!r}, want an int, or a pair of ints (height, width)")


def margins(padding: Margins, kernel: Pair, stride: Pair, dilation: Pair, size: Shape | None = None) -> Padding:
    """Turn `padding` (int, pair, word, or a (before, after) pair per axis) into ((top, bottom), (left, right)).

    Only "same" with a stride needs the `size` (H, W) of the image.
    """
    for name, (high, wide) in ("kernel_size", kernel), ("stride", stride), ("dilation", dilation):
        if min(high, wide) < 1:
            raise ValueError(f"{name} is {high if high == wide else (high, wide)}, want 1 or more")
    if isinstance(padding, str) and padding == "same":
        if size is None and stride != (1, 1):
            raise ValueError(f'padding="same" with stride {stride}: several sizes fit\nGive padding as numbers')
        # ceil(n / s) windows, the last of which starts (n - 1) % s pixels before the last pixel
        ends = ((n - 1) % s for n, s in zip(size or (1, 1), stride, strict=True))
        high, wide = (max(0, d * (k - 1) - end) for k, d, end in zip(kernel, dilation, ends, strict=True))
        return (high // 2, high - high // 2), (wide // 2, wide - wide // 2)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f'padding is {padding!r}, want an int, a pair, "same" or "valid"')
    sides: Any = 0 if isinstance(padding, str) else padding
    if not (isinstance(sides, (tuple, list)) and len(sides) == 2 and all(isinstance(p, (tuple, list)) for p in sides)):
        sides = [(p, p) for p in pair(sides, "padding")]
    down, across = (pair(side, "padding") for side in sides)
    if min(*down, *across) < 0:
        raise ValueError(f"padding is {padding!r}, want 0 or more\nTo cut off a margin: x[:, 1:-1, 1:-1]")
    return down, across


@remembered
def window(size: Shape | None, kernel_size: Any, stride: Extent, padding: Margins, dilation: Extent) -> Window:
    """Normalise the options of a window, and raise an error unless it fits into images of `size`, (H, W) or any."""
    kernel, stride, dilation = pair(kernel_size, "kernel_size"), pair(stride, "stride"), pair(dilation, "dilation")
    padding = margins(padding, kernel, stride, dilation, size)
    axes = zip(("height", "width"), size or (), kernel, stride, padding, dilation, strict=False)
    for word, n, k, s, (before, after), d in axes:
        room = n + before + after - d * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"{word} {n} + {before} + {after} padding < kernel {k} (dilation {d})\nOutput ({n} + {before} + "
                f"{after} - {d}*({k} - 1) - 1) // {s} + 1 = {room // s + 1}. More padding, or a smaller kernel"
            )
    return kernel, stride, padding, dilation


def check_window(kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> None:
    """Raise an error unless images of some size suit a window; "same" depends on the size, and suits every window."""
    window(None, kernel_size, kernel_size if stride is None else stride, 0 if padding == "same" else padding, dilation)


def in_nchw(x: Shape, channels: Any) -> str:
    """Suggest to transpose images of shape `x`, if they look like NCHW with so many channels; else return ""."""
    return "x looks like NCHW: x.transpose(0, 2, 3, 1)" if len(x) == 4 and x[1] == channels else ""


def check_images(x: Any) -> Any:
    """Return `x`, a batch of images, or raise an error."""
    if x.ndim != 4:
        cure = "One image (H, W, C): x[None]. Images without channels (N, H, W): x[..., None]"
        raise ValueError(f"x is {x.ndim}-dimensional, want (N, H, W, C)\n{cure}")
    return x


@remembered
def pool_window(
    size: Shape, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False
) -> Window:
    """Return kernel, stride, padding and dilation for images of `size` (H, W); `ceil_mode` adds to the padding."""
    kernel, dilation = pair(kernel_size, "kernel_size"), pair(dilation, "dilation")
    stride = kernel if stride is None else pair(stride, "stride")
    padding = margins(padding, kernel, stride, dilation, size)
    for k, d, sides in zip(kernel, dilation, padding, strict=True):
        if max(sides) > d * (k - 1):
            raise ValueError(f"padding {sides} is not less than the kernel {k}\nSome windows would see no pixel at all")
    padding = tuple(map(_completed, size, kernel, stride, padding, dilation)) if ceil_mode else padding
    window(size, kernel, stride, padding, dilation)
    for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True):
        starts = range(-before, n + after - d * (k - 1), s)
        if d > 1 and not all(any(0 <= start + d * i < n for i in range(k)) for start in starts):
            raise ValueError(f"kernel {kernel}, dilation {dilation}\nSome windows would see no pixel at all")
    return kernel, stride, padding, dilation


def _completed(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> Pair:
    """Add padding at the end for one more window, if that covers pixels which the others leave over."""
    before, after = padding
    steps, rest = divmod(size + before + after - dilation * (kernel - 1) - 1, stride)
    return before, after + (stride - rest if rest and (steps + 1) * stride < size + before else 0)


def coverage(
    size: Shape, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool
) -> tuple[tuple[Pair, Pair, Padding], Any]:
    """Return kernel, stride and padding, and the share of each window that counts, (1, H', W', 1), or None for all."""
    kernel, steps, reach, _ = pool_window(size, kernel_size, stride, padding, 1, ceil_mode)
    if count_include_pad and not ceil_mode:
        return (kernel, steps, reach), None
    counted = margins(padding, kernel, steps, (1, 1), size) if count_include_pad else ((0, 0), (0, 0))
    extents = []
    for n, k, s, sides, (before, after) in zip(size, kernel, steps, reach, counted, strict=True):
        starts = s * np.arange(output_size(n, k, s, *sides)) - sides[0]
        extents.append(np.minimum(starts + k, n + after) - np.maximum(starts, -before))
    return (kernel, steps, reach), np.outer(*extents)[None, ..., None] / (kernel[0] * kernel[1])


# Pooling

Steps = Extent | None


def _in_rows(parts: Any) -> Any:
    """Turn windows (N, H', W', C, KH, KW) into rows (N, H', W', C, KH * KW)."""
    return parts.reshape(*parts.shape[:4], prod(parts.shape[4:]))


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
    x: Any, argmax: Any, shape: Shape, kernel_size: Any, stride: Steps = None, padding: Any = 0, dilation: Extent = 1
) -> Any:
    """Puts each number at the place of the maximum of its window, and 0 elsewhere.

    The result has `shape` (N, H, W, C). Numbers that meet at one place are added.
    """
    rows = np.where(argmax[..., None] == np.arange(prod(kernel_size)), x[..., None], 0)
    return add_windows(rows.reshape(*rows.shape[:4], *kernel_size), shape, stride, padding, dilation)


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
def avg_unpool2d(x: Any, shape: Shape, kernel_size: Any, stride: Steps = None, padding: Margins = 0) -> Any:
    """Spreads every number evenly over its window, in images of `shape`.

    This is the adjoint of `avg_pool2d`.
    """
    area = prod(kernel_size)
    rows = np.repeat(x[..., None] / area, area, axis=-1)
    return add_windows(rows.reshape(*rows.shape[:4], *kernel_size), shape, stride, padding)


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


def adaptive_avg_pool2d(x: Any, output_size: Extent) -> Any:
    """Cuts images into bins, `output_size` down and across, and takes the mean of each: with 1, the global average.

    Bin i of m covers the rows from ``floor(i * H / m)`` up to ``ceil((i + 1) * H / m)``, so neighbours may overlap.
    """
    height, width = check_images(x).shape[1:3]
    high, wide = pair(output_size, "output_size")
    if min(high, wide) < 1:
        raise ValueError(f"output_size is {output_size}, want 1 or more")
    if not (height % high or width % wide):  # all bins have the same extent, and none overlap
        return avg_pool2d(x, (height // high, width // wide))
    for axis, n, m in (1, height, high), (2, width, wide):
        starts, ends = np.arange(m) * n // m, -(-np.arange(1, m + 1) * n // m)
        x = stack([mean(cut(x, axis, a, b), axis) for a, b in zip(starts, ends, strict=True)], axis)
    return x


def unfold(x: Any, kernel_size: Extent, dilation: Extent = 1, padding: Margins = 0, stride: Extent = 1) -> Any:
    """Lays out every window of images as a row: (N, H, W, C) -> (N, H' * W', KH * KW * C).

    The order is that of the weights of `conv2d`: ``unfold(x, (KH, KW)) @ w.reshape(-1, O)`` is the convolution.
    """
    check_images(x)
    _, _, sides, _ = options = window(x.shape[1:3], kernel_size, stride, padding, dilation)
    rows, columns = (
        np.arange(output_size(n, k, s, *p, d))[:, None] * s + np.arange(k) * d
        for n, k, s, p, d in zip(x.shape[1:3], *options, strict=True)
    )
    parts = pad_constant(x, ((0, 0), *sides, (0, 0)))[:, rows[:, None, :, None], columns[None, :, None, :]]
    return reshape(parts, (len(x), prod(parts.shape[1:3]), prod(parts.shape[3:])))
