"""Checks a state (a dict of values) before a module, an optimiser or a file of arrays loads it. Imports NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


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
        return f"{np.shape(value)} {np.asarray(value).dtype}"

    if not isinstance(state, Mapping):
        raise TypeError(
            f"{caller}: the state is a {type(state).__name__}, want a dict. From a file: "
            "ag.interop.load_weights(path, model)"
        )
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    lines = [f"  missing: {', '.join(missing)}"] if missing else []
    lines += [f"  unexpected: {', '.join(unexpected)}"] if unexpected else []
    lines += [
        f"  {name}: {form(state[name])}, want {form(value)}"
        for name, value in own.items()
        if name in state and form(state[name]) != form(value)
    ]
    if any(name.rpartition(".")[2] == "weight" for name in unexpected):
        lines.append('  "weight" is PyTorch\'s name: ag.interop.load_weights(path, model, layout="torch")')
    if lines:
        raise ValueError("\n".join([f"{caller}: the state does not fit; nothing was loaded", *lines]))
