"""Layers that normalise: each brings numbers to mean 0 and variance 1, then scales and shifts them.

They differ in the numbers that share a mean: those of a channel, of an example, or of some channels of an example.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from autograd_cnn.checks import count, number
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.registry import accelerated
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.module import Module
from autograd_cnn.ops import layers

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "LayerNorm", "RMSNorm"]

Shape = int | tuple[int, ...]


class _Norm(Module):
    """Its parameters are a scale and a shift, which start at 1 and 0; either may be None."""

    w: Any
    b: Any

    def _start(self, name: str, shape: Shape, eps: Any, scale: bool, shift: bool, dtype: DTypeLike) -> None:
        """Make the parameters; `name` is that of the argument `shape`."""
        self._shape = tuple(count(n, name) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
        self.w = Tensor(np.ones(self._shape, dtype), requires_grad=True) if scale else None
        self.b = Tensor(np.zeros(self._shape, dtype), requires_grad=True) if shift else None
        self.eps = number(eps, "eps", 0)


class BatchNorm2d(_Norm):
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
        Weight of the new batch in the running statistics. For their mean over all batches, PyTorch's None, set
        ``layer.momentum = 1 / (k + 1)`` before batch `k`.
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
        self._start("channels", channels, eps, True, True, dtype)
        self.running_mean, self.running_var = Tensor(self.b.data), Tensor(self.w.data)
        self.momentum = number(momentum, "momentum", 0, 1)

    def forward(self, x: Any) -> Any:
        if not self.training:
            return layers.batch_norm(x, self.w, self.b, self.eps, self.running_mean, self.running_var)
        array = x.data if isinstance(x, Tensor) else np.asarray(x)
        if array.size == array.shape[-1]:
            problem = f"x {array.shape} has one value per channel, which has no variance"
            raise ValueError(f"{type(self).__name__}: {problem}. Use a larger batch, or model.eval()")
        batch_norm = layers.batch_norm(x, self.w, self.b, self.eps)
        if current.get().again:
            return batch_norm
        mean, variance = _moments(batch_norm, array)
        count = array.size // array.shape[-1]
        self._move(self.running_mean, mean)
        self._move(self.running_var, variance * (count / (count - 1)))
        return batch_norm

    def _move(self, running: Tensor, batch: NDArray[Any]) -> None:
        """Move a running statistic. The buffer gets a new array, since a graph from evaluation may hold the old one."""
        moved = (1 - self.momentum) * running.data + self.momentum * batch
        running.data = np.asarray(moved, running.dtype)


def _moments(out: Tensor, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and variance of each channel of `x`, from the tape if the node of `out` saved them."""
    node = out.node
    mean = None if node is None else node.saved_value("mean_x")
    return moments(x) if mean is None else (mean, node.saved_value("variance_x"))


@accelerated
def moments(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and variance (divided by n, not n - 1) of each channel: (..., C) -> two arrays (C,).

    Those of no numbers are 0.
    """
    rows = x.reshape(-1, x.shape[-1]) if x.size else np.zeros((1, x.shape[-1]), x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return rows.mean(axis=0), rows.var(axis=0)


class BatchNorm1d(BatchNorm2d):
    """Brings each channel to mean 0 and variance 1, then scales and shifts it: (N, C) or (N, L, C) -> the same.

    Training uses the mean and variance of the batch, and moves the running ones towards them. Evaluation uses the
    running ones.

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
    """


class LayerNorm(_Norm):
    """Brings each example to mean 0 and variance 1 over its last axes, then scales and shifts it.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The extents of these axes.
    eps : float
        Added to the variance.
    affine, bias : bool
        Whether to scale and shift, and whether to shift.
    dtype : float32 or float64

    Attributes
    ----------
    w, b : Tensor of `normalized_shape`, or None
        Scale and shift, which start at 1 and 0.

    References
    ----------
    J. Ba et al., "Layer Normalization", 2016.
    """

    def __init__(
        self, normalized_shape: Shape, eps: float = 1e-5, affine: bool = True, bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self._start("normalized_shape", normalized_shape, eps, affine, affine and bias, dtype)
        self.normalized_shape = normalized_shape

    def forward(self, x: Any) -> Any:
        return layers.layer_norm(x, self.normalized_shape, self.w, self.b, self.eps)


class RMSNorm(_Norm):
    """Divides each example by the root of its mean square over its last axes, then scales it.

    See `autograd_cnn.rms_norm`.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The extents of these axes.
    eps : float, optional
        Added to the mean square. Default: the smallest step of the dtype above 1.
    affine : bool
        Whether to scale.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor of `normalized_shape`, or None
        The scale, which starts at 1.
    """

    def __init__(
        self, normalized_shape: Shape, eps: float | None = None, affine: bool = True, dtype: DTypeLike = np.float32
    ) -> None:
        self._start("normalized_shape", normalized_shape, eps or 0.0, affine, False, dtype)
        self.normalized_shape, self.eps = normalized_shape, eps

    def forward(self, x: Any) -> Any:
        return layers.rms_norm(x, self.normalized_shape, self.w, self.eps)


class GroupNorm(_Norm):
    """Brings each group of channels of each example to mean 0 and variance 1, then scales and shifts the channels.

    (N, ..., num_channels) -> the same: see `autograd_cnn.group_norm`.

    Attributes
    ----------
    w, b : Tensor, (num_channels,), or None unless `affine`; `b` also without `bias`

    Raises
    ------
    ValueError
        If `num_groups` does not divide the channels.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        if count(num_channels, "num_channels") % count(num_groups, "num_groups"):
            raise ValueError(f"GroupNorm: num_groups={num_groups} does not divide {num_channels} channels")
        self._start("num_channels", num_channels, eps, affine, affine and bias, dtype)
        self.num_groups = num_groups

    def forward(self, x: Any) -> Any:
        return layers.group_norm(x, self.num_groups, self.w, self.b, self.eps)


class InstanceNorm2d(_Norm):
    """Brings each channel of each image to mean 0 and variance 1: (N, H, W, channels) -> the same.

    With `affine` it then scales and shifts the channels: see `autograd_cnn.instance_norm`.

    Attributes
    ----------
    w, b : Tensor, (channels,), or None unless `affine`; `b` also without `bias`
    """

    def __init__(
        self, channels: int, eps: float = 1e-5, affine: bool = False, bias: bool = True, dtype: DTypeLike = np.float32
    ) -> None:
        self._start("channels", channels, eps, affine, affine and bias, dtype)

    def forward(self, x: Any) -> Any:
        return layers.instance_norm(x, self.w, self.b, self.eps)


class InstanceNorm1d(InstanceNorm2d):
    """Brings each channel of each sequence to mean 0 and variance 1, (N, L, channels), as `InstanceNorm2d` does."""
