"""Layers, elementwise functions and an optimiser's update, each in both libraries, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
from work import LAYOUTS, OURS, Array, Builder, Work, from_torch, to_torch


@dataclass(frozen=True)
class Layer:
    """A function of arrays `x`, `w`, `b` of these shapes; `theirs` if PyTorch needs another one than `ours`.

    The library is the first argument: `autograd_cnn`, or `torch.nn.functional`.
    """

    shapes: Mapping[str, tuple[int, ...]]
    ours: Callable[..., Any]
    theirs: Callable[..., Any] | None = None
    random: bool = False  # each library draws its own masks

    def numbers(self) -> dict[str, Array]:
        """Normal numbers, float32; weights are scaled so that results are of order 1."""
        rng = np.random.default_rng(0)
        found = {name: rng.standard_normal(shape, np.float32) for name, shape in self.shapes.items()}
        if "w" in found:
            found["w"] /= np.float32(np.sqrt(max(1, found["w"][..., 0].size)))
        return found

    def compared(self, x: Array, y: Array, gradients: list[Array]) -> list[Array]:
        """Arrays that must be equal. For random masks: the share of zeros, that gradients share them, and the scale."""
        if not self.random:
            return [y, *gradients]
        return [
            np.array([np.mean(y == 0), np.mean((y == 0) == (gradients[0] == 0)), np.abs(y).sum() / np.abs(x).sum()])
        ]


def _conv(size: int, kernel: int, inputs: int, outputs: int, **options: int) -> Layer:
    shapes = {"x": (100, size, size, inputs), "w": (kernel, kernel, inputs // options.get("groups", 1), outputs)}
    return Layer({**shapes, "b": (outputs,)}, lambda lib, x, w, b: lib.conv2d(x, w, b, **options))


MASKS = np.random.default_rng(0)


@cache
def _batch_norm(lib: ModuleType) -> Any:
    return lib.nn.BatchNorm2d(32)


def _our_batch_norm(lib: ModuleType, x: Any, w: Any, b: Any) -> Any:
    module = _batch_norm(lib)
    module.w, module.b = w, b
    return module(x)


@cache
def _running() -> tuple[Any, Any]:
    import torch

    return torch.zeros(32), torch.ones(32)


def _cross_entropy(rows: int) -> Layer:
    labels = np.random.default_rng(1).integers(0, 10, rows)
    return Layer(
        {"x": (rows, 10)},
        lambda lib, x: lib.cross_entropy(x, labels),
        lambda lib, x: lib.cross_entropy(x, lib.torch.from_numpy(labels)),
    )


def _block(lib: Any, x: Any, heads: Any, out: Any, up: Any, down: Any, w: Any, b: Any) -> Any:
    """A block of a transformer with four heads."""
    q, k, v = ((lib.layer_norm(x, (128,), w, b) @ heads[n]).reshape(32, 64, 4, 32).swapaxes(1, 2) for n in range(3))
    x = x + (lib.softmax(q @ k.mT / 32**0.5, -1) @ v).swapaxes(1, 2).reshape(x.shape) @ out
    return x + lib.gelu(lib.layer_norm(x, (128,), w, b) @ up) @ down


_IMAGES = {"x": (100, 32, 32, 32)}
LAYERS = {
    "3x3 convolution": _conv(16, 3, 64, 64, padding=1),
    "3x3 convolution, stride 2": _conv(32, 3, 32, 64, padding=1, stride=2),
    "3x3 convolution, dilation 2": _conv(16, 3, 64, 64, padding=2, dilation=2),
    "3x3 convolution, 4 groups": _conv(16, 3, 64, 64, padding=1, groups=4),
    "3x3 depthwise convolution": _conv(32, 3, 32, 32, padding=1, groups=32),
    "1x1 convolution": _conv(16, 1, 64, 128),
    "5x5 convolution": _conv(32, 5, 32, 32, padding=2),
    "3x3 transposed convolution, stride 2": Layer(
        {"x": (100, 16, 16, 64), "w": (3, 3, 32, 64), "b": (32,)},
        lambda lib, x, w, b: lib.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
    ),
    "batch norm, training": Layer(
        {**_IMAGES, "w": (32,), "b": (32,)},
        _our_batch_norm,
        lambda lib, x, w, b: lib.batch_norm(x, *_running(), w, b, True),
    ),
    "average pooling 2/2": Layer(_IMAGES, lambda lib, x: lib.avg_pool2d(x, 2)),
    "max pooling 3x3, stride 1": Layer(_IMAGES, lambda lib, x: lib.max_pool2d(x, 3, 1)),
    "relu": Layer(_IMAGES, lambda lib, x: lib.relu(x)),
    "dropout": Layer(
        _IMAGES, lambda lib, x: lib.dropout(x, 0.5, MASKS), lambda lib, x: lib.dropout(x, 0.5), random=True
    ),
    "linear, 2048 to 256": Layer(
        {"x": (100, 2048), "w": (2048, 256), "b": (256,)}, lambda lib, x, w, b: lib.linear(x, w, b)
    ),
    "128 products of 64 x 32 x 64": Layer({"x": (128, 64, 32), "w": (128, 32, 64)}, lambda lib, x, w: x @ w),
    "layer norm, 2048 x 128": Layer(
        {"x": (2048, 128), "w": (128,), "b": (128,)}, lambda lib, x, w, b: lib.layer_norm(x, (128,), w, b)
    ),
    "block of a transformer": Layer(
        {
            "x": (32, 64, 128),
            "heads": (3, 128, 128),
            "out": (128, 128),
            "up": (128, 512),
            "down": (512, 128),
            "w": (128,),
            "b": (128,),
        },
        _block,
    ),
    "softmax, 100 x 10": Layer({"x": (100, 10)}, lambda lib, x: lib.softmax(x, -1)),
    "softmax, 25 600 x 64": Layer({"x": (25600, 64)}, lambda lib, x: lib.softmax(x, -1)),
    "cross-entropy, 100 x 10": _cross_entropy(100),
    "cross-entropy, 10 000 x 10": _cross_entropy(10000),
}
ELEMENTWISE = {
    f"{title}, 4 M numbers": Layer({"x": (4000, 1000)}, function)
    for title, function in {
        "GELU": lambda lib, x: lib.gelu(x),
        "leaky relu": lambda lib, x: lib.leaky_relu(x),
        "SiLU": lambda lib, x: lib.silu(x),
        "softplus": lambda lib, x: lib.softplus(x),
    }.items()
}


def _seed(y: Any) -> Array | None:
    """Gradient of the loss for `y`, in its shape; None if `y` is the loss."""
    return np.random.default_rng(2).standard_normal(y.shape, np.float32) if y.ndim else None


def our_layer(layer: Layer) -> Work:
    """Forward, and backward to all inputs."""
    import autograd_cnn as ag

    p = {name: ag.Tensor(array, requires_grad=True, name=name) for name, array in layer.numbers().items()}
    seed = _seed(layer.ours(ag, **p))

    def run() -> Any:
        for t in p.values():
            t.grad = None
        y = layer.ours(ag, **p)
        y.backward(seed)
        return y

    return Work(run, lambda: layer.compared(p["x"].data, run().data, [t.grad for t in p.values()]))


def torch_layer(layer: Layer, layout: str) -> Work:
    """The same in PyTorch."""
    from torch.nn import functional

    function = layer.theirs or layer.ours
    p = {name: to_torch(name, a, layout).requires_grad_() for name, a in layer.numbers().items()}
    ours = _seed(from_torch("x", function(functional, **p)))
    seed = ours if ours is None else to_torch("x", ours, layout)

    def run() -> Any:
        for t in p.values():
            t.grad = None
        y = function(functional, **p)
        y.backward(seed)
        return y

    def results() -> list[Array]:
        y = from_torch("x", run())
        return layer.compared(from_torch("x", p["x"]), y, [from_torch(name, t.grad) for name, t in p.items()])

    return Work(run, results)


def _adam_numbers() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((1000, 1000), np.float32), rng.standard_normal((1000, 1000), np.float32)


def our_adam() -> Work:
    """One update of a million parameters."""
    import autograd_cnn as ag

    w, g = _adam_numbers()
    p = ag.Tensor(w, requires_grad=True)
    optimiser = ag.optim.Adam([p], lr=1e-3)

    def run() -> Array:
        p.grad = g  # set again, since the optimiser warns of a gradient that is used twice
        optimiser.step()
        return p.data

    return Work(run, lambda: [run()])


def torch_adam(fused: bool) -> Work:
    """The same in PyTorch, as one fused kernel or, by default, as a loop over its operations."""
    import torch

    w, g = _adam_numbers()
    p = torch.nn.Parameter(torch.from_numpy(w))
    p.grad = torch.from_numpy(g)
    optimiser = torch.optim.Adam([p], lr=1e-3, fused=fused)

    def run() -> Any:
        optimiser.step()
        return p.detach()

    return Work(run, lambda: [run().numpy()])


def _contest(layer: Layer) -> dict[str, Builder]:
    images = any(len(shape) == 4 for shape in layer.shapes.values())  # nothing else depends on the layout
    layouts = LAYOUTS if images else {"PyTorch default": LAYOUTS["PyTorch default"]}
    theirs = {name: partial(torch_layer, layer, layout) for name, layout in layouts.items()}
    return {OURS: partial(our_layer, layer), **theirs}


CONTESTS: dict[str, dict[str, Builder]] = {
    **{name: _contest(layer) for name, layer in (LAYERS | ELEMENTWISE).items()},
    "Adam, 1 M parameters": {
        OURS: our_adam,
        "PyTorch default": partial(torch_adam, False),
        "PyTorch fused": partial(torch_adam, True),
    },
}
