"""The workloads to time, each the same computation on the same numbers in every library.

A function without arguments builds a `Work` and imports its library, so a process that runs one workload alone holds no
other library. `CONTESTS` lists the builders of all libraries, under the title of the workload. Imports NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OURS = "autograd_cnn"
LAYOUTS = {"PyTorch channels_last": "channels_last", "PyTorch default": "contiguous_format"}
# Axes that convert our order to PyTorch's: images NHWC -> NCHW, weights HWIO -> OIHW and (in, out) -> (out, in)
AXES = {"images": (0, 3, 1, 2), "filters": (3, 2, 0, 1), "matrix": (1, 0)}


@dataclass(frozen=True)
class Work:
    """A workload to time.

    Parameters
    ----------
    run : function
        Runs it once.
    results : function, optional
        Runs it once; returns arrays in our layout, which must be equal for all libraries.
    per : float
        Units in one run, such as operations or images; times are divided by it.
    """

    run: Callable[[], object]
    results: Callable[[], list[Array]] | None = None
    per: float = 1


Builder = Callable[[], Work]


def _kind(name: str, array: Any) -> str:
    return {("x", 4): "images", ("w", 4): "filters", ("w", 2): "matrix"}.get((name[0], array.ndim), "")


def _to_torch(name: str, array: Array, layout: str) -> Any:
    import torch

    kind = _kind(name, array)
    tensor = torch.from_numpy(array.transpose(AXES[kind]) if kind else array)
    return tensor.clone(memory_format=getattr(torch, layout) if array.ndim == 4 else torch.contiguous_format)


def _from_torch(name: str, tensor: Any) -> Array:
    array: Array = tensor.detach().numpy()
    kind = _kind(name, array)
    return array.transpose(np.argsort(AXES[kind])) if kind else array


# Networks


@dataclass(frozen=True)
class CNN:
    """Three 3x3 convolutions with relu and max pooling, then two linear layers, sigmoid and binary cross-entropy."""

    pool: tuple[int, int]  # kernel, stride
    edges: tuple[int, int, int, int]  # pixels along an edge: of the input of each convolution, of the last output

    def images(self, batch: int) -> tuple[Array, Array]:
        """Images, (batch, 32, 32, 3) in [0, 1), and one-hot classes, (batch, 10), both float32."""
        rng = np.random.default_rng(0)
        return rng.random((batch, 32, 32, 3), np.float32), np.eye(10, dtype=np.float32)[rng.integers(0, 10, batch)]

    def parameters(self) -> dict[str, Array]:
        """Weights, HWIO and (in, out), normal with variance 2 / inputs, and biases of 0, float32."""
        rng = np.random.default_rng(1)
        shapes = [(3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 128), (self.edges[3] ** 2 * 128, 256), (256, 10)]
        found: dict[str, Array] = {}
        for i, shape in enumerate(shapes, 1):
            w = rng.standard_normal(shape, np.float32)
            w *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))  # in place, since peaks of memory are measured
            found |= {f"w{i}": w, f"b{i}": np.zeros(shape[-1], np.float32)}
        return found

    def products(self, batch: int) -> list[tuple[int, int, int]]:
        """Sizes (m, k, n) of the matrix products of a step; the first layer has no input gradient."""
        channels = zip(self.edges, (3, 32, 64), (32, 64, 128), strict=False)
        layers = [(batch * edge**2, 9 * inputs, outputs) for edge, inputs, outputs in channels]
        layers += [(batch, self.edges[3] ** 2 * 128, 256), (batch, 256, 10)]
        forward_and_weights = [p for m, k, n in layers for p in ((m, k, n), (k, m, n))]
        return forward_and_weights + [(m, n, k) for m, k, n in layers[1:]]


STANDARD, ORIGINAL = CNN((2, 2), (32, 16, 8, 4)), CNN((3, 1), (32, 30, 28, 26))


def _our_forward(ag: ModuleType, cnn: CNN, p: Mapping[str, Any], h: Any) -> Any:
    for i in "123":
        h = ag.max_pool2d(ag.relu(ag.conv2d(h, p[f"w{i}"], p[f"b{i}"], padding=1)), *cnn.pool)
    h = ag.relu(ag.linear(ag.flatten(h, 1), p["w4"], p["b4"]))
    return ag.sigmoid(ag.linear(h, p["w5"], p["b5"]))


def _torch_network(cnn: CNN, layout: str, same_numbers: bool) -> Any:
    """Build the module; `same_numbers` copies our parameters into it, which takes memory for both."""
    import torch
    from torch import nn

    model: Any = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*cnn.pool),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*cnn.pool),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*cnn.pool),
        nn.Flatten(), nn.Linear(cnn.edges[3] ** 2 * 128, 256), nn.ReLU(), nn.Linear(256, 10), nn.Sigmoid(),
    )  # fmt: skip
    model.to(memory_format=getattr(torch, layout))
    if same_numbers:
        with torch.no_grad():
            for ours, theirs in zip(cnn.parameters().items(), model.parameters(), strict=True):
                theirs.copy_(torch.from_numpy(_reordered(cnn, *ours)))
    return model


def _reordered(cnn: CNN, name: str, array: Array, back: bool = False) -> Array:
    """Convert a parameter to PyTorch's order, or `back`: PyTorch flattens by channel, we flatten by pixel."""
    pixels, channels, units = cnn.edges[3] ** 2, 128, 256
    if name == "w4":
        apart = (units, channels, pixels) if back else (pixels, channels, units)
        return array.reshape(apart).transpose(2, 1, 0).reshape(array.shape[::-1])
    axes = AXES.get(_kind(name, array), (0,))
    return array.transpose(np.argsort(axes) if back else axes)


def our_step(cnn: CNN, batch: int, per: float = 1) -> Work:
    """One training step with plain functions: zero gradients, forward, backward, SGD."""
    import autograd_cnn as ag

    x, y = cnn.images(batch)
    p = {name: ag.Tensor(array, requires_grad=True, name=name) for name, array in cnn.parameters().items()}
    optimiser = ag.optim.SGD(p.values(), lr=0.01)

    def step() -> None:
        optimiser.zero_grad()
        ag.bce(_our_forward(ag, cnn, p, x), y).backward()
        optimiser.step()

    def results() -> list[Array]:
        step()
        return [t.grad for t in p.values()]

    return Work(step, results, per)


def torch_step(cnn: CNN, batch: int, layout: str, same_numbers: bool = True) -> Work:
    """The same in PyTorch."""
    import torch

    x, y = cnn.images(batch)
    images, targets = _to_torch("x", x, layout), torch.from_numpy(y)
    model = _torch_network(cnn, layout, same_numbers)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_of = torch.nn.BCELoss()

    def step() -> None:
        optimiser.zero_grad()
        loss_of(model(images), targets).backward()
        optimiser.step()

    def results() -> list[Array]:
        step()
        named = zip(cnn.parameters(), model.parameters(), strict=True)
        return [_reordered(cnn, name, p.grad.numpy(), back=True) for name, p in named]

    return Work(step, results)


def our_inference(cnn: CNN, batch: int) -> Work:
    """The forward pass alone, without recording."""
    import autograd_cnn as ag

    x, _ = cnn.images(batch)
    p = {name: ag.Tensor(array, requires_grad=True, name=name) for name, array in cnn.parameters().items()}

    def infer() -> Any:
        with ag.no_grad():
            return _our_forward(ag, cnn, p, x)

    return Work(infer, lambda: [infer().data])


def torch_inference(cnn: CNN, batch: int, layout: str) -> Work:
    """The same in PyTorch."""
    import torch

    images, model = _to_torch("x", cnn.images(batch)[0], layout), _torch_network(cnn, layout, True)

    def infer() -> Any:
        with torch.no_grad():
            return model(images)

    return Work(infer, lambda: [infer().numpy()])


# Matrix products


def sgemm(cnn: CNN, batch: int, size: int = 2048) -> Work:
    """A large product; `per` scales its time to the multiplications of one step."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, size, size), np.float32)
    out = np.empty_like(a)
    return Work(lambda: np.matmul(a, b, out=out), per=size**3 / sum(m * k * n for m, k, n in cnn.products(batch)))


def products(cnn: CNN, batch: int) -> Work:
    """Only the matrix products of a step, on whole batches, one after the other."""
    rng = np.random.default_rng(0)
    pairs = [(rng.random((m, k), np.float32), rng.random((k, n), np.float32)) for m, k, n in cnn.products(batch)]
    outs = [np.empty((len(a), b.shape[1]), np.float32) for a, b in pairs]

    def run() -> None:
        for (a, b), out in zip(pairs, outs, strict=True):
            np.matmul(a, b, out=out)

    return Work(run)


# Layers: forward and backward, with gradients of everything that is differentiable


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
        _IMAGES,
        lambda lib, x: lib.dropout(x, 0.5, MASKS),
        lambda lib, x: lib.dropout(x, 0.5),
        random=True,
    ),
    "linear, 2048 to 256": Layer(
        {"x": (100, 2048), "w": (2048, 256), "b": (256,)}, lambda lib, x, w, b: lib.linear(x, w, b)
    ),
    "softmax, 100 x 10": Layer({"x": (100, 10)}, lambda lib, x: lib.softmax(x, -1)),
    "softmax, 25 600 x 64": Layer({"x": (25600, 64)}, lambda lib, x: lib.softmax(x, -1)),
    "cross-entropy, 100 x 10": _cross_entropy(100),
    "cross-entropy, 10 000 x 10": _cross_entropy(10000),
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
    p = {name: _to_torch(name, a, layout).requires_grad_() for name, a in layer.numbers().items()}
    ours = _seed(_from_torch("x", function(functional, **p)))
    seed = ours if ours is None else _to_torch("x", ours, layout)

    def run() -> Any:
        for t in p.values():
            t.grad = None
        y = function(functional, **p)
        y.backward(seed)
        return y

    def results() -> list[Array]:
        y = _from_torch("x", run())
        return layer.compared(_from_torch("x", p["x"]), y, [_from_torch(name, t.grad) for name, t in p.items()])

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


# The chain: y = y * c + x, 1 000 times on 10 numbers, then the gradient of the sum

LINKS = 1000


def _chain(x: Any, c: Any) -> Any:
    y = x
    for _ in range(LINKS):
        y = y * c + x
    return y


def _chain_numbers() -> tuple[Array, Array]:
    return np.ones(10, np.float32), np.full(10, 0.999, np.float32)


def our_chain() -> Work:
    import autograd_cnn as ag

    start, c = _chain_numbers()

    def run() -> Any:
        x = ag.Tensor(start, requires_grad=True)
        _chain(x, c).sum().backward()
        return x.grad

    return Work(run, lambda: [run()], 2 * LINKS)


def torch_chain() -> Work:
    import torch

    start, c = map(torch.from_numpy, _chain_numbers())

    def run() -> Any:
        x = start.clone().requires_grad_()
        _chain(x, c).sum().backward()
        return x.grad

    return Work(run, lambda: [run().numpy()], 2 * LINKS)


def mygrad_chain(guarded: bool) -> Work:
    """The chain in MyGrad; `guarded` locks the arrays that backward needs, which is its default."""
    import mygrad

    start, c = _chain_numbers()
    guard = mygrad.mem_guard_on if guarded else mygrad.mem_guard_off

    def run() -> Any:
        with guard:
            x = mygrad.tensor(start)
            _chain(x, c).sum().backward()
            return x.grad

    return Work(run, lambda: [run()], 2 * LINKS)


def hips_chain() -> Work:
    numpy = import_module("autograd.numpy")
    x, c = _chain_numbers()
    gradient = import_module("autograd").grad(lambda x: numpy.sum(_chain(x, c)))
    return Work(lambda: gradient(x), lambda: [gradient(x)], 2 * LINKS)


def numpy_chain() -> Work:
    x, c = _chain_numbers()
    return Work(lambda: _chain(x, c).sum(), per=2 * LINKS)


# All contests


def _steps(cnn: CNN, batch: int, same_numbers: bool = True) -> dict[str, Builder]:
    theirs = {name: partial(torch_step, cnn, batch, layout, same_numbers) for name, layout in LAYOUTS.items()}
    return {OURS: partial(our_step, cnn, batch), **theirs}


def _inference(batch: int) -> dict[str, Builder]:
    theirs = {name: partial(torch_inference, STANDARD, batch, layout) for name, layout in LAYOUTS.items()}
    return {OURS: partial(our_inference, STANDARD, batch), **theirs}


def _layers(layer: Layer) -> dict[str, Builder]:
    layouts = LAYOUTS if any(len(shape) == 4 for shape in layer.shapes.values()) else {"PyTorch": "contiguous_format"}
    return {
        OURS: partial(our_layer, layer),
        **{n: partial(torch_layer, layer, layout) for n, layout in layouts.items()},
    }


CONTESTS: dict[str, dict[str, Builder]] = {
    "standard step": _steps(STANDARD, 100),
    "original step": _steps(ORIGINAL, 100),
    "limit": {
        OURS: partial(our_step, STANDARD, 100),
        "sgemm 2048": partial(sgemm, STANDARD, 100),
        "products": partial(products, STANDARD, 100),
    },
    **{f"inference {batch}": _inference(batch) for batch in (1, 100, 1000)},
    **{name: _layers(layer) for name, layer in LAYERS.items()},
    "Adam, 1 M parameters": {
        OURS: our_adam,
        "PyTorch default": partial(torch_adam, False),
        "PyTorch fused": partial(torch_adam, True),
    },
    "chain": {
        OURS: our_chain,
        "PyTorch": torch_chain,
        "MyGrad default": partial(mygrad_chain, True),
        "MyGrad unguarded": partial(mygrad_chain, False),
        "HIPS autograd": hips_chain,
        "NumPy": numpy_chain,
    },
    "memory standard 8": _steps(STANDARD, 8, same_numbers=False),
    "memory original 8": _steps(ORIGINAL, 8, same_numbers=False),
    "memory standard 100": _steps(STANDARD, 100, same_numbers=False),
    "memory standard 500": _steps(STANDARD, 500, same_numbers=False),
    "memory original 100": _steps(ORIGINAL, 100, same_numbers=False),
    "batches": {f"batch {n}": partial(our_step, STANDARD, n, n) for n in (32, 128, 512, 2048)},
}
