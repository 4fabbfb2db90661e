"""Windows that slide over images: their options and geometry, the images seen through them, and the transpose of that.

Images are NHWC. Once `window` has normalised them, `stride` and `dilation` are (vertical, horizontal), and `padding` is
((top, bottom), (left, right)).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
    if isinstance(value, (int, np.integer)):
        return int(value), int(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (int, np.integer)) for v in value):
        return int(value[0]), int(value[1])
    raise TypeError(f"{name} is {value!r}, want an int, or a pair of ints (height, width)")


def margins(padding: Margins, kernel: Pair, stride: Pair, dilation: Pair, size: Shape | None = None) -> Padding:
    """Turn `padding` (int, pair, word, or a (before, after) pair per axis) into ((top, bottom), (left, right)).

    Only "same" with a stride needs the `size` (H, W) of the image.
    """
    for name, (high, wide) in ("kernel_size", kernel), ("stride", stride), ("dilation", dilation):
        if min(high, wide) < 1:
            raise ValueError(f"{name} is {high if high == wide else (high, wide)}, want 1 or more")
    if padding == "same":
        if size is None and stride != (1, 1):
            raise ValueError(
                f'padding="same" with stride {stride}: images of several sizes fit\nGive padding as numbers'
            )
        # ceil(n / s) windows, the last of which starts (n - 1) % s pixels before the last pixel
        ends = ((n - 1) % s for n, s in zip(size or (1, 1), stride, strict=True))
        high, wide = (max(0, d * (k - 1) - end) for k, d, end in zip(kernel, dilation, ends, strict=True))
        return (high // 2, high - high // 2), (wide // 2, wide - wide // 2)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f'padding is {padding!r}, want an int, a pair, "same" or "valid"')
    sides: Any = 0 if padding == "valid" else padding
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
