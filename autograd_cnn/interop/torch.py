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
from autograd_cnn.interop.calls import Call, calls_of, evaluating
from autograd_cnn.nn import Module

_NAMES = {"w": "weight", "b": "bias"}
_CONVOLUTIONS = {"conv2d", "conv_transpose2d"}
_PRODUCTS = {"linear", "matmul", "contract"}
_VIEWS = {"alias", "astype", "expand_dims", "reshape"}

_PLAIN, _IMAGE = "plain", "image"
"""Kinds of an array: the same axes in PyTorch, and channels last here but first there. A third kind is the tuple of the
extents (H, W, C) that a flatten joined, and the fourth is `_Mixed`."""


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
    with evaluating(model):
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
        self.examples = {id(t.data) for t in inputs}
        self.kinds: dict[int, Any] = {id(t.data): _IMAGE if t.ndim == 4 else _PLAIN for t in inputs}
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
        for name, array in operands:
            if id(array) in self.weights:
                self.use(call, name, self.weights[id(array)], kind, x)
        self.kinds[id(out)] = _PLAIN if x is None else self.after(call, kind, x, out)

    @staticmethod
    def common(kinds: list[Any]) -> Any:
        """Return the kind of several operands. Images may be added to numbers per channel, and so on."""
        mixed = next((k for k in kinds if isinstance(k, _Mixed)), None)
        joined = next((k for k in kinds if isinstance(k, tuple)), None)
        return mixed or joined or (_IMAGE if _IMAGE in kinds else _PLAIN)

    def use(self, call: Call, name: str, path: str, kind: Any, x: np.ndarray | None) -> None:
        """Note the layout of a weight that `call` takes as its argument `name`."""
        weight, operation = self.tensors[path], call.primitive.name
        n, described = weight.ndim, f"{operation} ({call.place})"
        same = tuple(range(n))
        layout = Layout(same)
        rows = kind if isinstance(kind, tuple) else ()
        if operation in _CONVOLUTIONS and name == "w":
            if isinstance(kind, _Mixed):
                self.refuse(path, kind.reason)
            layout = Layout((n - 1, n - 2, *same[:-2]))
        elif operation in _PRODUCTS and n > 1:
            if isinstance(kind, _Mixed) and not kind.last:
                self.refuse(path, kind.reason)
            if rows and (operation == "contract" or weight.shape[0] != math.prod(rows)):
                self.refuse(path, f"the rows of {described} are joined pixels")
            layout = Layout((1, 0) if operation == "linear" else same, rows)
        elif operation not in _CONVOLUTIONS | _PRODUCTS and x is not None:
            if n == 1 and rows and weight.shape[0] == math.prod(rows):
                layout = Layout(same, rows)
            elif n > 1 and kind == _IMAGE and n in (x.ndim - 1, x.ndim):
                first = same[: n - x.ndim + 1]
                layout = Layout((*first, n - 1, *same[len(first) : -1]))
            elif n > 1 and kind != _PLAIN:
                reason = kind.reason if isinstance(kind, _Mixed) else f"{described} combines it with {x.shape}"
                self.refuse(path, reason)
        known, by = self.found.setdefault(path, (layout, described))
        if known != layout:
            self.refuse(path, f"{by} and {described} need it in different layouts")

    def after(self, call: Call, kind: Any, x: np.ndarray, out: np.ndarray) -> Any:
        """Return the kind of the result of `call`, whose operands have the common `kind`."""
        operation = call.primitive.name
        if operation in _CONVOLUTIONS:
            return _IMAGE
        if operation in _PRODUCTS:  # PyTorch multiplies along the last axis, too
            return kind if isinstance(kind, _Mixed) and not kind.last else _PLAIN
        mixed = _Mixed(f"{operation} {x.shape} -> {out.shape} ({call.place}) mixes pixels, or examples, with channels")
        if operation in ("reshape", "flatten") and not call.composed and x.shape != out.shape:
            return self.reshaped(kind, x, out, mixed)
        if operation in ("transpose", "permute_dims") and not call.composed and kind == _IMAGE:
            axes = call.values[1]
            n = x.ndim
            return _PLAIN if axes and tuple(a % n for a in axes) == (0, n - 1, *range(1, n - 1)) else mixed
        if isinstance(kind, _Mixed):
            return _PLAIN if kind.last and out.ndim <= 2 and out.shape[-1:] == x.shape[-1:] else kind
        if isinstance(kind, tuple):
            if out.shape[-1:] == x.shape[-1:]:
                return kind
            return _PLAIN if out.ndim < x.ndim or out.shape[-1] == 1 else mixed
        return kind if out.ndim > 2 else _PLAIN

    def reshaped(self, kind: Any, x: np.ndarray, out: np.ndarray, mixed: _Mixed) -> Any:
        if isinstance(kind, tuple):
            return _IMAGE if out.shape[1:] == kind else mixed
        if kind == _IMAGE and out.ndim == 2 and out.shape[0] == x.shape[0]:
            *pixels, channels = x.shape[1:]
            return _PLAIN if channels == 1 or math.prod(pixels) == 1 else x.shape[1:]
        if kind == _IMAGE:
            last = out.shape[-1:] == x.shape[-1:]
            return _PLAIN if last and out.ndim <= 2 else _Mixed(mixed.reason, last)
        if kind == _PLAIN and x.ndim == 2 and out.ndim > 3 and id(x) not in self.examples:
            return _Mixed(mixed.reason.replace("mixes pixels, or examples, with channels", "makes images of features"))
        return kind
