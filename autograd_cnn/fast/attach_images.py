"""Puts the kernels of convolution, pooling and batch normalisation in the place of the textbook's functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.mode import is_recording
from autograd_cnn.ops import convolution as convolutions
from autograd_cnn.ops import normalization as norms
from autograd_cnn.ops import pooling as pools
from autograd_cnn.ops.convolution import transposed_shape
from autograd_cnn.ops.windows import coverage

from . import convolution, normalization, pooling
from .choose import instead


def accelerate_images() -> None:
    """Accelerate every operation on images, for all arguments."""
    convolutions.conv2d.accelerate(instead(convolution.conv2d))
    convolutions.conv_transpose2d.accelerate(instead(_conv_transpose2d))
    convolutions.conv2d_weight_gradient.accelerate(instead(convolution.conv2d_weight_gradient))
    pools.max_pool2d.accelerate(instead(_max_pool2d))
    pools.max_unpool2d.accelerate(instead(pooling.max_unpool2d))
    pools.max_gather2d.accelerate(instead(pooling.max_gather2d))
    pools.avg_pool2d.accelerate(instead(_avg_pool2d))
    pools.avg_unpool2d.accelerate(instead(pooling.avg_unpool2d))
    norms.batch_norm.accelerate(instead(_batch_norm), x=_batch_norm_rule)


def _conv_transpose2d(
    x: Any, w: Any, b: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Any:
    shape = transposed_shape(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    y = convolution.conv2d_input_gradient(x, w, shape, stride, padding, dilation, groups)
    return y if b is None else y + b


def _max_pool2d(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, _: bool) -> Any:
    return pooling.max_pool2d(x, kernel_size, stride, padding, dilation, places=is_recording())


def _avg_pool2d(x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool) -> Any:
    sliding, share = coverage(x.shape[1:3], kernel_size, stride, padding, ceil_mode, count_include_pad)
    y = pooling.avg_pool2d(x, *sliding)
    if share is not None:
        y /= share.astype(y.dtype)
    return y


def _batch_norm(x: Any, w: Any, b: Any, eps: float, mean: Any, variance: Any) -> Any:
    if mean is None:
        return normalization.batch_norm(x, w, b, eps)
    scale = 1 / np.sqrt(variance + x.dtype.type(eps))
    return normalization.normalise(x, mean, scale * w, b), mean, variance


def _batch_norm_rule(formula: Any) -> Any:
    """Use the statistics that the forward pass has computed."""

    def run(g: Any, x: Any, w: Any, eps: float, mean: Any, variance: Any, mean_x: Any, variance_x: Any) -> Any:
        if _in_one_dtype(g, x, w, eps, mean, variance, mean_x, variance_x):
            return normalization.batch_norm_gradient(g, x, mean_x, variance_x, w, eps)
        return formula(g, x, w, eps, mean, variance)

    run.applies = _in_one_dtype  # type: ignore[attr-defined]
    return run


def _in_one_dtype(g: Any, x: Any, w: Any, eps: float, mean: Any, variance: Any, mean_x: Any, variance_x: Any) -> bool:
    return mean is None and g.dtype == x.dtype == variance_x.dtype == w.dtype
