"""Reads an ONNX file as a Module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs
from autograd_cnn.environment import plain as printable
from autograd_cnn.interop.onnx.shapes import NUMBERS
from autograd_cnn.interop.onnx.table import OPERATORS
from autograd_cnn.nn import Module
from autograd_cnn.ops.arithmetic import astype

OLDEST, CONVERTED = 7, 13  # before 13, axes and sizes were attributes, and softmax had another meaning
NODE: ContextVar[str] = ContextVar("node", default="")
"""The node that runs, with its file."""

_CURE = "Export it from the other program without them, or run the file in onnxruntime"
_DOMAINS = ("", "ai.onnx")  # of ONNX's own operators


class OnnxModule(Module):
    """The network in an ONNX file, which `load_onnx` makes.

    Its parameters are the float constants of the file that have an axis, under their names there. In a file without
    initialisers, as Paddle writes, they are the arrays of its Constants. It takes the inputs of the file in their
    order, and returns its output, or a tuple of several.

    Attributes
    ----------
    inputs, outputs : dict of str to tuple
        Shapes by name. An extent is an int, or a name for any size.
    """

    def __init__(self, model: Any, file: str = "the file") -> None:
        from onnx import helper, numpy_helper

        graph = model.graph
        self._file = file
        stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.inputs = {i.name: _shape(i) for i in graph.input if i.name not in stored}
        self.outputs = {o.name: _shape(o) for o in graph.output}
        dtype = helper.tensor_dtype_to_np_dtype
        self._dtypes = {i.name: dtype(i.type.tensor_type.elem_type) for i in graph.input if i.name not in stored}
        read = OPERATORS["Constant"].function
        literals = {n.output[0]: read(**_attributes(n, OLDEST)) for n in graph.node if n.op_type == "Constant"}
        nodes = [n for n in graph.node if n.op_type != "Constant"]
        self._nodes = _nodes(nodes, _opset(model), {*self.outputs})
        places = [(name, OPERATORS[n.op_type], i) for n in nodes for i, name in enumerate(n.input)]
        buffers = {name for name, operator, i in places if i in operator.buffers}
        options = {name for name, operator, i in places if i in operator.options}
        constants = stored | literals
        dtypes = {name: array.dtype for name, array in constants.items()} | self._dtypes
        self._odd = [f"{name} is {dtype.name}" for name, dtype in dtypes.items() if dtype.kind not in NUMBERS]
        floats = {n for n, a in constants.items() if a.dtype.kind == "f" and a.ndim and n not in options}
        tensors = [n for n in stored if n in floats] or [n for n in literals if n in floats and constants[n].size > 1]
        self._constants = {name: array for name, array in constants.items() if name not in tensors}
        made = {name: Tensor(constants[name].copy(), requires_grad=name not in buffers) for name in tensors}
        setattr(self, "", made)  # paths begin with no other name

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != len(self.inputs):
            raise TypeError(f"{type(self).__name__}: {len(inputs)} inputs, want {self._signature()}")
        values: dict[str, Any] = {"": None, **self._constants, **vars(self)[""]}
        for x, name in zip(inputs, self.inputs, strict=True):
            values[name] = self._checked(name, x)
        for node in self._nodes:
            node.run(values, self._file)
        outputs = [values[name] for name in self.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _checked(self, name: str, x: Any) -> Any:
        """Return an input as an array or a Tensor, after a check of its shape and its kind of numbers."""
        x = x if isinstance(x, Tensor) else np.asarray(x)
        shape, want = self.inputs[name], self._dtypes[name]
        if len(x.shape) != len(shape) or any(n != m for n, m in zip(x.shape, shape, strict=True) if isinstance(m, int)):
            raise ValueError(f"{type(self).__name__}: {name} is {x.shape}, want {self._signature()}")
        if x.dtype == want or x.dtype.kind == want.kind == "f":
            return x
        raise TypeError(f"{type(self).__name__}: {name} is {x.dtype}, want {want}: {name}.astype(np.{want})")

    def _signature(self) -> str:
        return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in self.inputs.items())


class _Node:
    """One node of the file.

    A result that nobody uses is called "". `like` has for each result the number of the operand whose dtype it has, or
    None; `ends` are the values that no later node needs, and `lacks` says what has no counterpart.
    """

    def __init__(self, node: Any, opset: int, used: set[str], ends: list[str]) -> None:
        from onnx import defs, helper

        self.operator, self.ends = node.op_type, ends
        self.label = f"{node.op_type} {node.name or node.output[0]}"
        self.operands, self.results = [*node.input], [name if name in used else "" for name in node.output]
        schema, entry = defs.get_schema(node.op_type, opset, ""), OPERATORS[node.op_type]
        self.attributes = _attributes(node, opset)
        known = {name: schema.attributes[name].default_value for name in entry.only if name in schema.attributes}
        defaults = {name: _value(helper.get_attribute_value(a)) for name, a in known.items() if a.type}
        self.lacks = entry.refusal(self.operands, defaults | self.attributes, self.results)
        if node.op_type == "Split":
            self.attributes["outputs"] = self.results
        kinds = [kind if name else "" for kind, name in _kinds(schema.inputs, node.input)]
        self.like = [kinds.index(kind) if kind in kinds else None for kind, _ in _kinds(schema.outputs, node.output)]

    def run(self, values: dict[str, Any], file: str) -> None:
        """Compute the results, and drop the values that nobody needs any more."""
        before = NODE.set(f"{file}: {self.label}")
        try:
            operands = [values[name] for name in self.operands]
            out = OPERATORS[self.operator].function(*operands, **self.attributes)
            results = out if isinstance(out, (list, tuple)) else (out,)
            for name, value, like in zip(self.results, results, self.like, strict=False):
                if name:
                    values[name] = value if like is None else _cast(value, operands[like].dtype)
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{NODE.get()}: {error}") from error
        finally:
            NODE.reset(before)
        for name in self.ends:
            values.pop(name, None)


def _cast(value: Any, dtype: Any) -> Any:
    """Give a result the dtype that ONNX gives it: NumPy adds up int32 as int64, for instance."""
    if value.dtype == dtype:
        return value
    if value.dtype.kind == "f" and dtype.kind != "f":
        raise ValueError(f"its numbers are {value.dtype} here, and {dtype} in ONNX")
    return astype(value, dtype)


def _kinds(parameters: Any, names: Any) -> Iterator[tuple[str, str]]:
    """Return the kind of dtype of each operand or result, and its name; the last parameter may occur several times."""
    kinds = [p.type_str for p in parameters]
    return zip(kinds + kinds[-1:] * (len(names) - len(kinds)), names, strict=False)


def _nodes(nodes: list[Any], opset: int, outputs: set[str]) -> list[_Node]:
    last = {name: k for k, node in enumerate(nodes) for name in node.input}
    used = {*last, *outputs}
    ends = [[name for name in {*node.input} - outputs if last[name] == k] for k, node in enumerate(nodes)]
    return [_Node(node, opset, used, names) for node, names in zip(nodes, ends, strict=True)]


def load_onnx(path: str | os.PathLike[str]) -> OnnxModule:
    """Read an ONNX file as a Module, which runs, and trains, with the operations of this package.

    The module takes what the file says: a network from PyTorch takes images as (N, C, H, W). Constants of the file
    become parameters, except running statistics, integers and single numbers. Dropout drops nothing.

    Parameters
    ----------
    path : path
        Opset 7 or later. Operators with graphs of their own, such as If and Loop, are refused.

    Returns
    -------
    OnnxModule

    Raises
    ------
    ImportError
        If ONNX is not installed.
    ValueError
        If it is not an ONNX file, is older, too large, or has operators or dtypes that this package lacks, or a name
        that is not printable; the message lists them.
    OSError
        If the file cannot be read.
    """
    with needs("onnx", "load_onnx", "onnx"):
        import onnx
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"load_onnx: {path} is not a regular file")
    try:
        model = onnx.load(path)
        model.ir_version = max(model.ir_version, 4)  # before, initialisers had to be inputs, too; others read them
        onnx.checker.check_model(model)
    except OSError:
        raise
    except Exception as error:  # protobuf and the checker have classes of their own
        raise _damaged(path, error) from None
    _check_limits(path, model)
    model = _converted(path, model)
    _check_vocabulary(path, model)
    try:
        module = OnnxModule(model, printable(os.path.basename(os.fspath(path))))
    except (ValueError, TypeError, LookupError) as error:  # numbers that do not fit their shape, or text that is none
        raise _damaged(path, error) from None
    if module._odd:
        raise ValueError(f"load_onnx: {path}: {module._odd[0]}, want floats or integers")
    for node in module._nodes:
        if node.lacks:
            raise ValueError(f"load_onnx: {path}: {node.label}: {node.lacks} has no counterpart. {_CURE}")
    return module


def _damaged(path: Any, error: Exception) -> ValueError:
    return ValueError(f"load_onnx: {path} is damaged, or not an ONNX file ({printable(' '.join(str(error).split()))})")


def _check_limits(path: Any, model: Any) -> None:
    """Raise an error if a file has names that are not printable, functions, or a version that is too new or unclear."""
    from onnx import defs

    graph = model.graph
    names = [n for node in graph.node for n in (node.name, node.op_type, node.domain, *node.output)]
    names += [n for value in graph.input for n in (value.name, *_shape(value))] + [t.name for t in graph.initializer]
    if odd := [name for name in map(str, names) if not name.isprintable()]:  # a damaged one is bytes
        raise ValueError(f"load_onnx: {path} has the name {printable(odd[0])}, which is not printable")
    if model.functions:
        cure = "import onnx.inliner; onnx.save(onnx.inliner.inline_local_functions(onnx.load(path)), path)"
        raise ValueError(f"load_onnx: {path} has functions of its own. Write them out: {cure}")
    if len({o.version for o in model.opset_import if o.domain in _DOMAINS}) > 1:
        raise ValueError(f"load_onnx: {path} has several versions of ONNX's operators")
    opset, newest = _opset(model), defs.onnx_opset_version()
    if opset > newest:
        raise ValueError(
            f"load_onnx: {path} has opset {opset}; the installed ONNX ends at {newest}: pip install -U onnx"
        )


def _converted(path: Any, model: Any) -> Any:
    """Return a model of an older opset as one of opset 13."""
    from onnx import version_converter

    opset = _opset(model)
    if opset >= CONVERTED or not opset:  # no operator is of ONNX itself
        return model
    resized = opset < 11 and any(node.op_type in ("Resize", "Upsample") for node in model.graph.node)
    if opset < OLDEST or resized:  # the converter gives an older Resize another grid
        want = "11 or later for Resize" if resized else f"{OLDEST} or later"
        raise ValueError(f"load_onnx: {path} has opset {opset}, want {want}. Export it again")
    try:
        model = version_converter.convert_version(model, CONVERTED)
    except Exception as error:
        reason = printable(" ".join(str(error).split()))
        raise ValueError(
            f"load_onnx: {path} has opset {opset}, which onnx.version_converter does not convert ({reason}). "
            f"Export it again with opset {CONVERTED} or later"
        ) from None
    return model


def _check_vocabulary(path: Any, model: Any) -> None:
    """Raise an error if a file has an operator that this package lacks."""
    graph = model.graph
    names = [n.op_type if n.domain in _DOMAINS else f"{n.domain}.{n.op_type}" for n in graph.node]
    unknown = Counter(name for name in names if name not in OPERATORS)
    if unknown:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
        raise ValueError(f"load_onnx: {path} has operators that this package lacks: {listed}. {_CURE}")
    if graph.sparse_initializer or any(a.name == "sparse_value" for n in graph.node for a in n.attribute):
        raise ValueError(f"load_onnx: {path} has sparse constants, which this package lacks")


def _opset(model: Any) -> int:
    return next((o.version for o in model.opset_import if o.domain in _DOMAINS), 0)


def _shape(value: Any) -> tuple[int | str, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else d.dim_param or "?" for d in dims)


def _attributes(node: Any, opset: int) -> dict[str, Any]:
    """Return the attributes of a node that are not the defaults of its operator."""
    from onnx import defs, helper

    known = defs.get_schema(node.op_type, opset, "").attributes
    given = [a for a in node.attribute if a.name not in known or a != known[a.name].default_value]
    return {a.name: _value(helper.get_attribute_value(a)) for a in given}


def _value(value: Any) -> Any:
    """Return an attribute as text, numbers or an array."""
    from onnx import TensorProto, numpy_helper

    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
