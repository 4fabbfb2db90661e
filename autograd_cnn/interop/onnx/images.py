"""Operations on images, which are (N, H, W, C) here, and (N, C, H, W) in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd_cnn as ag
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.interop.onnx.resize import ONLY, resize
from autograd_cnn.ops.windows import margins, pair

# The options of a window: `size`, `stride`, `padding` and `dilation` here, attributes there


def _attributes(
    image: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, **flags: Any
) -> dict[str, Any]:
    """Return the attributes of a window over an image; None is an extent that may differ."""
    if isinstance(kernel_size, tuple) and None in kernel_size:
        raise ValueError("the size of its windows depends on that of the inputs")
    size, dilation = pair(kernel_size, "kernel_size"), pair(dilation, "dilation")
    stride = size if stride is None else pair(stride, "stride")
    (top, bottom), (left, right) = margins(padding, size, stride, dilation, None if image and None in image else image)
    attributes = {"kernel_shape": size, "strides": stride, "pads": (top, left, bottom, right), "dilations": dilation}
    return {name: list(value) for name, value in attributes.items()} | {name: int(f) for name, f in flags.items()}


def _window(
    x: Any, kernel_shape: Any, *, strides: Any = None, pads: Any = None, dilations: Any = None,
    auto_pad: str = "NOTSET",
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Return size, stride, padding and dilation of a window over `x`; a sequence gets a first axis of one row."""
    if x.ndim > 4:
        raise ValueError(f"x is {x.shape}: images have two dimensions here")
    line, n = (1,) * (4 - x.ndim), x.ndim - 2
    steps, gaps = strides or (1,) * n, dilations or (1,) * n
    extents = [d * (k - 1) + 1 for k, d in zip(kernel_shape, gaps, strict=True)]
    pads = pads if pads and auto_pad != "VALID" else (0,) * 2 * n
    padding: Any = (*((0, 0) for _ in line), *zip(pads[:n], pads[n:], strict=True))
    if auto_pad.startswith("SAME"):
        if any(k < s and m % s != 1 for k, s, m in zip(extents, steps, x.shape[2:], strict=True)):
            raise ValueError(f"auto_pad={auto_pad} with steps longer than the window may begin at several places")
        sums = [max(0, k - (m % s or s)) for k, s, m in zip(extents, steps, x.shape[2:], strict=True)]
        padding = (*((0, 0) for _ in line), *((t // 2, t - t // 2) for t in sums))
        padding = padding if auto_pad == "SAME_UPPER" else tuple(ends[::-1] for ends in padding)
    return (*line, *kernel_shape), (*line, *steps), padding, (*line, *gaps)


def channels_last(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`, which takes and returns (N, ..., C), as a function of (N, C, ...)."""
    return lambda x, *args, **options: ag.moveaxis(f(ag.moveaxis(x, 1, -1), *args, **options), -1, 1)


def _images(f: Callable[..., Any], x: Any, *args: Any, **options: Any) -> Any:
    """Call `f`, which takes images (N, H, W, C), on (N, C, H, W), or on sequences (N, C, L) as images of one row."""
    y = channels_last(f)(ag.expand_dims(x, 2) if x.ndim == 3 else x, *args, **options)
    return ag.squeeze(y, 2) if x.ndim == 3 else y


# Convolutions


def _given(b: Any) -> list[Any]:
    return [] if b is None else [b]


def _write_conv(onnx: Any, x: Any, w: Any, b: Any, groups: Any, x_shape: Any, w_shape: Any, **window: Any) -> Any:
    options = _attributes(x_shape[1:3], w_shape[:2], **window)
    return onnx.Conv(x, onnx.transposed(w, (3, 2, 0, 1)), *_given(b), group=groups, **options)


def _write_conv_transpose(
    onnx: Any, x: Any, w: Any, b: Any, groups: Any, output_padding: Any, w_shape: Any, **window: Any
) -> Any:
    options = _attributes(None, w_shape[:2], **window)
    extra = pair(output_padding, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, options["strides"], options["dilations"], strict=True)):
        raise ValueError(f"output_padding {extra} is not less than the stride, as ONNX wants")
    w = onnx.transposed(w, (3, 2, 0, 1))
    return onnx.ConvTranspose(x, w, *_given(b), group=groups, output_padding=list(extra), **options)


def _kernel(w: Any) -> Any:
    """Return the weights of a convolution, (out, in, KH, KW) or (out, in, K), as (KH, KW, in, out)."""
    return ag.transpose(ag.expand_dims(w, 2) if w.ndim == 3 else w, (2, 3, 1, 0))


def _conv(x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, group: int = 1, **given: Any) -> Any:
    _, *options = _window(x, w.shape[2:], **given)
    return _images(ag.conv2d, x, _kernel(w), b, *options, group)


def _conv_transpose(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, group: int = 1, output_padding: Any = None,
    strides: Any = None, pads: Any = None, dilations: Any = None,
) -> Any:  # fmt: skip
    _, stride, padding, dilation = _window(x, w.shape[2:], strides=strides, pads=pads, dilations=dilations)
    extra = (*(0,) * (4 - x.ndim), *(output_padding or (0,) * (x.ndim - 2)))
    return _images(ag.conv_transpose2d, x, _kernel(w), b, stride, padding, extra, dilation, group)


# Pools


def _writes_pool(operator: str) -> Callable[..., Any]:
    return lambda onnx, x, x_shape, **window: onnx.node(operator, x, **_attributes(x_shape[1:3], **window))


def _max_pool(x: Any, *, kernel_shape: Any, ceil_mode: int = 0, **given: Any) -> Any:
    if "SAME" in given.get("auto_pad", "") and {*given.get("dilations", ())} - {1}:
        raise ValueError("auto_pad with dilations has several meanings for a pool")
    return _images(ag.max_pool2d, x, *_window(x, kernel_shape, **given), bool(ceil_mode))


def _avg_pool(x: Any, *, kernel_shape: Any, ceil_mode: int = 0, count_include_pad: int = 0, **given: Any) -> Any:
    *options, _ = _window(x, kernel_shape, **given)
    return _images(ag.avg_pool2d, x, *options, bool(ceil_mode), bool(count_include_pad))


# Normalisation


def _write_batch_norm(onnx: Any, x: Any, w: Any, b: Any, eps: Any, mean: Any, variance: Any, x_shape: Any) -> Any:
    if mean is None:
        raise ValueError("it takes the statistics of the batch; call model.eval() first")
    sequence = len(x_shape) == 3
    x = onnx.transposed(x, (0, 2, 1)) if sequence else x
    out = onnx.BatchNormalization(x, w, b, mean, variance, epsilon=float(eps))
    return onnx.transposed(out, (0, 2, 1)) if sequence else out


def _batch_norm(
    x: Any, w: Any, b: Any, *running: Any, epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0
) -> Any:
    return channels_last(ag.batch_norm)(x, w, b, epsilon, *(() if training_mode else running))


def _group_norm(x: Any, w: Any, b: Any, *, num_groups: int, epsilon: float = 1e-5) -> Any:
    """Before opset 21, a group has one weight."""
    w, b = (ag.repeat(a, x.shape[1] // a.shape[0]) if a.shape[0] < x.shape[1] else a for a in (w, b))
    return channels_last(ag.group_norm)(x, num_groups, w, b, epsilon)


def _instance_norm(x: Any, w: Any, b: Any, epsilon: float = 1e-5) -> Any:
    return channels_last(ag.instance_norm)(x, w, b, epsilon)


def _local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    """A window of an even size has one channel more behind, and in PyTorch before."""
    return channels_last(ag.local_response_norm)(x, size, alpha, beta, bias)


# Pixels and channels


def _swapped(x: Any, first: int, second: int) -> Any:
    """Exchange the two factors of the axis of channels."""
    n, c, *size = x.shape
    return ag.reshape(ag.moveaxis(ag.reshape(x, (n, first, second, *size)), 1, 2), (n, c, *size))


def _depth_to_space(x: Any, blocksize: int, mode: str = "DCR") -> Any:
    """The mode CRD is `pixel_shuffle`; in DCR the channels of a pixel are far apart."""
    b, c = blocksize, x.shape[1]
    return channels_last(ag.pixel_shuffle)(x if mode == "CRD" else _swapped(x, b**2, c // b**2), b)


def _space_to_depth(x: Any, blocksize: int) -> Any:
    return _swapped(channels_last(ag.pixel_unshuffle)(x, blocksize), x.shape[1], blocksize**2)


ENTRIES = [
    Entry("Conv", ag.conv2d, _write_conv, _conv),
    Entry("ConvTranspose", ag.conv_transpose2d, _write_conv_transpose, _conv_transpose),
    Entry("MaxPool", ag.max_pool2d, _writes_pool("MaxPool"), _max_pool, only={"storage_order": (0,)}),
    Entry("AveragePool", ag.avg_pool2d, _writes_pool("AveragePool"), _avg_pool, only={"dilations": (1,)}),
    Entry("BatchNormalization", ag.batch_norm, _write_batch_norm, _batch_norm, buffers=(3, 4)),
    Entry("GroupNormalization", read=_group_norm),
    Entry("InstanceNormalization", read=_instance_norm),
    Entry("LRN", read=_local_response_norm, only={"size": range(1, 99, 2)}),
    Entry("GlobalAveragePool", read=lambda x: ag.mean(x, tuple(range(2, x.ndim)), keepdims=True)),
    Entry("GlobalMaxPool", read=lambda x: ag.max(x, tuple(range(2, x.ndim)), keepdims=True)),
    Entry("DepthToSpace", read=_depth_to_space),
    Entry("SpaceToDepth", read=_space_to_depth),
    Entry("Resize", read=resize, options=(1, 2, 3), only=ONLY),
]
