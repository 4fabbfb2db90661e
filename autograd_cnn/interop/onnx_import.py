"""Reads an ONNX file as a Module. Imports `nn`, the engine and its neighbour, the vocabulary `onnx_operators`."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs
from autograd_cnn.interop.onnx_operators import OPERATORS
from autograd_cnn.nn import Module

OLDEST = 13  # before, axes and sizes were attributes of some operators, and softmax had another meaning

_BUFFERS = {"BatchNormalization": (3, 4)}  # inputs that are no parameters, by operator
_OPTIONS = {"Pad": (2,), "Resize": (1, 2, 3), "Upsample": (1,)}


class OnnxModule(Module):
    """The network in an ONNX file, which `load_onnx` makes.

    Its parameters are the float constants of the file that have an axis, under their names there. It takes the inputs
    of the file in their order, and returns its output, or a tuple of several.

    Attributes
    ----------
    inputs, outputs : dict of str to tuple
        Shapes by name. An extent is an int, or a name for any size.
    """

    def __init__(self, model: Any) -> None:
        from onnx import helper, numpy_helper

        graph = model.graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        places = [(name, node.op_type, i) for node in graph.node for i, name in enumerate(node.input)]
        buffers = {name for name, operator, i in places if i in _BUFFERS.get(operator, ())}
        options = {name for name, operator, i in places if i in _OPTIONS.get(operator, ())}
        self._constants = {}
        self._tensors_by_name = {}
        for name, array in constants.items():
            if array.dtype.kind != "f" or not array.ndim or name in options:
                self._constants[name] = array
            else:
                path = name if not hasattr(self, name) else f"{name}_"
                setattr(self, path, Tensor(array.copy(), requires_grad=name not in buffers))
                self._tensors_by_name[name] = path
        self.inputs = {i.name: _shape(i) for i in graph.input if i.name not in constants}
        self.outputs = {o.name: _shape(o) for o in graph.output}
        last = {name: k for k, node in enumerate(graph.node) for name in node.input}
        self._nodes = []
        for k, node in enumerate(graph.node):
            attributes = {a.name: _value(helper.get_attribute_value(a)) for a in node.attribute}
            if node.op_type == "Split":
                attributes["outputs"] = len(node.output)
            ends = [name for name in {*node.input} if last[name] == k and name not in self.outputs]
            label = f"{node.op_type} {node.name}".strip()
            self._nodes.append((OPERATORS[node.op_type], label, [*node.input], [*node.output], attributes, ends))

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != len(self.inputs):
            raise TypeError(f"{type(self).__name__}: {len(inputs)} inputs, want {self._signature()}")
        values: dict[str, Any] = {"": None, **self._constants}
        values |= {name: vars(self)[path] for name, path in self._tensors_by_name.items()}
        for x, (name, shape) in zip(inputs, self.inputs.items(), strict=True):
            values[name] = x if isinstance(x, Tensor) else np.asarray(x)
            got = values[name].shape
            if len(got) != len(shape) or any(isinstance(m, int) and n != m for n, m in zip(got, shape, strict=True)):
                raise ValueError(f"{type(self).__name__}: {name} is {got}, want {self._signature()}")
        for function, label, operands, results, attributes, ends in self._nodes:
            try:
                out = function(*(values[name] for name in operands), **attributes)
            except (TypeError, KeyError) as error:  # an option, or a further result, that has no counterpart
                raise TypeError(f"{label}: {error}") from error
            out = out if isinstance(out, (list, tuple)) else (out,)
            values.update(zip(results, out, strict=False))
            for name in ends:
                values.pop(name, None)
        outputs = [values[name] for name in self.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _signature(self) -> str:
        return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in self.inputs.items())


def load_onnx(path: str | os.PathLike[str]) -> OnnxModule:
    """Read an ONNX file as a Module, which runs, and trains, with the operations of this package.

    The module takes what the file says: a network from PyTorch takes images as (N, C, H, W). Constants of the file
    become parameters, except running statistics, integers and single numbers. Dropout drops nothing.

    Parameters
    ----------
    path : path
        Opset 13 or later.

    Returns
    -------
    OnnxModule

    Raises
    ------
    ImportError
        If ONNX is not installed.
    ValueError
        If it is not an ONNX file, is older, or has operators that this package lacks; the message lists them.
    OSError
        If the file cannot be read.
    """
    with needs("onnx", "load_onnx", "onnx"):
        import onnx
        from onnx.inliner import inline_local_functions
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError:
        raise
    except Exception as error:  # protobuf and the checker have classes of their own
        raise ValueError(f"load_onnx: {path} is damaged, or not an ONNX file ({error})") from None
    model = inline_local_functions(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST:
        raise ValueError(f"load_onnx: {path} has opset {opset}, want {OLDEST} or later. Export it again")
    unknown = Counter(
        n.op_type if n.domain in ("", "ai.onnx") else f"{n.domain}.{n.op_type}"
        for n in model.graph.node
        if n.op_type not in OPERATORS or n.domain not in ("", "ai.onnx")
    )
    if unknown:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
        raise ValueError(f"load_onnx: {path} has operators that this package lacks: {names}")
    return OnnxModule(model)


def _shape(value: Any) -> tuple[int | str, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)


def _value(value: Any) -> Any:
    """Return an attribute as text, numbers or an array."""
    from onnx import TensorProto, numpy_helper

    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
