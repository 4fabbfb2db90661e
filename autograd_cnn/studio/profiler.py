"""Measures calls and milliseconds of each primitive, forward and backward.

An open `profile` observes the calls and rules of its context. It neither measures nor slows down anything else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from autograd_cnn.engine.mode import current
from autograd_cnn.engine.observe import Call, observing
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
        self._open = observing(self._called, derived=self._derived)
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

    def _derived(self, name: str, seconds: float) -> None:
        self._cost(name).backward += seconds

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
