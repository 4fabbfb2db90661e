"""Images of another size: with other pixels, or with channels in the place of pixels.

Resizing is linear, and made of primitives. Resampling is separable: a matrix for the rows and one for the columns.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from autograd_cnn.ops.axes import as_float
from autograd_cnn.ops.indexing import take
from autograd_cnn.ops.products import matmul, repeat
from autograd_cnn.ops.shapes import reshape, transpose
from autograd_cnn.ops.windows import Extent, check_images, pair

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle"]


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
        raise ValueError(f'mode is {mode!r}, align_corners {align_corners}\nWant "nearest", or "bilinear" with either')
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
