"""Convolution, its input gradient and its weight gradient: three primitives that are each other's rules.

Images are NHWC, weights HWIO. ``y = conv(x, w)`` is linear in each argument, and its two adjoints are
``gx = conv_transpose(g, w)`` and ``gw = weight_gradient(x, g)``. Each of the three is bilinear, with the other two as
its adjoints, so derivatives of every order stay in the family.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_cnn.checks import count
from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import as_images, expand_dims, squeeze
from autograd_cnn.ops.windows import Extent, Margins, Shape, add_windows, check_images, in_nchw, pair, window, windows

__all__ = ["conv1d", "conv2d", "conv2d_weight_gradient", "conv_transpose1d", "conv_transpose2d"]


def _line(padding: Any) -> Any:
    """Return the padding of sequences as that of images one pixel high."""
    if isinstance(padding, str):
        return padding
    return (0, 0), padding if isinstance(padding, tuple) else (padding, padding)


def _other_order(x: Any, w: Any, groups: int) -> str:
    """Suggest to transpose images in NCHW, weights in OIHW, or both, if the shapes look like that; else return ""."""
    if w.shape[2] == w.shape[3] and w.shape[0] != w.shape[1]:  # the kernel is square in OIHW only
        w_cure, x_cure = "w looks like OIHW: w.transpose(2, 3, 1, 0)", in_nchw(x.shape, w.shape[1] * groups)
        if x_cure or w.shape[1] * groups == x.shape[-1]:
            return w_cure if w.shape[1] * groups == x.shape[-1] else f"{x_cure}; {w_cure}"
    return in_nchw(x.shape, w.shape[2] * groups)


def _check(x: Any, w: Any, b: Any, groups: int, transposed: bool = False) -> None:
    """Check images, weights and bias against each other: dtype, and channels."""
    check_images(x)
    if w.ndim != 4:
        raise ValueError(f"w is {w.ndim}-dimensional, want (KH, KW, C // groups, O), HWIO")
    if transposed and x.shape[-1] != w.shape[-1]:
        raise ValueError(f"x {x.shape} and w {w.shape}\nThe last axis of both counts the input channels")
    channels, outputs = w.shape[2] * groups if transposed else x.shape[-1], w.shape[-1]
    if groups < 1 or channels % groups or outputs % groups:
        raise ValueError(f"groups={count(groups, 'groups')} does not divide {channels} channels and {outputs} outputs")
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


def _products(formula: str, a: Any, b: Any, groups: int) -> Any:
    """Multiply and sum as `einsum` does, each group of channels apart. They lie on axis 3 of both and of the result."""
    if groups == 1:
        return np.einsum(formula, a, b, order="C", optimize=True)
    pairs = zip(np.split(a, groups, 3), np.split(b, groups, 3), strict=True)
    return np.concatenate([np.einsum(formula, *pair, order="C", optimize=True) for pair in pairs], 3)


def _convolution(x: Any, w: Any, b: Any, *options: Any) -> tuple[Any, ...]:
    _check(x, w, b, options[-1])
    return x, w, b, *window(x.shape[1:3], w.shape[:2], *options[:-1])[1:], options[-1]


@primitive(
    batch="images", complex=True, strict=True, check=_convolution,
    flops=lambda out_shape, w_shape: 2 * math.prod((*out_shape, *w_shape[:-1])),
)  # fmt: skip
def conv2d(
    x: Any, w: Any, b: Any = None, stride: Extent = 1, padding: Margins = 0, dilation: Extent = 1, groups: int = 1
) -> Any:
    """Slides filters over a batch of images and sums the products under each: a convolution.

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
    # y[n,i,j,o] = sum over k,l,c of x[n, i + k, j + l, c] * w[k,l,c,o], without the options
    y = _products("nijckl,klco->nijo", windows(x, w.shape[:2], stride, padding, dilation), w, groups)
    return y if b is None else y + b


def transposed_shape(
    x_shape: Shape, w_shape: Shape, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Shape:
    """Return the shape of the result of a transposed convolution, with normalised options."""
    axes = zip(x_shape[1:3], w_shape[:2], stride, padding, output_padding, dilation, strict=True)
    size = ((n - 1) * s - sides[0] - sides[1] + d * (k - 1) + 1 + extra for n, k, s, sides, extra, d in axes)
    return x_shape[0], *size, w_shape[2] * groups


def _transposed(
    x: Any, w: Any, b: Any, stride: Extent, padding: Margins, output_padding: Extent, dilation: Extent, groups: int
) -> tuple[Any, ...]:
    _check(x, w, b, groups, transposed=True)
    _, steps, sides, holes = window(None, w.shape[:2], stride, padding, dilation)
    extra = pair(output_padding, "output_padding")
    if min(extra) < 0:
        raise ValueError(f"output_padding is {output_padding}, want 0 or more")
    shape = transposed_shape(x.shape, w.shape, steps, sides, extra, holes, groups)
    if min(shape[1:3]) < 1:
        raise ValueError(f"the result would be {shape}\nLess padding, or a larger input")
    return x, w, b, steps, sides, extra, holes, groups


@primitive(
    batch="images", complex=True, strict=True, check=_transposed,
    flops=lambda x_shape, w_shape: 2 * math.prod((*x_shape, *w_shape[:-1])),
)  # fmt: skip
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
    shape = transposed_shape(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    parts = _products("nijo,klco->nijckl", x, w, groups)  # each number, times each weight
    y = add_windows(parts, shape, stride, padding, dilation)
    return y if b is None else y + b


def _gradient(x: Any, gy: Any, w_shape: Shape, *options: Any) -> tuple[Any, ...]:
    groups = options[-1]
    if len(w_shape) != 4 or (len(gy), count(groups, "groups") * w_shape[2], w_shape[3]) != (*x.shape[::3], gy.shape[3]):
        raise ValueError(f"w_shape is {w_shape}, want (KH, KW, C // groups, O) of x (N, H, W, C) and gy (N, H', W', O)")
    return x, gy, w_shape, *window(x.shape[1:3], w_shape[:2], *options[:-1])[1:], groups


@primitive(
    batch="groups", complex=True, check=_gradient,
    flops=lambda gy_shape, out_shape: 2 * math.prod((*gy_shape, *out_shape[:-1])),
)  # fmt: skip
def conv2d_weight_gradient(
    x: Any, gy: Any, w_shape: Shape, stride: Extent = 1, padding: Margins = 0, dilation: Extent = 1, groups: int = 1
) -> Any:
    """Computes the gradient of `conv2d` with respect to `w`.

    `x` is (N, H, W, C), `gy` is (N, H', W', O), and the result has `w_shape`.
    """
    seen = windows(x, w_shape[:2], stride, padding, dilation)[:, : gy.shape[1], : gy.shape[2]]
    return _products("nijckl,nijo->klco", seen, gy, groups)


def conv2d_input_gradient(
    g: Any, w: Any, x_shape: Shape, stride: Extent, padding: Margins, dilation: Extent, groups: int
) -> Any:
    """Call `conv_transpose2d` for the exact size of the image, including rows that no window covered."""
    _, steps, sides, holes = window(x_shape[1:3], w.shape[:2], stride, padding, dilation)
    _, high, wide, _ = transposed_shape(g.shape, w.shape, steps, sides, (0, 0), holes, groups)
    rest = (x_shape[1] - high, x_shape[2] - wide)
    padding = sides if padding == "same" and steps != (1, 1) else padding
    return conv_transpose2d(g, w, None, stride, padding, rest if any(rest) else 0, dilation, groups)


def _first_windows(y: Any, shape: Shape) -> Any:
    """Leave out the last windows of `y`, beyond `shape`: with `output_padding`, a transposed convolution has fewer."""
    return y if y.shape == shape else y[:, : shape[1], : shape[2]]


conv2d.vjp(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: conv2d_input_gradient(
        g, w, x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: conv2d_weight_gradient(
        x, g, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    b=lambda g: sum(g, axis=(0, 1, 2)),
)  # fmt: skip
conv_transpose2d.vjp(
    x=lambda g, w, x_shape, stride, padding, dilation, groups: _first_windows(
        conv2d(g, w, stride=stride, padding=padding, dilation=dilation, groups=groups), x_shape),
    w=lambda g, x, w_shape, stride, padding, dilation, groups: conv2d_weight_gradient(
        g, x, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    b=lambda g: sum(g, axis=(0, 1, 2)),
)  # fmt: skip
conv2d_weight_gradient.vjp(
    x=lambda g, gy, x_shape, stride, padding, dilation, groups: conv2d_input_gradient(
        gy, g, x_shape, stride=stride, padding=padding, dilation=dilation, groups=groups),
    gy=lambda g, x, gy_shape, stride, padding, dilation, groups: _first_windows(
        conv2d(x, g, stride=stride, padding=padding, dilation=dilation, groups=groups), gy_shape),
)  # fmt: skip


def conv1d(x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1) -> Any:
    """Slides filters over a batch of sequences and sums the products under each.

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
