"""Measures calls, milliseconds and bytes of results of each primitive, forward and backward.

An open `profile` observes the calls and rules of its context. It neither measures nor slows down anything else.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.mode import Mode, current, in_mode
from autograd_cnn.engine.plan import Rule
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
        self._events: list[tuple[str, str, float, float, int, Any, Shapes, Shapes]] = []  # as `_timed` makes them
        self._scope: Any = None  # of the node that the walk has reached

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

    def _call(self, primitive: Any, args: tuple[Any, ...], options: dict[str, Any], mode: Mode) -> Any:
        """Run a call of a primitive with a clock. Used as `Mode.call`."""
        if self._busy:
            return self._plain(primitive, args, options, mode)
        given = _shapes((*args, *options.values()))
        name = primitive.name
        result = self._timed(name, name, "forward", mode.scope, given, self._plain, primitive, args, options, mode)
        if isinstance(result, Tensor) and result._node is not None:
            made = [result._node.kept(byproduct) for byproduct in primitive.byproducts]
            self.costs[name].forward_bytes += sum(a.nbytes for a in made if a is not None)
        return result

    def _steps(self, node: Any) -> list[Any]:
        """Return the steps of a node, with clocks around the rules. Used as `Mode.steps`."""
        if not self._busy:
            self._scope = node.scope
        return [(ports, self._clocked(rule, node.plan.primitive.name), pick) for ports, rule, pick in node.plan.steps]

    def _clocked(self, rule: Rule, name: str) -> Rule:
        if rule not in self._rules:
            self._rules[rule] = clocked = copy(rule)
            label = f"{name} backward {rule.name}"
            for attribute in ("function", "into", "over"):
                if (function := getattr(rule, attribute)) is not None:
                    setattr(clocked, attribute, self._clock(function, name, label))
        return self._rules[rule]

    def _clock(self, function: Callable[..., Any], name: str, label: str) -> Callable[..., Any]:
        """Return `function`, which belongs to a rule, with a clock around it."""

        def clocked(*args: Any) -> Any:
            if self._busy:
                return function(*args)
            return self._timed(name, label, "backward", self._scope, _shapes(args), function, *args)

        return clocked

    def _timed(
        self, name: str, label: str, phase: str, scope: Any, inputs: Shapes, function: Callable[..., Any], *args: Any
    ) -> Any:
        """Call `function`, add its cost to that of the primitive `name`, and keep an event called `label`."""
        self._busy, start = True, time.perf_counter()
        try:
            result = function(*args)
        finally:
            self._busy = False
        seconds = time.perf_counter() - start
        cost = self.costs.setdefault(name, Cost(name))
        cost.calls += phase == "forward"
        setattr(cost, phase, getattr(cost, phase) + seconds)
        results = result if isinstance(result, tuple) else (result,)
        if result is None:
            results = args[:1]  # the sum that a rule added to
        arrays = [r._array if isinstance(r, Tensor) else np.asarray(r) for r in results if r is not None]
        made = sum(a.nbytes for a in arrays if a is not args[0])  # a rule that returns g itself made nothing
        setattr(cost, f"{phase}_bytes", getattr(cost, f"{phase}_bytes") + made)
        thread = threading.get_native_id()
        self._events.append((label, phase, start, seconds, thread, scope, inputs, _shapes(arrays)))
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
    shapes = []
    for value in values:
        if isinstance(value, (Tensor, np.ndarray)):
            shapes.append(value.shape)
        elif isinstance(value, (list, tuple)):
            shapes += [element.shape for element in value if isinstance(element, (Tensor, np.ndarray))]
    return tuple(shapes)


def _path(scope: Any) -> str:
    """Return the place in the model of a mode's scope, as ``encoder/block1.conv``."""
    names: list[str] = []
    while scope is not None:
        name, scope, _ = scope
        if not (names and names[0].startswith(f"{name}.")):  # a module's path includes those around it
            names.insert(0, name)
    return "/".join(names)
