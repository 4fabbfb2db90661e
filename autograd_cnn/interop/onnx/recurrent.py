"""Recurrent operators, which are read; layers are written as the operations of their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.ops.sequences import gru_step, lstm_step, scan

_STEPS: dict[str, Any] = {
    "Sigmoid Tanh Tanh": lstm_step,
    "Sigmoid Tanh": gru_step,
    "Tanh": lambda x, h, hidden: (ag.tanh(x + h),),
    "Relu": lambda x, h, hidden: (ag.relu(x + h),),
}


def _reads(default: str, gates: list[int], **wanted: int) -> Callable[..., Any]:
    """Return what an operator does. `gates` has the place there of each gate here, and `wanted` required attributes."""

    def read(
        x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, p: Any = None, *,
        direction: str = "forward", activations: Any = (), hidden_size: Any = None, **options: Any,
    ) -> Any:  # fmt: skip
        ways, n = ["forward", "reverse"] if direction == "bidirectional" else [direction], len(default.split())
        names = [name.decode() for name in activations] or default.split() * len(ways)
        steps = [" ".join(names[n * d : n * d + n]) for d in range(len(ways))]
        options = {"P": int(p is not None), **dict.fromkeys(wanted, 0), **options}
        odd = [name for name, value in options.items() if value != wanted.get(name, 0)]
        odd += [f"activations {step}" for step in steps if step not in _STEPS]
        if odd:
            raise ValueError(f"{' and '.join(odd)}, as given or by default, has no counterpart")
        alive = None if lengths is None else (np.arange(x.shape[0])[:, None] < plain(lengths))[..., None]
        rows, runs = np.arange(r.shape[1]).reshape(len(gates), -1)[gates].ravel(), []  # in the order of gates here
        for d, way in enumerate(ways):
            biases = (None, None) if b is None else [half[rows] for half in ag.split(b[d], 2)]
            states = [np.zeros(r.shape[2], r.dtype) if s is None else s[d] for s in (h, c)[: 1 + (len(gates) == 4)]]
            runs.append(scan(_STEPS[steps[d]], x, states, (w[d][rows], r[d][rows], *biases), way == "reverse", alive))
        outs, ends = zip(*runs, strict=True)
        return ag.stack(outs, 1), *(ag.stack(parts) for parts in zip(*ends, strict=True))

    return read


ENTRIES = [
    Entry("LSTM", read=_reads("Sigmoid Tanh Tanh", [0, 2, 3, 1]), options=(4,)),
    Entry("GRU", read=_reads("Sigmoid Tanh", [1, 0, 2], linear_before_reset=1), options=(4,)),
    Entry("RNN", read=_reads("Tanh", [0]), options=(4,)),
]
