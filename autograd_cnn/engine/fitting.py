"""Converts contributions to a gradient to the shape and the dtype of the input that they are for."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.tape import Node

FLOATS = "fc"  # kinds of dtypes that have a gradient
NUMBERS = "fciub"


def exported(value: Any) -> Any:
    """Return the numbers of another library's array, DataFrame or image as an array, and any other value as it is."""
    kind = type(value)
    if hasattr(kind, "__array_function__") or issubclass(kind, (np.generic, str)):
        return value
    if hasattr(kind, "__array__") or hasattr(kind, "__array_interface__"):
        return np.asarray(value)  # not `np.array`: the `__array__` of PyTorch takes no `copy`
    # PyTorch's `__dlpack__` forgets the sign of a negated view, its `__array__` does not
    return np.from_dlpack(value) if hasattr(kind, "__dlpack__") else value


def all_exported(value: Any) -> Any:
    """Return `value` with plain arrays in place of the arrays of other libraries in it."""
    if type(value) in (tuple, list):
        return type(value)(map(all_exported, value))
    return {k: all_exported(v) for k, v in value.items()} if type(value) is dict else exported(value)


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
        raise errors.masked(label)
    value = exported(value)
    try:
        array = np.array(value, copy=copy)
    except ValueError as error:
        raise errors.ragged(label) if "inhomogeneous" in str(error) else error from None
    if array.dtype.kind not in NUMBERS:
        raise errors.not_numbers(label, array)
    return array


def is_sparse(*operands: Any) -> bool:
    """Return whether an operand is a sparse matrix of SciPy."""
    return any(hasattr(type(a), "tocsr") for a in operands)


def fitted_result(primitive: Any, out: Any, tensors: bool) -> Any:
    """Return a result that is no plain array as one, if there are Tensors, or raise an error."""
    if tensors and isinstance(out, np.generic):
        out = np.asarray(out)
    if hasattr(out, "_node"):
        raise errors.not_an_argument()
    if tensors and isinstance(out, (tuple, dict)):
        raise errors.several_results(out)
    if kind_of(out) == "c" and not primitive.complex:
        raise errors.not_for_complex(primitive, "out", out.dtype)
    if not tensors or out.__class__ is np.ndarray:
        return out
    return numeric(out, f"the function returned {type(out).__name__}, which")


def kind_of(value: Any) -> str:
    """Return the kind of NumPy's dtype of `value`; "" if it has none, like a number or a tensor of PyTorch."""
    return getattr(getattr(value, "dtype", None), "kind", "")


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
        raise errors.no_floats(node)
    if parent.dtype.kind == "c" and not node.plan.primitive.complex:  # `run` saw a real result
        raise errors.not_for_complex(node.plan.primitive, rule.name, parent.dtype)
    if wrap is None and hasattr(c, "_node"):
        raise errors.returned_tensor(node, rule)
    if not hasattr(c, "dtype") or isinstance(c, (np.generic, np.ndarray)):
        c = numeric(c, f"the gradient of {rule.name}, from its rule in {node.plan.primitive.name},")
    if wrap is not None and isinstance(c, np.ndarray):
        c = wrap(c, None)
    if c.dtype not in (g.dtype, in_precision(c.dtype, g.dtype)):
        cause = "a NumPy scalar, or np.zeros without dtype?"
        raise errors.of_rule(node, rule, f"returned {c.dtype} for a {g.dtype} gradient: {cause}")
    if c.dtype.kind == "c" and parent.dtype.kind != "c":
        c = np.real(c)
    if c.shape != parent.shape:
        try:
            c = unbroadcast(c, parent.shape)
        except ValueError:
            raise errors.returned_shape(node, rule, c.shape, parent.shape) from None
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
