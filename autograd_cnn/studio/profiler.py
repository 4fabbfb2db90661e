"""Measures calls, milliseconds and bytes of results of each primitive, forward and backward.

An open `profile` observes the calls and rules of its context. It neither measures nor slows down anything else.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.mode import current
from autograd_cnn.engine.observe import Call, RuleRun, observing
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import plain
from autograd_cnn.files import write_atomically

Shapes = tuple[tuple[int, ...], ...]


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

    If a rule calls primitives, their time counts for the rule. Each thread can have one open profile. A profile keeps
    some 400 bytes for each call, so profile some steps of a long training, not all.

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
        self._events: list[tuple[str, str, float, float, int, Any, Shapes, Shapes]] = []  # as `_note` makes them

    def __enter__(self) -> profile:
        if current.get().steps is not None:
            raise RuntimeError("profile: another one is open. Open one around both")
        self._open = observing(self._called, derived=self._derived)
        self._open.__enter__()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self._start = self._spent(), None
        self._open.__exit__(None, None, None)

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the calls on a time line, as JSON in the Trace Event Format.

        https://ui.perfetto.dev and ``chrome://tracing`` display such a file. A call is an event of category `forward`,
        and a rule that computes gradients one of category `backward`, called for example ``conv2d backward w``. The
        arguments of an event are the shapes of its inputs (of a rule: the gradient, then what the tape kept for it) and
        outputs, and the module or `ag.scope` that it belongs to. Times are in microseconds since the first call.

        Parameters
        ----------
        path : path
            The file, usually ``.json``. A file that exists is replaced.

        Raises
        ------
        OSError
            If the file cannot be written.

        References
        ----------
        "Trace Event Format", the Chromium project, 2016: complete events (``"ph": "X"``) and metadata (``"ph": "M"``).

        Examples
        --------
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import autograd_cnn as ag
        >>> w = ag.Tensor(np.ones((3, 2)), requires_grad=True)
        >>> with ag.profile() as p:
        ...     ag.sum(np.ones((4, 3)) @ w).backward()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     p.export_chrome_trace(Path(folder, "trace.json"))
        ...     trace = json.loads(Path(folder, "trace.json").read_text())
        >>> for event in trace["traceEvents"][1:]:
        ...     print(event["name"], event["args"])
        matmul {'inputs': [[4, 3], [3, 2]], 'outputs': [[4, 2]]}
        sum {'inputs': [[4, 2]], 'outputs': [[]]}
        sum backward x {'inputs': [[]], 'outputs': [[4, 2]]}
        matmul backward y {'inputs': [[4, 2], [4, 3]], 'outputs': [[3, 2]]}
        """
        process = os.getpid()
        origin = min((start for _, _, start, *_ in self._events), default=0.0)
        events: list[Any] = [{"name": "process_name", "ph": "M", "pid": process, "args": {"name": "autograd_cnn"}}]
        for label, phase, start, seconds, thread, scope, inputs, outputs in self._events:
            module = _path(scope)
            events.append({
                "name": label,
                "cat": phase,
                "ph": "X",
                "ts": round((start - origin) * 1e6, 3),
                "dur": round(seconds * 1e6, 3),
                "pid": process,
                "tid": thread,
                "args": {**({"module": module} if module else {}), "inputs": inputs, "outputs": outputs},
            })  # fmt: skip
        lines = ",\n".join(map(json.dumps, events))
        write_atomically(path, f'{{"traceEvents": [\n{lines}\n], "displayTimeUnit": "ms"}}\n'.encode())

    def _called(self, call: Call) -> None:
        name = call.primitive.name
        self._note(name, name, "forward", call, call.mode.scope, call.values, [call.out])
        if isinstance(call.out, Tensor) and call.out.node is not None:
            made = [call.out.node.saved_value(byproduct) for byproduct in call.primitive.byproducts]
            self.costs[name].forward_bytes += sum(a.nbytes for a in made if a is not None)

    def _derived(self, run: RuleRun) -> None:
        name, out = run.node.plan.primitive.name, run.out
        results = run.args[:1] if out is None else out if isinstance(out, tuple) else (out,)  # a rule may add to a sum
        self._note(name, f"{name} backward {run.rule.name}", "backward", run, run.node.scope, run.args, results)

    def _note(self, name: str, label: str, phase: str, event: Any, scope: Any, given: Any, results: Any) -> None:
        """Add the cost of a call or a rule to that of the primitive `name`, and keep an event called `label`."""
        cost = self.costs.setdefault(name, Cost(name))
        cost.calls += phase == "forward"
        setattr(cost, phase, getattr(cost, phase) + event.seconds)
        arrays = [r.data if isinstance(r, Tensor) else np.asarray(r) for r in results if r is not None]
        made = sum(a.nbytes for a in arrays if a is not next(iter(given), None))  # g itself was there before
        setattr(cost, f"{phase}_bytes", getattr(cost, f"{phase}_bytes") + made)
        thread = threading.get_native_id()
        self._events.append((label, phase, event.start, event.seconds, thread, scope, _shapes(given), _shapes(arrays)))

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
            rows.append([plain(cost.name), f"{cost.calls:,}", *times, f"{made:,.1f} MB"])
        rows.append(["all else", "", "", "", f"{rest / (total or 1):.1%}", ""])
        rows.append(["in all", "", _ms(total), "", "", ""])
        first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms" if seconds else ""


def _shapes(values: Iterable[Any]) -> Shapes:
    """Return the shapes of the arrays among `values`, and among the elements of sequences in it."""
    flat = [element for value in values for element in (value if isinstance(value, (list, tuple)) else [value])]
    return tuple(element.shape for element in flat if isinstance(element, (Tensor, np.ndarray)))


def _path(scope: Any) -> str:
    """Return the place in the model of a mode's scope, as ``encoder/block1.conv``."""
    names: list[str] = []
    while scope is not None:
        name, scope, _ = scope
        if not (names and names[0].startswith(f"{name}.")):  # a module's path includes those around it
            names.insert(0, name)
    return "/".join(names)
