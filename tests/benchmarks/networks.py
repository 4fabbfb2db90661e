"""The networks, each built once for both libraries: their `nn` have the same layers, with the same arguments."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from work import COMPILED, LAYOUTS, MEMORY_KEPT, OURS, Array, Builder, Work, from_torch, to_torch


@dataclass(frozen=True)
class Network:
    """A network for images of 32x32x3 and ten classes.

    Parameters
    ----------
    layers : function
        Returns the layers, given the module `nn` of either library.
    momentum : float
        Of SGD.
    sigmoid : bool
        Whether the loss is the binary cross-entropy of ten sigmoids; otherwise it is the cross-entropy.
    """

    layers: Callable[[Any], list[Any]]
    momentum: float = 0.9
    sigmoid: bool = False


def _plain(size: int, *pool: int) -> Callable[[Any], list[Any]]:
    """Layers of a network whose pooling leaves size x size pixels: three 3x3 convolutions, two linear layers."""

    def layers(nn: Any) -> list[Any]:
        found = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
            found += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(*pool)]
        return [*found, nn.Flatten(), nn.Linear(size**2 * 128, 256), nn.ReLU(), nn.Linear(256, 10), nn.Sigmoid()]

    return layers


def _resnet(nn: Any) -> list[Any]:
    """ResNet-20 (He et al., "Deep residual learning for image recognition", 2016), with 1x1 shortcuts."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            stride = outputs // inputs
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            self.norm1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False) if stride > 1 else None
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            h = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
            return self.relu(h + (self.shortcut(x) if self.shortcut else x))

    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    blocks = [Block(*pair) for pair in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return [*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


def _modern(nn: Any) -> list[Any]:
    """2x2 convolution without padding, then three blocks that pool, with batch norm after every convolution."""
    found = [nn.Conv2d(3, 24, 2), nn.ReLU()]
    inputs = 24
    for outputs in (64, 256, 256):
        found += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(outputs)]
        found += [nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    return [*found, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10)]


NETWORKS = {
    "standard CNN": Network(_plain(4, 2), momentum=0, sigmoid=True),
    "original CNN": Network(_plain(26, 3, 1), momentum=0, sigmoid=True),
    "ResNet-20": Network(_resnet),
    "modern CNN": Network(_modern),
}


class Prepared:
    """A network in one library, and a batch of images and classes.

    Parameters
    ----------
    name : str
        Of `NETWORKS`.
    batch : int
        Number of images.
    layout : str, optional
        Of PyTorch's memory; without it, the library is ours.
    compiled : bool
        Whether the forward and backward pass is compiled by ``torch.compile``.
    """

    def __init__(self, name: str, batch: int, layout: str | None = None, compiled: bool = False) -> None:
        network, self.layout = NETWORKS[name], layout
        rng = np.random.default_rng(0)
        x, labels = rng.random((batch, 32, 32, 3), np.float32), rng.integers(0, 10, batch)
        y = np.eye(10, dtype=np.float32)[labels] if network.sigmoid else labels
        self.library: Any = import_module("torch" if layout else "autograd_cnn")
        nn = self.library.nn
        self.model = self.forward = nn.Sequential(*network.layers(nn))
        if layout is None:
            self.loss_of = self.library.bce if network.sigmoid else self.library.cross_entropy
            self.x, self.y = x, y
        else:
            self.loss_of = nn.functional.binary_cross_entropy if network.sigmoid else nn.functional.cross_entropy
            self.x, self.y = to_torch("x", x, layout), self.library.from_numpy(y)
            self.model.to(memory_format=getattr(self.library, layout))
        self.momentum = network.momentum
        self._set_numbers()
        self.forward_loss = self.loss
        if compiled:
            self.forward_loss, self.forward = map(self.library.compile, (self.loss, self.model))

    @cached_property
    def optimiser(self) -> Any:
        """SGD. Late, because PyTorch's imports its compiler."""
        return self.library.optim.SGD(self.model.parameters(), lr=0.01, momentum=self.momentum)

    def loss(self) -> Any:
        """Forward pass."""
        return self.loss_of(self.model(self.x), self.y)

    def step(self) -> None:
        """One training step."""
        self.optimiser.zero_grad()
        self.forward_loss().backward()
        self.optimiser.step()

    def gradients(self) -> list[Array]:
        """Gradients of a training step, in our order."""
        self.step()
        return [self._ours(p.grad, channels) for p, channels in self._parameters()]

    def infer(self) -> Any:
        """Forward pass without recording."""
        with self.library.no_grad():
            return self.forward(self.x)

    def _parameters(self) -> list[tuple[Any, int]]:
        """Each parameter, with the channels that the layer before it returns."""
        found, channels = [], 3
        for p in self.model.parameters():
            found.append((p, channels))
            if p.ndim > 1:
                channels = p.shape[-1] if self.layout is None else p.shape[0]
        return found

    def _ours(self, tensor: Any, channels: int) -> Array:
        """An array in our order. PyTorch flattens images by channel, we by pixel."""
        if self.layout is None:
            array: Array = tensor
            return array
        array = from_torch("w", tensor)
        return _exchanged(array, channels, -1) if array.ndim == 2 else array

    def _theirs(self, array: Array, channels: int) -> Any:
        return to_torch("w", _exchanged(array, -1, channels) if array.ndim == 2 else array, str(self.layout))

    def _set_numbers(self) -> None:
        """Give weights normal numbers, of variance 2 / inputs. Scales become 1, and biases 0."""
        rng = np.random.default_rng(1)
        for (name, _), (p, channels) in zip(self.model.named_parameters(), self._parameters(), strict=True):
            if p.ndim == 1:
                w = np.full(p.shape, not name.endswith(("b", "bias")), np.float32)
            else:
                shape = p.shape if self.layout is None else self._ours(p, channels).shape
                w = rng.standard_normal(shape, np.float32)
                w *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))
            p.data = w if self.layout is None else self._theirs(w, channels)


def _exchanged(matrix: Array, first: int, second: int) -> Array:
    """The rows of a matrix, of which there are `first` times `second` (one of them -1), as `second` times `first`."""
    return matrix.reshape(first, second, matrix.shape[1]).swapaxes(0, 1).reshape(matrix.shape)


def step(name: str, batch: int, layout: str | None = None, per: float = 1, compiled: bool = False) -> Work:
    """One training step: zero gradients, forward, backward, SGD."""
    prepared = Prepared(name, batch, layout, compiled)
    # Gradients of PyTorch's two layouts are 1 % apart too: rounding decides a maximum or a relu that is near a tie.
    return Work(prepared.step, prepared.gradients, per, roughness=1 if NETWORKS[name].sigmoid else 50)


def inference(name: str, batch: int, layout: str | None = None, compiled: bool = False) -> Work:
    """The forward pass alone, without recording."""
    prepared = Prepared(name, batch, layout, compiled)
    prepared.model.eval()
    return Work(prepared.infer, lambda: [np.asarray(prepared.infer().data)])


def onnx_inference(name: str, batch: int) -> Work:
    """The same in onnxruntime, of the model that PyTorch exports."""
    import onnxruntime
    import torch

    prepared, file = Prepared(name, batch, "contiguous_format"), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other exporter needs one more package
        torch.onnx.export(prepared.model.eval(), (prepared.x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["AUTOGRAD_CNN_NUM_THREADS"])
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: prepared.x.numpy()}
    return Work(lambda: session.run(None, feed), lambda: session.run(None, feed))


def _jax_probabilities(parameters: list[Any], x: Any) -> Any:
    """The standard CNN in JAX, which has our layout of images and weights."""
    import jax

    (*convolutions, (hidden, shift), (w, b)) = zip(parameters[::2], parameters[1::2], strict=True)
    for kernel, bias in convolutions:
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.lax.reduce_window(
            jax.nn.relu(x + bias), -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        )  # max pooling
    return jax.nn.sigmoid(jax.nn.relu(x.reshape(len(x), -1) @ hidden + shift) @ w + b)


def jax_step(batch: int) -> Work:
    """One training step of the standard CNN, compiled by ``jax.jit``, which starts a thread for each core."""
    import jax

    prepared = Prepared("standard CNN", batch)
    state = [jax.numpy.asarray(p.data) for p in prepared.model.parameters()]
    x, y = map(jax.numpy.asarray, (prepared.x, prepared.y))

    def loss(parameters: list[Any]) -> Any:
        p = _jax_probabilities(parameters, x)
        return -jax.numpy.mean(y * jax.numpy.log(p) + (1 - y) * jax.numpy.log(1 - p))

    gradients = jax.jit(jax.grad(loss))
    update = jax.jit(lambda state: jax.tree.map(lambda p, g: p - 0.01 * g, state, jax.grad(loss)(state)))

    def run() -> None:
        state[:] = jax.block_until_ready(update(state))

    return Work(run, lambda: [np.asarray(g) for g in gradients(state)])


def jax_inference(batch: int) -> Work:
    """The forward pass of the standard CNN, compiled by ``jax.jit``."""
    import jax

    prepared = Prepared("standard CNN", batch)
    parameters = [jax.numpy.asarray(p.data) for p in prepared.model.parameters()]
    forward, x = jax.jit(_jax_probabilities), jax.numpy.asarray(prepared.x)
    return Work(lambda: jax.block_until_ready(forward(parameters, x)), lambda: [np.asarray(forward(parameters, x))])


def _contest(work: Callable[..., Work], name: str, batch: int) -> dict[str, Builder]:
    theirs = {library: partial(work, name, batch, layout) for library, layout in LAYOUTS.items()}
    tuned = {COMPILED: partial(work, name, batch, "channels_last", compiled=True)}
    tuned[MEMORY_KEPT] = partial(work, name, batch, "channels_last")
    return {OURS: partial(work, name, batch), **theirs, **tuned}


CONTESTS: dict[str, dict[str, Builder]] = {
    **{f"{name}, step {batch}": _contest(step, name, batch) for name in NETWORKS for batch in (8, 32, 100, 500)},
    **{f"{name}, inference {batch}": _contest(inference, name, batch) for name in NETWORKS for batch in (1, 100, 1000)},
    "batches": {f"batch {n}": partial(step, "standard CNN", n, per=n) for n in (32, 128, 512, 2048)},
}
for batch in (1, 100, 1000):
    CONTESTS[f"standard CNN, inference {batch}"]["onnxruntime"] = partial(onnx_inference, "standard CNN", batch)
    CONTESTS[f"standard CNN, inference {batch}"]["JAX"] = partial(jax_inference, batch)
CONTESTS["standard CNN, step 100"]["JAX"] = partial(jax_step, 100)
