"""Puts the faster functions of this package in the place of the textbook's, operation by operation.

Each accelerator takes a function of the textbook and returns a faster one, which calls the textbook's where it does not
apply: for small arrays, and for other dtypes, shapes and layouts.
"""

from __future__ import annotations

from functools import wraps
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.engine.mode import current
from autograd_cnn.engine.observe import operations, primitives
from autograd_cnn.engine.registry import accelerators, counterparts
from autograd_cnn.engine.rules import Accelerator
from autograd_cnn.ops import activations, arithmetic, indexing, layers, losses, products, reductions
from autograd_cnn.ops import convolution as convolutions
from autograd_cnn.ops import windows as pools
from autograd_cnn.ops.axes import rescaling
from autograd_cnn.ops.convolution import transposed_shape

from . import convolution, elementwise, matrices, normalization, pooling, updates
from .elementwise import LARGE, Kernel, blocked, blocked_ufunc, by_rows, by_twin, is_large, where
from .twins import kernel_set


def attach() -> None:
    """Accelerate all operations, and the functions that are no operations."""
    elementwise_operations()
    accelerate_activations()
    accelerate_sums()
    accelerate_images()
    accelerators["optim.optimiser.update_all"] = instead(updates.in_pieces)
    accelerators["optim.algorithms.sgd_update"] = updates.in_tiles("updates.sgd_update")
    accelerators["optim.algorithms.adam_update"] = updates.in_tiles("updates.adam_update")
    accelerators["nn.normalization.moments"] = instead(normalization.moments)
    accelerators["engine.registry.kernels"] = instead(kernel_set)


def detach() -> None:
    """Put the textbook's functions back in their places, as if this package were not there."""
    for p in primitives():
        rules: dict[str, Any] = dict.fromkeys(p.rules, lambda textbook: textbook)
        # The assignment that writes in place is no accelerator of this package.
        p.accelerate(None if p is indexing.set_at else lambda textbook: textbook, exact=True, **rules)


def instead(kernel: Kernel) -> Accelerator:
    """Return an accelerator that calls `kernel` in the place of the textbook's function, whatever the arguments are."""
    return lambda textbook: wraps(textbook)(lambda *args: kernel(*args))


def elementwise_operations() -> None:
    """Compute large arrays in blocks: every operation whose elements do not depend on each other, and its rules."""
    ufuncs = {name: f for f, name in counterparts.items() if isinstance(f, np.ufunc)}
    for name, p in operations.items():
        if getattr(p, "elementwise", False):
            forward = _ufunc(ufuncs[name]) if name in ufuncs else blocked
            # A rule that needs nothing passes `g` on, or changes its sign.
            rules: dict[str, Any] = {n: blocked for n, rule in p.rules.items() if rule.needs}
            p.accelerate(forward, exact=True, **rules)


def _ufunc(ufunc: np.ufunc) -> Accelerator:
    return lambda textbook: wraps(textbook)(blocked_ufunc(ufunc))


def accelerate_activations() -> None:
    """Give each activation its kernels."""
    product = _ufunc(np.multiply)  # a single pass takes larger blocks than a formula
    arithmetic.multiply.accelerate(x=product, y=product, exact=True)
    arithmetic.where.accelerate(instead(where))
    same: Accelerator = lambda rule: lambda g, index: rule(g, index)  # noqa: E731 - it returns no view of g
    indexing.set_at.accelerate(x=instead(_cleared), values=same, may_write=True, exact=True)
    arithmetic.tanh.accelerate(blocked)

    def passed(g: Any, y: Any) -> Any:
        return where(np.logical_not(y <= 0), g, 0).astype(np.result_type(g, y), copy=False)

    relu = by_twin("relu", exact=True, least=LARGE)
    rule = by_twin("relu_gradient", 2, rule=True, exact=True, formula=passed)
    activations.relu.accelerate(relu, x=rule, may_write=True, exact=True)
    activations.relu_gradient.accelerate(by_twin("relu_gradient", 2, exact=True, formula=passed))
    leaky = by_twin(
        "leaky_relu", exact=True, formula=lambda x, slope: where(np.greater(x, 0), x, np.multiply(x, slope))
    )
    rule = by_twin("leaky_relu_gradient", 2, rule=True, exact=True)
    activations.leaky_relu.accelerate(leaky, x=rule, may_write=True, exact=True)
    activations.sigmoid.accelerate(by_twin("sigmoid"))
    for name in "softplus", "silu":
        rule = by_twin(f"{name}_gradient", 2, rule=True)
        getattr(activations, name).accelerate(by_twin(name), x=rule, may_write=True)
    activations.normal_cdf.accelerate(elementwise.normal_cdf)
    rule = by_twin("gelu_gradient", 2, rule=True, option=("none",))
    activations.gelu.accelerate(by_twin("gelu", option=("none",)), x=rule, may_write=True)


def _cleared(g: Any, index: Any) -> Any:
    g = g if g.flags.writeable else g.copy("K")
    g[index] = 0
    return g


def accelerate_sums() -> None:
    """Compute products in blocks, and sums and softmax over rows, on all threads."""
    products.matmul.accelerate(instead(matrices.matmul))
    products.linear.accelerate(instead(_linear))
    reductions.sum.accelerate(_sum)
    rule = by_twin("softmax_gradient", 2, option=(-1,))
    activations.softmax.accelerate(by_twin("softmax", least=1, option=(-1,)), x=rule)
    activations.log_softmax.accelerate(by_twin("log_softmax", least=1, option=(-1,)))
    layers.standardize.accelerate(by_rows("standardize", 0), x=by_rows("standardize_gradient", 1))
    losses.cross_entropy_of_labels.accelerate(instead(_cross_entropy), logits=instead(_cross_entropy_rule), exact=True)


def _linear(x: Any, w: Any, b: Any) -> Any:
    return matrices.matmul(x.reshape(prod(x.shape[:-1]), len(w)), w, b).reshape(*x.shape[:-1], w.shape[1])


def _sum(textbook: Kernel) -> Kernel:
    @wraps(textbook)
    def run(x: Any, axis: Any, keepdims: bool, dtype: Any, initial: Any, where: Any) -> Any:
        plain = not keepdims and initial is reductions.UNSET and where is True
        if plain and is_large(x) and x.dtype.char in "fd" and _all_but_last(axis, x.ndim):
            return elementwise.sum_rows(x)
        return textbook(x, axis, keepdims, dtype, initial, where)

    return run


def _all_but_last(axis: Any, ndim: int) -> bool:
    return axis is not None and normalize_axis_tuple(axis, ndim, allow_duplicate=True) == (*range(ndim - 1),)


def _cross_entropy(logits: Any, labels: Any, reduction: Any) -> Any:
    scores = activations.log_softmax.raw(logits)
    values = -(scores.reshape(-1)[_places(labels, scores.shape[-1])]).reshape(labels.shape)
    return losses.reduced(values, reduction, values.size or None, np.sum, np.mean)  # np.mean takes twice as long


def _places(labels: Any, classes: int) -> Any:
    """Return the places of the labels' scores in the flat array of all scores."""
    return np.arange(0, labels.size * classes, classes) + labels.reshape(-1).astype(np.intp, copy=False)


def _cross_entropy_rule(g: Any, logits: Any, labels: Any, reduction: Any) -> Any:
    """Compute the rule with fewer passes."""
    gx = np.ascontiguousarray(activations.softmax.raw(logits))
    gx.reshape(-1)[_places(np.asarray(labels), gx.shape[-1])] -= 1
    gx *= g[..., None] if reduction == "none" else losses.divided(g, prod(logits.shape[:-1]), reduction)
    return gx


def accelerate_images() -> None:
    """Accelerate every operation on images, for all arguments."""
    for operation, kernel in (
        (convolutions.conv2d, convolution.conv2d),
        (convolutions.conv_transpose2d, _conv_transpose2d),
        (convolutions.conv2d_weight_gradient, convolution.conv2d_weight_gradient),
        (pools.max_pool2d, _max_pool2d),
        (pools.max_unpool2d, pooling.max_unpool2d),
        (pools.avg_pool2d, _avg_pool2d),
        (pools.avg_unpool2d, pooling.avg_unpool2d),
    ):
        operation.accelerate(instead(kernel))
    layers.batch_norm.accelerate(_batch_norm, x=_batch_norm_rule, may_write=True)


def _conv_transpose2d(
    x: Any, w: Any, b: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: int
) -> Any:
    shape = transposed_shape(x.shape, w.shape, stride, padding, output_padding, dilation, groups)
    y = convolution.conv2d_input_gradient(x, w, shape, stride, padding, dilation, groups)
    return y if b is None else y + b


def _max_pool2d(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, _: bool) -> Any:
    return pooling.max_pool2d(x, kernel_size, stride, padding, dilation, places=current.get().recording)


def _avg_pool2d(x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool) -> Any:
    sliding, share = pools.coverage(x.shape[1:3], kernel_size, stride, padding, ceil_mode, count_include_pad)
    y = pooling.avg_pool2d(x, *sliding)
    if share is not None:
        y /= share.astype(y.dtype)
    return y


def _batch_norm(textbook: Kernel) -> Kernel:
    def run(x: Any, w: Any, b: Any, eps: float, mean: Any, variance: Any) -> Any:
        if mean is None:
            mean, variance = normalization.moments(x)
            if not _in_range(x, variance, eps):
                return textbook(x, w, b, eps, None, None)
        return normalization.normalise(x, mean, w / np.sqrt(variance + x.dtype.type(eps)), b), mean, variance

    return wraps(textbook)(run)


def _in_range(x: Any, variance: Any, eps: float) -> bool:
    """Whether the variance of each channel fits its dtype."""
    return rescaling(x, tuple(range(x.ndim - 1)), variance + x.dtype.type(eps)) is None


def _batch_norm_rule(formula: Kernel) -> Kernel:
    """Use the statistics that the forward pass has computed."""

    def applies(g: Any, x: Any, w: Any, eps: float, mean: Any, variance: Any, mean_x: Any, variance_x: Any) -> bool:
        in_one_dtype = g.dtype == x.dtype == variance_x.dtype == w.dtype
        return mean is None and in_one_dtype and _in_range(x, variance_x, eps)

    def run(g: Any, x: Any, w: Any, eps: float, mean: Any, variance: Any, mean_x: Any, variance_x: Any) -> Any:
        if applies(g, x, w, eps, mean, variance, mean_x, variance_x):
            return normalization.batch_norm_gradient(g, x, mean_x, variance_x, w, eps)
        return formula(g, x, w, eps, mean, variance)

    vars(run).update(applies=applies)
    return run
