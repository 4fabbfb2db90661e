"""Recurrent operators, which are read; layers are written as the operations of their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.ops.sequences import gru_step, lstm_step, scan

_STEPS: dict[bytes, Any] = {  # of an RNN, by its activation
    b"Tanh": lambda x, h, hidden: (ag.tanh(x + h),),
    b"Relu": lambda x, h, hidden: (ag.relu(x + h),),
}
_GATED: dict[Any, Any] = {"activations": (), 7: ()}


def _reads(gated: Any, gates: list[int]) -> Callable[..., Any]:
    """Return what an operator does, by its step if it is gated. `gates` has the place there of each gate here."""

    def read(
        x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, *,
        direction: str = "forward", activations: Any = (), hidden_size: Any = None, linear_before_reset: int = 0,
    ) -> Any:  # fmt: skip
        ways = ["forward", "reverse"] if direction == "bidirectional" else [direction]
        step, *others = {gated} if gated else {_STEPS[name] for name in activations or [b"Tanh"]}
        if others:
            raise ValueError(f"activations={activations} have no counterpart")
        alive = None if lengths is None else (np.arange(x.shape[0])[:, None] < lengths)[..., None]
        rows, runs = np.arange(r.shape[1]).reshape(len(gates), -1)[gates].ravel(), []  # in the order of gates here
        for d, way in enumerate(ways):
            biases = (None, None) if b is None else [half[rows] for half in ag.split(b[d], 2)]
            states = [np.zeros(r.shape[2], r.dtype) if s is None else s[d] for s in (h, c)[: 1 + (len(gates) == 4)]]
            weights = w[d][rows], r[d][rows], *biases
            runs.append(scan(step, x, states, weights, way == "reverse", alive))
        outs, ends = zip(*runs, strict=True)
        return ag.stack(outs, 1), *(ag.stack(parts) for parts in zip(*ends, strict=True))

    return read


ENTRIES = [
    Entry("LSTM", read=_reads(lstm_step, [0, 2, 3, 1]), options=(4,), only=_GATED, results=3),
    Entry(
        "GRU",
        read=_reads(gru_step, [1, 0, 2]),
        options=(4,),
        only=_GATED | {"linear_before_reset": (1,)},
        results=2,
    ),
    Entry("RNN", read=_reads(None, [0]), options=(4,), only={"activations": (*_STEPS,)}, results=2),
]
