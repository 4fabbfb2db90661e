"""The usual layers. Imports its neighbours, `autograd_cnn.ops`, the engine and kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.kernels.normalization import moments
from autograd_cnn.nn.init import Initialiser, he_normal
from autograd_cnn.nn.module import Module
from autograd_cnn.ops.activations import relu, sigmoid
from autograd_cnn.ops.convolution import conv2d, pair
from autograd_cnn.ops.normalization import batch_norm, dropout
from autograd_cnn.ops.pooling import avg_pool2d, max_pool2d
from autograd_cnn.ops.products import linear
from autograd_cnn.ops.random import generator
from autograd_cnn.ops.shapes import flatten

Extent = int | tuple[int, int]


def _parameter(array: NDArray[Any]) -> Tensor:
    return Tensor(array, requires_grad=True)


class Conv2d(Module):
    """Convolves images with learnt weights: (N, H, W, in_channels) -> (N, H', W', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or pair
    stride, padding, dilation, groups
        As for `autograd_cnn.conv2d`.
    bias : bool
        Whether to add `b`, which starts at 0.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (KH, KW, in_channels // groups, out_channels)
    b : Tensor, (out_channels,), or None

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `groups` does not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extent,
        stride: Extent = 1,
        padding: Any = 0,
        dilation: Extent = 1,
        groups: int = 1,
        bias: bool = True,
        init: Initialiser = he_normal,
        rng: Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} does not divide {in_channels} channels and {out_channels} outputs"
            )
        shape = (*pair(kernel_size, "kernel_size"), in_channels // groups, out_channels)
        self.w = _parameter(init(shape, generator(rng, "Conv2d"), dtype))
        self.b = _parameter(np.zeros(out_channels, dtype)) if bias else None
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x: Any) -> Any:
        return conv2d(x, self.w, self.b, self.stride, self.padding, self.dilation, self.groups)


class Linear(Module):
    """Computes ``x @ w + b`` with learnt weights: (..., in_features) -> (..., out_features).

    Parameters and errors as for `Conv2d`.

    Attributes
    ----------
    w : Tensor, (in_features, out_features)
    b : Tensor, (out_features,), or None
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        init: Initialiser = he_normal,
        rng: Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.w = _parameter(init((in_features, out_features), generator(rng, "Linear"), dtype))
        self.b = _parameter(np.zeros(out_features, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        return linear(x, self.w, self.b)


class MaxPool2d(Module):
    """Takes the largest element of every window: see `autograd_cnn.max_pool2d`."""

    def __init__(self, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Any) -> Any:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(Module):
    """Takes the mean of every window: see `autograd_cnn.avg_pool2d`."""

    def __init__(self, kernel_size: Extent, stride: Extent | None = None, padding: Extent = 0) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Any) -> Any:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class BatchNorm2d(Module):
    """Brings each channel to mean 0 and variance 1, then scales and shifts it: (N, H, W, C) -> the same.

    Training uses the mean and variance of the batch, and moves the running ones towards them, ``running = (1 -
    momentum) * running + momentum * batch``. Evaluation uses the running ones. As in PyTorch, the variance that
    normalises a batch divides by n, and the one that enters the running variance by n - 1.

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance.
    momentum : float
        Weight of the new batch in the running statistics.
    dtype : float32 or float64

    Attributes
    ----------
    w, b : Tensor, (channels,)
        Scale and shift, which start at 1 and 0.
    running_mean, running_var : Tensor, (channels,)
        Buffers, which start at 0 and 1.

    Raises
    ------
    ValueError
        In training, if a channel has only one value.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", 2015.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1, dtype: DTypeLike = np.float32) -> None:
        zeros, ones = np.zeros(channels, dtype), np.ones(channels, dtype)
        self.w, self.b = _parameter(ones), _parameter(zeros)
        self.running_mean, self.running_var = Tensor(zeros), Tensor(ones)
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Any) -> Any:
        if not self.training:
            return batch_norm(x, self.w, self.b, self.eps, self.running_mean, self.running_var)
        array = x.data if isinstance(x, Tensor) else np.asarray(x)
        if array.size == array.shape[-1]:
            raise ValueError(
                f"BatchNorm2d: x {array.shape} has one value per channel, which has no variance. "
                "Use a larger batch, or model.eval()"
            )
        out = batch_norm(x, self.w, self.b, self.eps)
        mean, variance = _moments(out, array)
        count = array.size // array.shape[-1]
        self._move(self.running_mean, mean)
        self._move(self.running_var, variance * (count / (count - 1)))
        return out

    def _move(self, running: Tensor, batch: NDArray[Any]) -> None:
        """Move a running statistic. The buffer gets a new array, since a graph from evaluation may hold the old one."""
        moved = (1 - self.momentum) * running.data + self.momentum * batch
        running.data = moved.astype(running.dtype, copy=False)


def _moments(out: Tensor, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and variance of each channel of `x`, from the tape if the node of `out` saved them."""
    node = out._node
    mean = None if node is None else node.kept("mean_x")
    return moments(x) if mean is None else (mean, node.kept("variance_x"))


class Dropout(Module):
    """In training, sets a share `p` of the elements to 0 and scales the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
        In [0, 1].
    rng : numpy.random.Generator, optional
        Draws the mask of every call in training. Default: the generator that `seed` restarts. To resume a run with the
        same bits, save ``rng.bit_generator.state``.

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `p` is not a probability.
    """

    def __init__(self, p: float = 0.5, rng: Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}, want a probability in [0, 1]")
        self.p, self.rng = p, generator(rng, "Dropout")

    def forward(self, x: Any) -> Any:
        return dropout(x, self.p, self.rng) if self.training else x


class Flatten(Module):
    """Lays out each image as one row: (N, ...) -> (N, product of the rest)."""

    def forward(self, x: Any) -> Any:
        return flatten(x, 1)


class ReLU(Module):
    """Computes ``max(x, 0)``, elementwise."""

    def forward(self, x: Any) -> Any:
        return relu(x)


class Sigmoid(Module):
    """Computes ``1 / (1 + exp(-x))``, elementwise."""

    def forward(self, x: Any) -> Any:
        return sigmoid(x)
