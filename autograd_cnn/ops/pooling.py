"""Pooling over windows of NHWC images: any kernel and stride, overlapping windows included.

Maximum pooling gathers elements and its gradient scatters them back: `max_unpool2d` and `max_gather2d` are adjoints of
each other. Average pooling is linear, and `avg_unpool2d` is its adjoint. The arithmetic is in
`autograd_cnn.kernels.pooling`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.mode import is_recording
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.kernels import pooling as kernels
from autograd_cnn.kernels.windows import Padding, Pair, Shape
from autograd_cnn.ops.convolution import Extent, check_window, margins, pair

__all__ = ["avg_pool2d", "avg_unpool2d", "max_gather2d", "max_pool2d", "max_unpool2d"]


def _window(kernel_size: Extent, stride: Extent | None, padding: Extent | Padding) -> tuple[Pair, Pair, Padding]:
    kernel = pair(kernel_size, "kernel_size")
    stride = kernel if stride is None else pair(stride, "stride")
    padding = margins(padding, kernel, stride, (1, 1))
    for k, sides in zip(kernel, padding, strict=True):
        if max(sides) >= k:
            raise ValueError(f"padding {sides} is not less than the kernel {k}\nSome windows would see no pixel at all")
    return kernel, stride, padding


def _checked(
    x: Any, kernel_size: Extent, stride: Extent | None, padding: Extent | Padding
) -> tuple[Pair, Pair, Padding]:
    kernel, stride, padding = _window(kernel_size, stride, padding)
    check_window(x, kernel, stride, padding, (1, 1))
    return kernel, stride, padding


def _pools(rng: np.random.Generator) -> list[Any]:
    def distinct(shape: Shape) -> Any:
        return rng.permutation(np.prod(shape)).reshape(shape) * 0.1

    return [
        (distinct((2, 6, 4, 2)), 2),
        (distinct((2, 5, 4, 2)), 3, 1, 1),
        (distinct((1, 7, 5, 2)), (3, 2), (2, 1), (1, 0)),
    ]


@primitive(byproducts=("argmax",), examples=_pools)
def max_pool2d(x: Any, kernel_size: Extent, stride: Extent | None = None, padding: Extent | Padding = 0) -> Any:
    """Takes the largest number of every window.

    At a tie, the first in row-major order wins and receives all of the gradient. A NaN wins, and padding never does.
    Where windows overlap, gradients add up.

    Parameters
    ----------
    x : (N, H, W, C)
    kernel_size : int or pair
    stride : int or pair, optional
        Default: `kernel_size`.
    padding : int or pair
        On each side, less than the kernel.

    Returns
    -------
    (N, H', W', C)
        With ``H' = (H + padding - kernel) // stride + 1``, where `padding` counts both sides.

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
    kernel, stride, padding = _checked(x, kernel_size, stride, padding)
    return kernels.max_pool2d(x, kernel, stride, padding, places=is_recording())


def _argmax_examples(rng: np.random.Generator, shape: Shape, gradient: bool) -> list[Any]:
    def case(x: Any, *window: Any) -> Any:
        y, argmax = max_pool2d.raw(x, *window)
        g = rng.normal(size=y.shape)
        return (g, argmax, x.shape, *window) if gradient else (x, argmax, *window)

    x = rng.normal(size=shape)
    return [case(x, 2, None, 0), case(x, 3, 1, 1)]


@primitive(examples=lambda rng: _argmax_examples(rng, (2, 5, 4, 2), True))
def max_unpool2d(
    x: Any, argmax: Any, shape: Shape, kernel_size: Extent, stride: Extent | None = None, padding: Extent | Padding = 0
) -> Any:
    """Puts each number at the place of the maximum of its window, and 0 elsewhere.

    The result has `shape` (N, H, W, C). Numbers that meet at one place are added.
    """
    return kernels.max_unpool2d(x, argmax, shape, *_window(kernel_size, stride, padding))


@primitive(examples=lambda rng: _argmax_examples(rng, (2, 5, 4, 2), False))
def max_gather2d(
    x: Any, argmax: Any, kernel_size: Extent, stride: Extent | None = None, padding: Extent | Padding = 0
) -> Any:
    """Takes from every window of `x` the number at which `argmax` points."""
    return kernels.max_gather2d(x, argmax, *_window(kernel_size, stride, padding))


max_pool2d.vjp(
    x=lambda g, argmax, x_shape, kernel_size, stride, padding: max_unpool2d(
        g, argmax, x_shape, kernel_size=kernel_size, stride=stride, padding=padding
    )
)
max_unpool2d.vjp(
    x=lambda g, argmax, kernel_size, stride, padding: max_gather2d(
        g, argmax, kernel_size=kernel_size, stride=stride, padding=padding
    )
)
max_gather2d.vjp(
    x=lambda g, argmax, x_shape, kernel_size, stride, padding: max_unpool2d(
        g, argmax, x_shape, kernel_size=kernel_size, stride=stride, padding=padding
    )
)


@primitive(examples=_pools)
def avg_pool2d(x: Any, kernel_size: Extent, stride: Extent | None = None, padding: Extent | Padding = 0) -> Any:
    """Takes the mean of every window.

    The divisor counts the zeros of the padding, too.

    Parameters, result and errors are those of `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> ag.avg_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return kernels.avg_pool2d(x, *_checked(x, kernel_size, stride, padding))


@primitive(
    examples=lambda rng: [
        (rng.normal(size=(2, 2, 2, 2)), (2, 5, 4, 2), 2),
        (rng.normal(size=(2, 5, 4, 2)), (2, 5, 4, 2), 3, 1, 1),
    ]
)
def avg_unpool2d(
    x: Any, shape: Shape, kernel_size: Extent, stride: Extent | None = None, padding: Extent | Padding = 0
) -> Any:
    """Spreads every number evenly over its window, in images of `shape`.

    This is the adjoint of `avg_pool2d`.
    """
    return kernels.avg_unpool2d(x, shape, *_window(kernel_size, stride, padding))


avg_pool2d.vjp(
    x=lambda g, x_shape, kernel_size, stride, padding: avg_unpool2d(
        g, x_shape, kernel_size=kernel_size, stride=stride, padding=padding
    )
)
avg_unpool2d.vjp(
    x=lambda g, kernel_size, stride, padding: avg_pool2d(g, kernel_size=kernel_size, stride=stride, padding=padding)
)
