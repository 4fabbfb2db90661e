"""Two doors to a `Graph`: `graph_of` reads the tape behind a result, `trace` runs a function first.

Knows the engine, and writes what it finds into records; traversals are loops over the birth order.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.engine.messages import line_of
from autograd_cnn.engine.tape import Constant, Leaf, Node, enable_grad, tape
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.graph.names import Site, Source
from autograd_cnn.graph.records import Graph, Kept, Op, Place, Rule, Value
from autograd_cnn.graph.text import spelled


def trace(f: Callable[..., Any], *args: Any) -> Graph:
    """Run ``f(*args)`` and return its graph.

    Parameters
    ----------
    f : callable
        Returns a Tensor; of several, the first is drawn.
    *args
        Arrays and floats, also inside dicts, lists and tuples, become Tensors named after the parameters of `f`;
        Tensors stay what they are; everything else is passed on. If the result depends on nothing that requires a
        gradient, `f` runs a second time with all floating arguments requiring one.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        Where `f` is no function, or returns no Tensor.
    ValueError
        Where nothing that requires a gradient leads to the result.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.trace(lambda x: x * x + x, 3.0)
    Graph: 2 operations, loss 12
    """
    if isinstance(f, Tensor):
        name = f.name or "t"
        label = f"{f.name}, a Tensor" if f.name else "a Tensor"
        raise TypeError(
            f"trace draws what a function does to tensors; you passed {label}: {name}.graph(), "
            "or ag.trace(loss_of, x, y)"
        )
    if not callable(f):
        raise TypeError(f"trace draws what a function does to tensors; you passed {f!r:.40}: ag.trace(loss_of, x, y)")
    names = _argument_names(f, len(args))
    for requires_grad in (False, True):
        arguments: dict[Any, tuple[str, str]] = {}
        tensors = [_as_tensors(a, n, requires_grad, arguments, "input") for a, n in zip(args, names, strict=True)]
        with enable_grad():
            result = f(*tensors)
        while isinstance(result, (tuple, list)) and result:
            result = result[0]
        if not isinstance(result, Tensor) and (requires_grad or not isinstance(result, (np.ndarray, np.generic))):
            raise TypeError(f"trace: {getattr(f, '__name__', 'f')} returned {_kind(result)}, want a Tensor")
        if isinstance(result, Tensor) and result.requires_grad:
            break
    return graph_of(result, arguments)


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.40}"


def _argument_names(f: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(getattr(f, "forward", f)).parameters.values())  # a Module's
    except (TypeError, ValueError):  # some builtins have none
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return names + [f"{rest}.{i}" for i in range(count - len(names))]


def _as_tensors(value: Any, name: str, requires_grad: bool, arguments: dict[Any, tuple[str, str]], role: str) -> Any:
    """`value` with its arrays as named Tensors; what gives gradients is entered into `arguments`."""
    if type(value) is dict:
        return {k: _as_tensors(v, f"{name}.{k}", requires_grad, arguments, "parameter") for k, v in value.items()}
    if type(value) in (list, tuple):
        items = (_as_tensors(v, f"{name}.{i}", requires_grad, arguments, "parameter") for i, v in enumerate(value))
        return type(value)(items)
    if isinstance(value, Tensor):
        if value.requires_grad:
            role = "parameter"
        elif requires_grad or value.name is None:
            value = Tensor(value, name=value.name or name)
    elif isinstance(value, (np.ndarray, np.generic, float)) and np.asarray(value).dtype.kind in "fiub":
        value = Tensor(value, name=name)
    else:
        return value
    if requires_grad and value.dtype.kind == "f":
        value.requires_grad = True
    if value.requires_grad:
        arguments[value._node] = (value.name or name, role)
    return value


def graph_of(tensor: Tensor, arguments: dict[Any, tuple[str, str]] | None = None) -> Graph:
    """The graph behind `tensor`, before or after the backward walk.

    `arguments`: name and role of leaves that somebody knows better.
    """
    root = tensor._node
    if root is None:
        raise ValueError(
            f"graph: {tensor._label()} has no history. It was made under no_grad(), or detached, "
            "or none of its inputs requires a gradient"
        )
    return _Writer(arguments or {}, tensor).graph(tape(root))


class _Writer:
    """Nodes into records, oldest first."""

    def __init__(self, arguments: dict[Any, tuple[str, str]], tensor: Tensor) -> None:
        self.arguments = arguments
        self.tensor = tensor
        self.values: dict[str, Value] = {}
        self.known: dict[Any, Value] = {}  # by node, or by what identifies an array that has none
        self.used: dict[str, int] = {}
        self.keepers: dict[int, tuple[str, Any]] = {}  # by id of the memory's owner: the first keeper, the owner
        self.source = Source()
        self.sites: dict[tuple[int, int, int], tuple[Site | None, dict[int, str], Place]] = {}

    def graph(self, nodes: list[Node | Leaf]) -> Graph:
        steps = [n for n in nodes if isinstance(n, Node)]
        if not steps:
            return Graph([], self.values, self.leaf(nodes[-1], "x", False).id, None)
        following = [*((n.code, n.offset) for n in steps[1:]), None]
        ops = [self.op(n, after, rank) for rank, (n, after) in enumerate(zip(steps, following, strict=True), 1)]
        result = self.known[nodes[-1]]
        if self.tensor.size != 1:
            return Graph(ops, self.values, result.id, None)
        result.role = "loss"
        return Graph(ops, self.values, result.id, float(self.tensor.item()))

    def op(self, node: Node, following: Any, rank: int) -> Op:
        plan, primitive = node.plan, node.plan.primitive
        site, variables, place = self.written(node)
        saved = node.saved or ()
        arrays = {p: saved[i] for (shape, p), i in plan.sources.items() if not shape} if saved else {}
        inputs, options = [], {}
        for port, (name, given) in enumerate(zip(plan.names, node.inputs, strict=True)):
            if isinstance(given, (Node, Leaf, Constant)):
                value = self.input(node, port, given, variables.get(port), arrays.get(port))
                inputs.append((port, value.id))
            elif name not in primitive.defaults or spelled(given) != spelled(primitive.defaults[name]):
                options[name] = spelled(given)
        # of several operations under one of the user's calls, the last one made what the variable holds
        last = node is self.tensor._node
        name = "loss" if last and self.tensor.size == 1 else primitive.name
        if site and site.target and (site.operation == primitive.name or following != (node.code, node.offset)):
            name = site.target
        output = self.known[node] = self.value(node.name or name, "activation", node)
        rules = {p: Rule(r.inputs, tuple(r.asks)) for positions, r, _ in plan.steps for p in positions if p is not None}
        kept = None if node.saved is None else list(self.kept(f"n{rank}", plan, arrays, dict(inputs), output))
        byproducts = list(primitive.byproducts)
        return Op(f"n{rank}", primitive.name, options, plan.names, inputs, output.id, byproducts, place, rules, kept)

    def written(self, node: Node) -> tuple[Site | None, dict[int, str], Place]:
        """How the user wrote it: a loop asks for the same line again and again."""
        key = (id(node.code), node.offset, id(node.plan))
        if key not in self.sites:
            line = (node.code, node.offset)
            site = self.source.site(line, node.plan.primitive.name)
            variables = site.variables(node.plan.primitive, node.plan.names) if site else {}
            place = Place(os.path.basename(node.code.co_filename), line_of(line), node.code.co_name)
            self.sites[key] = site, variables, place
        return self.sites[key]

    def input(self, node: Node, port: int, given: Any, variable: str | None, array: Any) -> Value:
        if isinstance(given, Node):
            return self.known[given]
        name = node.plan.names[port]
        target = port > 0 and "reduction" in node.plan.primitive.parameters
        if isinstance(given, Leaf):
            return self.leaf(given, variable or name, target)
        # The tape forgets which array a constant was: its name tells, or where it is still saved its identity.
        key: Any = (given.name, given.shape, given.dtype) if given.name else None
        if key is None:
            key = id(array) if isinstance(array, np.ndarray) else (node.birth, port)
        if key not in self.known:
            named = given.name or variable or (name if target else None)
            role = "target" if target else "input" if named else "constant"
            self.known[key] = self.value(named or "constant", role, given)
        return self.known[key]

    def leaf(self, leaf: Any, variable: str, target: bool) -> Value:
        if leaf not in self.known:
            name, role = self.arguments.get(leaf, (leaf.name, "parameter"))
            role = "target" if target and role == "input" else role
            self.known[leaf] = self.value(name or variable, role, leaf)
        return self.known[leaf]

    def value(self, name: str, role: str, array: Any) -> Value:
        count = self.used[name] = self.used.get(name, 0) + 1
        while count > 1 and f"{name}_{count}" in self.used:
            count += 1
        unique = name if count == 1 else f"{name}_{count}"
        self.used[name] = count
        self.used.setdefault(unique, 1)
        value = Value(f"t{len(self.values) + 1}", unique, role, tuple(array.shape), str(array.dtype))
        self.values[value.id] = value
        return value

    def kept(self, op: str, plan: Any, arrays: dict[int, Any], inputs: dict[int, str], output: Value) -> Iterator[Kept]:
        out = len(plan.names)
        stored = [*plan.names, "out", *plan.primitive.byproducts]
        seen = set()
        for position, array in sorted(arrays.items()):
            value = self.values[inputs[position]] if position in inputs else output if position == out else None
            label = value.name if value else f"{stored[position]}_{output.name}"
            if not isinstance(array, np.ndarray) or label in seen:
                continue
            seen.add(label)
            owner = array
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            first = self.keepers.get(id(owner))
            if first is None:
                self.keepers[id(owner)] = (op, owner)  # holding the owner keeps its id its own
            yield Kept(label, value.id if value else None, owner.nbytes, first[0] if first else None)
