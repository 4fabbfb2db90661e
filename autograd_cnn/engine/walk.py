"""The backward walk, which carries gradients over the tape from a result to the leaves.

In reverse mode, each rule of a node turns ``g = d loss / d out`` into ``g * d out / d input``, and contributions to the
same node are added. Nodes wait in a heap that returns the youngest first. Contributions come from younger nodes only,
so all contributions to a node have arrived when its turn comes.

``z.backward()`` calls ``walk(z.node, seed)``, with an array of ones in the shape of z. Each gradient that this returns
becomes `grad` of its leaf if that was None, and is added to it otherwise. For ``z = u * u`` at u = 3, the first node is
that of z, with g = 1. The rule of the first factor gives g times the second, 3: the first entry of the leaf. The rule
of the second factor gives 3 again, which is added. Then the leaf is the youngest, and its sum 6 is the result.

A first reading may leave out what has its default in ``z.backward()``: `wrap` (walks that are recorded, for derivatives
of derivatives), `targets` with `past_targets` and `needed`, `origin` with `watched` and `is_finite` (the search for
the first NaN), `retain`, and the lock (threads). It may also leave out `into`, `may_write`, `ours` and `is_ours`, which
decide whether memory is used again, and never change a number.

Only the walk adds contributions, undoes broadcasting, and checks shapes and dtypes. Saved arrays are read-only, and the
walk makes `g` read-only before a rule receives it, unless the rule may write into it (`Rule.may_write`). So if a
contribution is *writable* and nobody else refers to it (`is_ours`, by the count of references), it is a fresh array:
the walk may add into it, and pass it to a leaf without a copy. Any other contribution may be in use elsewhere.
"""

from __future__ import annotations

import cmath
import os
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from threading import RLock
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.fitting import as_array, conform
from autograd_cnn.engine.guards import is_ours
from autograd_cnn.engine.messages import here, note
from autograd_cnn.engine.mode import current
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.tape import Leaf, Node, history, parents

ndarray = np.ndarray
Wrap = Callable[[Any, Any], Any]


# A thread takes the lock to claim a graph, or to change the gradients of leaves. It may take it again, since a signal
# handler may run backward meanwhile.
exclusive = SimpleNamespace(lock=RLock())
if hasattr(os, "register_at_fork"):  # a child must not inherit a lock that another thread holds
    os.register_at_fork(after_in_child=lambda: setattr(exclusive, "lock", RLock()))


def walk(
    root: Any,
    seed: Any,
    *,
    retain: bool = False,
    wrap: Wrap | None = None,
    targets: Collection[Node | Leaf] | None = None,
    past_targets: bool = True,
    origin: list[Any] | None = None,
    watched: bool = False,
) -> dict[Node | Leaf, Any]:
    """Carry `seed` = d loss / d root back to the leaves, and return the gradient of each in a fresh array.

    The walk changes nothing outside the graph, so a walk that fails changes no leaf. Run it in a copy of the context:
    it changes NumPy's errstate and the mode, and an interrupt must not leave them changed.

    Parameters
    ----------
    retain : bool
        Keep the saved arrays, for another walk.
    wrap : callable, optional
        ``(array, node) -> Tensor``. If given, the rules run on Tensors, and the operations in them are recorded.
    targets : collection of nodes, optional
        Carry `seed` to these nodes only.
    past_targets : bool
        Whether to continue behind a target, to further targets that it was computed from.
    origin : list, optional
        Receives the node, the rule and the contribution that was the first one not finite, if the walk notices it.
    watched : bool
        Look at every contribution. Else the walk does so only after NumPy met an invalid number or an overflow.
    """
    place = here()
    np.seterr(all="ignore")  # the forward pass has warned already
    needed = None if targets is None else _leading(root, targets)
    sums = _Sums(root, seed, wrap, needed, [] if origin is None else origin, watched)
    if wrap is not None:
        current.set(current.get().but(recording=True, walk=sums))
        for transform in current.get().transforms:
            transform.differentiated = True
    if root.__class__ is Node:
        with exclusive.lock:  # of two threads that walk one graph, the second raises an error
            if root.walked is not None:
                raise errors.walked_before(root)
            root.walked = None if retain else place
    observed = current.get().steps
    results: dict[Node | Leaf, Any] = {}
    if origin is not None:
        np.seterr(divide="call", over="call", invalid="call")
        np.seterrcall(sums.watch)
    entries, heap = sums.entries, sums.heap
    while heap:
        node, g, ours = entries.pop(-heappop(heap))  # the youngest
        if node.__class__ is Leaf or (targets is not None and node in targets):
            ends = node.__class__ is Leaf or not past_targets
            results[node] = g if wrap is not None or (ends and (ours or is_ours(g))) else g.copy()
            if ends:
                continue
        plan, saved = node.plan, node.saved
        if saved is None:
            raise errors.walked_before(node)
        if wrap is not None:
            saved, sums.node = plan.wrapped(node, wrap), node
        elif not plan.may_write or not (ours or is_ours(g)):
            g.setflags(False)
        steps = plan.steps if wrap is None else plan.formulas
        for argnums, rule, pick in steps if observed is None else observed(node, steps):
            if needed is not None and needed.isdisjoint(node.inputs[p] for p in argnums if p is not None):
                continue
            try:
                if rule.into is not None and (buffer := sums.buffer(node.inputs[argnums[0]])) is not None:
                    rule.into(buffer, g, *pick(saved))
                    continue
                if rule.joint:
                    sums.add_all(argnums, rule.function(g, *pick(saved)), g, node, rule)
                else:  # a name for the result would be one more reference, and `is_ours` counts them
                    sums.add(node.inputs[argnums[0]], rule.function(g, *pick(saved)), g, node, rule)
            except BaseException as error:
                if isinstance(error, ValueError) and "read-only" in str(error):
                    text = "writes into g or into a saved array. Return a new array"
                    raise errors.of_rule(node, rule, text, ValueError) from error
                note(error, f"while differentiating {node} for {rule.name}")
                raise
        if not retain:
            node.saved = node.guards = None
            node.walked = place
    return results


class _Sums:
    """The partial sums of gradients, by birth of their node: entries ``[node, sum, whether the walk owns the sum]``."""

    __slots__ = ("entries", "heap", "needed", "node", "origin", "watched", "wrap")
    node: Node  # whose rules run, if the walk is recorded

    def __init__(
        self, root: Node | Leaf, seed: Any, wrap: Wrap | None, needed: Any, origin: list[Any], watched: bool
    ) -> None:
        self.entries: dict[int, list[Any]] = {root.birth: [root, seed, False]}
        self.heap = [-root.birth]
        self.wrap, self.needed = wrap, needed
        self.origin, self.watched = origin, watched

    def watch(self, error: str, flag: int) -> None:
        """Look at the contributions from now on: NumPy calls this where an operation gives NaN or infinity."""
        self.watched = True

    def add(self, parent: Any, c: Any, g: Any, node: Node, rule: Any) -> None:
        """Add `c`, the contribution that `rule` computed from `g`, to the sum of `parent`."""
        if self.watched and not self.origin and not is_finite(c) and is_finite(g):
            self.origin += node, rule, c
        if (
            c.__class__ is not ndarray
            or c.shape != parent.shape
            or c.dtype is not g.dtype
            or c.dtype is not parent.dtype
        ):
            c = conform(c, g, parent, node, rule, self.wrap)  # a scalar becomes an array; broadcasting is undone
        entry = self.entries.get(parent.birth)
        if entry is None:  # the first contribution
            if parent.birth >= node.birth:
                raise RuntimeError(f"backward: the graph has a cycle through {node}")
            self.entries[parent.birth] = [parent, c, False]
            heappush(self.heap, -parent.birth)
        elif entry[2] or (self.wrap is None and is_ours(entry[1])):  # nobody else has the sum: add into it
            entry[1] += c
            entry[2] = True
        else:
            fresh = [c]
            del c  # `is_ours` counts references
            if self.wrap is None and is_ours(fresh[0]):  # nobody else has the contribution: add into that
                fresh[0] += entry[1]
                entry[1] = fresh[0]
            else:  # both may be in use elsewhere: a new array
                entry[1] = as_array(entry[1] + fresh[0])
            entry[2] = self.wrap is None

    def add_all(self, argnums: Any, contributions: Any, g: Any, node: Node, rule: Any) -> None:
        """Add the contributions of a joint rule to the sums of the parents that need them."""
        for argnum, c in zip(argnums, contributions, strict=True):
            if argnum is not None and (self.needed is None or node.inputs[argnum] in self.needed):
                self.add(node.inputs[argnum], c, g, node, rule)

    def buffer(self, parent: Any) -> ndarray | None:
        """Return the sum of `parent` if a rule may add into it, else None."""
        entry = self.entries.get(parent.birth)
        if entry is None or self.wrap is not None or not (entry[2] or is_ours(entry[1])):
            return None
        entry[2] = True
        return entry[1]


SMALL = 4096  # numbers; up to so many, one product of BLAS takes less time than two passes of NumPy


def is_finite(value: Any) -> bool:
    """Return whether no number of an array or a Tensor is NaN or infinite."""
    array = np.asarray(plain(value))
    return (array.size <= SMALL and cmath.isfinite(np.vdot(array, array))) or bool(np.isfinite(array).all())


def _leading(root: Node | Leaf, targets: Collection[Node | Leaf]) -> set[Node | Leaf]:
    """Return the targets, and the nodes behind `root` that were computed from one."""
    found = {*targets}
    for node in history(root, oldest=min((t.birth for t in targets), default=root.birth)):
        if not found.isdisjoint(parents(node)):
            found.add(node)
    return found
