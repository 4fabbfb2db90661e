"""Dtypes and classes of operands: float32 stays float32, and a rule sees plain arrays only.

When an operation is recorded, plain numbers, even as `np.float64(2)` or a 0-d array, and integer arrays are weak: they
take the dtype of the other operands, or beside float16 that which NumPy gives them. Among integers alone, an operation
computes as NumPy's of that name; one that NumPy lacks converts them to float64, also outside of a recording, unless it
only moves numbers. Strict operations refuse integers, and warn if float64 meets float32. Arrays of
other classes (`np.matrix`, `np.memmap`, a DataFrame, an image, a tensor of PyTorch) become plain ones; masked arrays
are refused, and complex numbers where an operation does not declare that it takes them.
"""

from __future__ import annotations

from numbers import Rational
from typing import Any

import numpy as np

from autograd_cnn.engine.explain import refusal
from autograd_cnn.engine.fitting import FLOATS, NUMBERS, as_floats, exported, kind_of, numeric, precision, weak_dtype
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.numpy_calls import copied_index
from autograd_cnn.engine.registry import advice
from autograd_cnn.engine.tape import Leaf, Node, history, parents

OPTIONS = frozenset({int, float, bool, str, tuple, slice, type(None)})  # classes of arguments that are no arrays
_NUMBERS = (int, float, complex, list, tuple, np.ndarray, np.generic)
_float32, _float64 = {np.dtype(np.float32)}, {np.dtype(np.float64)}


def promote(primitive: Any, values: list[Any], inputs: list[Any], elements: int, tensors: bool = True) -> None:
    """Make `values` plain, in place, and convert weak operands to the dtype of the others.

    `inputs` has the nodes of operands. Without Tensors and lists, only integers change, if NumPy lacks the operation.
    """
    if not tensors and list not in map(type, values):
        return widen(primitive, values, inputs, elements)
    # Most calls end here: it takes 1 us, and the rest 5
    kinds = {v.dtype if v.__class__ is np.ndarray and v.ndim else v.__class__ for v in values}.difference(OPTIONS)
    if kinds in (_float32, _float64):
        return
    names = primitive.flat_names(elements) if primitive.sequence else primitive.parameters
    operands = [p for p, name in enumerate(names) if name in primitive.rules]
    for p, value in enumerate(values):
        if value.__class__ is not np.ndarray or value.ndim == 0 or value.dtype.kind not in NUMBERS:
            given = value is not None or names[p] not in primitive.defaults
            values[p] = _plain(value, names[p], p in operands and given)
    arrays = [p for p in operands if isinstance(values[p], (np.ndarray, np.generic))]
    if error := refusal(primitive, values, elements):
        raise error
    weak = [p for p in arrays if not isinstance(inputs[p], (Node, Leaf))]
    lists = [p for p in weak if isinstance(inputs[p], list)]
    floats = [values[p].dtype for p in arrays if (values[p].ndim and p not in lists) or p not in weak]
    floats = [dtype for dtype in floats if dtype.kind in FLOATS]
    if primitive.strict and (floats or primitive.widens):
        _check_floats(primitive, values, inputs, arrays, floats)
    if not floats:
        return widen(primitive, values, inputs, elements)
    common = np.result_type(*floats)
    for p in weak:
        if values[p].ndim == 0:
            values[p] = values[p].item()
        elif values[p].dtype.kind not in FLOATS or p in lists:
            values[p] = values[p].astype(weak_dtype(values[p].dtype, common))


def widen(primitive: Any, values: list[Any], inputs: list[Any], elements: int) -> None:
    """Convert the integer operands, in place, of an operation that NumPy lacks, or refuse them."""
    names = primitive.flat_names(elements) if primitive.widens else []
    operands = [p for p, name in enumerate(names) if name in primitive.rules and kind_of(values[p])]
    if primitive.strict and any(values[p].dtype.kind not in FLOATS for p in operands):
        _check_floats(primitive, values, inputs, operands, [])
    for p, value in zip(operands, as_floats(*(values[p] for p in operands)), strict=True):
        values[p] = value


def _plain(value: Any, name: str, operand: bool) -> Any:
    """Return an array of any class as a plain one, and an option that NumPy wraps, ``np.float64(0.1)``, as a number."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is a sparse matrix\nA dense one: {name}.toarray()")
    if operand and isinstance(value, Rational) and not isinstance(value, int):
        return float(value)  # a fraction, of which NumPy would make an array of objects
    given, value = value, exported(value)
    if operand and not (isinstance(value, _NUMBERS) or hasattr(type(value), "__array__")):
        raise TypeError(f"{name} is {value!r:.40}, want numbers")
    wrapped = hasattr(type(value), "__array__") and not isinstance(value, str)
    if not (wrapped or (operand and isinstance(value, list))):
        return copied_index(value) if isinstance(value, list) else value  # a rule reads it again
    # A plain view could not be locked together with an array of another class, so that is copied
    array = numeric(value, name, copy=given.__class__ is not np.ndarray or None)
    if array.ndim or (operand and not isinstance(value, np.generic)):
        return array
    return array.item() if array.dtype.kind in FLOATS and not operand else value


def _check_floats(
    primitive: Any, values: list[Any], inputs: list[Any], operands: list[int], floats: list[np.dtype]
) -> None:
    def label(port: int) -> str:
        return getattr(inputs[port], "name", None) or primitive.parameters[port]

    for p in operands:
        if values[p].dtype.kind in "iub" and not isinstance(inputs[p], list):
            name, dtype = label(p), values[p].dtype
            wide = np.result_type(*floats) if floats else "float32" if dtype == np.uint8 else "float64"
            problem, cure = f"{name} is {dtype}", f"Convert once: {name}.astype(np.{wide})"
            if dtype == np.uint8:
                problem += " (0..255)"
                cure += f" / 255, or {advice['uint8'].replace('(x)', f'({name})')}"
            elif not floats:
                cure += ", or np.float32"
            raise TypeError(f"{problem}\n{cure}")
    widest = np.result_type(np.float16, *floats)
    narrower = [dtype for dtype in floats if precision(dtype).itemsize < precision(widest).itemsize]
    widest_port = max(operands, key=lambda p: precision(values[p].dtype).itemsize, default=0)
    if narrower and precision(widest).itemsize >= 8 and not _mixed_before(inputs[widest_port]):
        name, dtype = label(widest_port), np.dtype(values[widest_port].dtype.type)
        warn(
            f"{primitive.name}: {name} is {dtype} beside {narrower[0]}: computing in {widest}. "
            f"{name}.astype(np.{'complex64' if dtype.kind == 'c' else 'float32'}) is twice as fast"
        )


def _mixed_before(operand: Any) -> bool:
    """Return whether a strict operation behind `operand` mixed dtypes and has warned, so a model warns only once."""
    if not isinstance(operand, Node):  # a Tensor without a node and a name is a result that is not recorded
        return not current.get().recording and hasattr(operand, "_node") and operand.name is None
    nodes = (node for node in history(operand) if isinstance(node, Node) and node.plan.primitive.strict)
    return any(node.dtype != parent.dtype for node in nodes for parent in parents(node))
