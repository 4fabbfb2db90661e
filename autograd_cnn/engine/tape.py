"""The tape: one node for every recorded operation. ``examples/hundred_lines.py`` is the same idea in a hundred lines.

A Tensor holds its array (`_array` in the engine) and its `node` (`_node`), one of three: a `Leaf` if it was made with
``requires_grad=True``, the `Node` of the operation that computed it, or None if no gradient flows to it. After
``z = u * u``, ``z.node.inputs`` is ``[u.node, u.node]``. ``z.backward()`` walks from ``z.node`` (see `walk`), and sets
``u.node.grad``, or adds to it; ``u.grad`` returns it.

A node refers to its parent *nodes*, never to Tensors. So there are no reference cycles, and the array of a
result is freed with the last variable that names it, unless a rule, the formula of a derivative (see `primitive`),
needs it. A node also holds the arrays that its rules need, and the user's line. A counter numbers the nodes as they are
made. Parents are older than their children, so birth order is a topological order: the walk takes the youngest node
first, from a heap, and nothing is recursive. A first reading may leave out the functions behind the classes, which
pictures and messages use.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import Place, spell

next_birth = itertools.count(1).__next__


class Leaf:
    """The part of a Tensor with ``requires_grad=True`` that nodes refer to. It stores the gradient.

    `Tensor._backward` sets `grad` when its walk is over. The two times below serve messages only, about a `grad` that
    is None or old. A backward takes a number from the counter of births as its time; `grad_since` is the time when
    `grad` was last cleared or assigned, or first set by a backward.
    """

    __slots__ = ("birth", "dtype", "grad", "grad_since", "name", "shape")
    last_backward = 0  # the time of the latest backward in this process

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, name: str | None) -> None:
        self.birth = self.grad_since = next_birth()
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.grad: Any = None


class Node:
    """A recorded operation: its structure, which pictures show, and its saved arrays, which the walk frees.

    `Plan.record` makes it.

    Attributes
    ----------
    inputs : list
        One entry per argument (each array of a list counts): a node if a gradient flows to the argument, a `Constant`
        for any other array, else the value itself.
    plan : Plan
        Which values the call saved, and the rules that the walk runs.
    saved : tuple or list
        The saved values, or None after a walk has freed them.
    guards : tuple or None
        ``(guard, the rest)``, a chain of pairs; for ``u * u`` the same guard twice. They keep saved arrays read-only
        until the walk frees them. Nodes share the guard of an array: the last that lets it go unlocks the array.
    walked : Place
        The line of the walk that began here or has freed the arrays, or None.
    birth : int
        Its number on the counter.
    shape, dtype
        Those of the output.
    name, scope, code, offset
        The user's name of the output, the module of the model that made it (or None), and the user's line.
    """

    birth: int
    code: Any
    dtype: np.dtype
    guards: Any
    inputs: list[Any]
    name: str | None
    offset: int
    plan: Any  # a Plan
    saved: Any
    scope: Any
    shape: tuple[int, ...]
    walked: Place | None
    __slots__ = tuple(__annotations__)

    def __str__(self) -> str:
        return f"{self.plan.primitive.name} ({spell((self.code, self.offset))})"

    def saved_by_number(self) -> dict[int, Any]:
        """Return the saved arrays and options by the number of the value: an argument, the output or a by-product."""
        values = len(self.plan.labels) - len(self.plan.shapes)
        return {p: v for p, v in zip(self.plan.kept, self.saved or (), strict=False) if p < values}

    def saved_value(self, name: str) -> Any:
        """Return the array saved under `name` (an input, ``out`` or a by-product), or None."""
        return next((value for p, value in self.saved_by_number().items() if self.plan.labels[p] == name), None)


class Constant:
    """The name, shape and dtype of an array operand that needs no gradient."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str | None, array: np.ndarray) -> None:
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype


def parents(node: Node | Leaf) -> list[Node | Leaf]:
    """Return the nodes to whose gradients this node contributes, one entry per edge."""
    return [] if isinstance(node, Leaf) else [p for p in node.inputs if isinstance(p, (Node, Leaf))]


def history(root: Node | Leaf, oldest: int = 0) -> list[Node | Leaf]:
    """Return `root` and all nodes that it was computed from, oldest first; leave out those born before `oldest`."""
    found = {root.birth: root}
    stack = [root]
    while stack:
        for parent in parents(stack.pop()):
            if parent.birth not in found and parent.birth >= oldest:
                found[parent.birth] = parent
                stack.append(parent)
    return [found[birth] for birth in sorted(found)]


def leading(root: Node | Leaf, targets: Iterable[Node | Leaf]) -> set[Node | Leaf]:
    """Return the targets, and the nodes behind `root` that were computed from one."""
    found = {*targets}
    for node in history(root, oldest=min((t.birth for t in targets), default=root.birth)):
        if not found.isdisjoint(parents(node)):
            found.add(node)
    return found
