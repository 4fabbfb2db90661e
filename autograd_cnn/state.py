"""Check a state, values by name, before a module, an optimiser or a file of arrays loads it. Imports NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def check_state(who: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise unless `state` has the names, shapes and dtypes of `own`.

    Parameters
    ----------
    who : str
        Begins the message.
    own, state : dict of str to array or number

    Raises
    ------
    TypeError
        `state` is not a dict.
    ValueError
        The two differ. The message lists every difference.
    """

    def form(value: Any) -> str:
        return f"{np.shape(value)} {np.asarray(value).dtype}"

    if not isinstance(state, Mapping):
        raise TypeError(
            f"{who}: the state is a {type(state).__name__}, want a dict. From a file: "
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
    if lines:
        raise ValueError("\n".join([f"{who}: the state does not fit; nothing was loaded", *lines]))
