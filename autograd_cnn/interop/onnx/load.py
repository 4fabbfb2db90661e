"""Reads an ONNX file as a Module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
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

OLDEST, CONVERTED = 7, 13  # before 13, axes and sizes were attributes, and softmax had another meaning
NODE: ContextVar[str] = ContextVar("node", default="")
"""The node that runs, with its file."""
MOST_NODES = 200_000  # after functions are written out; each may call others twice

Conditions = tuple[tuple[str, bool], ...]  # values, and what they have to be
_Numbers = dict[str, Any]

_CURE = "Export it from the other program without them, or run the file in onnxruntime"
_DOMAINS = ("", "ai.onnx")  # of ONNX's own operators
_KINDS = {"flo": 1, "int": 7, "str": 8}  # the dtype of a Constant by the name of its attribute


class OnnxModule(Module):
    """The network in an ONNX file, which `load_onnx` makes.

    Its parameters are the float constants of the file that have an axis, under their names there; a name that every
    Module has gets a ``_``. In a file without initialisers, as Paddle writes, they are the arrays of its Constants. It
    takes the inputs of the file in their order, and returns its output, or a tuple of several.

    Attributes
    ----------
    inputs, outputs : dict of str to tuple
        Shapes by name. An extent is an int, or a name for any size.
    """

    def __init__(self, model: Any, file: str = "the file") -> None:
        from onnx import helper

        graph = model.graph
        self._file, self._constants, self._tensors_by_name = file, {}, {}
        stored = {t.name for t in graph.initializer}
        self.inputs = {i.name: _shape(i) for i in graph.input if i.name not in stored}
        self.outputs = {o.name: _shape(o) for o in graph.output}
        dtype = helper.tensor_dtype_to_np_dtype
        self._dtypes = {i.name: dtype(i.type.tensor_type.elem_type) for i in graph.input if i.name not in stored}
        initial, literals = tables = _Numbers(), _Numbers()
        nodes = [*_flat(graph, tables, {*self.inputs})]
        self._nodes = _nodes(nodes, _opset(model), {*self.outputs})
        places = [(name, OPERATORS[n.op_type], i) for n, _ in nodes for i, name in enumerate(n.input)]
        buffers = {name for name, operator, i in places if i in operator.buffers}
        options = {name for name, operator, i in places if i in operator.options}
        constants = initial | literals
        floats = {n for n, a in constants.items() if a.dtype.kind == "f" and a.ndim and n not in options}
        tensors = [n for n in initial if n in floats] or [n for n in literals if n in floats and constants[n].size > 1]
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
        return astype(x, want)

    def _signature(self) -> str:
        return ", ".join(printable(f"{name} ({', '.join(map(str, shape))})") for name, shape in self.inputs.items())


class _Node:
    """One node of the file.

    A result that nobody uses is called "". `like` has for each result the number of the operand whose dtype it has, or
    None; `ends` are the values that no later node needs, and `lacks` says what has no counterpart. A node in a branch
    of an If runs under the conditions `when`.
    """

    def __init__(self, node: Any, when: Conditions, opset: int, used: set[str], ends: list[str]) -> None:
        from onnx import defs

        self.operator, self.when, self.ends = node.op_type, when, ends
        self.label = printable(f"{node.op_type} {node.name or node.output[0]}{' in an If' * bool(when)}")
        self.operands, self.results = [*node.input], [name if name in used else "" for name in node.output]
        schema = defs.get_schema(node.op_type, opset, "")
        self.attributes = _attributes(node, opset)
        self.lacks = OPERATORS[node.op_type].refusal(self.operands, self.attributes, self.results)
        if node.op_type == "Split":
            self.attributes["outputs"] = self.results
        kinds = [kind if name else "" for kind, name in _kinds(schema.inputs, node.input)]
        self.like = [kinds.index(kind) if kind in kinds else None for kind, _ in _kinds(schema.outputs, node.output)]

    def run(self, values: dict[str, Any], file: str) -> None:
        """Compute the results, and drop the values that nobody needs any more."""
        before = NODE.set(f"{file}: {self.label}")
        try:
            if all(bool(plain(values[name])) == wanted for name, wanted in self.when):
                self._compute(values)
        except Exception as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{NODE.get()}: {error}") from error
        finally:
            NODE.reset(before)
        for name in self.ends:
            values.pop(name, None)

    def _compute(self, values: dict[str, Any]) -> None:
        operands = [values[name] for name in self.operands]
        out = OPERATORS[self.operator].compute(*operands, **self.attributes)
        results = out if isinstance(out, (list, tuple)) else (out,)
        for name, value, like in zip(self.results, results, self.like, strict=False):
            if name:
                values[name] = value if like is None else _cast(value, operands[like].dtype)


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


def _nodes(nodes: list[tuple[Any, Conditions]], opset: int, outputs: set[str]) -> list[_Node]:
    needs = [{*node.input, *(name for name, _ in when)} for node, when in nodes]
    last = {name: k for k, names in enumerate(needs) for name in names}
    used = {*last, *outputs}
    return [
        _Node(node, when, opset, used, [name for name in needs[k] - outputs if last[name] == k])
        for k, (node, when) in enumerate(nodes)
    ]


def _flat(
    graph: Any, tables: tuple[_Numbers, _Numbers], taken: set[str], names: Any = (), results: Any = (),
    when: Conditions = (),
) -> Iterator[tuple[Any, Conditions]]:  # fmt: skip
    """Iterate over the nodes of a graph and the conditions under which they run.

    Initialisers and Constants go to the two `tables`. An If becomes the nodes of both branches, with copies of their
    outputs to its `results`. `names` are those here of the values of outer graphs; a name in a branch that is taken
    gets a ``_``.
    """
    from onnx import NodeProto, helper, numpy_helper

    initial, literals = tables
    defined = [t.name for t in graph.initializer] + [name for node in graph.node for name in node.output if name]
    names = dict(names) | {name: _unique(name, taken) for name in defined}
    initial |= {names[t.name]: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        operands, outputs = ([names.get(name, name) for name in given] for given in (node.input, node.output))
        if node.op_type == "If":
            for branch in node.attribute:
                way = operands[0], branch.name == "then_branch"
                yield from _flat(branch.g, tables, taken, names, outputs, (*when, way))
        elif node.op_type == "Constant":
            literals[outputs[0]] = OPERATORS["Constant"].compute(**_attributes(node, OLDEST))
        else:
            renamed = NodeProto()
            renamed.CopyFrom(node)
            renamed.input[:], renamed.output[:] = operands, outputs
            yield renamed, when
    for output, result in zip(graph.output, results, strict=False):
        yield helper.make_node("Identity", [names.get(output.name, output.name)], [result]), when


def _unique(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _paths(module: Module, names: list[str]) -> dict[str, str]:
    """Return an attribute for each name: the name itself, or with ``_`` if it is taken."""
    taken, paths = {*dir(module), "requires_grad"}, {}
    free = {name for name in names if name not in taken and name == printable(name)}
    taken |= free
    for name in names:
        paths[name] = name if name in free else _unique(printable(name), taken)
    return paths


def load_onnx(path: str | os.PathLike[str]) -> OnnxModule:
    """Read an ONNX file as a Module, which runs, and trains, with the operations of this package.

    The module takes what the file says: a network from PyTorch takes images as (N, C, H, W). Constants of the file
    become parameters, except running statistics, integers and single numbers. Dropout drops nothing.

    Parameters
    ----------
    path : path
        Opset 7 or later. An If is computed by its condition; other graphs in nodes are refused.

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
        for opset in model.opset_import:  # ONNX's checks pass over the group norm of these, which ONNX Runtime runs
            if opset.domain in _DOMAINS and 18 <= opset.version < 21 and "GroupNormalization" in _operators(model):
                opset.version = 21
        model.ir_version = max(model.ir_version, 4)  # before, initialisers had to be inputs, too; others read them
        if sum(1 for _ in _every(model.graph.node)) <= MOST_NODES:  # else the check would take minutes
            onnx.checker.check_model(model)
    except OSError:
        raise
    except Exception as error:  # protobuf and the checker have classes of their own
        raise _damaged(path, error) from None
    _check_limits(path, model)
    model = _converted(path, inline_local_functions(model))
    _check_vocabulary(path, model)
    try:
        module = OnnxModule(model, printable(os.path.basename(os.fspath(path))))
    except (ValueError, TypeError, LookupError) as error:  # numbers that do not fit their shape, or text that is none
        raise _damaged(path, error) from None
    for node in module._nodes:
        if node.lacks:
            raise ValueError(f"load_onnx: {path}: {node.label}: {printable(node.lacks)} has no counterpart. {_CURE}")
    return module


def _damaged(path: Any, error: Exception) -> ValueError:
    return ValueError(f"load_onnx: {path} is damaged, or not an ONNX file ({printable(' '.join(str(error).split()))})")


def _check_limits(path: Any, model: Any) -> None:
    """Raise an error if a file has more nodes than can be held, or a version that is too old, too new or unclear."""
    from onnx import defs

    nodes = sum(1 for _ in _every(model.graph.node))
    count, how = (nodes, "") if nodes > MOST_NODES else (_written_out(model), " with its functions written out")
    if count > MOST_NODES:
        raise ValueError(f"load_onnx: {path} has {count:.3g} nodes{how}, want {MOST_NODES:,} at most")
    opsets = {o.version for o in model.opset_import if o.domain in _DOMAINS}
    if len(opsets) > 1 or any(f.domain in _DOMAINS for f in model.functions):
        raise ValueError(f"load_onnx: {path} has several versions of ONNX's operators, or replaces them by functions")
    opset, newest = _opset(model), defs.onnx_opset_version()
    if opset > newest:
        raise ValueError(
            f"load_onnx: {path} has opset {opset}; the installed ONNX ends at {newest}: pip install -U onnx"
        )


def _converted(path: Any, model: Any) -> Any:
    """Return a model of an older opset as one of opset 13."""
    from onnx import helper, version_converter

    opset = _opset(model)
    if opset >= CONVERTED or not opset:  # no operator is of ONNX itself
        return model
    if opset < OLDEST:
        raise ValueError(f"load_onnx: {path} has opset {opset}, want {OLDEST} or later. Export it again")
    try:
        model = version_converter.convert_version(model, CONVERTED)
    except Exception as error:
        reason = printable(" ".join(str(error).split()))
        raise ValueError(
            f"load_onnx: {path} has opset {opset}, which onnx.version_converter does not convert ({reason}). "
            f"Export it again with opset {CONVERTED} or later"
        ) from None
    for node in _every(model.graph.node):
        if node.op_type == "Resize" and opset < 11:  # which had no other grid; the converter leaves that of opset 11
            grid = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "simple"}
            node.attribute.extend(helper.make_attribute(*pair) for pair in grid.items())
    return model


def _check_vocabulary(path: Any, model: Any) -> None:
    """Raise an error if a file has an operator, or a dtype, that this package lacks."""
    from onnx import TensorProto, helper

    nodes = [*_every(model.graph.node)]
    names = _operators(model)
    unknown = Counter(name for name in names if name not in OPERATORS)
    if unknown:
        listed = ", ".join(printable(f"{name} ({count})") for name, count in sorted(unknown.items()))
        raise ValueError(f"load_onnx: {path} has operators that this package lacks: {listed}. {_CURE}")
    graphs = [model.graph, *(a.g for n in nodes for a in n.attribute)]
    contents = [(n.output[0], a) for n in nodes if n.op_type == "Constant" for a in n.attribute]
    if any(g.sparse_initializer for g in graphs) or any(a.name == "sparse_value" for _, a in contents):
        raise ValueError(f"load_onnx: {path} has sparse constants, which this package lacks")
    tensors = [(t.name, t.data_type) for g in graphs for t in g.initializer]
    tensors += [(name, a.t.data_type if a.name == "value" else _KINDS[a.name[6:9]]) for name, a in contents]
    tensors += [(i.name, i.type.tensor_type.elem_type) for i in (*model.graph.input, *model.graph.output)]
    kinds = {number: name for name, number in TensorProto.DataType.items() if number}
    for name, kind in tensors:
        if kind not in kinds or helper.tensor_dtype_to_np_dtype(kind).kind not in NUMBERS:
            what = kinds.get(kind, "no array" if not kind else f"of the unknown dtype {kind}")
            raise ValueError(f"load_onnx: {printable(name)} in {path} is {what}, want floats or integers")


def _operators(model: Any) -> list[str]:
    nodes = _every(model.graph.node)
    return [n.op_type if n.domain in _DOMAINS else f"{n.domain}.{n.op_type}" for n in nodes]


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
