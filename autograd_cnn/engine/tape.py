"""The tape: nodes that remember operations, and the backward walk over them.

Every recorded operation leaves a `Node`. A node knows its parent *nodes* (never Tensors, so there are no reference
cycles and an activation dies when the user lets go of it), the arrays its rules will ask for, and the user's line.
A counter stamps each node at birth; parents are always older, so birth order is a topological order and the walk is
a loop that pops the youngest node from a heap. No recursion, no visited set.

Reverse mode in one line: with ``g = d loss / d out`` of a node, each rule turns `g` into ``g * d out / d input``, and
contributions to the same node add up.

The walk, and only the walk, accumulates, undoes broadcasting, and checks shapes and dtypes. It makes `g` read-only
before a rule sees it, and what is saved is read-only already: hence a *writable* contribution is a fresh array, ours
to add into, or for a rule's twin to write over; anything else is somebody's array passed on, and is added into a new
one.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine.messages import Place, here, note, spell

if TYPE_CHECKING:
    from autograd_cnn.engine.primitive import Plan

ndarray = np.ndarray
next_birth = itertools.count(1).__next__
landing = threading.Lock()  # leaf gradients of all threads change under this lock


class Mode(threading.local):
    """What this thread does with operations; every thread starts by recording."""

    recording = True
    scope: Any = None  # where in the model: (name, scope around it), a new tuple whenever it is entered

    def __init__(self) -> None:
        self.variables: list[Leaf | Node] = []  # of the transforms (`grad`, ...) that this thread is inside


mode = Mode()


@contextmanager
def _recording(on: bool) -> Iterator[None]:
    before = mode.recording
    mode.recording = on
    try:
        yield
    finally:
        mode.recording = before


def no_grad() -> Any:
    """Context manager (and decorator) under which this thread records nothing.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     (w * 2).requires_grad
    False
    """
    return _recording(False)


def enable_grad() -> Any:
    """Context manager (and decorator) that records again inside `no_grad`.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad(), ag.enable_grad():
    ...     (w * 2).requires_grad
    True
    """
    return _recording(True)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Context manager whose operations a picture draws in one frame, called `name`; a Module opens its own.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> w = ag.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> with ag.scope("encoder"):
    ...     h = ag.tanh(w * w)
    >>> [[s.path for s in op.scopes] for op in ag.sum(h).graph().ops]
    [['encoder'], ['encoder'], []]
    """
    before = mode.scope
    mode.scope = (name, before)
    try:
        yield
    finally:
        mode.scope = before


class Leaf:
    """Where a gradient ends: the part of a Tensor with ``requires_grad=True`` that the tape holds on to."""

    __slots__ = ("birth", "dtype", "grad", "name", "shape", "use")
    walks = 0  # walks so far in this process: tells "no backward yet" from "backward did not reach it"

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, name: str | None) -> None:
        self.birth = next_birth()
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.grad: Any = None
        self.use = ("walks", Leaf.walks)  # then ("used", ...) by an optimiser, ("stale", ...) when added to after


class Node:
    """One recorded operation: structure that can be drawn, and saved arrays that go as the walk passes."""

    __slots__ = (
        "birth", "code", "dtype", "guards", "inputs", "name", "offset", "plan", "saved", "scope", "shape", "walked",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, inputs: list[Any], saved: Any, guards: Any, out: np.ndarray, code: Any, offset: int
    ) -> None:
        self.birth = next_birth()
        self.plan = plan
        self.inputs = inputs  # flat arguments: nodes where a gradient flows, `Constant`s for arrays, else the value
        self.saved = saved
        self.guards = guards
        self.shape = out.shape
        self.dtype = out.dtype
        self.code = code
        self.offset = offset
        self.scope = mode.scope
        self.name: str | None = None
        self.walked: Place | None = None

    def __str__(self) -> str:
        return f"{self.plan.primitive.name} ({spell((self.code, self.offset))})"


class Constant:
    """What the tape remembers of an array operand that needs no gradient."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str | None, array: np.ndarray) -> None:
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype


def parents(node: Node | Leaf) -> list[Node | Leaf]:
    """The nodes whose gradient this one contributes to, one entry an edge."""
    return [] if isinstance(node, Leaf) else [p for p in node.inputs if isinstance(p, (Node, Leaf))]


def tape(root: Node | Leaf, oldest: int = 0) -> list[Node | Leaf]:
    """Everything that `root` was computed from, oldest first; nothing born before `oldest`."""
    found = {root.birth: root}
    stack = [root]
    while stack:
        for parent in parents(stack.pop()):
            if parent.birth not in found and parent.birth >= oldest:
                found[parent.birth] = parent
                stack.append(parent)
    return [found[birth] for birth in sorted(found)]


def walk(root: Node | Leaf, seed: Any, **how: Any) -> dict[Node | Leaf, Any]:
    """Carry `seed` = d loss / d root back to the leaves; return the gradient of each, in fresh arrays.

    Nothing outside the graph changes: a walk that fails has changed no leaf.

    Parameters
    ----------
    retain : bool
        Keep what is saved, for another walk.
    wrap : callable, optional
        (array, node) -> Tensor: the rules run on Tensors, and are themselves recorded.
    targets : collection of nodes, optional
        Carry it to these only.
    through : bool
        Whether to go on behind a target that leads to another one.
    """
    # In a context of its own NumPy's errstate cannot leak, wherever an interrupt strikes.
    return copy_context().run(_walk, root, seed, here(), **how)


def _walk(
    root: Node | Leaf,
    seed: Any,
    place: Place,
    retain: bool = False,
    wrap: Callable[[Any, Any], Any] | None = None,
    targets: Collection[Node | Leaf] | None = None,
    through: bool = True,
) -> dict[Node | Leaf, Any]:
    np.seterr(all="ignore")  # the forward pass has warned already
    if isinstance(root, Node):
        with landing:  # of two threads that walk the same graph, one is told
            if root.walked is not None:
                _refuse(root)
            if not retain:
                root.walked = place
    needed = None if targets is None else _leading_to(root, targets)
    results: dict[Node | Leaf, Any] = {}
    waiting: dict[int, list[Any]] = {root.birth: [root, seed]}
    heap = [-root.birth]

    def receive(parent: Any, c: Any, node: Node, g: Any, label: str) -> None:
        if (
            c.__class__ is not ndarray
            or c.shape != parent.shape
            or c.dtype is not g.dtype
            or c.dtype is not parent.dtype
        ):
            c = _fit(c, g, parent, node, label, wrap)
        entry = waiting.get(parent.birth)
        if entry is None:
            if parent.birth >= node.birth:
                raise RuntimeError(f"backward: the graph has a cycle through {node}")
            waiting[parent.birth] = [parent, c]
            heappush(heap, -parent.birth)
        elif wrap is None and entry[1].flags.writeable:
            entry[1] += c
        else:
            entry[1] = _array(entry[1] + c)

    while heap:
        node, g = waiting.pop(-heappop(heap))
        if node.__class__ is Leaf:
            results[node] = g if wrap is not None or g.flags.writeable else g.copy()
            continue
        if targets is not None and node in targets:
            results[node] = g if wrap is not None else g.copy()
            if not through:
                continue
        plan, saved = node.plan, node.saved
        if saved is None:
            _refuse(node)
        over = None
        if wrap is not None:
            saved = plan.wrapped(node, wrap)
        elif plan.over is not None:
            over = plan.over
        else:
            g.setflags(False)
        for wanted, rule, pick in plan.steps:
            positions = wanted
            if needed is not None:
                positions = [p if p is not None and node.inputs[p] in needed else None for p in wanted]
                if not any(p is not None for p in positions):
                    continue
            try:
                if rule.into is not None and wrap is None:
                    entry = waiting.get(node.inputs[positions[0]].birth)
                    if entry is not None and entry[1].flags.writeable:
                        rule.into(entry[1], g, *pick(saved))
                        continue
                result = (over or rule.function)(g, *pick(saved))
                if not rule.joint:
                    receive(node.inputs[positions[0]], result, node, g, rule.name)
                    continue
                if len(set(map(id, result))) < len(result):  # one array for two inputs is not one's own
                    result = [c.copy() if c.__class__ is ndarray else c for c in result]
                for position, c in zip(positions, result, strict=True):
                    if position is not None:
                        receive(node.inputs[position], c, node, g, rule.name)
            except BaseException as error:
                if isinstance(error, ValueError) and "read-only" in str(error):
                    raise ValueError(
                        f"{plan.primitive.name}: the rule for {rule.name} writes into g or into what was saved. "
                        "Return a new array"
                    ) from error
                note(error, f"while differentiating {node} for {rule.name}")
                raise
        if not retain:
            node.saved = node.guards = None
            node.walked = place
    return results


def _array(value: Any) -> Any:
    """NumPy gives a scalar for the sum of two 0-d arrays."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def _refuse(node: Node) -> None:
    raise RuntimeError(
        f"backward: this graph was walked before ({spell(node.walked)}) and {node} has let go of its arrays. "
        "Run the forward code again, or keep them: backward(retain_graph=True)"
    )


def _leading_to(root: Node | Leaf, targets: Collection[Node | Leaf]) -> set[Node | Leaf]:
    """The nodes between `root` and `targets`, both included."""
    needed = set(targets)
    for node in tape(root, oldest=min((t.birth for t in targets), default=root.birth)):
        if any(parent in needed for parent in parents(node)):
            needed.add(node)
    return needed


def _fit(c: Any, g: Any, parent: Any, node: Node, label: str, wrap: Any) -> Any:
    """A contribution brought to its parent's shape and dtype, or an error that names the rule."""
    name = node.plan.primitive.name
    if c is None:
        raise TypeError(f"{name}: the rule for {label} returned None: is there a return?")
    if not hasattr(c, "dtype") or isinstance(c, np.generic):
        c = np.asarray(c)
    if wrap is not None and isinstance(c, ndarray):
        c = wrap(c, None)
    if c.dtype != g.dtype:
        raise TypeError(
            f"{name}: the rule for {label} returned {c.dtype} for a {g.dtype} gradient: "
            "a NumPy scalar, or np.zeros without dtype?"
        )
    if c.shape != parent.shape:
        step = next(rule for _, rule, _ in node.plan.steps if rule.name == label)
        code = getattr(step.function, "__code__", None)
        line = f" ({spell((code, 0))})" if code is not None else ""
        c = unbroadcast(c, parent.shape, f"{name}: the rule for {label}{line}", label)
    return c if c.dtype == parent.dtype else c.astype(parent.dtype)


def unbroadcast(c: Any, shape: tuple[int, ...], who: str = "unbroadcast", label: str = "x") -> Any:
    """Sum `c` over the axes along which `shape` was broadcast: the adjoint of broadcasting."""
    extra = len(c.shape) - len(shape)
    if extra < 0 or any(want not in (1, have) for want, have in zip(shape, c.shape[extra:], strict=True)):
        raise ValueError(f"{who} returned {c.shape}, {label} is {shape}")
    axes = tuple(i for i, have in enumerate(c.shape) if i < extra or shape[i - extra] != have)
    return c.sum(axis=axes).reshape(shape)


def first_not_finite(root: Node) -> str:
    """Name the operation in which a NaN or an infinity arose, from what the graph has kept."""
    good: set[Any] = set()  # nodes known to be finite
    last = None
    for node in tape(root):
        if isinstance(node, Leaf):
            good.add(node)  # or a message about an operation's input will tell
            continue
        for label, array in node.plan.labelled(node.saved or ()):
            if not isinstance(array, ndarray) or array.dtype.kind != "f":
                continue
            source = node if label == "out" else node.inputs[node.plan.names.index(label)]
            bad = array.size - int(np.isfinite(array).sum())
            if not bad:
                good.add(source)
                last = f"after {node}" if source is node else f"in {node} or after it"
            elif label != "out":
                return f"First seen in {label} of {node}: {bad} of {array.size}"
            elif unseen := [p for p in parents(node) if p not in good]:
                return f"First seen in {node}: {bad} of {array.size}; it may come from {unseen[-1]}"
            else:
                return f"First in {node}: {bad} of {array.size}"
    return f"It arose {last}" if last else f"It arose in {root} or before"
