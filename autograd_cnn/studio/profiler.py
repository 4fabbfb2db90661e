"""Measures calls and milliseconds of each primitive, forward and backward.

An open `profile` observes the calls and rules of its context. It neither measures nor slows down anything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

from autograd_cnn.engine.mode import current, in_mode
from autograd_cnn.engine.observe import Call, observing
from autograd_cnn.engine.tape import Node
from autograd_cnn.environment import plain


@dataclass
class Cost:
    """The calls and seconds of one primitive, forward and backward."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0


class profile:
    """Context manager that times every primitive that this thread runs inside it.

    If a rule calls primitives, their time counts for the rule. The first call of a primitive may compile its kernel or
    read it from the disk, so let a pass run before. Each thread can have one open profile.

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
    ...     for batch in slice(0, 100), slice(100, 200):
    ...         ag.cross_entropy(model(x[batch]), y[batch]).backward()
    ...         sgd.step()
    ...         sgd.zero_grad()
    >>> p.costs["linear"].calls  # two layers, two batches
    4
    >>> print(p)  # doctest: +ELLIPSIS
    primitive      calls  ...
    ...
    """

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self.seconds = 0.0
        self._start: float | None = None

    def __enter__(self) -> profile:
        if current.get().on_rules is not None:
            raise RuntimeError("profile: another one is open. Open one around both")
        self._outside = current.get()
        self._open = observing(self._called, on_rules=self._steps)
        self._open.__enter__()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self._start = self._spent(), None
        self._open.__exit__(None, None, None)

    def _called(self, call: Call) -> None:
        cost = self._cost(call.primitive.name)
        cost.calls += 1
        cost.forward += call.seconds

    def _steps(self, node: Node, planned: list[Any]) -> list[Any]:
        """Return the steps of a node with rules that are timed, for `Mode.on_rules`."""
        steps = [(argnums, copy(rule), pick) for argnums, rule, pick in planned]
        for _, rule, _ in steps:
            rule.function = partial(self._timed, node, rule.function)
            rule.into = rule.into and partial(self._timed, node, rule.into)
        return steps

    def _timed(self, node: Node, function: Callable[..., Any], *args: Any) -> Any:
        with in_mode(call=self._outside.call, on_rules=None):
            start = time.perf_counter()
            out = function(*args)
            self._cost(node.plan.primitive.name).backward += time.perf_counter() - start
        return out

    def _cost(self, name: str) -> Cost:
        return self.costs.setdefault(name, Cost(name))

    def _spent(self) -> float:
        """Return the seconds of the block, or those so far while it is open."""
        return self.seconds + (0.0 if self._start is None else time.perf_counter() - self._start)

    def __repr__(self) -> str:
        total = self._spent()
        rows, rest = [["primitive", "calls", "forward", "backward", "share"]], total
        for cost in sorted(self.costs.values(), key=lambda c: -c.forward - c.backward):
            spent = cost.forward + cost.backward
            rest -= spent
            share = f"{spent / total:.1%}"
            rows.append([plain(cost.name), f"{cost.calls:,}", _ms(cost.forward), _ms(cost.backward), share])
        rows.append(["all else", "", "", "", f"{rest / (total or 1):.1%}"])
        rows.append(["in all", "", _ms(total), "", ""])
        first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms" if seconds else ""
