"""Recurrent operators, which are read; layers are written as the operations of their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.ops.sequences import gru_step, lstm_step, scan

_STEPS: dict[str, Any] = {
    "Sigmoid Tanh Tanh": lstm_step,
    "Sigmoid Tanh": gru_step,
    "Tanh": lambda x, h, hidden: (ag.tanh(x + h),),
    "Relu": lambda x, h, hidden: (ag.relu(x + h),),
}
_GATED: dict[Any, Any] = {"activations": (b"Sigmoid", b"Tanh"), 7: ()}


def _reads(default: str, gates: list[int]) -> Callable[..., Any]:
    """Return what an operator does. `gates` has the place there of each gate here."""

    def read(
        x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, *,
        direction: str = "forward", activations: Any = (), hidden_size: Any = None, linear_before_reset: int = 0,
    ) -> Any:  # fmt: skip
        ways, n = ["forward", "reverse"] if direction == "bidirectional" else [direction], len(default.split())
        names = [name.decode() for name in activations] or default.split() * len(ways)
        alive = None if lengths is None else (np.arange(x.shape[0])[:, None] < lengths)[..., None]
        rows, runs = np.arange(r.shape[1]).reshape(len(gates), -1)[gates].ravel(), []  # in the order of gates here
        for d, way in enumerate(ways):
            if (activation := " ".join(names[n * d : n * d + n])) not in _STEPS:
                raise ValueError(f"activations {activation} have no counterpart")
            biases = (None, None) if b is None else [half[rows] for half in ag.split(b[d], 2)]
            states = [np.zeros(r.shape[2], r.dtype) if s is None else s[d] for s in (h, c)[: 1 + (len(gates) == 4)]]
            weights = w[d][rows], r[d][rows], *biases
            runs.append(scan(_STEPS[activation], x, states, weights, way == "reverse", alive))
        outs, ends = zip(*runs, strict=True)
        return ag.stack(outs, 1), *(ag.stack(parts) for parts in zip(*ends, strict=True))

    return read


ENTRIES = [
    Entry("LSTM", read=_reads("Sigmoid Tanh Tanh", [0, 2, 3, 1]), options=(4,), only=_GATED, results=3),
    Entry(
        "GRU",
        read=_reads("Sigmoid Tanh", [1, 0, 2]),
        options=(4,),
        only=_GATED | {"linear_before_reset": (1,)},
        results=2,
    ),
    Entry("RNN", read=_reads("Tanh", [0]), options=(4,), only={"activations": (b"Tanh", b"Relu")}, results=2),
]
