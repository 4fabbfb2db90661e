"""What one way of calling a primitive keeps, and which rules it will run: a `Plan`, worked out once.

Everything follows from the names of the rules' parameters and from which inputs need a gradient, so a plan is made
once for each combination. Recording an operation then picks values by position.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine.guards import guard
from autograd_cnn.engine.messages import inside
from autograd_cnn.engine.mode import Mode
from autograd_cnn.engine.tape import Constant, Leaf, Node, next_birth

if TYPE_CHECKING:
    from autograd_cnn.engine.primitive import Primitive

ndarray = np.ndarray
_new = object.__new__


class Rule:
    """One derivative rule: the function, the inputs it serves (a joint rule: several), the names it asks for."""

    def __init__(self, function: Callable[..., Any], inputs: tuple[str, ...]) -> None:
        self.function = function
        self.inputs = inputs
        self.name = ", ".join(inputs)
        self.joint = len(inputs) > 1
        self.into: Callable[..., None] | None = None
        self.over: Callable[..., Any] | None = None
        self.asks = [p for p in inspect.signature(function).parameters if p != "g"]


class Plan:
    """What to keep, and which rules to run, for one set of inputs that need a gradient.

    Positions count the flat arguments (a sequence input is spread out), then `out`, then the by-products.

    Attributes
    ----------
    names : list of str
        The parameter that each flat argument belongs to.
    sources : dict of (bool, int) to int
        Where `saved` has a value: by whether only its shape is kept, and its position.
    steps : list of (ports, rule, pick)
        The rules to run: the positions that each contributes to (None where no gradient is wanted), the rule,
        and a function from `saved` to its arguments.
    """

    def __init__(self, primitive: Primitive[...], wanted: int, elements: int) -> None:
        self.primitive = primitive
        self.names = primitive.flat_names(elements)
        self.places = {name: i for i, name in enumerate((*self.names, "out", *primitive.byproducts))}
        self.sources: dict[tuple[bool, int], int] = {}
        self.steps: list[tuple[tuple[int | None, ...], Rule, Callable[[Any], Any]]] = []
        for position, name in enumerate(self.names):
            if not wanted >> position & 1:
                continue
            rule = primitive.rules[name]
            ports: tuple[int | None, ...] = (position,)
            if rule.joint:
                if any(rule is known for _, known, _ in self.steps):
                    continue
                ports = tuple(p if wanted >> (p := self.names.index(n)) & 1 else None for n in rule.inputs)
            self.steps.append((ports, rule, self._picker(rule, position)))
        self.over = self.steps[0][1].over if len(self.steps) == 1 else None
        self.others = [p for p in range(len(self.names)) if not wanted >> p & 1]
        self.keep = self._keeper()
        self.guarded = [(i, p) for (shape, p), i in self.sources.items() if not shape and p <= len(self.names)]

    def _picker(self, rule: Rule, position: int) -> Callable[[Any], Any]:
        """saved -> the arguments `rule` asks for."""
        sequence = self.primitive.sequence
        wants: list[Any] = []  # places in `saved`, or functions of it
        for ask in rule.asks:
            shape = ask not in self.places and ask != sequence and ask.endswith("_shape")
            name = ask.removesuffix("_shape") if shape else ask
            if name == "position":
                index = position - self.names.index(sequence)
                wants.append(lambda _, index=index: index)
            elif name == sequence:
                places = [self._source(shape, p) for p, n in enumerate(self.names) if n == name]
                wants.append(lambda saved, places=places: [saved[p] for p in places])
            else:
                wants.append(self._source(shape, self.places[name]))
        if not any(map(callable, wants)):
            return _getter(wants)
        return lambda saved: [want(saved) if callable(want) else saved[want] for want in wants]

    def _source(self, shape: bool, position: int) -> int:
        return self.sources.setdefault((shape, position), len(self.sources))

    def _keeper(self) -> Callable[[list[Any]], Any]:
        """Values of a call -> what the node saves."""
        if not any(shape for shape, _ in self.sources):
            return _getter([p for _, p in self.sources])
        sources = tuple(self.sources)
        return lambda values: tuple([np.shape(values[p]) if shape else values[p] for shape, p in sources])

    def record(self, values: list[Any], inputs: list[Any], mode: Mode, frame: Any) -> Node:
        """Make the node of a call.

        `values` are the flat arguments, the output and the by-products, as arrays; `inputs` the same arguments with
        nodes where there are any; the first frame from `frame` on that is outside the package is the user's.
        """
        node: Any = _new(Node)  # attribute by attribute: a constructor would cost a call
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
            if a.__class__ is not ndarray or (a.base is None and (p == arguments or inputs[p].__class__ is Node)):
                continue  # a result has memory of its own, read-only for good
            if (token := guard(a)) is not None:
                node.guards = (token, node.guards)
        for p in self.others:
            value = values[p]
            if value.__class__ is tuple:  # an index: its arrays are freed with what is saved
                inputs[p] = tuple([Constant(None, v) if v.__class__ is ndarray else v for v in value])
            elif value.__class__ is not ndarray:
                inputs[p] = value
            else:
                inputs[p] = Constant(getattr(inputs[p], "name", None), value)
        while inside[frame.f_code.co_filename]:
            frame = frame.f_back
        node.code = frame.f_code
        node.offset = frame.f_lasti
        return node

    def wrapped(self, node: Node, wrap: Callable[[Any, Any], Any]) -> list[Any]:
        """What `node` saved, with its history: for rules that are themselves recorded."""
        result = list(node.saved)
        for (shape, p), i in self.sources.items():
            origin = node if p == len(self.names) else node.inputs[p] if p < len(self.names) else None
            if not shape and (origin is node or isinstance(origin, (Node, Leaf))):
                result[i] = wrap(result[i], origin)
        return result

    def labelled(self, saved: Any) -> list[tuple[str, Any]]:
        """(name, value) of what was saved."""
        names = (*self.names, "out", *self.primitive.byproducts)
        return [(names[p], saved[i]) for (shape, p), i in self.sources.items() if not shape and i < len(saved)]


def _getter(indices: list[int]) -> Callable[[Any], Any]:
    if not indices:
        return lambda values: ()
    if len(indices) == 1:
        return itemgetter(slice(indices[0], indices[0] + 1))
    return itemgetter(*indices)
