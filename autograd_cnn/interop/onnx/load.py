"""Reads an ONNX file as a Module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from typing import Any

import numpy as np

from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs
from autograd_cnn.environment import plain as printable
from autograd_cnn.interop.onnx.shapes import NUMBERS
from autograd_cnn.interop.onnx.table import OPERATORS
from autograd_cnn.nn import Module
from autograd_cnn.ops.arithmetic import astype

OLDEST = 13  # before, axes and sizes were attributes of some operators, and softmax had another meaning
MOST_NODES = 200_000  # after functions are written out; each may call others twice

_DOMAINS = ("", "ai.onnx")  # of ONNX's own operators


class OnnxModule(Module):
    """The network in an ONNX file, which `load_onnx` makes.

    Its parameters are the float constants of the file that have an axis, under their names there; a name that every
    Module has gets a ``_``. It takes the inputs of the file in their order, and returns its output, or a tuple of
    several.

    Attributes
    ----------
    inputs, outputs : dict of str to tuple
        Shapes by name. An extent is an int, or a name for any size.
    """

    def __init__(self, model: Any, file: str = "the file") -> None:
        from onnx import helper, numpy_helper

        graph = model.graph
        self._file, self._constants, self._tensors_by_name = file, {}, {}
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.inputs = {i.name: _shape(i) for i in graph.input if i.name not in constants}
        self.outputs = {o.name: _shape(o) for o in graph.output}
        dtype = helper.tensor_dtype_to_np_dtype
        self._dtypes = {i.name: dtype(i.type.tensor_type.elem_type) for i in graph.input if i.name not in constants}
        self._nodes = _nodes(model)
        places = [(name, OPERATORS[n.op_type], i) for n in graph.node for i, name in enumerate(n.input)]
        buffers = {name for name, operator, i in places if i in operator.buffers}
        options = {name for name, operator, i in places if i in operator.options}
        tensors = [n for n, a in constants.items() if a.dtype.kind == "f" and a.ndim and n not in options]
        self._constants = {name: array for name, array in constants.items() if name not in tensors}
        self._tensors_by_name = _paths(self, tensors)
        for name, path in self._tensors_by_name.items():
            setattr(self, path, Tensor(constants[name].copy(), requires_grad=name not in buffers))

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != len(self.inputs):
            raise TypeError(f"{type(self).__name__}: {len(inputs)} inputs, want {self._signature()}")
        values: dict[str, Any] = {"": None, **self._constants}
        values |= {name: vars(self)[path] for name, path in self._tensors_by_name.items()}
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
        if "f" in (x.dtype.kind, want.kind) or not np.can_cast(x.dtype, want):
            raise TypeError(f"{type(self).__name__}: {name} is {x.dtype}, want {want}: {name}.astype(np.{want})")
        return plain(x).astype(want)

    def _signature(self) -> str:
        return ", ".join(printable(f"{name} ({', '.join(map(str, shape))})") for name, shape in self.inputs.items())


class _Node:
    """One node of the file.

    A result that nobody uses is called "". `like` has for each result the number of the operand whose dtype it has, or
    None; `ends` are the values that no later node needs.
    """

    def __init__(self, node: Any, opset: int, used: set[str], ends: list[str]) -> None:
        from onnx import defs, helper

        self.operator, self.ends = node.op_type, ends
        self.label = printable(f"{node.op_type} {node.name}".strip())
        self.operands, self.results = [*node.input], [name if name in used else "" for name in node.output]
        self.attributes = {a.name: _value(helper.get_attribute_value(a)) for a in node.attribute}
        if node.op_type == "Split":
            self.attributes["outputs"] = len(node.output)
        schema = defs.get_schema(node.op_type, opset, "")
        kinds = [kind if name else "" for kind, name in _kinds(schema.inputs, node.input)]
        self.like = [kinds.index(kind) if kind in kinds else None for kind, _ in _kinds(schema.outputs, node.output)]

    def run(self, values: dict[str, Any], file: str) -> None:
        """Compute the results, and drop the values that nobody needs any more."""
        operands = [values[name] for name in self.operands]
        try:
            out = OPERATORS[self.operator].compute(*operands, **self.attributes)
            results = out if isinstance(out, (list, tuple)) else (out,)
            if any(self.results[len(results) :]):
                further = [name for name in self.results[1:] if name]
                raise ValueError(f"only the first of its results has a counterpart, and {further} are used")
            for name, value, like in zip(self.results, results, self.like, strict=False):
                if name:
                    values[name] = value if like is None else _cast(value, operands[like].dtype)
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{file}: {self.label}: {error}") from error
        for name in self.ends:
            values.pop(name, None)


def _cast(value: Any, dtype: Any) -> Any:
    """Give a result the dtype that ONNX gives it: NumPy adds up int32 as int64, for instance."""
    if value.dtype == dtype:
        return value
    if value.dtype.kind == "f" and dtype.kind != "f":
        raise ValueError(f"its numbers are {value.dtype} here, and {dtype} in ONNX")
    return astype(value, dtype) if dtype.kind == "f" else plain(value).astype(dtype)


def _kinds(parameters: Any, names: Any) -> Iterator[tuple[str, str]]:
    """Return the kind of dtype of each operand or result, and its name; the last parameter may occur several times."""
    kinds = [p.type_str for p in parameters]
    return zip(kinds + kinds[-1:] * (len(names) - len(kinds)), names, strict=False)


def _nodes(model: Any) -> list[_Node]:
    opset, outputs = _opset(model), {o.name for o in model.graph.output}
    last = {name: k for k, node in enumerate(model.graph.node) for name in node.input}
    used = {*last, *outputs}
    return [
        _Node(node, opset, used, [name for name in {*node.input} - outputs if last[name] == k])
        for k, node in enumerate(model.graph.node)
    ]


def _paths(module: Module, names: list[str]) -> dict[str, str]:
    """Return an attribute for each name: the name itself, or with ``_`` if it is taken."""
    taken, paths = {*dir(module), "requires_grad"}, {}
    free = {name for name in names if name not in taken and name == printable(name)}
    taken |= free
    for name in names:
        paths[name] = printable(name)
        while name not in free and paths[name] in taken:
            paths[name] += "_"
        taken.add(paths[name])
    return paths


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
        If it is not an ONNX file, is older, too large, or has operators or dtypes that this package lacks; the message
        lists them.
    OSError
        If the file cannot be read.
    """
    with needs("onnx", "load_onnx", "onnx"):
        import onnx
        from onnx.inliner import inline_local_functions
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"load_onnx: {path} is not a regular file")
    try:
        model = onnx.load(path)
        if len(model.graph.node) <= MOST_NODES:  # else the check would take minutes
            onnx.checker.check_model(model)
    except OSError:
        raise
    except Exception as error:  # protobuf and the checker have classes of their own
        raise _damaged(path, error) from None
    _check_limits(path, model)
    model = inline_local_functions(model)
    _check_vocabulary(path, model)
    try:
        return OnnxModule(model, printable(os.path.basename(os.fspath(path))))
    except (ValueError, TypeError, LookupError) as error:  # numbers that do not fit their shape, or text that is none
        raise _damaged(path, error) from None


def _damaged(path: Any, error: Exception) -> ValueError:
    return ValueError(f"load_onnx: {path} is damaged, or not an ONNX file ({printable(' '.join(str(error).split()))})")


def _check_limits(path: Any, model: Any) -> None:
    """Raise an error if a file has more nodes than can be held, or a version that is too old, too new or unclear."""
    from onnx import defs

    nodes = len(model.graph.node)
    count, how = (nodes, "") if nodes > MOST_NODES else (_written_out(model), " with its functions written out")
    if count > MOST_NODES:
        raise ValueError(f"load_onnx: {path} has {count:.3g} nodes{how}, want {MOST_NODES:,} at most")
    opsets = {o.version for o in model.opset_import if o.domain in _DOMAINS}
    if len(opsets) > 1 or any(f.domain in _DOMAINS for f in model.functions):
        raise ValueError(f"load_onnx: {path} has several versions of ONNX's operators, or replaces them by functions")
    opset, newest = _opset(model), defs.onnx_opset_version()
    if opset < OLDEST:
        raise ValueError(f"load_onnx: {path} has opset {opset}, want {OLDEST} or later. Export it again")
    if opset > newest:
        raise ValueError(
            f"load_onnx: {path} has opset {opset}; the installed ONNX ends at {newest}: pip install -U onnx"
        )


def _check_vocabulary(path: Any, model: Any) -> None:
    """Raise an error if a file has an operator, or a dtype, that this package lacks."""
    from onnx import TensorProto, helper

    names = [n.op_type if n.domain in _DOMAINS else f"{n.domain}.{n.op_type}" for n in model.graph.node]
    unknown = Counter(name for name in names if name not in OPERATORS)
    if unknown:
        listed = ", ".join(printable(f"{name} ({count})") for name, count in sorted(unknown.items()))
        raise ValueError(f"load_onnx: {path} has operators that this package lacks: {listed}")
    if model.graph.sparse_initializer:
        raise ValueError(f"load_onnx: {path} has sparse constants, which this package lacks")
    tensors = [(t.name, t.data_type) for t in model.graph.initializer]
    tensors += [(i.name, i.type.tensor_type.elem_type) for i in (*model.graph.input, *model.graph.output)]
    kinds = {number: name for name, number in TensorProto.DataType.items() if number}
    for name, kind in tensors:
        if kind not in kinds or helper.tensor_dtype_to_np_dtype(kind).kind not in NUMBERS:
            what = kinds.get(kind, "no array" if not kind else f"of the unknown dtype {kind}")
            raise ValueError(f"load_onnx: {printable(name)} in {path} is {what}, want floats or integers")


def _opset(model: Any) -> int:
    return next((o.version for o in model.opset_import if o.domain in _DOMAINS), 0)


def _written_out(model: Any) -> int:
    """Return the number of nodes of a model when its functions are written out, without doing so."""
    functions = {(f.domain, f.name): f for f in model.functions}
    counts: dict[Any, int] = {}

    def count(nodes: Iterable[Any]) -> int:
        return sum(counts.get((n.domain, n.op_type), 1) for n in _every(nodes))

    called = {key: {(n.domain, n.op_type) for n in _every(f.node)} & functions.keys() for key, f in functions.items()}
    for key in TopologicalSorter(called).static_order():  # there are no cycles in a model that the checker has passed
        counts[key] = count(functions[key].node)
    return count(model.graph.node)


def _every(nodes: Iterable[Any]) -> Iterator[Any]:
    """Iterate over nodes and those of the graphs in their attributes."""
    for node in nodes:
        yield node
        yield from _every(n for a in node.attribute for graph in (a.g, *a.graphs) for n in graph.node)


def _shape(value: Any) -> tuple[int | str, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims)


def _value(value: Any) -> Any:
    """Return an attribute as text, numbers or an array."""
    from onnx import TensorProto, numpy_helper

    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
