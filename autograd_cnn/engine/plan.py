"""A `Plan` determines which values a call of a primitive saves, and which rules the walk runs for it.

Both follow from the names of the rules' parameters and from the inputs that need a gradient. So a plan is made once for
each combination of such inputs, and recording a call only picks values by position.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from autograd_cnn.engine.guards import Guard, guard
from autograd_cnn.engine.messages import inside
from autograd_cnn.engine.mode import Mode
from autograd_cnn.engine.numpy_calls import copied_index
from autograd_cnn.engine.rules import Rule
from autograd_cnn.engine.tape import Constant, Leaf, Node, next_birth

ndarray = np.ndarray
_new = object.__new__
_CHANGEABLE = {list, ndarray}  # parts of an index


class Plan:
    """The values to save and the rules to run, for one set of inputs that need a gradient.

    Positions count the flat arguments (with a sequence input spread out), then `out`, then the by-products.

    Attributes
    ----------
    names : list of str
        The name of the parameter that each flat argument belongs to. `labels` has those of the other values, too.
    sources : dict of (bool, int) to int
        The index of each saved value in `saved`, by ``(whether only the shape is saved, position)``.
    steps : list of (argnums, rule, pick)
        The rules to run: the positions of the inputs that a rule contributes to (None for an input that needs no
        gradient), the rule, and a function that picks its arguments from `saved`.
    formulas : list of (argnums, rule, pick)
        The same with the textbook's rules, for a walk that is recorded.
    """

    def __init__(self, primitive: Any, grad_mask: int, elements: int) -> None:
        self.primitive = primitive
        self.names = primitive.flat_names(elements)
        self.labels = (*self.names, "out", *primitive.byproducts)
        self.sources: dict[tuple[bool, int], int] = {}
        self.steps: list[tuple[tuple[int | None, ...], Rule, Callable[[Any], Any]]] = []
        for position, name in enumerate(self.names):
            if not grad_mask >> position & 1:
                continue
            rule = primitive.rules[name]
            argnums: tuple[int | None, ...] = (position,)
            if rule.joint:
                if any(rule is known for _, known, _ in self.steps):
                    continue
                argnums = tuple(p if grad_mask >> (p := self.names.index(n)) & 1 else None for n in rule.inputs)
            self.steps.append((argnums, rule, self._picker(rule, argnums)))
        self.may_write = all(rule.may_write for _, rule, _ in self.steps)  # another rule would need the same `g`
        self.steps = self.steps[::-1] if self.may_write else self.steps  # the rule of the first input writes into `g`
        textbook = [(argnums, rule.textbook) for argnums, rule, _ in self.steps]
        self.formulas = [(argnums, rule, self._picker(rule, argnums)) for argnums, rule in textbook]
        self.constants = [p for p in range(len(self.names)) if not grad_mask >> p & 1]
        self.keep = self._keeper()
        self.guarded = [(i, p) for (shape, p), i in self.sources.items() if not shape and p <= len(self.names)]

    def _picker(self, rule: Rule, argnums: tuple[int | None, ...]) -> Callable[[Any], Any]:
        """Return a function that picks the arguments of `rule` from `saved`."""
        sequence = self.primitive.sequence
        getters: list[Any] = []  # indices into `saved`, or functions of it
        for need in rule.needs:
            shape = need not in self.labels and need != sequence and need.endswith("_shape")
            name = need.removesuffix("_shape") if shape else need
            if name == "position":
                index = (argnums[0] or 0) - self.names.index(sequence)
                getters.append(lambda _, index=index: index)
            elif name == sequence:
                indices = [self._source(shape, p) for p, n in enumerate(self.names) if n == name]
                getters.append(lambda saved, indices=indices: [saved[i] for i in indices])
            else:
                getters.append(self._source(shape, self.labels.index(name)))
        if not any(map(callable, getters)):
            return _getter(getters)
        return lambda saved: [get(saved) if callable(get) else saved[get] for get in getters]

    def _source(self, shape: bool, position: int) -> int:
        return self.sources.setdefault((shape, position), len(self.sources))

    def _keeper(self) -> Callable[[list[Any]], Any]:
        """Return a function that picks the values to save from all values of a call."""
        if not any(shape for shape, _ in self.sources):
            return _getter([p for _, p in self.sources])
        sources = tuple(self.sources)
        return lambda values: tuple([np.shape(values[p]) if shape else values[p] for shape, p in sources])

    def record(self, values: list[Any], inputs: list[Any], mode: Mode, frame: Any) -> Node:
        """Make the node of a call.

        `values` are the flat arguments, the output and the by-products, as arrays. `inputs` are the arguments again,
        with the node in place of each Tensor that has one. The user's frame is the first one, from `frame` on, that is
        outside the package.
        """
        node: Any = _new(Node)  # set attribute by attribute, since a constructor would cost a call
        node.birth = next_birth()
        node.plan = self
        node.inputs = inputs
        node.saved = saved = self.keep(values)
        arguments = len(inputs)
        out = values[arguments]
        node.shape = out.shape
        node.dtype = out.dtype
        node.scope = mode.scope
        node.guards = node.name = node.walked = None
        for i, p in self.guarded:
            a = saved[i]
            if a.__class__ is ndarray:
                if a.base is None and (p == arguments or inputs[p].__class__ is Node):
                    continue  # a result owns its memory, which is read-only for good
                token = guard(a)
            else:
                token = copied_index(a) if a.__class__ is tuple and not _CHANGEABLE.isdisjoint(map(type, a)) else None
            if token.__class__ is Guard:
                node.guards = (token, node.guards)
            elif token is not None:  # a copy
                node.saved = saved = (*saved[:i], token, *saved[i + 1 :])
        for p in self.constants:
            value = values[p]
            if value.__class__ is tuple:  # an index; its arrays are to be freed with `saved`
                inputs[p] = tuple([Constant(None, v) if v.__class__ is ndarray else v for v in value])
            elif value.__class__ is not ndarray:
                inputs[p] = value
            else:
                inputs[p] = Constant(getattr(inputs[p], "_name", None), value)  # of a Tensor without a node
        while inside[frame.f_code.co_filename]:
            frame = frame.f_back
        node.code = frame.f_code
        node.offset = frame.f_lasti
        return node

    def wrapped(self, node: Node, wrap: Callable[[Any, Any], Any]) -> list[Any]:
        """Return the saved values of `node`, as Tensors if they have a history, for rules that are recorded."""
        result = list(node.saved)
        for (shape, p), i in self.sources.items():
            origin = node if p == len(self.names) else node.inputs[p] if p < len(self.names) else None
            if not shape and (origin is node or isinstance(origin, (Node, Leaf))):
                result[i] = wrap(result[i], origin)
        return result


def _getter(indices: list[int]) -> Callable[[Any], Any]:
    if not indices:
        return lambda values: ()
    if len(indices) == 1:
        return itemgetter(slice(indices[0], indices[0] + 1))
    return itemgetter(*indices)
