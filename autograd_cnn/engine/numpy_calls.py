"""NumPy's functions on Tensors: each calls its counterpart here, or raises an error with the cure.

A function is recognised by its identity, never by its name: SciPy, Numba and users give NumPy's names to functions of
their own. Functions that have no gradient anyway (comparisons, `argmax`, ...) receive plain arrays. A Tensor never
becomes an object array.
"""

from __future__ import annotations

import operator
import sys
from functools import cache
from inspect import Signature, signature
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.messages import LIBRARIES, here, spell
from autograd_cnn.engine.mode import current, in_mode
from autograd_cnn.engine.registry import advice, counterparts, numpys, registry

counterparts.update(
    {numpys("amax"): "max", numpys("amin"): "min", np.trace: "matrix_trace"}
    | {(np.add, "reduce"): "sum", (np.multiply, "reduce"): "prod", (np.logaddexp, "reduce"): "logsumexp"}
    | {(np.maximum, "reduce"): "max", (np.minimum, "reduce"): "min", (np.sign, "complex"): "sgn"}
    | {(np.add, "accumulate"): "cumsum", (np.multiply, "accumulate"): "cumprod"}
)
_OTHER_PARAMETERS = {"a_min": "min", "a_max": "max"}
CONSTANT = frozenset(
    "equal not_equal less less_equal greater greater_equal isfinite isnan isinf isneginf isposinf isnat signbit "
    "logical_and logical_or logical_not logical_xor any all allclose isclose array_equal array_equiv isin bitwise_and "
    "bitwise_or bitwise_xor bitwise_count invert left_shift right_shift gcd lcm packbits unpackbits iscomplex "
    "iscomplexobj isreal isrealobj common_type result_type can_cast min_scalar_type sign floor ceil rint trunc fix "
    "round around floor_divide heaviside spacing argmax argmin nanargmax nanargmin argsort argpartition argwhere "
    "nonzero flatnonzero count_nonzero lexsort searchsorted digitize linalg.matrix_rank shape ndim size zeros_like "
    "ones_like full_like empty_like ravel_multi_index unravel_index diag_indices_from tril_indices_from "
    "triu_indices_from einsum_path may_share_memory shares_memory array_repr array_str array2string save savez "
    "savez_compressed savetxt".split()
)
LEAVES = frozenset({int, float, bool, complex, str, bytes, type(None), np.ndarray})
_constants = frozenset(map(numpys, CONSTANT)) - {None}
_NEW = frozenset([np.zeros_like, np.ones_like, np.full_like, np.empty_like])  # arrays to assign to
# Constant around each number. A Tensor without history can say that when somebody differentiates it
_STEPS = frozenset(map(numpys, "sign floor ceil rint trunc fix round around floor_divide heaviside".split()))
OF_SHAPES = frozenset([np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, *_NEW])
_OF_TEXTS = {np.equal: operator.eq, np.not_equal: operator.ne}  # which compare texts, too
_ORDERS = frozenset([np.less, np.less_equal, np.greater, np.greater_equal])


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Implement ``Tensor.__array_ufunc__``."""
    if ufunc is np.sign and self.dtype.kind == "c":
        return _call((ufunc, "complex"), inputs, options)
    if ufunc in _constants and (ufunc is not np.heaviside or recorded(inputs[1:]) is None):  # its value at 0
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        made = constant(function, tuple(map(exported, inputs)), options)  # operations export them themselves
        return _tensor(self, made) if ufunc in _STEPS else made
    if method == "outer":
        inputs = registry["reshape"](inputs[0], np.shape(inputs[0]) + (1,) * np.ndim(inputs[1])), inputs[1]
    elif method != "__call__":
        return _call((ufunc, method), inputs, {"axis": 0, **options})
    return _call(ufunc, inputs, options)


def array_function(self: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """Implement ``Tensor.__array_function__``."""
    function = np.nonzero if function is np.where and len(args) + len(options) == 1 else function
    fills = function is np.full_like and recorded([*args[1:], *options.values()]) is not None
    if function in _constants and not fills:
        made = constant(function, args, options)
        return _tensor(self, made) if function in _STEPS | _NEW else made
    return _call(function, *_translated(function, args, options))


def _tensor(self: Any, made: Any) -> Any:
    """Return a result as a Tensor without history, which it is already if the call was observed."""
    if isinstance(made, type(self)):
        return made
    return self._of(np.asarray(made) if isinstance(made, np.generic) else made, None)


def constant(function: Any, args: Any, options: Any) -> Any:
    """Call a function without a derivative with plain arrays, or let the observer call it."""
    if function in _ORDERS and ("c" in map(kind_of, args) or complex in map(type, args)):
        raise errors.no_order(f"{function.__name__}: ")
    mode = current.get()
    if mode.call is not None:
        return mode.call(function, args, options, mode)
    if not options:
        function = _OF_TEXTS.get(function, function)
    return function(*map(plain, args), **(options and plain(options)))


def checked(check: Any, *args: Any) -> Any:
    """Call a function that only looks at numbers, or returns an argument: no observer is told."""
    with in_mode(left=None):
        return constant(check, args, {})


def _name(function: Any) -> str:
    """Return the name of a function with its module: ``np.linalg.inv``, ``scipy.special.erf``, ``np.add.reduce``."""
    if isinstance(function, tuple):
        ufunc, method = function
        return _name(ufunc) + f".{method}" * hasattr(ufunc, method)
    name = function.__name__
    module = "numpy" if isinstance(function, np.ufunc) else getattr(function, "__module__", None) or "numpy"
    if numpys(f"{module}.{name}".removeprefix("numpy.")) is function:
        return f"{module}.{name}".replace("numpy", "np", 1)
    scipy = getattr(sys.modules.get("scipy.special"), name, None)  # a ufunc does not know its module
    return f"scipy.special.{name}" if scipy is function else name


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
            others[_OTHER_PARAMETERS.get(name, name)] = value
    return required, others


def _call(theirs: Any, args: Any, options: dict[str, Any]) -> Any:
    ours = counterparts.get(theirs, "")
    if options or ours not in registry:
        name = _name(theirs)
        ours = ours or (name[6:] if name.startswith("scipy.special.") else "")
        if ours not in registry:
            raise TypeError(_no_rule(name))
        for option in options:
            if option == "out":
                cure = f"Without out= or +=: y = {name}(...)"
                raise TypeError(f"{name}: an array cannot take a result with a history. {cure}")
            if option not in _signature(registry[ours]).parameters:
                raise TypeError(f"{name} with {option}= is not recorded. Use ag.{ours}, or leave the graph: .data")
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
    bare = name.removeprefix("np.").removeprefix("linalg.").removeprefix("scipy.special.")
    if name != bare and bare in advice:
        return f"{name} is not recorded. Here: {advice[bare]}"
    if name.startswith("scipy.") and numpys(bare) in counterparts:
        return f"{name} is not recorded. Here: np.{bare}(x)"
    call = f"{name}(t.data, ...)" if "." in name else "pass t.data"  # else it is a part of a function of a library
    cure = "Write it" if current.get().walk else f"Leave the graph: {call}; or write it"
    return f"{name} has no derivative here. {cure}: @ag.primitive\n  at {spell(here(*LIBRARIES))}"


def _is_tensor(value: Any) -> bool:
    return getattr(type(value), "__array_function__", None) is array_function


def _each(function: Any, value: Any) -> Any:
    """Return a tuple, list or dict with what `function` makes of its parts, and any other value as it is."""
    if value.__class__ is dict:
        return {k: function(v) for k, v in value.items()}
    return value.__class__(map(function, value)) if value.__class__ in (tuple, list) else value


def exported(value: Any) -> Any:
    """Return the numbers of another library's array, DataFrame or image as an array, and any other value as it is.

    The parts of a tuple, list or dict are converted one by one.
    """
    kind = type(value)
    if kind in LEAVES:
        return value
    if kind in (tuple, list, dict):
        return _each(exported, value)
    if hasattr(kind, "__array_function__") or issubclass(kind, (np.generic, str)):
        return value
    if hasattr(kind, "__array__") or hasattr(kind, "__array_interface__"):
        return np.asarray(value)  # not `np.array`: the `__array__` of PyTorch takes no `copy`
    # PyTorch's `__dlpack__` forgets the sign of a negated view, its `__array__` does not
    return np.from_dlpack(value) if hasattr(kind, "__dlpack__") else value


def kind_of(value: Any) -> str:
    """Return the kind of NumPy's dtype of `value`; "" if it has none, like a number or a tensor of PyTorch."""
    return getattr(getattr(value, "dtype", None), "kind", "")


def plain(value: Any) -> Any:
    """Return `value` with plain arrays in place of the Tensors in it, of which the observer is told."""
    if value.__class__ in LEAVES:
        return value
    if _is_tensor(value):
        left = current.get().left
        if left is not None:
            left(value)
        return value._array
    return _each(plain, value)


def plain_array(value: Any) -> Any:
    """Return the numbers of a value as a plain array, or under `vmap` as what stands for those of one example."""
    return peek(plain(value))


def peek(value: Any) -> Any:
    """Return what `plain_array` does, for numbers that decide how a result is computed, and not what it is."""
    value = value._array if _is_tensor(value) else value
    return value if hasattr(value, "__array_function__") else np.asarray(value)


def known(value: Any) -> bool:
    """Return whether the numbers of a value are known: under `vmap`, those of one example are not."""
    return isinstance(peek(value), np.ndarray)


def recorded(value: Any) -> Any:
    """Return a Tensor that requires a gradient in nested lists, tuples and dicts, or None."""
    value = (*value.values(),) if isinstance(value, dict) else value
    if isinstance(value, (tuple, list)):
        return next((found for part in value if (found := recorded(part)) is not None), None)
    return value if _is_tensor(value) and value.requires_grad else None


def copied_index(index: Any) -> Any:
    """Return an index with read-only copies of its arrays, which the walk reads again."""
    if isinstance(index, (tuple, list)):
        return type(index)(map(copied_index, index))
    array = plain(index)
    if not isinstance(array, np.ndarray):
        return index
    if array.flags.writeable or array.base is not None:
        array = np.array(array)
        array.setflags(write=False)
    return array
