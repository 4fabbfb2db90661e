"""The backward walk, which carries gradients over the tape from a result to the leaves.

In reverse mode, each rule of a node turns ``g = d loss / d out`` into ``g * d out / d input``, and contributions to the
same node are added. Nodes wait in a heap that returns the youngest first. Contributions come from younger nodes only,
so all contributions to a node have arrived when its turn comes.

In ``tensor.py``, ``z.backward()`` calls `_backward`, which calls `_gradients`, which calls `carry_back`, which calls
`carry_through`, which calls ``walk(z.node, seed)``. `_gradients` makes the seed: a one in the shape and dtype of z,
which must be one number; for more, ``z.backward(grad)`` takes a read-only view of the caller's array. `carry_back`
conjugates complex numbers; `carry_through` copies the context. When the walk is over, `_backward` sets `grad` of each
leaf: to the gradient itself, not a copy, if `grad` was None; otherwise to a new array, the sum of both. So a walk that
fails changes no leaf. The heap has births with a minus, since Python's heaps return the smallest number first.

For ``z = u * u`` at u = 3, the births are, say, 1 for the leaf of u and 2 for the node of z. The heap is [-2], and the
first node is that of z, with g = 1. The rule of the first factor gives g times the second, 3, a NumPy number, of which
`conform` makes an array: the first contribution to the leaf, and the heap is [-1]. The rule of the second factor gives
3 again, which is added into the sum, since the array is new (the first of the three ways in `add`); the heap stays as
it is. Then the leaf is the youngest, and its sum 6 is the result.

A first reading may leave out what has its default in ``z.backward()``: `wrap` (walks that are recorded, for derivatives
of derivatives), `targets` with `needed`, and `retain`; also `observed`, for profilers, and `search`, which
``z.backward()`` does pass (``z.backward(grad)`` does not), with `look`, which stays None until NumPy reports an invalid
number, an overflow or a division by zero. `here` is the line of this walk, and `claim` notes it at the root, or refuses
a second walk from there (RuntimeError), also after one that failed: an error in a rule is raised with a note
(`rule_failed`), and the nodes that are left keep their saved arrays, read-only, as long as they live. `conform` makes a
contribution an array of the input's shape and dtype. A first reading may also leave out `into`, which the rules of
multiply do not have, `may_write`, `owned` and `is_owned`, with the last paragraph: they decide whether memory is used
again, and never change a number.

Only the walk adds contributions, undoes broadcasting, and checks shapes and dtypes. It owns the sums that it has made,
and what a rule of the package returns, if that is writable: such a rule returns an array that nobody else has
(`Rule.fresh`). For saved arrays are read-only, and the walk makes `g` read-only before a rule receives it, unless all
rules of the node may write into it (`Plan.may_write`) and the walk owns it. The walk may add into an array that it
owns, and pass it to a leaf without a copy. Any other contribution may be in use elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import as_array, conform
from autograd_cnn.engine.guards import claim
from autograd_cnn.engine.messages import here
from autograd_cnn.engine.mode import current, record_walk
from autograd_cnn.engine.tape import Leaf, Node, leading

ndarray = np.ndarray
Wrap = Callable[[Any, Any], Any] | None
Targets = Mapping[Node | Leaf, bool] | None


def walk(
    root: Any, seed: Any, *, retain: bool = False, wrap: Wrap = None, targets: Targets = None, search: Any = None
) -> dict[Node | Leaf, Any]:
    """Carry `seed` = d loss / d root back to the leaves, and return the gradient of each.

    Without `wrap` these are fresh arrays. The walk changes the nodes that it visits, but no leaf, even if it fails. Its
    callers run it in a copy of the context: it changes NumPy's errstate and the mode, and an interrupt must not leave
    them changed.

    Parameters
    ----------
    retain : bool
        Keep the saved arrays, for another walk.
    wrap : callable, optional
        ``(array, node) -> Tensor``. If given, the rules run on Tensors, and the operations in them are recorded.
    targets : dict of nodes, optional
        Carry `seed` to these nodes only. The value is whether to continue behind the node, to further targets that it
        was computed from.
    search : Search, optional
        Looks for the first contribution that is not finite.
    """
    place = here()
    np.seterr(all="ignore")  # the forward pass has warned already; `search` listens to some of these errors
    needed = None if targets is None else leading(root, targets)
    sums = _Sums(root, seed, wrap, needed)
    if search is not None:
        search.listen(sums)
    if wrap is not None:
        record_walk(sums)
    if root.__class__ is Node:
        claim(root, None if retain else place)
    observed = current.get().on_rules
    results: dict[Node | Leaf, Any] = {}
    entries, heap = sums.entries, sums.heap
    while heap:
        node, g, owned = entries.pop(-heappop(heap))  # the youngest
        if node.__class__ is Leaf or (targets is not None and node in targets):
            ends = node.__class__ is Leaf or not (targets and targets[node])
            results[node] = g if wrap is not None or (ends and is_owned(g, owned)) else g.copy()
            if ends:
                continue
        plan, saved = node.plan, node.saved
        if saved is None:
            raise errors.walked_before(node)  # by a walk from another root
        if wrap is not None:
            saved, sums.node = plan.wrapped(node, wrap), node
        elif not (plan.may_write and is_owned(g, owned)):
            g.setflags(False)  # read-only
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
                else:
                    sums.add(node.inputs[argnums[0]], rule.function(g, *pick(saved)), g, node, rule)
            except BaseException as error:
                errors.rule_failed(node, rule, error)
                raise
        if not retain:
            node.saved = node.guards = None
            node.walked = place
    return results


class _Sums:
    """The partial sums of gradients, by birth of their node: entries ``[node, sum, owned]``.

    `owned` is whether the walk has the sum for itself, if the sum is writable: see `is_owned`.
    """

    __slots__ = ("entries", "heap", "look", "needed", "node", "wrap")
    node: Node  # whose rules run, if the walk is recorded

    def __init__(self, root: Node | Leaf, seed: Any, wrap: Wrap, needed: Any) -> None:
        self.entries: dict[int, list[Any]] = {root.birth: [root, seed, False]}
        self.heap = [-root.birth]
        self.wrap, self.needed = wrap, needed
        self.look: Any = None  # at contributions that may not be finite

    def add(self, parent: Any, c: Any, g: Any, node: Node, rule: Any) -> None:
        """Add `c`, the contribution that `rule` computed from `g`, to the sum of `parent`.

        The three ways to add to a sum give the same numbers, and differ in memory only.
        """
        if self.look is not None:
            self.look(c, g, node, rule)
        if c.__class__ is not ndarray or c.shape != parent.shape or not c.dtype is g.dtype is parent.dtype:
            c = conform(c, g, parent, node, rule, self.wrap)  # a scalar becomes an array; broadcasting is undone
        entry = self.entries.get(parent.birth)
        if entry is None:  # the first contribution
            self.entries[parent.birth] = [parent, c, rule.fresh]
            heappush(self.heap, -parent.birth)
        elif self.wrap is not None:  # Tensors
            entry[1] = entry[1] + c
        elif is_owned(entry[1], entry[2]):  # add into the sum
            entry[1] += c
        elif is_owned(c, rule.fresh):  # add into the contribution
            c += entry[1]
            entry[1:] = c, True
        else:  # both may be in use elsewhere: a new array
            entry[1:] = as_array(entry[1] + c), True

    def add_all(self, argnums: Any, contributions: Any, g: Any, node: Node, rule: Any) -> None:
        """Add the contributions of a joint rule to the sums of the parents that need them."""
        for argnum, c in zip(argnums, contributions, strict=True):
            if argnum is not None and (self.needed is None or node.inputs[argnum] in self.needed):
                self.add(node.inputs[argnum], c, g, node, rule)

    def buffer(self, parent: Any) -> ndarray | None:
        """Return the sum of `parent` if a rule may add into it, else None."""
        entry = self.entries.get(parent.birth)
        if entry is None or self.wrap is not None or not is_owned(entry[1], entry[2]):
            return None
        return entry[1]


def is_owned(array: ndarray, owned: bool) -> bool:
    """Return whether the walk may write into an array that it made, or that a rule which is `fresh` returned."""
    return owned and array.flags.writeable
