"""Arrays of operands and of gradients: their class, dtype and shape.

When an operation is recorded, plain numbers, even as `np.float64(2)` or a 0-d array, and integer arrays are weak: they
take the dtype of the other operands, or beside float16 that which NumPy gives them. So float32 stays float32. Among
integers alone, an operation computes as NumPy's of that name; one that NumPy lacks converts them to float64, also
outside of a recording, unless it only moves numbers. Strict operations refuse integers, and warn if float64 meets
float32. Arrays of other classes (`np.matrix`, `np.memmap`, a DataFrame, an image, a tensor of PyTorch) become plain
ones; masked arrays are refused, and complex numbers where an operation does not declare that it takes them.

A contribution to a gradient gets the shape and the dtype of the input that it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.messages import spell, warn
from autograd_cnn.engine.numpy_calls import copied_index, exported, kind_of
from autograd_cnn.engine.registry import advice
from autograd_cnn.engine.tape import Leaf, Node

FLOATS = "fc"  # kinds of dtypes that have a gradient
NUMBERS = "fciub"
OPTIONS = frozenset({int, float, bool, str, tuple, slice, type(None)})  # classes of arguments that are no arrays
_NUMBERS = (int, float, complex, list, tuple, np.ndarray, np.generic)
_float32, _float64 = {np.dtype(np.float32)}, {np.dtype(np.float64)}


def promote(primitive: Any, values: list[Any], inputs: list[Any], recorded: bool = True) -> None:
    """Make `values` plain, in place, and convert weak operands to the dtype of the others.

    `inputs` has the nodes of operands. Unless the call is recorded or has a list, only integers change, for an
    operation that NumPy lacks.
    """
    # Most calls end here: it takes 1 us, and the rest 5
    kinds = {v.dtype if v.__class__ is np.ndarray and v.ndim else v.__class__ for v in values}.difference(OPTIONS)
    if kinds in (_float32, _float64):
        return
    names = primitive.flat_names(len(values))
    operands = [p for p, name in enumerate(names) if name in primitive.rules]
    if recorded := recorded or list in map(type, values):
        for p, value in enumerate(values):
            if value.__class__ is not np.ndarray or value.ndim == 0 or value.dtype.kind not in NUMBERS:
                given = value is not None or names[p] not in primitive.defaults
                values[p] = _plain(value, names[p], p in operands and given)
    arrays = [p for p in operands if kind_of(values[p])]
    weak = [p for p in arrays if not isinstance(inputs[p], (Node, Leaf))]
    lists = [p for p in weak if isinstance(inputs[p], list)]
    floats = [values[p].dtype for p in arrays if (values[p].ndim and p not in lists) or p not in weak]
    floats = [dtype for dtype in floats if dtype.kind in FLOATS and recorded]
    if primitive.strict and (floats or primitive.widens):
        _check_floats(primitive, values, inputs, arrays, floats)
    if floats:
        common = np.result_type(*floats)
        for p in weak:
            if values[p].ndim == 0:
                values[p] = values[p].item()
            elif values[p].dtype.kind not in FLOATS or p in lists:
                values[p] = values[p].astype(weak_dtype(values[p].dtype, common))
    elif primitive.widens:
        for p, value in zip(arrays, as_floats(*(values[p] for p in arrays)), strict=True):
            values[p] = value


def _plain(value: Any, name: str, operand: bool) -> Any:
    """Return an array of any class as a plain one, and an option that NumPy wraps, ``np.float64(0.1)``, as a number."""
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is a sparse matrix\nA dense one: {name}.toarray()")
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


def _check_floats(primitive: Any, values: list[Any], inputs: list[Any], arrays: list[int], floats: list[Any]) -> None:
    """Refuse integers among the operands of a strict operation, and warn if wide floats meet others."""
    names = [getattr(a, "name", None) or name for a, name in zip(inputs, primitive.parameters, strict=False)]
    for p in arrays:
        dtype = values[p].dtype
        if dtype.kind in "iub" and not isinstance(inputs[p], list):
            is_byte = dtype == np.uint8
            wide = np.result_type(*floats) if floats else "float32" if is_byte else "float64"
            scaled = f" / 255, or {advice['uint8'].replace('(x)', f'({names[p]})')}" if is_byte else ""
            cure = f"Convert once: {names[p]}.astype(np.{wide}){scaled}"
            raise TypeError(f"{names[p]} is {dtype}{' (0..255)' if is_byte else ''}\n{cure}")
    sizes = {p: precision(values[p].dtype).itemsize for p in arrays if values[p].dtype in floats}
    widest = max(sizes, key=sizes.__getitem__, default=0)
    narrower = [dtype for dtype in floats if precision(dtype).itemsize < sizes[widest]]
    if narrower and sizes[widest] >= 8:
        name, dtype = names[widest], np.dtype(values[widest].dtype.type)  # in the byte order of this machine
        problem = f"{name} is {dtype} beside {narrower[0]}: computing in {np.result_type(*floats)}"
        cure = f"{name}.astype(np.{'complex64' if dtype.kind == 'c' else 'float32'}) is twice as fast"
        warn(f"{primitive.name}: {problem}. {cure}")


def refusal(primitive: Any, values: Sequence[Any]) -> TypeError | None:
    """Return the error about a complex operand, unless the operation takes complex numbers."""
    for name, value in zip(primitive.flat_names(len(values)), values, strict=True) if not primitive.complex else ():
        if name in primitive.rules and (isinstance(value, complex) or kind_of(value) == "c"):
            return errors.not_for_complex(primitive, name, np.result_type(value))
    return None


def numeric(value: Any, label: str, copy: bool | None = None) -> np.ndarray:
    """Return `value` as an array of numbers, of class ndarray; `copy` as in `np.array`.

    Raises
    ------
    TypeError
        If it is a masked array, or not an array of numbers.
    ValueError
        If it is a ragged list.
    """
    if isinstance(value, np.ndarray) and hasattr(value, "filled"):
        raise TypeError(f"{label} is a masked array\nFill it, m.filled(0), or choose: ag.where(m.mask, 0, m.data)")
    value = value if isinstance(value, (tuple, list)) else exported(value)  # NumPy converts a long list quicker
    try:
        array = np.array(value, copy=copy)
    except ValueError as error:
        ragged = f"{label} is a list of parts of different lengths\nPad them to one length, or keep them apart"
        raise ValueError(ragged) if "inhomogeneous" in str(error) else error from None
    if array.dtype.kind not in NUMBERS:
        raise errors.not_numbers(label, array)
    return array


def fitted_result(primitive: Any, out: Any, tensors: bool) -> Any:
    """Return a result that is no plain array as one, if there are Tensors, or raise an error."""
    if hasattr(out, "_node"):
        problem = "the function computes with a Tensor that is not one of its arguments, and no rule reaches it"
        raise TypeError(f"{problem}\nLet it take the Tensor as an argument; or as a constant, its array: w.data")
    if kind_of(out) == "c" and not primitive.complex:
        raise errors.not_for_complex(primitive, "out", out.dtype)
    if not tensors or out.__class__ is np.ndarray:
        return out
    if isinstance(out, (tuple, dict)):
        problem = f"the function returns a {type(out).__name__} of {len(out)}, want one array"
        cure = "Return np.concatenate of all, and cut it outside; results for the rules alone"
        raise TypeError(f"{problem}\n{cure}: @ag.primitive(byproducts=(...))")
    return numeric(out, f"the function returned {type(out).__name__}, which")


def as_floats(*operands: Any) -> list[Any]:
    """Return operands, integers in the dtype of the floats beside them, else as float64, that of NumPy's mean."""
    given = [np.asarray(x) if isinstance(x, (list, tuple)) else x for x in operands]
    common = np.result_type(*[x.dtype for x in given if kind_of(x) in ("f", "c") and x.ndim] or [float])
    return [x.astype(weak_dtype(x.dtype, common)) if kind_of(x) in ("i", "u", "b") else x for x in given]


def weak_dtype(dtype: Any, common: Any) -> Any:
    """Return the dtype that integers take beside floats: theirs, unless it is float16, which has few of them."""
    return np.result_type(dtype, common) if common == np.float16 else common


def is_complex(value: Any) -> bool:
    """Return whether `value`, an array of any class or a number, is of complex numbers."""
    return (value if hasattr(value, "dtype") else np.asarray(value)).dtype.kind == "c"


def precision(dtype: Any) -> Any:
    """Return the type of the real and the imaginary part: float32 for complex64, and for float32."""
    return np.dtype(dtype).type().real.dtype


def in_precision(dtype: Any, other: Any) -> Any:
    """Return the dtype of the kind of `dtype`, real or complex, that has the precision of `other`."""
    return np.result_type(precision(other), np.complex64) if dtype.kind == "c" else precision(other)


def as_array(value: Any) -> Any:
    """Return a NumPy scalar, such as the sum of two 0-d arrays, as an array, and any other value as it is."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def conform(c: Any, g: Any, parent: Any, node: Node, rule: Any, wrap: Any) -> Any:
    """Bring a contribution to its parent's shape and dtype, or raise an error that names the rule."""
    if c is None:
        raise errors.of_rule(node, rule, "returned None: is there a return?")
    if g.dtype.kind not in FLOATS:
        cure = "Return floats, or compute it outside the graph: x.data"
        raise TypeError(f"{node} gives {node.dtype}, and only floats have a gradient. {cure}")
    if parent.dtype.kind == "c" and not node.plan.primitive.complex:  # `run` saw a real result
        raise errors.not_for_complex(node.plan.primitive, rule.name, parent.dtype)
    if wrap is None and hasattr(c, "_node"):
        cure = "Make that an argument of the function; or as a constant, take its array: w.data"
        problem = "returned a Tensor: it computes with one that is not among its parameters"
        raise errors.of_rule(node, rule, f"{problem}. {cure}")
    if not hasattr(c, "dtype") or isinstance(c, (np.generic, np.ndarray)):
        c = numeric(c, f"the gradient of {rule.name}, from its rule in {node.plan.primitive.name},")
    if wrap is not None and isinstance(c, np.ndarray):
        c = wrap(c, None)
    if c.dtype not in (g.dtype, in_precision(c.dtype, g.dtype)):
        problem = f"returned {c.dtype} for a {g.dtype} gradient: a NumPy scalar, or np.zeros without dtype?"
        raise errors.of_rule(node, rule, problem)
    if c.dtype.kind == "c" and parent.dtype.kind != "c":
        c = np.real(c)
    if c.shape != parent.shape:
        try:
            c = unbroadcast(c, parent.shape)
        except ValueError:
            code = getattr(rule.function, "__code__", None)
            problem = f"({spell(code and (code, 0))}) returned {c.shape}, {rule.name} is {parent.shape}"
            raise errors.of_rule(node, rule, problem, ValueError) from None
    return c if c.dtype == parent.dtype else c.astype(parent.dtype)


def unbroadcast(c: Any, shape: tuple[int, ...]) -> Any:
    """Sum `c` over the axes along which `shape` was broadcast: the adjoint of broadcasting.

    Raises
    ------
    ValueError
        If `shape` does not broadcast to that of `c`.
    """
    extra = len(c.shape) - len(shape)
    if extra < 0 or any(want not in (1, have) for want, have in zip(shape, c.shape[extra:], strict=True)):
        raise ValueError(f"unbroadcast: {shape} does not broadcast to {c.shape}")
    axes = tuple(i for i, have in enumerate(c.shape) if i < extra or shape[i - extra] != have)
    return c.sum(axis=axes).reshape(shape)
