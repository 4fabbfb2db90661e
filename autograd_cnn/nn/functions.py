"""Layers without parameters: each names a function, whose options it takes.

A layer keeps its options as attributes of their names: ``MaxPool2d(2).kernel_size``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import Signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autograd_cnn.engine.errors import bound
from autograd_cnn.engine.rules import untyped
from autograd_cnn.nn.module import Module
from autograd_cnn.ops import activations, arithmetic, reductions, resizing, shapes, windows

__all__ = [
    "ELU", "GELU", "SELU", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "Flatten", "GlobalAvgPool2d", "Hardsigmoid",
    "Hardswish", "Hardtanh", "Identity", "LeakyReLU", "LogSigmoid", "LogSoftmax", "MaxPool1d", "MaxPool2d", "Mish",
    "PixelShuffle", "PixelUnshuffle", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softplus", "Softsign", "Tanh",
    "Unfold", "Upsample",
]  # fmt: skip


WINDOW = "kernel_size", "stride", "padding", "dilation"


class _Layer(Module):
    """Calls the function that its subclass names, with the options that the constructor takes."""

    _function: ClassVar[Callable[..., Any]]
    _names: ClassVar[tuple[str, ...]]  # of the options
    __signature__: ClassVar[Signature]

    if TYPE_CHECKING:  # the options are attributes

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, function: Callable[..., Any] | None = None) -> None:
        super().__init_subclass__()
        if function is not None:
            cls._function = staticmethod(function)
            cls.__signature__ = untyped(partial(function, None))  # without x
            cls._names = tuple(cls.__signature__.parameters)

    def __init__(self, *args: Any, **options: Any) -> None:
        given = bound(type(self).__name__, self.__signature__, args, options)
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, value)
        if "kernel_size" in given.arguments:
            windows.check_window(**{n: v for n, v in given.arguments.items() if n in WINDOW})

    def forward(self, x: Any) -> Any:
        return self._function(x, *[getattr(self, name) for name in self._names])


# Activations


class ReLU(_Layer, function=activations.relu):
    """Computes ``max(x, 0)``: see `autograd_cnn.relu`."""


class ReLU6(_Layer, function=activations.relu6):
    """Limits numbers to the range from 0 to 6: see `autograd_cnn.relu6`."""


class LeakyReLU(_Layer, function=activations.leaky_relu):
    """Multiplies negative numbers by `negative_slope`: see `autograd_cnn.leaky_relu`."""


class ELU(_Layer, function=activations.elu):
    """Bends negative numbers towards `-alpha`: see `autograd_cnn.elu`."""


class SELU(_Layer, function=activations.selu):
    """Scales an ELU to keep mean 0 and variance 1: see `autograd_cnn.selu`."""


class GELU(_Layer, function=activations.gelu):
    """Computes ``x * normal_cdf(x)``, exactly or by a tanh: see `autograd_cnn.gelu`."""


class SiLU(_Layer, function=activations.silu):
    """Computes ``x * sigmoid(x)``: see `autograd_cnn.silu`."""


class Mish(_Layer, function=activations.mish):
    """Computes ``x * tanh(softplus(x))``: see `autograd_cnn.mish`."""


class Softplus(_Layer, function=activations.softplus):
    """Computes ``log(1 + exp(beta x)) / beta``: see `autograd_cnn.softplus`."""


class Sigmoid(_Layer, function=activations.sigmoid):
    """Computes ``1 / (1 + exp(-x))``: see `autograd_cnn.sigmoid`."""


class LogSigmoid(_Layer, function=activations.logsigmoid):
    """Computes ``log(sigmoid(x))``: see `autograd_cnn.logsigmoid`."""


class Hardsigmoid(_Layer, function=activations.hardsigmoid):
    """Computes ``relu6(x + 3) / 6``: see `autograd_cnn.hardsigmoid`."""


class Hardswish(_Layer, function=activations.hardswish):
    """Computes ``x * hardsigmoid(x)``: see `autograd_cnn.hardswish`."""


class Tanh(_Layer, function=arithmetic.tanh):
    """Computes the hyperbolic tangent: see `autograd_cnn.tanh`."""


class Hardtanh(_Layer, function=activations.hardtanh):
    """Limits numbers to the range from `min_val` to `max_val`: see `autograd_cnn.hardtanh`."""


class Softsign(_Layer, function=activations.softsign):
    """Computes ``x / (1 + |x|)``: see `autograd_cnn.softsign`."""


class Softmax(_Layer, function=activations.softmax):
    """Turns scores into probabilities over `axis`: see `autograd_cnn.softmax`."""


class LogSoftmax(_Layer, function=activations.log_softmax):
    """Turns scores into logarithms of probabilities over `axis`: see `autograd_cnn.log_softmax`."""


# Pooling


class MaxPool1d(_Layer, function=windows.max_pool1d):
    """Takes the largest number of every window, (N, L, C) -> (N, L', C): see `autograd_cnn.max_pool1d`."""


class MaxPool2d(_Layer, function=windows.max_pool2d):
    """Takes the largest number of every window, (N, H, W, C) -> (N, H', W', C): see `autograd_cnn.max_pool2d`."""


class AvgPool1d(_Layer, function=windows.avg_pool1d):
    """Takes the mean of every window, (N, L, C) -> (N, L', C): see `autograd_cnn.avg_pool1d`."""


class AvgPool2d(_Layer, function=windows.avg_pool2d):
    """Takes the mean of every window, (N, H, W, C) -> (N, H', W', C): see `autograd_cnn.avg_pool2d`."""


class AdaptiveAvgPool2d(_Layer, function=windows.adaptive_avg_pool2d):
    """Takes the mean of every bin, (N, H, W, C) -> (N, H', W', C): see `autograd_cnn.adaptive_avg_pool2d`."""


def _global_mean(x: Any) -> Any:
    if np.ndim(x) != 4:
        raise ValueError(f"GlobalAvgPool2d: x is {np.shape(x)}, want (N, H, W, C). One image: x[None]")
    return reductions.mean(x, axis=(1, 2))


class GlobalAvgPool2d(_Layer, function=_global_mean):
    """Takes the mean over all pixels, (N, H, W, C) -> (N, C): see `autograd_cnn.mean`."""


# Shapes and sizes


class Identity(_Layer, function=lambda x: x):
    """Returns its input."""


class Flatten(_Layer, function=lambda x, start_axis=1: shapes.flatten(x, start_axis)):
    """Lays out each image as one row, (N, ...) -> (N, product of the rest): see `autograd_cnn.flatten`."""


class PixelShuffle(_Layer, function=resizing.pixel_shuffle):
    """Moves channels into space, (N, H, W, C r r) -> (N, H r, W r, C): see `autograd_cnn.pixel_shuffle`."""


class PixelUnshuffle(_Layer, function=resizing.pixel_unshuffle):
    """Moves space into channels, (N, H r, W r, C) -> (N, H, W, C r r): see `autograd_cnn.pixel_unshuffle`."""


class Upsample(_Layer, function=resizing.interpolate):
    """Resizes images, (N, H, W, C) -> (N, H', W', C): see `autograd_cnn.interpolate`."""


class Unfold(_Layer, function=windows.unfold):
    """Lays out every window as a row, (N, H, W, C) -> (N, H' W', KH KW C): see `autograd_cnn.unfold`."""


def dead_channels(out: Any) -> Any:
    """Return, for each channel, whether it is dead: every number is 0, in the whole batch.

    Channels are on the last axis. A vector is one channel.
    """
    return ~out.reshape(-1, out.shape[-1] if out.ndim > 1 else 1).any(axis=0)
