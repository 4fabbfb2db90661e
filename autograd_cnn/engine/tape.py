"""The tape: nodes that remember operations.

Every recorded operation leaves a `Node`. A node knows its parent *nodes*, never Tensors: so there are no reference
cycles, and an activation is freed when the user lets go of it. It also holds the arrays that its rules ask for, and
the user's line. A counter stamps each node at birth. Parents are older than their children, so birth order is a
topological order: no traversal needs recursion or a sort.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine.messages import Place, spell

if TYPE_CHECKING:
    from autograd_cnn.engine.plan import Plan

next_birth = itertools.count(1).__next__


class Leaf:
    """Where a gradient ends: the part of a Tensor with ``requires_grad=True`` that the tape holds on to.

    `began` is the time, on the counter of births, at which `grad` was cleared, set or begun by a walk.
    """

    __slots__ = ("began", "birth", "dtype", "grad", "name", "shape")
    latest = 0  # the time of the latest backward in this process

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, name: str | None) -> None:
        self.birth = self.began = next_birth()
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.grad: Any = None


class Node:
    """One recorded operation, made by `Plan.record`: structure that can be drawn, and saved arrays that the walk frees.

    `inputs` are the flat arguments: a node where a gradient flows, a `Constant` for an array, else the value.
    """

    __slots__ = (
        "birth", "code", "dtype", "guards", "inputs", "name", "offset", "plan", "saved", "scope", "shape", "walked",
    )  # fmt: skip
    birth: int
    code: Any
    dtype: np.dtype
    guards: Any
    inputs: list[Any]
    name: str | None
    offset: int
    plan: Plan
    saved: Any
    scope: Any
    shape: tuple[int, ...]
    walked: Place | None

    def __str__(self) -> str:
        return f"{self.plan.primitive.name} ({spell((self.code, self.offset))})"

    def kept(self, name: str) -> Any:
        """The array saved under `name`: an input's, ``out``, or a by-product's; None where there is none."""
        return dict(self.plan.labelled(self.saved or ())).get(name)


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


def history(root: Node | Leaf, oldest: int = 0) -> list[Node | Leaf]:
    """Everything that `root` was computed from, oldest first; nothing born before `oldest`."""
    found = {root.birth: root}
    stack = [root]
    while stack:
        for parent in parents(stack.pop()):
            if parent.birth not in found and parent.birth >= oldest:
                found[parent.birth] = parent
                stack.append(parent)
    return [found[birth] for birth in sorted(found)]
