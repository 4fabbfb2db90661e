"""Layers with parameters, buffers or a generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from autograd_cnn.checks import count, number
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.registry import accelerated
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.init import Initialiser, he_normal, standard_normal
from autograd_cnn.nn.module import Module
from autograd_cnn.ops import activations, convolution, layers, products
from autograd_cnn.ops.layers import generator
from autograd_cnn.ops.windows import Extent, Margins, check_window, pair

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Dropout2d",
    "Embedding", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "LayerNorm", "Linear", "PReLU", "RMSNorm",
]  # fmt: skip

Shape = int | tuple[int, ...]


def _parameter(array: NDArray[Any]) -> Tensor:
    return Tensor(array, requires_grad=True)


class _Convolution(Module):
    _function: Any = staticmethod(convolution.conv2d)
    _axes = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Extent, stride: Extent = 1, padding: Margins = 0,
        dilation: Extent = 1, groups: int = 1, bias: bool = True, init: Initialiser = he_normal,
        rng: Generator | None = None, dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        in_channels, out_channels = count(in_channels, "in_channels"), count(out_channels, "out_channels")
        groups = count(groups, "groups")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} does not divide {in_channels} channels and {out_channels} outputs"
            )
        kernel = pair(kernel_size, "kernel_size") if self._axes == 2 else (count(kernel_size, "kernel_size"),)
        check_window(kernel_size, stride, padding, dilation)
        self.w = _parameter(init((*kernel, in_channels // groups, out_channels), generator(rng, name), dtype))
        self.b = _parameter(np.zeros(out_channels, dtype)) if bias else None
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x: Any) -> Any:
        return self._function(x, self.w, self.b, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Convolution):
    """Convolves images with learnt weights: (N, H, W, in_channels) -> (N, H', W', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or pair
        Along H and W.
    stride : int or pair
        How far a window is from the next.
    padding : int, pair, "same" or "valid"
        How many zeros are added at each end; "same" keeps the shape at stride 1.
    dilation : int or pair
        Distance between the taps of a window.
    groups : int
        How many parts the channels are cut into, each with filters of its own.
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


class Conv1d(_Convolution):
    """Convolves sequences with learnt weights: (N, L, in_channels) -> (N, L', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
        Along L.
    stride : int
        How far a window is from the next.
    padding : int, "same" or "valid"
        How many zeros are added at each end; "same" keeps the shape at stride 1.
    dilation : int
        Distance between the taps of a window.
    groups : int
        How many parts the channels are cut into, each with filters of its own.
    bias : bool
        Whether to add `b`, which starts at 0.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (K, in_channels // groups, out_channels)
    b : Tensor, (out_channels,), or None

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `groups` does not divide the channels.
    """

    _function, _axes = staticmethod(convolution.conv1d), 1


class _Transposed(_Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Extent, stride: Extent = 1, padding: Margins = 0,
        output_padding: Extent = 0, dilation: Extent = 1, groups: int = 1, bias: bool = True,
        init: Initialiser = he_normal, rng: Generator | None = None, dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        options = stride, padding, dilation, groups, bias, init, rng, dtype
        super().__init__(in_channels, out_channels, kernel_size, *options)
        kernel = self.w.shape[:-2]
        parts = self.w.data.reshape(*kernel, in_channels // groups, groups, out_channels // groups)
        self.w = _parameter(np.swapaxes(parts, -1, -3).reshape(*kernel, out_channels // groups, in_channels))
        self.output_padding = output_padding

    def forward(self, x: Any) -> Any:
        options = self.stride, self.padding, self.output_padding, self.dilation, self.groups
        return self._function(x, self.w, self.b, *options)


class ConvTranspose2d(_Transposed):
    """Spreads pixels over windows with learnt weights: (N, H, W, in_channels) -> (N, H', W', out_channels).

    It undoes the change of shape that a `Conv2d` with the same options makes.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or pair
        Along H and W.
    stride : int or pair
        How far apart the windows of neighbours are.
    padding : int or pair
        How many numbers are cut off at each end.
    output_padding : int or pair
        How many numbers are added at the end, where a stride leaves the length open.
    dilation : int or pair
        Distance between the taps of a window.
    groups : int
        How many parts the channels are cut into, each with filters of its own.
    bias : bool
        Whether to add `b`, which starts at 0.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (KH, KW, out_channels // groups, in_channels)
    b : Tensor, (out_channels,), or None

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `groups` does not divide the channels.
    """

    _function = staticmethod(convolution.conv_transpose2d)


class ConvTranspose1d(_Transposed):
    """Spreads numbers over windows with learnt weights: (N, L, in_channels) -> (N, L', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
        Along L.
    stride : int
        How far apart the windows of neighbours are.
    padding : int
        How many numbers are cut off at each end.
    output_padding : int
        How many numbers are added at the end, where a stride leaves the length open.
    dilation : int
        Distance between the taps of a window.
    groups : int
        How many parts the channels are cut into, each with filters of its own.
    bias : bool
        Whether to add `b`, which starts at 0.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (K, out_channels // groups, in_channels)
    b : Tensor, (out_channels,), or None

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `groups` does not divide the channels.
    """

    _function, _axes = staticmethod(convolution.conv_transpose1d), 1


class Linear(Module):
    """Computes ``x @ w + b`` with learnt weights: (..., in_features) -> (..., out_features).

    Parameters
    ----------
    in_features, out_features : int
        The last axis of `x` and of the result.
    bias : bool
        Whether to add `b`, which starts at 0.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial weights. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (in_features, out_features)
    b : Tensor, (out_features,), or None

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, init: Initialiser = he_normal,
        rng: Generator | None = None, dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        shape = count(in_features, "in_features"), count(out_features, "out_features")
        self.w = _parameter(init(shape, generator(rng, type(self).__name__), dtype))
        self.b = _parameter(np.zeros(out_features, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        return products.linear(x, self.w, self.b)


class Embedding(Module):
    """Looks up learnt vectors: integers (...) -> (..., embedding_dim).

    Parameters
    ----------
    num_embeddings : int
        The number of vectors.
    embedding_dim : int
        The length of each.
    init : callable
        ``(shape, rng, dtype) -> array``.
    rng : numpy.random.Generator, optional
        Draws the initial vectors. Default: the generator that `seed` restarts.
    dtype : float32 or float64

    Attributes
    ----------
    w : Tensor, (num_embeddings, embedding_dim)

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    IndexError
        In a call, if an index is outside of the table.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        init: Initialiser = standard_normal,
        rng: Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = count(num_embeddings, "num_embeddings"), count(embedding_dim, "embedding_dim")
        self.w = _parameter(init(shape, generator(rng, "Embedding"), dtype))

    def forward(self, indices: Any) -> Any:
        return layers.embedding(indices, self.w)


class PReLU(Module):
    """Multiplies negative numbers by a learnt slope, which starts at `init`: see `autograd_cnn.prelu`.

    Attributes
    ----------
    w : Tensor, (num_parameters,)
        One slope, or one for each channel.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: DTypeLike = np.float32) -> None:
        self.w = _parameter(np.full(count(num_parameters, "num_parameters"), number(init, "init"), dtype))

    def forward(self, x: Any) -> Any:
        return activations.prelu(x, self.w)


class _Norm(Module):
    """Its parameters are a scale and a shift, which start at 1 and 0; either may be None."""

    w: Any
    b: Any

    def _start(self, name: str, shape: Shape, eps: Any, scale: bool, shift: bool, dtype: DTypeLike) -> None:
        """Make the parameters; `name` is that of the argument `shape`."""
        self._shape = tuple(count(n, name) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
        self.w = _parameter(np.ones(self._shape, dtype)) if scale else None
        self.b = _parameter(np.zeros(self._shape, dtype)) if shift else None
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
            raise ValueError(
                f"{type(self).__name__}: x {array.shape} has one value per channel, which has no variance. "
                "Use a larger batch, or model.eval()"
            )
        out = layers.batch_norm(x, self.w, self.b, self.eps)
        if current.get().again:
            return out
        mean, variance = _moments(out, array)
        count = array.size // array.shape[-1]
        self._move(self.running_mean, mean)
        self._move(self.running_var, variance * (count / (count - 1)))
        return out

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
        self,
        normalized_shape: Shape,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
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


class Dropout(Module):
    """In training, sets a share `p` of the elements to 0 and scales the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
        In [0, 1].
    rng : numpy.random.Generator, optional
        Draws the mask of every call in training, unless `p` is 0. Default: the generator that `seed` restarts. To
        resume a run with the same bits, save ``rng.bit_generator.state``.

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `p` is not a probability.
    """

    def __init__(self, p: float = 0.5, rng: Generator | None = None) -> None:
        if isinstance(p, str) or not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p is {p!r}, want a probability in [0, 1]")
        self.p, self.rng = p, generator(rng, type(self).__name__)

    def forward(self, x: Any) -> Any:
        return layers.dropout(x, self.p, self.rng) if self.training and self.p else x


class Dropout2d(Dropout):
    """In training, sets a share `p` of the channels of each image to 0 and scales the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
        In [0, 1].
    rng : numpy.random.Generator, optional
        Draws the mask of every call in training, unless `p` is 0. Default: the generator that `seed` restarts.

    Raises
    ------
    TypeError
        If `rng` is not a generator.
    ValueError
        If `p` is not a probability.
    """

    def forward(self, x: Any) -> Any:
        return layers.dropout2d(x, self.p, self.rng) if self.training and self.p else x
