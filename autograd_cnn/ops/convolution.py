"""Convolution, its input gradient and its weight gradient: three primitives that are each other's rules.

Images are NHWC, weights HWIO. ``y = conv(x, w)`` is linear in each argument, and its two adjoints are
``gx = conv_transpose(g, w)`` and ``gw = weight_gradient(x, g)``. Each of the three is bilinear, with the other two as
its adjoints, so derivatives of every order stay in the family. The arithmetic is in `autograd_cnn.fast.convolution`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Literal, TypeVar

import numpy as np

from autograd_cnn.engine.checks import count
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.fast import convolution as kernels
from autograd_cnn.fast.windows import Padding, Pair, Shape
from autograd_cnn.ops.joining import pad
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import expand_dims, squeeze

__all__ = ["conv1d", "conv2d", "conv2d_weight_gradient", "conv_transpose1d", "conv_transpose2d"]

Extent = int | Pair
Margins = Extent | Literal["same", "valid"] | Padding
Window = tuple[Pair, Pair, Padding, Pair]
Normaliser = TypeVar("Normaliser", bound=Callable[..., Window])


def normals(*cases: Any) -> Callable[[np.random.Generator], list[Any]]:
    """Return the `examples` of a primitive: standard normal arrays of the shapes in each case, then its options."""
    return lambda rng: [(tuple(rng.normal(size=shape) for shape in shapes), options) for *shapes, options in cases]


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


def as_images(x: Any) -> Any:
    """Turn sequences (N, L, C) into images one pixel high."""
    if np.ndim(x) != 3:
        raise ValueError(f"x is {np.ndim(x)}-dimensional, want (N, L, C)\nOne sequence (L, C): x[None]")
    return expand_dims(x, 1)


def _line(padding: Any) -> Any:
    """Return the padding of sequences as that of images one pixel high."""
    if isinstance(padding, str):
        return padding
    return (0, 0), padding if isinstance(padding, tuple) else (padding, padding)


def check_images(x: Any) -> None:
    """Raise an error unless `x` is a batch of images."""
    if x.ndim != 4:
        cure = "One image (H, W, C): x[None]. Images without channels (N, H, W): x[..., None]"
        raise ValueError(f"x is {x.ndim}-dimensional, want (N, H, W, C)\n{cure}")


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


def _other_order(x: Any, w: Any, groups: int) -> str:
    """Suggest to transpose images in NCHW, weights in OIHW, or both, if the shapes look like that; else return ""."""
    x_cure, w_cure = "x looks like NCHW: x.transpose(0, 2, 3, 1)", "w looks like OIHW: w.transpose(2, 3, 1, 0)"
    oihw = w.shape[2] == w.shape[3] and w.shape[0] != w.shape[1]  # the kernel is square in that order only
    channels = x.shape[1] if x.ndim == 4 else 0
    if oihw and w.shape[1] * groups in (channels, x.shape[-1]):
        return w_cure if w.shape[1] * groups == x.shape[-1] else f"{x_cure}; {w_cure}"
    return x_cure if channels == w.shape[2] * groups else ""


def _check(x: Any, w: Any, b: Any, groups: int, transposed: bool = False) -> None:
    """Check images, weights and bias against each other: dtype, and channels."""
    check_images(x)
    if x.dtype.kind in "iub":  # of arrays: the engine refuses integers beside Tensors
        raise TypeError(f"x is {x.dtype}\nConvert once: x.astype(np.float32)" + " / 255" * (x.dtype == np.uint8))
    if w.ndim != 4:
        raise ValueError(f"w is {w.ndim}-dimensional, want (KH, KW, C // groups, O), HWIO")
    if transposed and x.shape[-1] != w.shape[-1]:
        raise ValueError(f"x {x.shape} and w {w.shape}\nThe last axis of both counts the input channels")
    channels, outputs = w.shape[2] * groups if transposed else x.shape[-1], w.shape[-1]
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(f"groups={groups} does not divide {channels} channels and {outputs} outputs")
    if channels != w.shape[2] * groups:
        want = (*w.shape[:2], channels // groups, w.shape[3])
        raise ValueError(
            f"x has {channels} channels, w expects {w.shape[2] * groups}\n"
            "Channels are x's last axis (NHWC) and w's third (HWIO). "
            + (_other_order(x, w, groups) or f"Should w be {want}?")
        )
    results = channels if transposed else outputs
    if b is not None and not hasattr(b, "shape"):
        raise TypeError(f"b is {b!r}\nstride={b!r}?" if isinstance(b, (int, tuple)) else f"b is {b!r}, want an array")
    if b is not None and b.shape != (results,):
        cure = "" if transposed or b.shape != w.shape[:1] else "\n" + _other_order(x, w, groups)
        raise ValueError(f"b is {b.shape}, want ({results},): one number per output channel{cure}")


@primitive(
    strict=True,
    flops=lambda out_shape, w_shape: 2 * math.prod((*out_shape, *w_shape[:-1])),
    examples=normals(
        ((2, 5, 4, 3), (3, 2, 3, 4), 4, {}),
        ((2, 6, 5, 2), (2, 3, 2, 3), {"stride": (2, 1), "padding": (1, 2)}),
        ((1, 6, 6, 4), (3, 3, 2, 2), {"padding": "same", "dilation": 2, "groups": 2}),
        ((1, 5, 4, 2), (3, 2, 2, 1), {"padding": "same", "stride": (2, 3)}),
    ),
)
def conv2d(
    x: Any, w: Any, b: Any = None, stride: Extent = 1, padding: Margins = 0, dilation: Extent = 1, groups: int = 1
) -> Any:
    """Slides small weights over a batch of images and sums the products under them: a convolution.

    Strictly, this is a two-dimensional cross-correlation, since the weights are not flipped.

    The output has ``(H + padding - dilation * (KH - 1) - 1) // stride + 1`` rows, where `padding` counts both sides.
    The division rounds down. Rows that no window covers get gradient 0.

    Parameters
    ----------
    x : (N, H, W, C)
    w : (KH, KW, C // groups, O)
    b : (O,), optional
    stride, dilation : int or pair
    padding : int, pair, "same" or "valid"
        Zeros around the image: on both sides of each axis, or ((top, bottom), (left, right)). "valid" is 0. "same"
        gives ``ceil(H / stride)`` rows, as in JAX and TensorFlow; if it needs an odd number of zeros, the bottom and
        the right get one more.
    groups : int
        Number of groups of channels. The outputs of a group depend only on the input channels of that group.

    Returns
    -------
    (N, H', W', O)

    Raises
    ------
    ValueError
        If the shapes do not match, or the kernel is larger than the padded image.
    TypeError
        If `x` holds integers.

    References
    ----------
    V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> images = np.ones((8, 32, 32, 3), np.float32)
    >>> w = ag.Tensor(np.ones((3, 3, 3, 16), np.float32), requires_grad=True)
    >>> ag.conv2d(images, w, padding=1).shape
    (8, 32, 32, 16)
    """
    _check(x, w, b, groups)
    return kernels.conv2d(x, w, b, *window(x.shape[1:3], w.shape[:2], stride, padding, dilation)[1:], groups)


def _transposed_size(shape: Shape, window: Window, output_padding: Pair) -> tuple[int, int]:
    """Return (H, W) of the result of a transposed convolution."""
    high, wide = (
        (n - 1) * s - before - after + d * (k - 1) + 1 + extra
        for n, k, s, (before, after), d, extra in zip(shape[1:3], *window, output_padding, strict=True)
    )
    return high, wide


def _with_idle_windows(x: Any, stride: Extent, output_padding: Extent) -> Any:
    """Add zeros at the end of `x`, for the windows of `conv2d` that lie wholly in the `output_padding`."""
    windows = [e // s for e, s in zip(pair(output_padding, "output_padding"), pair(stride, "stride"), strict=True)]
    return pad(x, [(0, 0), *((0, n) for n in windows), (0, 0)]) if any(windows) else x


def _without_idle_windows(gx: Any, x_shape: Shape) -> Any:
    return gx if gx.shape == x_shape else gx[:, : x_shape[1], : x_shape[2]]


@primitive(
    strict=True,
    flops=lambda x_shape, w_shape: 2 * math.prod((*x_shape, *w_shape[:-1])),
    examples=normals(
        ((2, 3, 2, 4), (3, 2, 3, 4), 3, {}),
        ((2, 3, 2, 4), (3, 2, 2, 4), {"stride": 2, "padding": (1, 0), "output_padding": (1, 0), "groups": 2}),
        ((1, 1, 2, 2), (2, 2, 3, 2), {"stride": (1, 2), "output_padding": (2, 3), "dilation": 3}),
    ),
)
def conv_transpose2d(
    x: Any, w: Any, b: Any = None, stride: Extent = 1, padding: Margins = 0, output_padding: Extent = 0,
    dilation: Extent = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Spreads every number over a window, by weights: the input gradient of `conv2d` with the same `w` and options.

    Parameters
    ----------
    x : (N, H, W, O)
    w : (KH, KW, C // groups, O)
        The weights of a `conv2d` from C to O channels, here used from O to C.
    b : (C,), optional
    stride, padding, dilation, groups
        Those of that `conv2d`.
    output_padding : int or pair
        Rows and columns to add at the end, 0 or more: with a stride, `conv2d` maps images of several sizes to one size.

    Returns
    -------
    (N, H', W', C)
        With ``H' = (H - 1) * stride - padding + dilation * (KH - 1) + 1 + output_padding``. `padding` sums both sides.

    Raises
    ------
    ValueError
        If the shapes do not match, or `padding` is "same" with a stride, which images of several sizes fit.
    TypeError
        If `x` holds integers.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.conv_transpose2d(np.ones((1, 4, 4, 8)), np.ones((2, 2, 3, 8)), stride=2).shape
    (1, 8, 8, 3)
    """
    _check(x, w, b, groups, transposed=True)
    geometry = window(None, w.shape[:2], stride, padding, dilation)
    extra = pair(output_padding, "output_padding")
    if min(extra) < 0:
        raise ValueError(f"output_padding is {output_padding}, want 0 or more")
    shape = (x.shape[0], *_transposed_size(x.shape, geometry, extra), w.shape[2] * groups)
    if min(shape[1:3]) < 1:
        raise ValueError(f"the result would be {shape}\nLess padding, or a larger input")
    x = _with_idle_windows(x, stride, output_padding)
    out = kernels.conv2d_input_gradient(x, w, shape, *geometry[1:], groups)
    return out if b is None else out + b


@primitive(
    examples=normals(((2, 5, 4, 3), (2, 3, 3, 4), {"w_shape": (3, 2, 3, 4)})),
    flops=lambda gy_shape, out_shape: 2 * math.prod((*gy_shape, *out_shape[:-1])),
)
def conv2d_weight_gradient(
    x: Any, gy: Any, w_shape: Shape, stride: Extent = 1, padding: Margins = 0, dilation: Extent = 1, groups: int = 1
) -> Any:
    """Computes the gradient of `conv2d` with respect to `w`.

    `x` is (N, H, W, C), `gy` is (N, H', W', O), and the result has `w_shape`.
    """
    if len(w_shape) != 4 or count(groups, "groups") * w_shape[2] != x.shape[-1]:
        raise ValueError(f"w_shape is {w_shape}, want (KH, KW, {x.shape[-1]} // groups, O), with groups={groups}")
    geometry = window(x.shape[1:3], w_shape[:2], stride, padding, dilation)
    return kernels.conv2d_weight_gradient(x, gy, w_shape, *geometry[1:], groups)


def conv2d_input_gradient(
    g: Any, w: Any, x_shape: Shape, stride: Extent, padding: Margins, dilation: Extent, groups: int
) -> Any:
    """Call `conv_transpose2d` for the exact size of the image, including rows that no window covered."""
    geometry = _, steps, sides, _ = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    high, wide = _transposed_size(g.shape, geometry, (0, 0))
    rest = (x_shape[1] - high, x_shape[2] - wide)
    padding = sides if padding == "same" and steps != (1, 1) else padding
    return conv_transpose2d(g, w, None, stride, padding, rest if any(rest) else 0, dilation, groups)


conv2d.vjp(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: conv2d_input_gradient(
        g, w, x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: conv2d_weight_gradient(
        x, g, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    b=lambda g: sum(g, axis=(0, 1, 2)),
)  # fmt: skip
conv_transpose2d.vjp(
    x=lambda g, w, x_shape, stride, padding, output_padding, dilation, groups: _without_idle_windows(
        conv2d(g, w, stride=stride, padding=padding, dilation=dilation, groups=groups), x_shape),
    w=lambda g, x, w_shape, stride, padding, output_padding, dilation, groups: conv2d_weight_gradient(
        g, _with_idle_windows(x, stride, output_padding), w_shape,
        stride=stride, padding=padding, dilation=dilation, groups=groups),
    b=lambda g: sum(g, axis=(0, 1, 2)),
)  # fmt: skip
conv2d_weight_gradient.vjp(
    x=lambda g, gy, x_shape, stride, padding, dilation, groups: conv2d_input_gradient(
        gy, g, x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    gy=lambda g, x, stride, padding, dilation, groups: conv2d(
        x, g, stride=stride, padding=padding, dilation=dilation, groups=groups),
)  # fmt: skip


def conv1d(x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1) -> Any:
    """Slides small weights over a batch of sequences and sums the products under them.

    `x` is (N, L, C), `w` is (K, C // groups, O), and the result (N, L', O): `conv2d` of images one pixel high.
    `padding` is an int, a pair (before, after), "same" or "valid".
    """
    channels, takes = np.shape(x)[-1:], np.shape(w)[-2:-1]
    if len(np.shape(w)) == 3 and channels and channels[0] != takes[0] * count(groups, "groups"):
        want = f"w should be ({np.shape(w)[0]}, {channels[0] // groups}, {np.shape(w)[2]})"
        raise ValueError(f"x has {channels[0]} channels, w expects {takes[0] * groups}\n{want}")
    rows = conv2d(as_images(x), expand_dims(w, 0), b, (1, stride), _line(padding), (1, dilation), groups)
    return squeeze(rows, 1)


def conv_transpose1d(
    x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, output_padding: int = 0, dilation: int = 1,
    groups: int = 1,
) -> Any:  # fmt: skip
    """Spreads every number over a window, by weights: the input gradient of `conv1d` with the same `w` and options.

    `x` is (N, L, O), `w` is (K, C // groups, O), and the result (N, L', C).
    """
    options = (1, stride), _line(padding), (0, output_padding), (1, dilation), groups
    return squeeze(conv_transpose2d(as_images(x), expand_dims(w, 0), b, *options), 1)
