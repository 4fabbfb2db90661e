"""Dtypes of operands: float32 stays float32.

When an operation is recorded, plain numbers, even as `np.float64(2)` or a 0-d array, and integer arrays are weak: they
take the dtype of the other operands. Strict operations refuse integers, and warn if float64 meets float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.registry import advice
from autograd_cnn.engine.tape import Leaf, Node


def settle(primitive: Any, values: list[Any], inputs: list[Any], elements: int) -> None:
    """Convert weak operands in `values`, in place, to the dtype of the others. `inputs` has the nodes of operands."""
    ports = [p for p, name in enumerate(primitive.flat_names(elements)) if name in primitive.rules]
    arrays = [(p, values[p]) for p in ports if isinstance(values[p], (np.ndarray, np.generic))]
    floats = [v.dtype for p, v in arrays if v.dtype.kind == "f" and (v.ndim or isinstance(inputs[p], (Node, Leaf)))]
    if primitive.strict:
        _check_floats(primitive, values, inputs, ports, floats)
    common = np.result_type(*floats) if floats else None
    for p in ports:
        value = values[p]
        if isinstance(value, complex) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "c"):
            raise TypeError("complex numbers are not supported\nKeep the real and the imaginary part in two Tensors")
        if isinstance(value, list):
            value = values[p] = np.asarray(value)
            if common and value.dtype.kind == "f":
                values[p] = value.astype(common)
        if common is None or isinstance(inputs[p], (Node, Leaf)):
            continue
        if isinstance(value, (np.ndarray, np.generic)):
            if value.ndim == 0 and value.dtype.kind in "fiub":
                values[p] = value.item()
            elif value.dtype.kind in "iub":
                values[p] = value.astype(common)


def _check_floats(
    primitive: Any, values: list[Any], inputs: list[Any], ports: list[int], floats: list[np.dtype]
) -> None:
    def label(port: int) -> str:
        return getattr(inputs[port], "name", None) or primitive.parameters[port]

    for p in ports:
        if isinstance(values[p], np.ndarray) and values[p].dtype.kind in "iub":
            name, dtype = label(p), values[p].dtype
            problem, cure = f"{name} is {dtype}", f"Convert once: {name}.astype(np.float32)"
            if dtype == np.uint8:
                problem += " (0..255)"
                cure += f" / 255, or {advice['uint8'].replace('(x)', f'({name})')}"
            raise TypeError(f"{problem}\n{cure}")
    widest = np.result_type(*floats) if floats else np.dtype(np.float32)
    narrower = [dtype for dtype in floats if dtype.itemsize < widest.itemsize]
    if narrower and widest.itemsize >= 8:
        name = label(next(p for p in ports if isinstance(values[p], np.ndarray) and values[p].dtype == widest))
        warn(
            f"{primitive.name}: {name} is {widest} beside {narrower[0]}: computing in {widest}. "
            f"{name}.astype(np.float32) is twice as fast"
        )
