"""Two doors to a `Graph`: `graph_of` reads the tape behind a result, `trace` runs a function first.

Knows the engine, and writes what it finds into records; traversals are loops over the birth order.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_cnn.engine.checkpoint import Checkpoint
from autograd_cnn.engine.errors import no_history
from autograd_cnn.engine.messages import here
from autograd_cnn.engine.mode import current, enable_grad, in_mode
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.promotion import settle
from autograd_cnn.engine.tape import Constant, Leaf, Node, history
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.engine.transforms import alias
from autograd_cnn.graph.names import Site, Source
from autograd_cnn.graph.records import Call, Graph, Kept, Op, Place, Rule, Scope, Use, Value
from autograd_cnn.graph.text import spelled


@dataclass(slots=True, eq=False)
class _Step:
    """An operation as it was called (`given`, `values`: flat arguments before and after settling), or off the tape."""

    primitive: Primitive
    names: list[str]
    given: list[Any]
    values: list[Any]
    code: Any
    offset: int
    scope: Any
    name: str | None
    out: Any
    node: Node | None

    @classmethod
    def of(cls, node: Node) -> _Step:
        plan, values = node.plan, list(node.inputs)
        for i, (name, value) in enumerate(zip(plan.names, values, strict=True)):  # weak operands, as settled
            if name in plan.primitive.rules and isinstance(value, (np.generic, list)):
                values[i] = value.item() if isinstance(value, np.generic) else np.asarray(value, node.dtype)
        return cls(
            plan.primitive, plan.names, values, values, node.code, node.offset, node.scope, node.name, node, node
        )


class _Heard:
    """What `listening` has heard: the calls, and copies of the arrays with which they began."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.copies: dict[int, np.ndarray] = {}  # by id of the array, which `steps` keep alive
        self.made: dict[int, _Step] = {}

    def call(self, primitive: Primitive, args: tuple[Any, ...], options: dict[str, Any], out: Tensor) -> None:
        given, elements = primitive.bind(args, options)
        values = [a._data if isinstance(a, Tensor) else a for a in given]
        nodes = [a._node if isinstance(a, Tensor) and a._node is not None else a for a in given]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the call itself has warned
            settle(primitive, values, nodes, elements)
        for a in given:
            for b in a if isinstance(a, tuple) else (a,):
                array = _array(b)
                if array is not None and id(array) not in self.made:
                    self.copies.setdefault(id(array), _copied(array))
        node = out._node
        code, offset = (node.code, node.offset) if node is not None else here()
        names = primitive.flat_names(elements)
        step = _Step(primitive, names, list(given), values, code, offset, current.get().scope, out.name, out, node)
        self.steps.append(step)
        self.made[id(out._data)] = step


@contextmanager
def listening() -> Iterator[_Heard]:
    """Context manager that notes every call of a primitive with Tensors."""
    heard, plain = _Heard(), current.get().call

    def call(primitive: Primitive, args: tuple[Any, ...], options: dict[str, Any], mode: Any) -> Any:
        out = plain(primitive, args, dict(options), mode)
        if isinstance(out, Tensor):
            heard.call(primitive, args, options, out)
        return out

    with in_mode(call=call):
        yield heard


def _copied(array: np.ndarray) -> np.ndarray:
    """A copy with the same strides: sums of another layout round differently."""
    low, high = np.lib.array_utils.byte_bounds(array)
    start = array.__array_interface__["data"][0] - low
    copy = np.ndarray(array.shape, array.dtype, np.empty(high - low, np.uint8), start, array.strides)
    copy[...] = array
    return copy


def _is_array(value: Any) -> bool:
    return isinstance(value, (Node, Leaf, Constant, Tensor, np.ndarray))


def _array(value: Any) -> np.ndarray | None:
    value = value._data if isinstance(value, Tensor) else value
    return value if isinstance(value, np.ndarray) else None


def trace(f: Callable[..., Any], *args: Any, repeat: int = 0) -> Graph:
    """Run ``f(*args)`` and return its graph.

    Parameters
    ----------
    f : callable
        Returns a Tensor; of several, the first is drawn.
    *args
        Arrays and floats, also inside dicts, lists and tuples, become Tensors named after the parameters of `f`;
        Tensors stay what they are; everything else is passed on. If the result depends on nothing that requires a
        gradient, `f` runs a second time with all floating arguments requiring one.
    repeat : int
        Run every operation and every rule so many times more, and note the shortest time for ``overlay="time"``.

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
    if not hasattr(repeat, "__index__") or repeat < 0:
        raise ValueError(f"trace: repeat is {repeat!r}, want how often each operation shall run again: repeat=3")
    names = _argument_names(f, len(args))
    for requires_grad in (False, True):
        arguments: dict[Any, tuple[str, str]] = {}
        tensors = [_as_tensors(a, n, requires_grad, arguments, "input") for a, n in zip(args, names, strict=True)]
        with enable_grad(), listening() as heard:
            result = f(*tensors)
        while isinstance(result, (tuple, list)) and result:
            result = result[0]
        if not isinstance(result, Tensor) and (requires_grad or not isinstance(result, (np.ndarray, np.generic))):
            whole = next((f". Integers have no gradient: pass {a}.0" for a in args if type(a) is int), "")
            raise TypeError(f"trace: {getattr(f, '__name__', 'f')} returned {_kind(result)}, want a Tensor{whole}")
        if isinstance(result, Tensor) and result.requires_grad:
            break
    graph = graph_of(result, arguments, heard)
    if repeat:
        from autograd_cnn.graph.picture.measure import measure

        graph.measured = measure(graph, repeat)
    return graph


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


def graph_of(tensor: Tensor, arguments: dict[Any, tuple[str, str]] | None = None, heard: _Heard | None = None) -> Graph:
    """The graph behind `tensor`, before or after the backward walk.

    `arguments`: name and role of leaves that somebody knows better; `heard`: the calls that made it.
    """
    root = tensor._node
    if root is None:
        raise no_history("graph", tensor)
    return _Writer(arguments or {}, tensor, heard).graph(history(root))


class _Writer:
    """Nodes into records, oldest first."""

    def __init__(self, arguments: dict[Any, tuple[str, str]], tensor: Tensor, heard: _Heard | None) -> None:
        self.arguments = arguments
        self.tensor = tensor
        self.heard = heard
        self.values: dict[str, Value] = {}
        self.arrays: dict[str, Any] = {}
        self.known: dict[Any, Value] = {}  # by node, or by what identifies an array that has none
        self.used: dict[str, int] = {}
        self.keepers: dict[int, tuple[str, Any]] = {}  # by id of the owner of memory: whose it is first, the owner
        self.source = Source()
        self.sites: dict[Any, tuple[Site | None, dict[int, str], Place]] = {}
        self.scopes: dict[int, tuple[Any, tuple[Scope, ...]]] = {}  # by id of what the tape has, which is held here
        self.entered: Counter[str] = Counter()

    def graph(self, nodes: list[Node | Leaf]) -> Graph:
        steps = self.steps(nodes)
        if not steps:
            result = self.leaf(nodes[-1], "x", False)
            self.remember(result, self.tensor)
            return Graph([], self.values, result.id, None, self.arrays)
        ops = self.ops(steps, "n")
        result = self.known[nodes[-1]]
        loss = None
        if self.tensor.size == 1:
            result.role = "loss"
            loss = float(self.tensor.item())
        return Graph(ops, self.values, result.id, loss, None if self.heard is None else self.arrays)

    def steps(self, nodes: list[Node | Leaf]) -> list[_Step]:
        """The operations, in order; of a trace also those that need no gradient but lead to one that does."""
        self.tape = {n for n in nodes if isinstance(n, Node)}
        if self.heard is None:
            return [_Step.of(n) for n in nodes if isinstance(n, Node)]
        order: dict[_Step, tuple[int, int]] = {}
        birth = 0
        for i, step in enumerate(self.heard.steps):
            birth = step.node.birth if step.node else birth
            order[step] = birth, i
        called = {s.node: s for s in order}
        found = {called.get(n) or _Step.of(n): None for n in nodes if isinstance(n, Node)}
        waiting = list(found)
        while waiting:
            for given in waiting.pop().given:
                if not isinstance(given, Tensor) or given._node not in self.tape:
                    maker = self.heard.made.get(id(_array(given)))
                    if maker is not None and maker not in found:
                        found[maker] = None
                        waiting.append(maker)
        return sorted(found, key=lambda s: order.get(s) or (s.node.birth, -1))  # type: ignore[union-attr]

    def ops(self, steps: list[_Step], prefix: str) -> list[Op]:
        following = [*((s.code, s.offset) for s in steps[1:]), None]
        return [self.op(s, after, f"{prefix}{i}") for i, (s, after) in enumerate(zip(steps, following, strict=True), 1)]

    def inside(self, checkpoint: Checkpoint, prefix: str) -> Graph:
        """What a checkpoint runs again."""
        outer = self.heard, self.tape, self.tensor
        oldest = Leaf((), np.dtype(float), None).birth
        with enable_grad(), listening() as self.heard:
            self.tensor = checkpoint.raw()
        ops = self.ops(self.steps(history(self.tensor._node, oldest)), prefix)
        result = self.known[self.tensor._node]
        self.heard, self.tape, self.tensor = outer
        return Graph(ops, self.values, result.id, None)

    def op(self, step: _Step, following: Any, rank: str) -> Op:
        primitive, node = step.primitive, step.node if step.node in self.tape else None
        site, variables, place = self.written(step)
        saved = node.saved or () if node else ()
        arrays = {p: saved[i] for (shape, p), i in node.plan.sources.items() if not shape} if node and saved else {}
        inputs, options = [], {}
        arguments: list[Any] = []
        for port, (name, given, value) in enumerate(zip(step.names, step.given, step.values, strict=True)):
            if _is_array(given):
                use = self.use(step, port, given, value, variables.get(port), arrays.get(port))
                inputs.append((port, use.value.id))
                arguments.append(use)
                continue
            if name not in primitive.defaults or spelled(given) != spelled(primitive.defaults[name]):
                options[name] = spelled(given)
            if isinstance(value, tuple):  # an index, maybe of arrays
                parts = arrays.get(port, value)
                indices = zip(value, parts, strict=True)
                arguments.append(
                    tuple([self.use(step, port, v, v, name, part) if _is_array(v) else v for v, part in indices])
                )
            else:
                arguments.append(value)
        # of several operations under one of the user's calls, the last one made what the variable holds
        last = node is self.tensor._node
        name = "loss" if last and self.tensor.size == 1 else primitive.name
        name = self.values[inputs[0][1]].name if primitive is alias else name
        if site and site.target and (site.calls(primitive) or following != (step.code, step.offset)):
            name = site.target
        output = self.value(step.name or name, "activation", step.out)
        self.known[node] = output
        if self.heard is not None:
            self.known[id(_array(step.out))] = output
        steps = node.plan.steps if node else []
        rules = {p: Rule(r.inputs, tuple(r.asks)) for positions, r, _ in steps for p in positions if p is not None}
        kept = None if node and node.saved is None else list(self.kept(rank, node, arrays, dict(inputs), output))
        inside = (
            self.inside(primitive, f"{rank}_") if isinstance(primitive, Checkpoint) and self.heard and node else None
        )
        call = Call(primitive, arguments, [(p, r) for p, r, _ in steps], node if step.out is node else None, inside)
        byproducts = list(primitive.byproducts)
        scopes = self.within(step.scope)
        return Op(
            rank, primitive.name, options, step.names, inputs, output.id, byproducts, place, rules, kept, call, scopes
        )

    def within(self, scope: Any) -> tuple[Scope, ...]:
        """The scopes around an operation, outermost first."""
        if scope is None:
            return ()
        if id(scope) not in self.scopes:
            outside = self.within(scope[1])
            self.entered[scope[0]] += 1
            self.scopes[id(scope)] = scope, (*outside, Scope(scope[0], self.entered[scope[0]]))
        return self.scopes[id(scope)][1]

    def written(self, step: _Step) -> tuple[Site | None, dict[int, str], Place]:
        """How the user wrote it: a loop asks for the same line again and again."""
        key = (step.code, step.offset, step.primitive.name, len(step.names))
        if key not in self.sites:
            line = (step.code, step.offset)
            site = self.source.site(line, step.primitive)
            variables = site.variables(step.primitive, step.names) if site else {}
            first, last, start, end = self.source.position(line)
            columns = (start, end) if first == last else None
            file = os.path.basename(step.code.co_filename)
            place = Place(file, first, step.code.co_name, columns, step.code)
            self.sites[key] = site, variables, place
        return self.sites[key]

    def use(self, step: _Step, port: int, given: Any, settled: Any, variable: str | None, saved: Any) -> Use:
        """An array that went in, and what became of it if it is weak."""
        value = self.input(step, port, given, variable, saved)
        self.remember(value, given)
        cast = ""
        if isinstance(given, (Tensor, np.ndarray)) and settled is not _array(given) and settled is not given:
            cast = str(settled.dtype) if isinstance(settled, np.ndarray) else "item"
        return Use(value, cast)

    def remember(self, value: Value, given: Any) -> None:
        """Keep the array with which the graph begins."""
        array = _array(given)
        if array is not None and value.role != "activation":
            self.known.setdefault(id(array), value)
            if value.id not in self.arrays:
                copies = self.heard.copies if self.heard else {}
                self.arrays[value.id] = copies[id(array)] if id(array) in copies else np.array(array)

    def input(self, step: _Step, port: int, given: Any, variable: str | None, saved: Any) -> Value:
        node = given._node if isinstance(given, Tensor) else given
        if isinstance(node, Node) and node in self.known:
            return self.known[node]
        name = step.names[port]
        target = port > 0 and "reduction" in step.primitive.parameters
        if isinstance(node, Leaf):
            return self.leaf(node, variable or name, target)
        # The tape forgets which array a constant was: its name tells, or where it is still saved its identity.
        label = getattr(given, "name", None)
        key: Any = id(array) if (array := _array(given)) is not None else None
        if key is None:
            key = (label, given.shape, given.dtype) if label else None
        if key is None:
            key = id(saved) if isinstance(saved, np.ndarray) else (step, port)
        if key not in self.known:
            named = label or variable or (name if target else None)
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

    def kept(self, op: str, node: Any, arrays: dict[int, Any], inputs: dict[int, str], output: Value) -> Iterator[Kept]:
        if node is None:
            return
        out = len(node.plan.names)
        stored = [*node.plan.names, "out", *node.plan.primitive.byproducts]
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
            first = self.keepers[id(owner)][0] if id(owner) in self.keepers else None
            if first is None:
                first = self.lender(node.inputs[position]) if position < out and owner is not array else None
                self.keepers[id(owner)] = first or op, owner  # holding the owner keeps its id its own
            yield Kept(label, value.id if value else None, owner.nbytes, first)

    def lender(self, node: Any) -> str | None:
        """The parameter of which the output of `node` is a view: the same is done to other memory of its shape."""
        chain = []
        while isinstance(node, Node) and (p := node.plan.primitive).moves and not p.sequence:
            chain.append(node)
            node = node.inputs[0]
        if not isinstance(node, Leaf) or self.known[node].role != "parameter":
            return None
        whole = view = np.empty(node.shape, node.dtype)
        for made in reversed(chain):
            if any(
                _is_array(a) for given in made.inputs[1:] for a in (given if isinstance(given, tuple) else (given,))
            ):
                return None
            view = made.plan.primitive.raw(view, *made.inputs[1:])
        return self.known[node].id if np.may_share_memory(whole, view) else None
