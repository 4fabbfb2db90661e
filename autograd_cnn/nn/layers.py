"""Layers with parameters or a generator: convolutions, linear layers, embeddings, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from autograd_cnn.checks import count, number
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.init import Initialiser, he_normal, standard_normal
from autograd_cnn.nn.module import Module
from autograd_cnn.ops import activations, convolution, layers, products
from autograd_cnn.ops.layers import generator
from autograd_cnn.ops.windows import Extent, Margins, check_window, pair

__all__ = [
    "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Dropout2d", "Embedding", "Linear", "PReLU",
]  # fmt: skip


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
        in_channels, out_channels = count(in_channels, "in_channels"), count(out_channels, "out_channels")
        groups = count(groups, "groups")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"groups={groups} does not divide {in_channels} channels and {out_channels} outputs")
        kernel = pair(kernel_size, "kernel_size") if self._axes == 2 else (count(kernel_size, "kernel_size"),)
        check_window(kernel_size, stride, padding, dilation)
        shape = *kernel, in_channels // groups, out_channels
        self.w = _parameter(init(shape, generator(rng, type(self).__name__), dtype))
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
        self, num_embeddings: int, embedding_dim: int, init: Initialiser = standard_normal,
        rng: Generator | None = None, dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
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
