"""Checks a state (a dict of values) before it is loaded, and numbers before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.environment import plain


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


def check_state(caller: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise an error unless `state` has the names, shapes and dtypes of `own`.

    Parameters
    ----------
    caller : str
        The first word of the message.
    own, state : dict of str to array or number

    Raises
    ------
    TypeError
        If `state` is not a dict.
    ValueError
        If the two differ. The message lists every difference.
    """

    def form(value: Any) -> str:
        array = np.asarray(value)  # a Tensor of PyTorch has neither a tuple as shape nor NumPy's dtypes
        return f"{array.shape} {array.dtype}"

    check_dict(f"{caller}: the state", state, ". From a file: ag.interop.load_weights(path, model)")
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    lines = [f"  missing: {', '.join(missing)}"] if missing else []
    lines += [f"  unexpected: {', '.join(map(plain, unexpected))}"] if unexpected else []
    lines += [
        f"  {name}: {form(state[name])}, want {form(value)}"
        for name, value in own.items()
        if name in state and form(state[name]) != form(value)
    ]
    if any(name.rpartition(".")[2] == "weight" for name in unexpected):
        lines.append('  "weight" is PyTorch\'s name: ag.interop.load_weights(path, model, layout="torch")')
    if lines:
        raise ValueError("\n".join([f"{caller}: the state does not fit; nothing was loaded", *lines]))
