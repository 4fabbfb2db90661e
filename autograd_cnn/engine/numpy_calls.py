"""NumPy's functions on Tensors: each calls the primitive of its name, or raises an error with the cure.

Functions that have no gradient anyway (comparisons, `argmax`, ...) receive plain arrays. A Tensor never becomes an
object array.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from inspect import Signature, signature
from typing import Any

import numpy as np

from autograd_cnn.engine.registry import advice, registry

_OTHER_NAMES = {
    **{"amax": "max", "amin": "min", "trace": "matrix_trace", "a_min": "min", "a_max": "max"},  # the last: parameters
    **{"add.reduce": "sum", "multiply.reduce": "prod", "maximum.reduce": "max", "minimum.reduce": "min"},
    **{"fmax.reduce": "nanmax", "fmin.reduce": "nanmin", "logaddexp.reduce": "logsumexp"},
    **{"add.accumulate": "cumsum", "multiply.accumulate": "cumprod"},
    **{"maximum.accumulate": "cummax", "minimum.accumulate": "cummin"},
}
CONSTANT = frozenset(
    "equal not_equal less less_equal greater greater_equal isfinite isnan isinf isneginf isposinf isnat signbit "
    "logical_and logical_or logical_not logical_xor any all allclose isclose array_equal array_equiv isin "
    "bitwise_and bitwise_or bitwise_xor bitwise_count invert left_shift right_shift gcd lcm packbits unpackbits "
    "iscomplex iscomplexobj isreal isrealobj imag common_type result_type can_cast min_scalar_type "
    "sign floor ceil rint trunc fix round around floor_divide heaviside spacing "
    "argmax argmin nanargmax nanargmin argsort argpartition argwhere nonzero flatnonzero count_nonzero lexsort "
    "searchsorted digitize histogram histogram2d histogramdd histogram_bin_edges unique unique_all unique_counts "
    "unique_inverse unique_values intersect1d union1d setdiff1d setxor1d linalg.matrix_rank "
    "shape ndim size zeros_like ones_like full_like empty_like ix_ ravel_multi_index unravel_index diag_indices_from "
    "tril_indices_from triu_indices_from einsum_path may_share_memory shares_memory array_repr array_str array2string "
    "save savez savez_compressed savetxt".split()
)
_LOST = {"full_like": "fill_value", **dict.fromkeys(["histogram", "histogram2d", "histogramdd"], "weights")}
_COMPLEX = frozenset("angle roots sort_complex".split())
_UFUNC_DEFAULTS = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Implement ``Tensor.__array_ufunc__``."""
    name = ufunc.__name__
    if name in CONSTANT:
        return getattr(ufunc, method)(*map(plain, inputs), **plain(options))
    options = {k: v for k, v in options.items() if not _same(v, _UFUNC_DEFAULTS.get(k, inputs))}
    if method == "outer":
        inputs = registry["reshape"](inputs[0], np.shape(inputs[0]) + (1,) * np.ndim(inputs[1])), inputs[1]
    elif method != "__call__":
        name, options = f"{name}.{method}", {"axis": 0, **options}
    return _call(name, inputs, options)


def array_function(self: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """Implement ``Tensor.__array_function__``."""
    name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
    given = signature(function).bind(*args, **options).arguments if name in _LOST else {}
    if name in CONSTANT and not isinstance(given.get(_LOST.get(name, "")), type(self)):
        return function(*plain(args), **plain(options))
    return _call(name, *_translated(function, args, options))


def _translated(f: Any, args: Any, options: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return NumPy's required arguments by position, and by name the others that differ from their defaults."""
    theirs, required, others = _signature(f), [], dict[str, Any]()
    for name, value in theirs.bind(*args, **options).arguments.items():
        parameter = theirs.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            required += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            others |= value
        elif parameter.default is parameter.empty:
            required.append(value)
        elif not _same(value, parameter.default):
            others[_OTHER_NAMES.get(name, name)] = value
    return required, others


def _call(name: str, args: Iterable[Any], options: dict[str, Any]) -> Any:
    ours = _OTHER_NAMES.get(name, name)
    if ours not in registry:
        raise TypeError(_no_rule(name))
    for option in options:
        if option not in _signature(registry[ours]).parameters:
            raise TypeError(f"np.{name} with {option}= is not recorded. Use ag.{ours}, or leave the graph: .data")
    return registry[ours](*args, **options)


@cache
def _signature(f: Any) -> Signature:
    try:
        return signature(f)
    except ValueError:  # of a function in C, for some versions of NumPy
        return signature(lambda *args, **options: None)


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (bool, int, str)) and bool(value == default))


def _no_rule(name: str) -> str:
    if name in advice:
        return f"np.{name} is not recorded. Here: {advice[name]}"
    if name.startswith("fft.") or name in _COMPLEX:
        return f"np.{name}: complex numbers are not supported. Leave the graph: np.{name}(t.data, ...)"
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
