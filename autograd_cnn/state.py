"""Checks a state (a dict of values) before it is loaded, and numbers before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from autograd_cnn.environment import plain


class Loaded(NamedTuple):
    """What `load_state_dict` or `load_weights` has left.

    Attributes
    ----------
    missing_keys : list of str
        Parameters and buffers that have kept their numbers, by their names in the layout of the state.
    unexpected_keys : list of str
        Names in the state that were not used.
    prefix : str
        The text before each name of the model in the state, such as ``module.``.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]
    prefix: str


def not_finite(array: np.ndarray) -> str:
    """Describe the numbers of an array that are not finite, as ``nan in 2 of 4 numbers``; "" if all are finite.

    Examples
    --------
    >>> not_finite(np.ones(3)), not_finite(np.array([1.0, np.nan, np.inf]))
    ('', 'nan in 2 of 3 numbers')
    """
    if array.dtype.kind not in "fc":
        return ""
    with np.errstate(all="ignore"):
        total = array.sum()  # one pass, without an array of answers; a NaN or an infinity stays in it
    if np.isfinite(total):
        return ""
    bad = array[~np.isfinite(array)]
    return f"{bad[0]} in {bad.size:,} of {array.size:,} numbers" if bad.size else ""


def check_dict(what: str, value: Any, cure: str = "") -> None:
    """Raise a TypeError unless `value` is a dict."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} is a {type(value).__name__}, want a dict{cure}")


def check_state(caller: str, own: Mapping[str, Any], state: Mapping[str, Any], cure: str = "") -> None:
    """Raise an error unless `state` has the names, shapes and dtypes of `own`.

    Parameters
    ----------
    caller : str
        The first word of the message.
    own, state : dict of str to array or number
    cure : str
        The last line of the message.

    Raises
    ------
    TypeError
        If `state` is not a dict.
    ValueError
        If the two differ. The message lists every difference.
    """

    def form(value: Any) -> str:
        return f"{np.shape(value)} {np.asarray(value).dtype}"

    check_dict(f"{caller}: the state", state, ". From a file: ag.interop.load_weights(path, model)")
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    lines = [f"missing: {', '.join(missing)}"] if missing else []
    lines += [f"unexpected: {', '.join(map(plain, unexpected))}"] if unexpected else []
    lines += [
        f"{name}: {form(state[name])}, want {form(value)}"
        for name, value in own.items()
        if name in state and form(state[name]) != form(value)
    ]
    theirs, ours = ({name.rpartition(".")[2] for name in names} for names in (unexpected, missing))
    if ("w" in ours and "weight" in theirs) or ("weight" in ours and "w" in theirs):
        whose, options = ("PyTorch's", ', layout="torch", example=x') if "w" in ours else ("this package's", "")
        cure = f"The names are {whose}: ag.interop.load_weights(path_or_state, model{options})"
    if lines:
        raise ValueError("\n  ".join([f"{caller}: the state does not fit; nothing was loaded", *lines, cure]).rstrip())


def fit_state(caller: str, own: Mapping[str, Any], state: Any, strict: bool) -> tuple[dict[str, np.ndarray], Loaded]:
    """Return the arrays of a state that fit, by the names of `own`, and what is left.

    An array fits if it has the name, perhaps behind a prefix, and the shape, and a dtype that the other one contains,
    such as bfloat16 or float16 for float32.

    Parameters
    ----------
    caller : str
        The first word of the message.
    own : dict of str to array
    state : dict, or list in the order of `own`
        Arrays, or Tensors of PyTorch.
    strict : bool
        Whether everything has to fit, and not only something. A list has to fit: its places have no names.

    Raises
    ------
    TypeError
        If `state` is neither.
    ValueError
        If it does not fit, or fits behind several prefixes. The message lists every difference.
    """
    if ordered := isinstance(state, (list, tuple)):
        state = dict(zip([*own, *(f"[{k}]" for k in range(len(own), len(state)))], state, strict=False))
    check_dict(f"{caller}: the state", state, ". From a file: ag.interop.load_weights(path, model)")
    arrays = {name: _as_array(value) for name, value in state.items()}
    found: dict[str, dict[str, str]] = {"": {}}  # for each prefix, names of `own`, and theirs in the state
    for name, array in arrays.items():
        for k in (0, *(k for k in range(1, len(name)) if name[k - 1] == ".")):
            if name[k:] in own and _fits(own[name[k:]], array):
                found.setdefault(name[:k], {})[name[k:]] = name
    most = max(map(len, found.values()))
    prefix, *others = (prefix for prefix in found if len(found[prefix]) == most)
    names = {} if prefix and others else found[prefix]
    left = Loaded([n for n in own if n not in names], sorted(arrays.keys() - names.values()), prefix)
    if any(left[:2]) and (strict or ordered or not names):
        shown = prefix if all(name.startswith(prefix) for name in arrays) else ""
        there = {name.removeprefix(shown): array for name, array in arrays.items()}
        cure = "strict=False loads what fits, and returns the names of the rest" if names and not ordered else ""
        wide = [a.dtype for n, a in own.items() if n in there and n not in names and a.shape == there[n].shape]
        if wide:
            cure = f"To round, load {{n: np.asarray(a, '{wide[0]}') for n, a in state.items()}}"
        if prefix and others:
            cure = f"It fits behind {prefix!r} and {others[0]!r}: keep the names with one of them, without it"
        check_state(caller, own, there | {name: own[name] for name in names.keys() & there}, cure)
    return {name: arrays[names[name]] for name in names}, left


def _as_array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except TypeError:  # bfloat16 of PyTorch, which NumPy lacks
        return np.asarray(value.float() if hasattr(value, "float") else value)


def _fits(own: np.ndarray, array: np.ndarray) -> bool:
    """Whether an array has the shape of another one, and a dtype that this one contains; bfloat16 is of kind V."""
    return array.shape == own.shape and array.dtype.kind in (own.dtype.kind, "V") and np.can_cast(array, own.dtype)
