"""Finds how each weight of a model looks in PyTorch. Imports the engine, `nn` and its neighbour; PyTorch is not needed.

PyTorch has images as (N, C, H, W), weights of convolutions as (out, in, KH, KW) and of dense layers as (out, in). Most
weights only change the order of their axes, which follows from the operation that uses them. A dense layer behind a
flatten also changes the order of its rows, from (H, W, C) to (C, H, W). So one run of the model is observed, and every
array in it gets a kind: what its axes are there, compared with here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.interop.calls import Call, calls_of
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode

_NAMES = {"w": "weight", "b": "bias"}
_CONVOLUTIONS = {"conv2d", "conv_transpose2d"}
_PRODUCTS = {"linear", "matmul", "contract"}
_VIEWS = {"alias", "astype", "expand_dims", "reshape"}

_GIVEN, _PLAIN, _IMAGE = "given", "plain", "image"
"""Kinds of an array: an input, on which no weight has acted, or another array that has the same axes in PyTorch, and
images, whose channels are last here but first there. A tuple is the kind of an array whose last axis a flatten joined
from these extents (H, W, C), and a `_Mixed` that of the rest."""


@dataclass(frozen=True)
class _Mixed:
    """The kind of an array whose axes are unknown in PyTorch; `last` says that the last axis is as it was."""

    reason: str
    last: bool = False


@dataclass(frozen=True)
class Layout:
    """Converts a weight: its first axis, of the extents `rows`, becomes channels first; then `axes` are transposed."""

    axes: tuple[int, ...]
    rows: tuple[int, ...] = ()

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of this package."""
        if self.rows:
            parts = array.reshape(*self.rows, *array.shape[1:])
            array = np.moveaxis(parts, len(self.rows) - 1, 0).reshape(array.shape)
        return array.transpose(self.axes)

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """Convert a weight of PyTorch."""
        array = array.transpose(np.argsort(self.axes))
        if self.rows:
            parts = array.reshape(self.rows[-1], *self.rows[:-1], *array.shape[1:])
            array = np.moveaxis(parts, 0, len(self.rows) - 1).reshape(array.shape)
        return array


def torch_names(caller: str, paths: Mapping[str, Any]) -> dict[str, str]:
    """Return PyTorch's name for each path of a weight: ``conv1.w`` is ``conv1.weight``."""
    names = {}
    for path in paths:
        head, dot, last = path.rpartition(".")
        names[path] = head + dot + _NAMES.get(last, last)
    twice = [path for path in paths if path != names[path] and names[path] in paths]
    if twice:
        raise ValueError(f"{caller}: PyTorch's name for {twice[0]} is {names[twice[0]]}, which the model has already")
    return names


def torch_layouts(caller: str, model: Module, example: Any) -> dict[str, Layout]:
    """Run a model in evaluation mode on an example, and return how to convert each of its weights, by path.

    Raises
    ------
    ValueError
        If the layout of a weight cannot be found.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    inputs = tuple(Tensor(x) for x in (example if isinstance(example, tuple) else (example,)))
    with in_training_mode(model, training=False):
        calls, _ = calls_of(model, inputs)
    finder = _Finder(caller, tensors, inputs)
    for call in calls:
        finder.see(call)
    return finder.all()


class _Finder:
    """Passes through the calls of a model: the kind of each array, and the layout of each weight."""

    def __init__(self, caller: str, tensors: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> None:
        self.caller, self.tensors = caller, tensors
        self.weights = {id(t.data): path for path, t in tensors.items()}  # also views of them
        self.kinds: dict[int, Any] = {id(t.data): _IMAGE if t.ndim == 4 else _GIVEN for t in inputs}
        self.found: dict[str, tuple[Layout, str]] = {}

    def all(self) -> dict[str, Layout]:
        """Return the layout of every weight. A vector needs no conversion, even if the run does not use it."""
        for path, t in self.tensors.items():
            if path not in self.found and t.ndim > 1:
                self.refuse(path, "model(example) does not use it")
        same = {path: Layout(tuple(range(t.ndim))) for path, t in self.tensors.items()}
        return {path: self.found[path][0] if path in self.found else layout for path, layout in same.items()}

    def refuse(self, path: str, reason: str) -> NoReturn:
        shape = self.tensors[path].shape
        raise ValueError(f"{self.caller}: cannot convert {path} {shape} between the two layouts: {reason}")

    def see(self, call: Call) -> None:
        operands, out = list(call.arrays()), call.out.data
        if call.primitive.name in _VIEWS and len(operands) == 1 and id(operands[0][1]) in self.weights:
            self.weights[id(out)] = self.weights[id(operands[0][1])]
            return
        activations = [a for _, a in operands if id(a) in self.kinds]
        kind = self.common([self.kinds[id(a)] for a in activations])
        x = activations[0] if activations else None
        weights = [(name, self.weights[id(array)]) for name, array in operands if id(array) in self.weights]
        for name, path in weights:
            self.use(call, name, path, kind, x)
        kind = _PLAIN if kind == _GIVEN and weights else kind
        self.kinds[id(out)] = _PLAIN if x is None else self.after(call, kind, x, out)

    @staticmethod
    def common(kinds: list[Any]) -> Any:
        """Return the kind of several operands. One that is known for sure decides how PyTorch has the others."""
        mixed = [k for k in kinds if isinstance(k, _Mixed)]
        if mixed and (_IMAGE not in kinds or not all(k.last for k in mixed)):
            return min(mixed, key=lambda k: k.last)
        joined = [k for k in kinds if isinstance(k, tuple)]
        return joined[0] if joined else next((k for k in (_IMAGE, _PLAIN, _GIVEN) if k in kinds), _PLAIN)

    def use(self, call: Call, name: str, path: str, kind: Any, x: np.ndarray | None) -> None:
        """Note the layout of a weight that `call` takes as its argument `name`."""
        weight, operation = self.tensors[path], call.primitive.name
        n, described = weight.ndim, f"{operation} ({call.place})"
        same = tuple(range(n))
        layout = Layout(same)
        rows = kind if isinstance(kind, tuple) else ()
        known = n == 1 or operation in _CONVOLUTIONS | _PRODUCTS
        if isinstance(kind, _Mixed) and name != "b" and weight.size > 1 and not (kind.last and known):
            self.refuse(path, kind.reason)
        if operation in _CONVOLUTIONS and name == "w":
            layout = Layout((n - 1, n - 2, *same[:-2]))
        elif operation in _PRODUCTS and n > 1:
            unknown = operation == "contract" and kind not in (_PLAIN, _GIVEN)
            if unknown or (rows and weight.shape[0] != math.prod(rows)):
                self.refuse(path, f"{described} combines it with {'' if x is None else x.shape}")
            layout = Layout((1, 0) if operation == "linear" else same, rows)
        elif operation not in _CONVOLUTIONS | _PRODUCTS and x is not None:
            if n == 1 and rows and weight.shape[0] == math.prod(rows):
                layout = Layout(same, rows)
            elif n > 1 and kind == _IMAGE and n in (x.ndim - 1, x.ndim):
                first = same[: n - x.ndim + 1]
                layout = Layout((*first, n - 1, *same[len(first) : -1]))
            elif n > 1 and kind not in (_PLAIN, _GIVEN):
                self.refuse(path, f"{described} combines it with {x.shape}")
        first_layout, by = self.found.setdefault(path, (layout, described))
        if first_layout != layout:
            self.refuse(path, f"{by} and {described} need it in different layouts")

    def after(self, call: Call, kind: Any, x: np.ndarray, out: np.ndarray) -> Any:
        """Return the kind of the result of `call`, whose operands have the common `kind`."""
        operation = call.primitive.name
        same_last = out.shape[-1:] == x.shape[-1:]
        mixed = _Mixed(f"{operation} {x.shape} -> {out.shape} ({call.place}) mixes pixels, or examples, with channels")
        if operation in _CONVOLUTIONS:
            return _IMAGE
        if operation in _PRODUCTS:  # along the last axis, also in PyTorch, which images have to be transposed for
            pixels = _Mixed(f"{operation} ({call.place}) takes images, whose axes PyTorch may have in any order", True)
            return pixels if (kind == _IMAGE or isinstance(kind, _Mixed)) and out.ndim > 2 else _PLAIN
        if operation in ("reshape", "flatten") and not call.composed and x.shape != out.shape:
            return self.reshaped(kind, x, out, mixed)
        if operation in ("transpose", "permute_dims") and not call.composed and kind == _IMAGE:
            axes, n = call.values[1], x.ndim
            return _PLAIN if axes and tuple(a % n for a in axes) == (0, n - 1, *range(1, n - 1)) else mixed
        if isinstance(kind, _Mixed):
            return _PLAIN if kind.last and out.ndim <= 2 and same_last else kind
        if isinstance(kind, tuple):
            if call.primitive.moves and operation not in _VIEWS and operation != "copy":
                return mixed
            return kind if same_last else _PLAIN if out.ndim < x.ndim or out.shape[-1] == 1 else mixed
        return kind if out.ndim > 2 or kind == _GIVEN else _PLAIN

    @staticmethod
    def reshaped(kind: Any, x: np.ndarray, out: np.ndarray, mixed: _Mixed) -> Any:
        """Return the kind of the result of a reshape by the user."""
        last = out.shape[-1:] == x.shape[-1:]
        if isinstance(kind, _Mixed):
            return _PLAIN if kind.last and last and out.ndim <= 2 else _Mixed(kind.reason, kind.last and last)
        if isinstance(kind, tuple):
            return _IMAGE if out.shape[1:] == kind else mixed
        *pixels, channels = x.shape[1:] if kind == _IMAGE else out.shape[1:]
        ordered = channels == 1 or math.prod(pixels) == 1  # the same order in both layouts
        if kind == _IMAGE and out.ndim == 2 and out.shape[0] == x.shape[0]:
            return _PLAIN if ordered else x.shape[1:]
        if kind == _IMAGE:
            return _PLAIN if last and out.ndim <= 2 else _Mixed(mixed.reason, last)
        if kind == _PLAIN and x.ndim == 2 and out.ndim > 3 and not ordered:
            return _Mixed(mixed.reason.replace("mixes pixels, or examples, with channels", "makes images of features"))
        return kind
