"""NumPy's Fourier transforms: ``ag.fft.rfft`` is ``np.fft.rfft``.

A transform is the product with a symmetric matrix, so its transpose is the same transform. If `n` pads with zeros, the
transpose cuts, and if `n` cuts, it pads. The transforms of real numbers leave out the second half of a spectrum, which
is the conjugate of the first; so in their transposes a frequency counts once or twice.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd_cnn.engine.arrays import is_complex, precision
from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.axes import Axis, Shape
from autograd_cnn.ops.indexing import scatter

__all__ = [
    "fft", "fft2", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft", "irfft2",
    "irfftn", "rfft", "rfft2", "rfftn",
]  # fmt: skip

Norm = Literal["backward", "ortho", "forward"] | None
_OPPOSITE: dict[Norm, Norm] = {None: "forward", "backward": "forward", "forward": "backward"}


def _on_axis(a: Any, n: int | None, axis: int, norm: Norm) -> tuple[Any, ...]:
    return a, n, normalize_axis_index(axis, np.ndim(a)), norm


_ALONG: Any = {"batch": "axes", "check": _on_axis}


# One axis


@primitive(name="fft.fft", complex=True, **_ALONG)
def fft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the spectrum of `n` numbers along `axis`: `a` is cut, or padded with zeros."""
    return np.fft.fft(a, n, axis, norm)


@primitive(name="fft.ifft", complex=True, **_ALONG)
def ifft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the numbers that have a spectrum: inverts `fft`."""
    return np.fft.ifft(a, n, axis, norm)


@primitive(name="fft.rfft", complex="only as results", **_ALONG)
def rfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the first half of the spectrum of real numbers; the second half is its conjugate."""
    if is_complex(a):
        raise TypeError("a is complex, want real numbers\nTheir real part: a.real; for complex numbers: ag.fft.fft")
    return np.fft.rfft(a, n, axis, norm)


@primitive(name="fft.irfft", complex=True, **_ALONG)
def irfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the `n` real numbers that have half a spectrum: inverts `rfft`."""
    return np.fft.irfft(a, n, axis, norm)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the spectrum, which is real, of `n` numbers whose second half is the conjugate of the first, `a`."""
    return irfft(np.conjugate(a), n, axis, _OPPOSITE.get(norm, norm))


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """Computes the first half of the numbers that have a real spectrum: inverts `hfft`."""
    return np.conjugate(rfft(a, n, axis, _OPPOSITE.get(norm, norm)))


def _fitted(x: Any, shape: tuple[int, ...], axis: int) -> Any:
    """Cut `x` along `axis` to its extent in `shape`, or pad it with zeros."""
    part = (slice(None),) * (axis % len(shape)) + (slice(min(shape[axis], x.shape[axis])),)
    return x if x.shape == shape else scatter(x[part], part, shape)


def _counts(n: int, axis: int, g: Any) -> Any:
    """Return how often each frequency of half a spectrum is in the whole one, of `n` numbers: once or twice."""
    counts = np.where(2 * np.arange(n // 2 + 1) % n == 0, 1, 2).astype(precision(g.dtype))
    return np.moveaxis(counts.reshape(-1, *(1,) * (len(g.shape) - 1)), 0, axis)


def _rfft_rule(g: Any, a_shape: tuple[int, ...], n: int | None, axis: int, norm: Norm) -> Any:
    return _fitted(hfft(g / _counts(n or a_shape[axis], axis, g), n or a_shape[axis], axis, norm), a_shape, axis)


def _irfft_rule(g: Any, a_shape: tuple[int, ...], axis: int, norm: Norm) -> Any:
    return _fitted(ihfft(g, None, axis, norm) * _counts(g.shape[axis], axis, g), a_shape, axis)


fft.vjp(a=lambda g, a_shape, axis, norm: _fitted(fft(g, None, axis, norm), a_shape, axis))
ifft.vjp(a=lambda g, a_shape, axis, norm: _fitted(ifft(g, None, axis, norm), a_shape, axis))
rfft.vjp(a=_rfft_rule)
irfft.vjp(a=_irfft_rule)


# Several axes


def _lengths(a: Any, s: Any, axes: Any) -> list[tuple[int, int]]:
    """Return the length and the axis of each transform."""
    shape = np.shape(a)
    axes = range(-len(shape if s is None else s), 0) if axes is None else axes
    axes = normalize_axis_tuple(axes, len(shape), allow_duplicate=True)
    s = [-1] * len(axes) if s is None else s
    if len(s) != len(axes):
        raise ValueError(f"s has {len(s)} lengths for {len(axes)} axes")
    return [(shape[axis] if n == -1 else n, axis) for n, axis in zip(s, axes, strict=True)]


def _all(transform: Any, a: Any, lengths: Any, norm: Norm) -> Any:
    for n, axis in lengths:
        a = transform(a, n, axis, norm)
    return a


def fftn(a: Any, s: Shape | None = None, axes: Axis = None, norm: Norm = None) -> Any:
    """Computes the spectrum along each of `axes`, of lengths `s`; -1 stands for the extent of `a`."""
    return _all(fft, a, reversed(_lengths(a, s, axes)), norm)


def ifftn(a: Any, s: Shape | None = None, axes: Axis = None, norm: Norm = None) -> Any:
    """Computes the numbers that have a spectrum: inverts `fftn`."""
    return _all(ifft, a, reversed(_lengths(a, s, axes)), norm)


def rfftn(a: Any, s: Shape | None = None, axes: Axis = None, norm: Norm = None) -> Any:
    """Computes the spectrum of real numbers along each of `axes`, and only its first half along the last."""
    *others, last = _lengths(a, s, axes)
    return _all(fft, rfft(a, *last, norm), reversed(others), norm)


def irfftn(a: Any, s: Shape | None = None, axes: Axis = None, norm: Norm = None) -> Any:
    """Computes the real numbers that have a spectrum, half along the last of `axes`: inverts `rfftn`."""
    *others, (n, last) = _lengths(a, s, axes)
    return irfft(_all(ifft, a, others, norm), None if s is None else n, last, norm)


def fft2(a: Any, s: Shape | None = None, axes: Axis = (-2, -1), norm: Norm = None) -> Any:
    """Computes the spectrum along two axes, as `fftn`."""
    return fftn(a, s, axes, norm)


def ifft2(a: Any, s: Shape | None = None, axes: Axis = (-2, -1), norm: Norm = None) -> Any:
    """Computes the numbers that have a spectrum along two axes: inverts `fft2`."""
    return ifftn(a, s, axes, norm)


def rfft2(a: Any, s: Shape | None = None, axes: Axis = (-2, -1), norm: Norm = None) -> Any:
    """Computes the spectrum of real numbers along two axes, as `rfftn`."""
    return rfftn(a, s, axes, norm)


def irfft2(a: Any, s: Shape | None = None, axes: Axis = (-2, -1), norm: Norm = None) -> Any:
    """Computes the real numbers that have a spectrum along two axes: inverts `rfft2`."""
    return irfftn(a, s, axes, norm)


def _halves(x: Any, axes: Axis, sign: int) -> tuple[list[int], tuple[int, ...]]:
    """Return half the extent of each of `axes`, times `sign`, and these."""
    axes = normalize_axis_tuple(range(np.ndim(x)) if axes is None else axes, np.ndim(x), allow_duplicate=True)
    return [sign * (np.shape(x)[axis] // 2) for axis in axes], axes


def fftshift(x: Any, axes: Axis = None) -> Any:
    """Moves frequency 0 from the start of each of `axes` to its middle."""
    return np.roll(x, *_halves(x, axes, 1))


def ifftshift(x: Any, axes: Axis = None) -> Any:
    """Moves frequency 0 back to the start of each of `axes`: inverts `fftshift`."""
    return np.roll(x, *_halves(x, axes, -1))
