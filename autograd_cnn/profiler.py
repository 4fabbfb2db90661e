"""Measures calls, milliseconds and bytes of results of each primitive, forward and backward.

An open `profile` observes the calls and rules of its context. It neither measures nor slows down anything else.

Imports the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.mode import Mode, current, in_mode
from autograd_cnn.engine.plan import Rule
from autograd_cnn.engine.tensor import Tensor


@dataclass
class Cost:
    """The calls, seconds and bytes of results of one primitive, forward and backward."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    forward_bytes: int = 0
    backward_bytes: int = 0


class profile:
    """Context manager that times every primitive that this thread runs inside it.

    If a rule calls primitives, their time counts for the rule. Each thread can have one open profile.

    Attributes
    ----------
    costs : dict of str to Cost
        The costs by name of the primitive.
    seconds : float
        The time of the whole block.

    Raises
    ------
    RuntimeError
        If this thread has another open profile.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(200, 2)).astype(np.float32), rng.integers(0, 2, 200)
    >>> model = ag.nn.Sequential(ag.nn.Linear(2, 16, rng=rng), ag.nn.ReLU(), ag.nn.Linear(16, 2, rng=rng))
    >>> sgd = ag.optim.SGD(model.parameters(), lr=0.1)
    >>> with ag.profile() as p:
    ...     history = ag.training.fit(model, ag.cross_entropy, sgd, x, y, rng=rng, epochs=1, progress=False)
    >>> p.costs["linear"].calls, p.costs["linear"].forward_bytes  # two layers, two batches
    (4, 14400)
    >>> p  # doctest: +ELLIPSIS
    profile: primitives 3, calls 8, time ... ms. print(...) lists them
    >>> print(p)  # doctest: +ELLIPSIS
    primitive      calls  ...
    ...
    """

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self.seconds = 0.0
        self._start: float | None = None

    def __enter__(self) -> profile:
        mode = current.get()
        if mode.steps is not None:
            raise RuntimeError("profile: another one is open. Open one around both")
        self._plain, self._busy = mode.call, False
        self._rules: dict[Rule, Rule] = {}  # copies of rules, with clocks around their functions
        self._open = in_mode(call=self._call, steps=self._steps)
        self._open.__enter__()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self._start = self._spent(), None
        self._open.__exit__(None, None, None)

    def _call(self, primitive: Any, args: tuple[Any, ...], options: dict[str, Any], mode: Mode) -> Any:
        """Run a call of a primitive with a clock. Used as `Mode.call`."""
        result = self._timed(primitive.name, "forward", self._plain, primitive, args, options, mode)
        if isinstance(result, Tensor) and result._node is not None and not self._busy:
            made = [result._node.kept(name) for name in primitive.byproducts]
            self.costs[primitive.name].forward_bytes += sum(a.nbytes for a in made if a is not None)
        return result

    def _steps(self, node: Any) -> list[Any]:
        """Return the steps of a node, with clocks around the rules. Used as `Mode.steps`."""
        return [(ports, self._clocked(rule, node.plan.primitive.name), pick) for ports, rule, pick in node.plan.steps]

    def _clocked(self, rule: Rule, name: str) -> Rule:
        if rule not in self._rules:
            self._rules[rule] = clocked = copy(rule)
            for attribute in ("function", "into", "over"):
                if (function := getattr(rule, attribute)) is not None:
                    setattr(clocked, attribute, lambda *args, f=function: self._timed(name, "backward", f, *args))
        return self._rules[rule]

    def _timed(self, name: str, phase: str, function: Callable[..., Any], *args: Any) -> Any:
        if self._busy:
            return function(*args)
        self._busy, start = True, time.perf_counter()
        try:
            result = function(*args)
        finally:
            self._busy = False
        cost = self.costs.setdefault(name, Cost(name))
        cost.calls += phase == "forward"
        setattr(cost, phase, getattr(cost, phase) + time.perf_counter() - start)
        results = result if isinstance(result, tuple) else (result,)
        arrays = [r._array if isinstance(r, Tensor) else np.asarray(r) for r in results if r is not None]
        made = sum(a.nbytes for a in arrays if a is not args[0])  # a rule that returns g itself made nothing
        setattr(cost, f"{phase}_bytes", getattr(cost, f"{phase}_bytes") + made)
        return result

    def _spent(self) -> float:
        """Return the seconds of the block, or those so far while it is open."""
        return self.seconds + (0.0 if self._start is None else time.perf_counter() - self._start)

    def __repr__(self) -> str:
        calls, state = sum(c.calls for c in self.costs.values()), "" if self._start is None else ", open"
        spent = _ms(self._spent()) or "0 ms"
        return f"profile{state}: primitives {len(self.costs)}, calls {calls:,}, time {spent}. print(...) lists them"

    def __str__(self) -> str:
        total = self._spent()
        rows, rest = [["primitive", "calls", "forward", "backward", "share", "made"]], total
        for cost in sorted(self.costs.values(), key=lambda c: -c.forward - c.backward):
            spent, made = cost.forward + cost.backward, (cost.forward_bytes + cost.backward_bytes) / 1e6
            rest -= spent
            times = [_ms(cost.forward), _ms(cost.backward), f"{spent / total:.1%}"]
            rows.append([cost.name, f"{cost.calls:,}", *times, f"{made:,.1f} MB"])
        rows.append(["all else", "", "", "", f"{rest / (total or 1):.1%}", ""])
        rows.append(["in all", "", _ms(total), "", "", ""])
        first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms" if seconds else ""
