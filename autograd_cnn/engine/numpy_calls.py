"""NumPy's functions on Tensors: each calls the primitive of its name, or raises an error with the cure.

Functions that have no gradient anyway (comparisons, `argmax`, ...) receive plain arrays. A Tensor never becomes an
object array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.registry import advice, registry

_OTHER_NAMES = {"absolute": "abs", "amax": "max", "amin": "min", "true_divide": "divide"}
_CONSTANT = frozenset(
    "equal not_equal less less_equal greater greater_equal isfinite isnan isinf signbit logical_and logical_or "
    "logical_not logical_xor sign floor ceil rint trunc argmax argmin argsort all any count_nonzero array_equal "
    "allclose isclose shape ndim size zeros_like ones_like full_like empty_like nonzero array_repr array_str "
    "may_share_memory shares_memory result_type".split()
)


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Implement ``Tensor.__array_ufunc__``."""
    name = _OTHER_NAMES.get(ufunc.__name__, ufunc.__name__)
    if name in _CONSTANT:
        return getattr(ufunc, method)(*map(plain, inputs), **plain(options))
    if method != "__call__" or options:
        feature = "out=" if "out" in options else f".{method}" if method != "__call__" else ", ".join(options)
        raise TypeError(f"np.{ufunc.__name__} with {feature} is not recorded. Use ag.{name}, or leave the graph: .data")
    if name not in registry:
        raise TypeError(_no_rule(ufunc.__name__))
    return registry[name](*inputs)


def array_function(self: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """Implement ``Tensor.__array_function__``."""
    name = _OTHER_NAMES.get(function.__name__, function.__name__)
    if name in _CONSTANT:
        return function(*plain(args), **plain(options))
    if name not in registry or not function.__module__.startswith("numpy"):
        raise TypeError(_no_rule(f"{function.__module__}.{function.__name__}".removeprefix("numpy.")))
    return registry[name](*args, **options)


def _no_rule(name: str) -> str:
    if name in advice:
        return f"np.{name} is not recorded. Here: {advice[name]}"
    return f"np.{name} has no derivative here. Leave the graph: np.{name}(t.data, ...); or write it: @ag.primitive"


def plain(value: Any) -> Any:
    """Return `value` with plain arrays in place of the Tensors in it."""
    if getattr(type(value), "__array_function__", None) is array_function:
        return value.data
    if isinstance(value, (tuple, list)):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def frozen(index: Any) -> Any:
    """Return an index with copies of its arrays, which the walk reads again."""
    if isinstance(index, (tuple, list)):
        return type(index)(map(frozen, index))
    array = plain(index)
    return np.array(array) if isinstance(array, np.ndarray) else index
