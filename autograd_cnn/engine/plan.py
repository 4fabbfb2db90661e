"""A `Plan` determines which values a call of a primitive saves, and which rules the walk runs for it.

Both follow from the names of the rules' parameters and from the inputs that need a gradient. So a plan is made once for
each combination of such inputs, and recording a call only picks values by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from autograd_cnn.engine import errors
from autograd_cnn.engine.guards import Guard, fixed, guard
from autograd_cnn.engine.messages import inside
from autograd_cnn.engine.mode import Mode
from autograd_cnn.engine.rules import Rule
from autograd_cnn.engine.tape import Constant, Leaf, Node, next_birth

ndarray = np.ndarray
_new = object.__new__


class Plan:
    """The values to save and the rules to run, for one set of inputs that need a gradient.

    Values are numbered: the flat arguments (each array of a list counts), `out`, the by-products, and then the shapes
    that rules ask for. So the number of an argument is its position, and that of `out` is how many arguments there are.
    `labels` has their names.

    Attributes
    ----------
    names : list of str
        The parameter of each flat argument.
    shapes : list of int
        The numbers (not the shapes) of the values whose shapes rules ask for.
    kept : list of int
        The numbers of the values in `saved`, in the order in which the rules first ask for them: [1, 0] for ``u * u``,
        where the rule of x asks first, for y. `keep` picks these values.
    guarded : list of (index, number)
        The index in `saved` and the number of each argument or output there. `record` makes the arguments read-only,
        but for results, which have been read-only since they were made.
    constants : list of int
        The positions of the arguments, options too, through which no gradient flows.
    may_write : bool
        Whether the rules allow that the rule of the first input writes its result into `g`. It runs last then. It is
        False unless `accelerate` declared it, so for multiply.
    steps : list of (argnums, rule, pick)
        The rules to run: the positions of the inputs that a rule contributes to (None for an input that needs no
        gradient), the rule, and a function that picks its arguments from `saved`.
    formulas : list of (argnums, rule, pick)
        The same with ``rule.textbook``, the form of a rule that runs on Tensors, too, for a walk that is recorded. It
        is the rule itself, unless `fast` has put another in its place.
    """

    def __init__(self, primitive: Any, grad_mask: int, inputs: Sequence[Any]) -> None:
        self.primitive = primitive
        self.names: list[str] = primitive.flat_names(len(inputs))
        self.labels = [*self.names, "out", *primitive.byproducts]
        self.shapes: list[int] = []
        self.kept: list[int] = []
        found: dict[tuple[int | None, ...], Rule] = {}
        for position, name in enumerate(self.names):
            if grad_mask >> position & 1:
                if name not in primitive.rules:
                    raise errors.no_rule(primitive, name, inputs[position])
                rule = primitive.rules[name]
                # if the rule is joint, the positions of all of its inputs:
                several = [p if grad_mask >> (p := self.names.index(n)) & 1 else None for n in rule.inputs]
                found[tuple(several) if rule.joint else (position,)] = rule
        self.may_write = all(rule.may_write for rule in found.values())  # another rule would need the same `g`
        steps = [*found.items()][:: -1 if self.may_write else 1]  # the rule of the first input writes into `g`
        self.steps = [(argnums, rule, self._picker(rule, argnums)) for argnums, rule in steps]
        self.formulas = [(argnums, rule.textbook, self._picker(rule.textbook, argnums)) for argnums, rule in steps]
        self.constants = [p for p in range(len(self.names)) if not grad_mask >> p & 1]
        self.keep = _getter(self.kept)
        self.guarded = [(i, p) for i, p in enumerate(self.kept) if p <= len(self.names)]

    def _picker(self, rule: Rule, argnums: tuple[int | None, ...]) -> Callable[[Any], Any]:
        """Return a function that picks the arguments of `rule` from `saved`."""
        found = [(need, self._indices(need)) for need in rule.needs]
        if not (sequence := self.primitive.sequence):
            return _getter([i for _, (i,) in found])
        element, lists = self.names[: argnums[0]].count(sequence), (sequence, f"{sequence}_shape")

        def pick(saved: Any) -> list[Any]:
            values = {need: [saved[i] for i in indices] for need, indices in found} | {"position": [element]}
            return [values[need] if need in lists else values[need][0] for need in rule.needs]

        return pick

    def _indices(self, need: str) -> list[int]:
        """Return where `saved` has the values of a name, or by ``x_shape`` the shapes: several places for a list."""
        if need not in self.labels and need.endswith("_shape"):
            shapes = [p for p, label in enumerate(self.labels) if label == need.removesuffix("_shape")]
            self.shapes += shapes
            self.labels += [need] * len(shapes)
        numbers = [p for p, label in enumerate(self.labels) if label == need]
        self.kept += [p for p in numbers if p not in self.kept]
        return [*map(self.kept.index, numbers)]

    def record(self, values: list[Any], inputs: list[Any], mode: Mode, frame: Any) -> Node:
        """Make the node of a call.

        `values` are the flat arguments, the output and the by-products, as arrays. `inputs` are the arguments again,
        with the node in place of each Tensor that has one. The user's frame is the first one, from `frame` on, that is
        outside the package.
        """
        node: Any = _new(Node)  # set attribute by attribute, since a constructor would cost a call
        arguments = len(inputs)
        out = values[arguments]
        if self.shapes:
            values += [np.shape(values[p]) for p in self.shapes]
        node.birth = next_birth()
        node.plan = self
        node.inputs = inputs
        node.saved = saved = self.keep(values)
        node.shape = out.shape
        node.dtype = out.dtype
        node.scope = mode.scope
        node.guards = node.name = node.walked = None
        for i, p in self.guarded:
            a = saved[i]
            if a.__class__ is ndarray:
                if a.base is None and (p == arguments or inputs[p].__class__ is Node):
                    continue  # the array of a result, not of a leaf: it owns its memory, which is read-only for good
                held = guard(a)  # a Guard, a copy if the memory cannot be locked, or None if it is locked for good
            else:
                held = fixed(a) if a.__class__ is tuple else None
            if held.__class__ is Guard:
                node.guards = (held, node.guards)
            elif held is not None:  # a copy
                node.saved = (*node.saved[:i], held, *node.saved[i + 1 :])
        for p in self.constants:
            value = values[p]
            if value.__class__ is ndarray:
                inputs[p] = Constant(None if value is inputs[p] else getattr(inputs[p], "_name", None), value)
            elif value.__class__ is tuple:  # an index; its arrays are to be freed with `saved`
                inputs[p] = tuple([Constant(None, v) if v.__class__ is ndarray else v for v in value])
            else:
                inputs[p] = value
        while inside[frame.f_code.co_filename]:  # whether a file is the package's; the dict fills itself
            frame = frame.f_back
        node.code = frame.f_code
        node.offset = frame.f_lasti
        return node

    def wrapped(self, node: Node, wrap: Callable[[Any, Any], Any]) -> list[Any]:
        """Return the saved values of `node`, as Tensors if they have a history, for rules that are recorded."""
        origins = [*node.inputs, node, *[None] * len(self.labels)]
        pairs = [(value, origins[p]) for value, p in zip(node.saved, self.kept, strict=True)]
        return [wrap(value, origin) if isinstance(origin, (Node, Leaf)) else value for value, origin in pairs]


def _getter(indices: list[int]) -> Callable[[Any], Any]:
    if len(indices) > 1:
        return itemgetter(*indices)
    # For one index a slice, which returns a tuple: `itemgetter` of one index returns the value itself.
    return itemgetter(slice(indices[0], indices[0] + 1)) if indices else lambda values: ()
