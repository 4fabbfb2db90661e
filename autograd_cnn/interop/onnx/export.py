"""Writes a function of primitives as an ONNX file.

Each call of a primitive in a run on the example becomes the nodes that its converter, in `table`, makes. Numbers that
depend on the inputs and become a plain array, without a recorded operation, would be constants of the file: an observer
is told of each, and the export is refused. A second run, on other numbers in a larger batch, shows which extents depend
on the batch, and which other constants are none; a third one has a batch of one.

ONNX has images as (N, C, H, W), so convolutions and pools stand between two Transposes. The program that runs a file
moves them to the borders of the network.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from autograd_cnn.calculus.trees import tree_leaves
from autograd_cnn.engine.messages import here, spell
from autograd_cnn.engine.observe import Call, observing, operations
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.rules import check_names
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs
from autograd_cnn.files import write_atomically
from autograd_cnn.interop.calls import array_of
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.interop.onnx.load import NODE
from autograd_cnn.interop.onnx.table import CONVERTERS
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.ops.arithmetic import converted

OPSET, IR_VERSION = 20, 10
Shape = tuple["int | None", ...]

_OF_IMAGES = "images", "channels"  # how a primitive treats axes
_OF_NUMBERS = *_OF_IMAGES, "elementwise", "axes", "axis"
_OF_BOOLS = {"Add": "Or", "Mul": "And", "Max": "Or", "Min": "And"}
_LEAVE = (
    "become a plain array there, and the file would have those of the example. Write ag.take(x, i, 0) for x[i], and "
    "ag.where(x > 0, x, y) for a branch"
)


def onnx_converter(primitive: Primitive[...] | str, convert: Callable[..., str]) -> None:
    """Register how `export_onnx` writes a primitive.

    Parameters
    ----------
    primitive : Primitive, or its name
    convert : callable
        ``(onnx, x, ...) -> name`` makes the nodes and returns the name of the result. Its other parameters are named
        as those of the primitive, and only these are passed: for an operand its name in the file, for an option its
        value; ``x_shape`` and ``out_shape`` are shapes, in which None is an extent that depends on the batch. A method
        of `onnx` adds the node of that name: ``onnx.Mul(x, y)``, ``onnx.Softmax(x, axis=-1)``. It takes names, and
        numbers and arrays, which become constants; options are attributes.

    Raises
    ------
    TypeError
        If a parameter of `convert` is unknown.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> @ag.primitive
    ... def fourth_power(x):
    ...     return x**4
    >>> ag.interop.onnx_converter(fourth_power, lambda onnx, x: onnx.Pow(x, 4.0))
    """
    operation = operations.get(primitive) if isinstance(primitive, str) else primitive
    operation = getattr(operation, "primitive", operation)  # of a function over it
    if not isinstance(operation, Primitive):
        raise TypeError(f"onnx_converter: {primitive!r} is no primitive")
    allowed = [*operation.parameters, *(f"{p}_shape" for p in operation.parameters), "out_shape"]
    asked = [*inspect.signature(convert).parameters][1:]
    check_names(f"onnx_converter({operation.name}): the converter", asked, "onnx", *allowed)
    CONVERTERS[operation] = Entry(None, operation, convert)


def export_onnx(path: str | os.PathLike[str], f: Callable[..., Any], *example: Any, dynamic: bool = True) -> None:
    """Write a function or a Module as an ONNX file (opset 20).

    The file takes and returns arrays as `f` does, images as (N, H, W, C). Parameters and buffers have their names in
    the model. A Module is exported in evaluation mode.

    Parameters
    ----------
    path : path
        Replaced as a whole or, on failure, left as it was. Ends in ``.onnx``, or has no ending.
    f : callable
        Returns a Tensor, or a tree of several; the keys of a flat dict are the names of the outputs. It may branch on
        options, but not on numbers in arrays.
    *example : array_like
        Arguments of `f`, whose shapes and dtypes the inputs of the file have.
    dynamic : bool
        Whether the first axis of every input, the batch, may have any size. False fixes the shapes of the example.

    Raises
    ------
    ImportError
        If ONNX is not installed.
    TypeError
        If `f` returns no Tensor, or `dynamic` is no bool.
    ValueError
        If an operation has no converter, does not take a dtype in ONNX, or depends on a size or on numbers in a way
        that ONNX cannot express: the message names the operation and, except for a dtype, the line, or the node of a
        loaded file. If `path` has another ending.
    OSError
        If the file cannot be written.
    """
    with needs("onnx", "export_onnx", "onnx"):
        import onnx
    if not isinstance(path, (str, os.PathLike)) or not callable(f):
        raise TypeError("export_onnx: call export_onnx(path, f, *example)")
    stem, ending = os.path.splitext(os.fspath(path))
    if ending.lower() not in ("", ".onnx"):
        raise ValueError(f"export_onnx: {os.fspath(path)} would be an ONNX file. Call it {stem}.onnx")
    if not isinstance(dynamic, bool):
        raise TypeError(f"export_onnx: dynamic is {dynamic!r}, want True, for a batch of any size, or False")
    inputs = [Tensor(a.data if isinstance(a, Tensor) else a) for a in example]
    with in_training_mode(f, training=False), np.errstate(all="ignore"):
        content = _written(onnx, f, _Run(f, inputs), dynamic)
    write_atomically(path, content)


def _written(onnx: Any, f: Any, run: _Run, dynamic: bool) -> bytes:
    """Return the file; where it cannot be written, say whether it can with the shapes of the example."""
    try:
        for few in (True, False) if dynamic else (False,):
            others = _second_run(f, run, dynamic, few)
            writer = _Writer(f, run, others)
            for call in zip(run.calls, others.calls, run.places, strict=True):
                writer.convert(*call)
        model = writer.model(onnx)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
    except onnx.shape_inference.InferenceError as error:  # it names the node, and the dtype that this does not take
        raise ValueError(f"export_onnx: not in ONNX: {error}") from None
    except ValueError as error:
        if not dynamic:
            raise
        _written(onnx, f, run, False)  # what does not depend on sizes, raises its own error
        raise ValueError(f"{error}. dynamic=False works: it keeps the shapes of the example") from error


class _Run:
    """A run of a function.

    Attributes
    ----------
    calls, places : list
        The calls of primitives that made a Tensor; and the node of a loaded file in which each is, or "".
    depends : set of int
        The ids of the arrays whose numbers depend on the inputs.
    lost : str
        Where such numbers became a plain array first, and what to do, or "".
    """

    def __init__(self, f: Any, inputs: list[Tensor]) -> None:
        self.inputs, self.calls, self.places, self.lost = inputs, list[Call](), list[str](), ""
        self.depends = {id(t.data) for t in inputs}
        self.copies: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # of plain arrays, by id
        with observing(self.add, recording=False, left=self.leave):
            self.result = f(*inputs)
        if any(array.tobytes() != copy.tobytes() for array, copy in self.copies.values()):
            self.lost = self.lost or "an array that is written into after an operation has read it. Make a new one"

    def add(self, call: Call) -> None:
        if isinstance(call.out, Tensor):
            self.calls.append(call)
            self.places.append(NODE.get())
            plain = (a for a in call.values if isinstance(a, np.ndarray) and id(a) not in self.copies)
            self.copies |= {id(a): (a, a.copy()) for a in plain}
            if any(id(a) in self.depends for a in _arrays(call.values)):
                self.depends.add(id(call.out.data))

    def leave(self, tensor: Tensor) -> None:
        if id(tensor.data) in self.depends:
            node = NODE.get() and f"{NODE.get()}: it is not recorded, so the file would have the numbers of the example"
            self.lost = self.lost or node or f"what {spell(here())} computes: numbers of the inputs {_LEAVE}"


def _arrays(values: Any) -> Iterator[np.ndarray]:
    """Iterate over the arrays in nested arguments, such as an index of several."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _arrays(value)
        elif (array := array_of(value)) is not None:
            yield array


def _second_run(f: Any, run: _Run, dynamic: bool, few: bool) -> _Run:
    """Run `f` on other numbers and, if it is `dynamic`, on a batch of another size, and compare the calls.

    The batch gets one more than twice as many or, with `few`, is of one.
    """
    if run.lost:
        raise ValueError(f"cannot export {run.lost}")
    inputs = run.inputs
    others = [t.data for t in inputs]
    if dynamic:
        sizes = {t.shape[:1] for t in inputs}
        if len(sizes) != 1 or () in sizes:
            shapes = ", ".join(str(t.shape) for t in inputs)
            raise ValueError(f"export_onnx: the inputs {shapes} need the same first axis, a batch")
        ((n,),) = sizes
        count = 1 + (n == 1) if few else 2 * n + 1
        others = [np.take(array, range(count), 0, mode="wrap") for array in others]
    rng = np.random.default_rng(0)
    try:
        again = _Run(f, [Tensor(_numbers(array, rng)) for array in others])
    except Exception as error:
        shapes = ", ".join(str(array.shape) for array in others)
        raise ValueError(f"export_onnx: f fails on other numbers of the shapes {shapes}: {error}") from error
    for call, other, place in zip(run.calls, again.calls, run.places, strict=False):
        if call.primitive is not other.primitive or call.names != other.names or call.out.ndim != other.out.ndim:
            raise _refused(call, place, f"other numbers{', or other sizes,' * dynamic} take another way here")
    if len(run.calls) != len(again.calls):
        raise ValueError("export_onnx: the number of operations depends on sizes or numbers of the inputs")
    return again


def _numbers(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return other numbers: floats of any sign and size, and integers from 0 to the largest."""
    most = np.max(np.abs(array[np.isfinite(array)]), initial=1)
    floats = array.dtype.kind == "f"
    made = most * rng.standard_cauchy(array.shape) if floats else rng.integers(0, int(most) + 1, array.shape)
    return np.asarray(made).astype(array.dtype)


def _refused(call: Call, place: str, reason: str) -> ValueError:
    return ValueError(f"cannot export {call.primitive.name!r} ({place or spell(call.place)}): {reason}")


def _shape(array: Any, other: Any) -> Shape:
    """Return the shape of an array, with None where that in the other run differs."""
    return tuple(n if n == m else None for n, m in zip(np.shape(array), np.shape(other), strict=True))


class _Writer:
    """The nodes and constants of one file. For converters, a method adds a node: ``onnx.Mul(x, y)``."""

    def __init__(self, f: Any, run: _Run, others: _Run) -> None:
        self.run, self.others = run, others
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.constants: dict[str, np.ndarray] = {}
        self.bases: dict[str, str] = {}  # of constants in another order of axes: the name of the first one
        self.used: dict[str, int] = {}
        named = [*f.named_parameters(), *f.named_buffers()] if isinstance(f, Module) else []
        self.tensors = {id(t.data): name for name, t in named}
        self.kept: list[np.ndarray] = []  # arrays made here, since their ids are keys
        names = map(self.unique, _argument_names(f, len(run.inputs)))
        self.inputs = [*zip(names, run.inputs, others.inputs, strict=True)]
        self.labels = [self.unique(name) for name in _labels(run.result)]
        self.names = {id(t.data): name for name, t, _ in self.inputs}  # by id of the array
        self.call: Any = None
        self.other: Any = None  # the same call in the second run
        self.batch = [(t.shape[0], o.shape[0]) for _, t, o in self.inputs[:1] if t.ndim]  # its size in both runs

    # What converters use

    def __getattr__(self, operator: str) -> Callable[..., str]:
        if not operator[:1].isupper():
            raise AttributeError(operator)
        return partial(self.node, operator)

    def node(self, operator: str, *operands: Any, **attributes: Any) -> str:
        """Add a node, and return the name of its result. An operand is a name, a number, an array, or None."""
        names = ["" if a is None else a if isinstance(a, str) else self.constant(a) for a in operands]
        call = self.call
        operator = _OF_BOOLS.get(operator, operator) if call and call.out.dtype == bool else operator
        label = call.primitive.name if call else operator.lower()
        out = self.unique(f"{call.module}.{label}" if call and call.module else label)
        self.nodes.append((operator, names, out, attributes))
        return out

    def constant(self, value: Any, name: str = "constant") -> str:
        """Return the name of a constant. A Python number has the dtype of the call's result."""
        if isinstance(value, (float, int, bool)) and not isinstance(value, np.generic):
            value = np.array(value, self.call.out.dtype)
        elif isinstance(value, (tuple, list)):
            value = np.array(value, np.int64)
        name = self.unique(name)
        self.constants[name] = np.ascontiguousarray(value).reshape(np.shape(value))
        return name

    def transposed(self, name: str, axes: Sequence[int]) -> str:
        """Return the name of a value with its axes in another order; constants get the order in the file."""
        if name not in self.constants:
            return self.node("Transpose", name, perm=list(axes))
        made = f"{name}/{''.join(map(str, axes))}"
        if made not in self.constants:
            self.constants[made] = np.ascontiguousarray(self.constants[name].transpose(axes))
            self.bases[made] = name
        return made

    def shape(self) -> Any:
        """Return the shape of the result, for Expand and others: an array, or a node if it depends on the batch."""
        shape, other = self.call.out.shape, self.other.out.shape
        return np.array(shape, np.int64) if shape == other else self.extents([*zip(shape, other, strict=True)])

    def extents(self, pairs: list[Any]) -> str:
        """Return a shape as a node, from each size in both runs."""
        if any(n != m and (n, m) not in self.batch for n, m in pairs):
            raise ValueError("its shape depends on that of the inputs, but not as (N, ...)")
        count = self.node("Shape", self.inputs[0][0], start=0, end=1)
        return self.node("Concat", *((n,) if n == m else count for n, m in pairs), axis=0)

    def reshaped(self, x: str) -> str:
        """Add a Reshape to the shape of the result."""
        shape = _shape(self.call.out, self.other.out)
        known = shape.count(None) == 1 and 0 not in shape
        return self.node("Reshape", x, tuple(-1 if n is None else n for n in shape) if known else self.shape())

    def cast(self, x: str, dtype: Any = None) -> str:
        """Add a Cast, by default to the dtype of the call's result."""
        return self.node("Cast", x, to=_onnx_type(dtype or self.call.out.dtype))

    # Calls

    def unique(self, name: str) -> str:
        """Return a name that no value has yet."""
        count = self.used[name] = self.used.get(name, 0) + 1
        return name if count == 1 else self.unique(f"{name}_{count}")

    def convert(self, call: Call, other: Call, place: str) -> None:
        """Add the nodes of a call; `other` is the same call in the second run."""
        self.call, self.other = call, other
        converter = CONVERTERS.get(call.primitive)
        if converter is None:
            name = repr(call.primitive.name) if call.primitive.packaged else call.primitive.name
            cure = f": ag.interop.onnx_converter({name}, lambda onnx, ...: ...)" if call.primitive.numpy is None else ""
            raise _refused(call, place, f"no ONNX converter{cure}")
        n = call.out.ndim
        images = call.primitive.batch in _OF_IMAGES and n > 2
        try:
            out = converter.written(self, self.arguments(call, other, images, converter))
        except ValueError as error:
            raise _refused(call, place, str(error)) from error
        self.names[id(call.out.data)] = self.transposed(out, (0, *range(2, n), 1)) if images else out

    def arguments(self, call: Call, other: Call, images: bool, converter: Entry) -> dict[str, Any]:
        """Return the arguments for a converter by name: names in the file, options, and shapes.

        Raises
        ------
        ValueError
            If one that the file cannot compute differs between the runs.
        """
        values: dict[str, Any] = {}
        shapes: dict[str, Any] = {"out_shape": _shape(call.out, other.out)}
        for port, (name, given, again) in enumerate(zip(call.names, call.values, other.values, strict=True)):
            value, array = given, array_of(given)
            fixed = array is None or id(array) not in self.names
            shape = name == "shape" and name not in converter.needs  # it takes the shapes of arrays instead
            if fixed and not shape and not _equal(*(v.data if isinstance(v, Tensor) else v for v in (given, again))):
                fixed = not self.stretched(array, array_of(again))
                if fixed:
                    raise ValueError(f"{name} depends on sizes or numbers of the inputs, and is not recorded")
            if array is None and name in call.primitive.rules and isinstance(value, (list, np.generic)):
                array = np.asarray(value)
            if array is not None:
                shapes[f"{name}_shape"] = _shape(given, again)
                if fixed and name not in call.primitive.rules and call.primitive.batch not in _OF_NUMBERS:
                    value = array  # an index, which the converter may look into
                else:
                    value = self.operand(call, name, given, array)
                    if images and port == 0:
                        value = self.transposed(value, (0, array.ndim - 1, *range(1, array.ndim - 1)))
            values[name] = [*values.get(name, []), value] if name == call.primitive.sequence else value
        return values | shapes

    def stretched(self, array: np.ndarray | None, again: np.ndarray | None) -> bool:
        """Add a constant that repeats along the batch, if an array is one: ``np.zeros((n, 8))``."""
        if array is None or again is None or array.ndim != again.ndim:
            return False
        pairs = [*zip(array.shape, again.shape, strict=True)]
        along = [k for k, pair in enumerate(pairs) if pair in self.batch]
        if len(along) != 1:
            return False
        once = np.take(again, [0], along[0])
        if not all(np.array_equal(a, np.broadcast_to(once, a.shape)) for a in (array, again)):
            return False
        self.names[id(array)] = self.node("Expand", once, self.extents(pairs))
        self.kept.append(array)
        return True

    def operand(self, call: Call, name: str, value: Any, array: np.ndarray) -> str:
        """Return the name of an operand, in the dtype that the operation computes in."""
        common = call.out.dtype if call.primitive.numpy is None else np.result_type(*call.values)
        weak = bool(call.primitive.numpy) or (name in call.primitive.rules and call.primitive is not converted)
        weak = weak and array.dtype != common and common.kind in "fiu"
        if id(array) not in self.names:  # a parameter or a constant
            label = self.tensors.get(id(array)) or getattr(value, "name", None) or name
            self.names[id(array)] = self.constant(array, label)
            self.kept.append(array)
        result = self.names[id(array)]
        return self.cast(result, common) if weak else result

    # The file

    def model(self, onnx: Any) -> Any:
        """Return the model, with the parts that the results need."""
        self.call = None
        outputs, names = [], {}
        results = map(tree_leaves, (self.run.result, self.others.result))
        for label, out, other in zip(self.labels, *results, strict=True):
            if not isinstance(out, Tensor):
                raise TypeError(f"export_onnx: f returned {type(out).__name__}, want a Tensor, or several")
            if id(out.data) not in self.names:
                raise ValueError("export_onnx: the result is a constant, which no operation makes from the inputs")
            name = self.names[id(out.data)]
            if name in names or name not in {n[2] for n in self.nodes}:
                name = self.node("Identity", name)
            names[name] = label
            outputs.append((label, out, other))
        needed, nodes = set(names), []
        for node in reversed(self.nodes):
            if node[2] in needed:
                nodes.append(node)
                needed.update(node[1])
        for made, base in self.bases.items():
            if made in needed and base not in needed and base not in names.values():
                names[made] = base
        written = [
            onnx.helper.make_node(operator, [names.get(n, n) for n in operands], [names.get(out, out)], out, **options)
            for operator, operands, out, options in reversed(nodes)
        ]
        constants = {names.get(name, name): array for name, array in self.constants.items() if name in needed}

        def info(name: str, array: Any, other: Any) -> Any:
            sizes = zip(array.shape, other.shape, strict=True)
            shape = [n if n == m else "N" if (n, m) in self.batch else None for n, m in sizes]
            return onnx.helper.make_tensor_value_info(name, _onnx_type(array.dtype), shape)

        initial = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
        ends = ([info(*value) for value in values] for values in (self.inputs, outputs))
        graph = onnx.helper.make_graph(written, "main", *ends, initial)
        opset = onnx.helper.make_opsetid("", OPSET)
        return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="autograd_cnn")


def _labels(result: Any) -> list[str]:
    """Return the names of the outputs: the keys of a flat dict, or numbers."""
    leaves = tree_leaves(result)
    if isinstance(result, dict) and [*map(id, result.values())] == [*map(id, leaves)]:
        return [*map(str, result)]
    return ["output"] if isinstance(result, Tensor) else [f"output.{i}" for i in range(len(leaves))]


def _onnx_type(dtype: Any) -> int:
    import onnx

    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _equal(value: Any, other: Any) -> bool:
    if isinstance(value, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(value) == len(other) and all(map(_equal, value, other))
    nan = np.asarray(value).dtype.kind == "f" == np.asarray(other).dtype.kind
    return value is other or np.array_equal(value, other, equal_nan=nan)


def _argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """Return the names of the parameters of `f`, or ``x``, ``x.1``, ..."""
    names: list[str] = []
    with suppress(TypeError, ValueError):  # some builtins have no signature
        parameters = inspect.signature(getattr(f, "forward", f)).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    return names + [f"x.{i}" if i else "x" for i in range(len(names), count)]
