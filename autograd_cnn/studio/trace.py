"""Makes a `Graph` in two ways: `graph_of` reads the tape behind a result, `trace` runs a function and observes it.

Both describe nodes in records. `trace` also observes each call, so it has the arrays, and makes a node for a call that
the tape does not record. No traversal of nodes recurses, so a long tape does not overflow the stack.
"""

from __future__ import annotations

import inspect
import linecache
import math
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from operator import attrgetter
from typing import Any

import numpy as np

from autograd_cnn.calculus.transforms import alias
from autograd_cnn.engine import observe
from autograd_cnn.engine.arrays import promote
from autograd_cnn.engine.errors import no_history
from autograd_cnn.engine.messages import file_of, here, spell, variable_of
from autograd_cnn.engine.plan import Plan
from autograd_cnn.engine.tape import Constant, Leaf, Node, history
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.studio.graph import Graph
from autograd_cnn.studio.names import Site, Source
from autograd_cnn.studio.records import Call, Failure, Kept, Op, Place, Rule, Scope, Use, Value
from autograd_cnn.studio.text import spelled


class _Calls:
    """The observed calls, each with its node and its arrays."""

    def __init__(self) -> None:
        self.given: dict[Node, list[Any]] = {}  # flat arguments, before weak operands were converted
        self.made: dict[int, Node] = {}  # by id of the resulting array
        self.copies: dict[int, np.ndarray] = {}  # by id of an array that no call made
        self.names: dict[int, str] = {}  # by id of such an array: the user's variable that holds it, or ""
        self.lines: dict[Node, tuple[Any, int]] = {}  # code and offset of the one that ran it
        self.results: list[Tensor] = []  # kept alive, so that no id is used again
        self.left: dict[str, None] = {}  # tensors that became plain arrays, with their lines
        self.failure: tuple[Any, Any] = None, None  # the latest call that raised an error, and the error

    def observed(self) -> Any:
        """Record operations, and add every call that returns a Tensor."""
        return observe.observing(self.add, self.fail, recording=True, left=self.leave)

    def add(self, call: observe.Call) -> None:
        if not isinstance(call.out, Tensor):
            return
        for array in map(_array, _flat(call.values)):
            if array is not None and id(array) not in self.made and id(array) not in self.copies:
                self.copies[id(array)] = _copied(array)
                self.names[id(array)] = variable_of(array)
        node = _node(call)
        self.given[node], self.lines[node] = call.values, _line()
        self.made[id(call.out.data)] = node
        self.results.append(call.out)

    def leave(self, tensor: Tensor) -> None:
        if isinstance(tensor.data, np.ndarray):
            self.left[f"the numbers of {tensor.name or 'a tensor'} at {spell(here())}"] = None

    def fail(self, call: observe.Call, error: Exception) -> None:
        self.failure = call, error


def _node(call: observe.Call) -> Node:
    """Return the node of a call that runs, on the tape or, if the tape does not record it, made as if it did."""
    if call.out.node is not None:
        return call.out.node
    arrays = [a.data if isinstance(a, Tensor) else a for a in call.values]
    inputs = [getattr(a, "node", None) or a for a in call.values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the call itself has warned
        promote(call.primitive, arrays, inputs)
    plan = Plan(call.primitive, 0, inputs)
    return plan.record([*arrays, call.out.data], list(call.values), call.mode, sys._getframe())


def _line() -> tuple[Any, int]:
    """Return code and offset of the line that ran an operation: the user's, or one of a function of this package."""
    frame: Any = sys._getframe(2)
    while frame.f_globals.get("__name__", "").startswith(("autograd_cnn.engine.", "autograd_cnn.studio.")):
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def _copied(array: np.ndarray) -> np.ndarray:
    """Copy an array with its strides, because a sum over another memory layout rounds differently."""
    low, high = np.lib.array_utils.byte_bounds(array)
    start = array.__array_interface__["data"][0] - low
    copy = np.ndarray(array.shape, array.dtype, np.empty(high - low, np.uint8), start, array.strides)
    copy[...] = array
    return copy


def _is_array(value: Any) -> bool:
    return isinstance(value, (Node, Leaf, Constant, Tensor, np.ndarray))


def _array(value: Any) -> np.ndarray | None:
    value = value.data if isinstance(value, Tensor) else value
    return value if isinstance(value, np.ndarray) else None


def _flat(arguments: Any) -> Iterator[Any]:
    """Yield the arguments, and the parts of an index one by one."""
    for a in arguments:
        yield from a if isinstance(a, tuple) else (a,)


def trace(f: Callable[..., Any], *args: Any, repeat: int = 0) -> Graph:
    """Run ``f(*args)`` and return its graph.

    Parameters
    ----------
    f : callable
        Returns a Tensor. If it returns several, the graph leads to the first.
    *args
        Arrays, floats and complex numbers, also inside dicts, lists and tuples, become Tensors named after the
        parameters of `f`. The program takes them in this order. Tensors and all other
        objects are passed as they are. If the result depends on nothing that requires a gradient, `f` runs a second
        time, and then all floating-point and complex arguments require one.
    repeat : int
        Run every operation and every rule `repeat` more times, and store the shortest time for ``overlay="time"``.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        If `f` is not a function, or does not return a Tensor.
    ValueError
        If the result depends on nothing that requires a gradient.
    Exception
        An error of `f` passes through, with the graph up to there as its attribute `graph`. In pictures the operation
        that failed is marked; if it was no operation of this package, the line.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.trace(lambda x: x * x + x, 3.0)
    Graph: 2 operations, loss 12
    >>> try:
    ...     ag.trace(lambda x: (x * x)[7], 3.0)
    ... except IndexError as error:
    ...     error.graph.summary()[0]
    '1 operation'
    """
    if not callable(f):
        passed, cure = f"{f!r:.40}", "ag.trace(loss_of, x, y)"
        if isinstance(f, Tensor):
            passed = f"{f.name}, a Tensor" if f.name else "a Tensor"
            cure = f"{f.name or 't'}.graph(), or {cure}"
        raise TypeError(f"trace: it draws what a function does to tensors; you passed {passed}: {cure}")
    if not hasattr(repeat, "__index__") or repeat < 0:
        raise ValueError(f"trace: repeat is {repeat!r}, want the number of extra runs, such as repeat=3")
    names = _argument_names(f, len(args))
    for requires_grad in (False, True):
        arguments: dict[Any, tuple[str, str]] = {}
        tensors = [_as_tensors(a, n, requires_grad, arguments, "input") for a, n in zip(args, names, strict=True)]
        result, calls = _run(f, tensors, arguments)
        while isinstance(result, (tuple, list)) and result:
            result = result[0]
        if not isinstance(result, Tensor) and (requires_grad or not isinstance(result, (np.ndarray, np.generic))):
            got = "None" if result is None else f"{type(result).__name__} {result!r:.40}"
            whole = next((f". Integers have no gradient: pass {a}.0" for a in args if type(a) is int), "")
            raise TypeError(f"trace: {getattr(f, '__name__', 'f')} returned {got}, want a Tensor{whole}")
        if isinstance(result, Tensor) and result.requires_grad:
            break
    graph = graph_of(result, arguments, calls)
    if repeat:
        from autograd_cnn.studio.program.measure import measure

        measure(graph, repeat)
    return graph


def observed(f: Callable[[], Any]) -> tuple[Any, Callable[[], Graph]]:
    """Run ``f()``; return its result, and a function that makes its graph, with the numbers that the run had.

    The graph may wait: making it takes several times as long as the run of a small network. Errors as in `trace`.
    """
    result, calls = _run(f, [], {})
    return result, lambda: graph_of(result, calls=calls)


def _run(f: Callable[..., Any], tensors: list[Any], arguments: dict[Any, tuple[str, str]]) -> tuple[Any, _Calls]:
    calls = _Calls()
    try:
        with calls.observed():
            result = f(*tensors)
        return result, calls
    except Exception as error:
        _attach(error, calls, arguments, tensors)
        raise


def _attach(error: Exception, calls: _Calls, arguments: dict[Any, tuple[str, str]], tensors: list[Any]) -> None:
    """Store the graph up to the `error` as its attribute `graph`."""
    call, latest = calls.failure
    calls.failure = None, None  # the error would keep itself alive through its traceback
    call = call if latest in _raised_before(error) else None
    with suppress(Exception):  # whatever else is wrong, the user gets the error of the function
        graph = _Writer(arguments, calls).failed(error, call, tensors)
        error.graph = graph  # type: ignore[attr-defined]  # any exception gets it
        error.add_note("trace: the attribute `graph` of this error has what was computed before it: error.graph.show()")


def _raised_before(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and the errors in whose place it was raised: a layer words an operation's error anew."""
    while error is not None:
        yield error
        error = error.__context__


def _user_line(error: Exception) -> tuple[Any, int]:
    """Return code and offset of the user's line that failed: not of NumPy's, nor of this package's."""
    found, entry = here(), error.__traceback__
    while entry is not None:
        if str(entry.tb_frame.f_globals.get("__name__")).partition(".")[0] not in ("autograd_cnn", "numpy"):
            found = entry.tb_frame.f_code, entry.tb_lasti
        entry = entry.tb_next
    return found


def _argument_names(f: Callable[..., Any], count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(getattr(f, "forward", f)).parameters.values())  # of a Module
    except (TypeError, ValueError):  # some builtins have none
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return names + [f"{rest}.{i}" for i in range(count - len(names))]


def _as_tensors(value: Any, name: str, requires_grad: bool, arguments: dict[Any, tuple[str, str]], role: str) -> Any:
    """Return `value` with named Tensors for its arrays; add them to `arguments`."""
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
    elif isinstance(value, (np.ndarray, np.generic, float, complex)) and np.asarray(value).dtype.kind in "fiubc":
        value = Tensor(value, name=name)
    else:
        return value
    if requires_grad and value.dtype.kind in "fc":
        value.requires_grad = True
    key: Any = value.node if value.requires_grad else id(value.data)
    arguments.setdefault(key, (value.name or name, role if value.requires_grad else "input"))
    return value


def graph_of(tensor: Tensor, arguments: dict[Any, tuple[str, str]] | None = None, calls: _Calls | None = None) -> Graph:
    """Return the graph behind `tensor`, before or after the backward walk.

    `arguments` overrides the name and the role of arrays, in the order of the function's parameters. `calls` are the
    observed calls that led to `tensor`.
    """
    if tensor.node is None:
        raise no_history("graph", tensor)
    return _Writer(arguments or {}, calls).graph(tensor)


class _Writer:
    """Describes nodes in records, the oldest first."""

    def __init__(self, arguments: dict[Any, tuple[str, str]], calls: _Calls | None) -> None:
        self.arguments = arguments
        self.traced = calls is not None
        self.calls = calls or _Calls()
        self.tape: set[Node | Leaf] = set()  # the nodes that gradients reach
        self.values: dict[str, Value] = {}
        self.arrays: dict[str, Any] = {}
        self.known: dict[Any, Value] = {}  # by `origin`
        self.used: dict[str, int] = {}
        self.read: dict[Node, str] = {}  # the variable in which a line reads a result
        self.keepers: dict[int, tuple[str, Any]] = {}  # by id of the array that owns memory: first keeper, array
        self.source = Source()
        self.written = cache(partial(_written, self.source))  # a loop reads the same line many times
        self.scopes: dict[int, tuple[Any, tuple[Scope, ...]]] = {}  # by id of the mode's scope, kept alive here
        self.entered: Counter[str] = Counter()

    def graph(self, tensor: Tensor) -> Graph:
        root: Any = tensor.node
        if isinstance(root, Leaf):
            name, role = self.arguments.get(root, (root.name, "parameter"))
            value = self.value(name or "x", role, root)
            return Graph([], self.values, value.id, None, {value.id: np.array(tensor.data)})
        ops = self.ops(self.nodes(root))
        result, loss = self.known[root], None
        if tensor.size == 1 and tensor.dtype.kind != "c":
            result.role, loss = "loss", float(tensor.item())
        given = [value.id for origin, value in ((a, self.known.get(a)) for a in self.arguments) if value]
        arrays = self.arrays if self.traced else None
        return Graph(ops, self.values, result.id, loss, arrays, given=given, constants=[*self.calls.left])

    def failed(self, error: Exception, failed: observe.Call | None, tensors: list[Any]) -> Graph:
        """Return the graph of all calls before `error`; `failed` is the call that raised it, if a call did."""
        code, offset = _user_line(error)
        nodes: list[Any] = sorted(self.calls.given, key=attrgetter("birth"))
        ops = self.ops(nodes, (code, offset))
        place, primitive, ports, values = _place(self.source, code, offset), None, [], []
        if failed:
            primitive, ports, values = failed.primitive, failed.names, failed.values
        variables = self.written(code, offset, primitive, tuple(ports))[1] if failed else {}
        _, inputs, options = self.called(primitive, ports, values, values, variables, {})
        if not self.values:  # nothing has run: the graph begins and ends with the arguments
            for value in filter(_is_array, _flat(tensors)):
                self.value(value.name, "input", value)
        line = linecache.getline(code.co_filename, place.line).strip() or type(error).__name__
        name, call = primitive.name if primitive else line, Call(primitive, [], [], None)
        op = Op("failed", name, options, ports, inputs, "failed", [], place, {}, [], call)
        result = ops[-1].output if ops else next(iter(self.values))
        failure = Failure(op, type(error).__name__, str(error))
        return Graph(ops, self.values, result, None, self.arrays, failure=failure)

    def nodes(self, root: Node) -> list[Node]:
        """Return the nodes behind `root`, the oldest first; after a trace also those that no gradient reaches."""
        past = history(root)
        self.tape.update(past)
        waiting = [n for n in past if isinstance(n, Node)]
        found = set(waiting)
        while waiting:
            for given in filter(_is_array, _flat(self.calls.given.get(waiting.pop(), ()))):
                maker = self.origin(given)
                if isinstance(maker, Node) and maker not in found:
                    found.add(maker)
                    waiting.append(maker)
        return sorted(found, key=attrgetter("birth"))

    def ops(self, nodes: list[Node], end: Any = None) -> list[Op]:
        following = [*((n.code, n.offset) for n in nodes[1:]), end][: len(nodes)]
        for n in nodes:
            given, here, around = self.calls.given.get(n, n.inputs), (n.code, n.offset), self.scopes_around(n.scope)
            for code, offset in dict.fromkeys([self.calls.lines.get(n, here), here]):  # in a function, and its call
                site, variables, _ = self.written(code, offset, n.plan.primitive, tuple(n.plan.names))
                own = code.co_varnames[code.co_argcount :]  # a parameter is another's variable
                if site and site.target and site.target in own and site.calls(n.plan.primitive):
                    self.read.setdefault(n, site.target)
                for port, variable in variables.items():
                    maker = self.origin(given[port]) if variable in own and _is_array(given[port]) else None
                    # a module that was given the result has its own variable for it
                    if isinstance(maker, Node) and self.scopes_around(maker.scope)[: len(around)] == around:
                        self.read.setdefault(maker, variable)
        return [self.op(n, after, f"n{i}") for i, (n, after) in enumerate(zip(nodes, following, strict=True), 1)]

    def op(self, node: Node, following: Any, rank: str) -> Op:
        plan, primitive = node.plan, node.plan.primitive
        steps = plan.steps if node in self.tape else []
        saved = node.saved_by_number()
        site, variables, place = self.written(node.code, node.offset, primitive, tuple(plan.names))
        given = self.calls.given.get(node, node.inputs)
        arguments, inputs, options = self.called(primitive, plan.names, given, node.inputs, variables, saved)
        name = "loss" if following is None and math.prod(node.shape) == 1 else primitive.name
        name = self.read.get(node, self.values[inputs[0][1]].name if primitive is alias else name)
        # if one of the user's calls runs several operations, the last one computes the value of the variable
        if site and site.target and (site.calls(primitive) or following != (node.code, node.offset)):
            name = site.target
        home = sys.modules.get(primitive.__module__)
        if not (primitive.packaged or primitive.symbol) and getattr(home, name, None) is primitive:
            self.used.setdefault(name, 1)  # the program imports the operation by this name
        output = self.known[node] = self.value(node.name or name, "activation", node)
        rules = {p: Rule(r.inputs, tuple(r.needs)) for ports, r, _ in steps for p in ports if p is not None}
        kept = self.kept(rank, node, saved, dict(inputs))
        call = Call(primitive, arguments, [s[:2] for s in steps], None if node in self.calls.given else node)
        byproducts = list(primitive.byproducts)
        scopes = self.scopes_around(node.scope)
        return Op(
            rank, primitive.name, options, plan.names, inputs, output.id, byproducts, place, rules, kept, call, scopes
        )

    def scopes_around(self, scope: Any) -> tuple[Scope, ...]:
        """Return the scopes around an operation, the outermost first."""
        if scope is None:
            return ()
        if id(scope) not in self.scopes:
            outside = self.scopes_around(scope[1])
            self.entered[scope[0]] += 1
            self.scopes[id(scope)] = scope, (*outside, Scope(scope[0], self.entered[scope[0]], scope[2]))
        return self.scopes[id(scope)][1]

    def called(
        self, primitive: Any, names: list[str], given: Any, settled: Any, variables: dict[int, str], saved: Any
    ) -> tuple[list[Any], list[tuple[int, str]], dict[str, str]]:
        """Return the arguments of a call for the program, those that are arrays by port, and the options by name."""
        ports = list(enumerate(zip(names, given, settled, strict=True)))
        arguments = [self.argument(primitive, n, p, v, s, variables.get(p), saved.get(p)) for p, (n, v, s) in ports]
        options = {
            name: spelled(value)
            for name, value in zip(names, given, strict=True)
            if not _is_array(value) and spelled(value) != spelled(primitive.defaults.get(name, inspect.Parameter.empty))
        }
        return arguments, [(p, a.value.id) for p, a in enumerate(arguments) if isinstance(a, Use)], options

    def argument(
        self, primitive: Any, name: str, port: int, given: Any, settled: Any, variable: str | None, saved: Any
    ) -> Any:
        """Return an argument for the program; `settled` is `given` after promotion, and `saved` is the saved array."""
        if isinstance(given, tuple):  # an index, which may contain arrays
            parts = zip(given, settled, saved or settled, strict=True)
            return tuple([self.argument(primitive, name, port, g, s, name, array) for g, s, array in parts])
        if isinstance(given, list) and isinstance(settled, Constant):
            return np.asarray(given, settled.dtype)
        if not _is_array(given):
            return settled
        origin = self.origin(given, saved)
        if origin not in self.known:  # the graph begins with it
            leaf, target = isinstance(origin, Leaf), port > 0 and "reduction" in primitive.parameters
            named = getattr(given, "name", None), "parameter" if leaf else "input"
            label, role = self.arguments.get(origin, named)
            label = label or variable or self.calls.names.get(id(_array(given))) or (name if leaf or target else None)
            role = "target" if target and role == "input" else role if label else "constant"
            self.known[origin] = self.value(label or f"{primitive.name}_{name}", role, given)
        value, array = self.known[origin], _array(given)
        if array is not None and value.role != "activation":
            self.known.setdefault(id(array), value)
            if value.id not in self.arrays:
                copy = self.calls.copies.get(id(array))
                self.arrays[value.id] = _copied(array) if copy is None else copy
        dtype = getattr(settled, "dtype", None)
        return Use(value, "item" if dtype is None else "" if dtype == given.dtype else str(dtype))

    def origin(self, given: Any, saved: Any = None) -> Any:
        """Return a key for an array: the node or leaf that made it, or else its id.

        The tape does not keep the arrays of constants. The key of a constant is its name, shape and dtype, or else the
        id of the saved array.
        """
        node = given.node if isinstance(given, Tensor) else given
        if isinstance(node, Leaf) or (isinstance(node, Node) and node in self.tape):
            return node
        if (array := _array(given)) is not None:
            return self.calls.made.get(id(array), id(array))
        return (given.name, given.shape, given.dtype) if given.name else id(given if saved is None else saved)

    def value(self, name: str, role: str, array: Any) -> Value:
        unique = name
        while unique in self.used:
            self.used[name] += 1
            unique = f"{name}_{self.used[name]}"
        self.used[unique] = 1
        value = Value(f"t{len(self.values) + 1}", unique, role, tuple(array.shape), str(array.dtype))
        self.values[value.id] = value
        return value

    def kept(self, op: str, node: Node, saved: dict[int, Any], inputs: dict[int, str]) -> list[Kept] | None:
        """Return the arrays that `node` keeps for backward; None after the walk."""
        if node not in self.tape or node.saved is None:
            return None if node in self.tape else []
        names, output = [*node.plan.names, "out", *node.plan.primitive.byproducts], self.known[node]
        values = {**inputs, len(node.plan.names): output.id}
        found: dict[str, Kept] = {}
        for position, array in sorted(saved.items()):
            value = values.get(position)
            label = self.values[value].name if value else f"{names[position]}_{output.name}"
            if label in found or not isinstance(array, np.ndarray):
                continue
            owner = array
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            viewed = self.viewed(node.inputs[position]) if position in inputs and owner is not array else None
            first, _ = self.keepers.get(id(owner), (viewed, owner))
            self.keepers.setdefault(id(owner), (viewed or op, owner))  # keeps the owner alive, and so its id
            found[label] = Kept(label, value, owner.nbytes, first)
        return list(found.values())

    def viewed(self, node: Any) -> str | None:
        """Return the parameter that the output of `node` is a view of, or None; repeats its moves on empty memory."""
        moves = []
        while isinstance(node, Node) and (p := node.plan.primitive).moves and not p.sequence:
            if any(map(_is_array, _flat(node.inputs[1:]))):  # an index that contains arrays makes a copy
                return None
            moves.append(node)
            node = node.inputs[0]
        if not isinstance(node, Leaf) or self.known[node].role != "parameter":
            return None
        whole = view = np.empty(node.shape, node.dtype)
        for move in reversed(moves):
            view = move.plan.primitive.raw(view, *move.inputs[1:])
        return self.known[node].id if np.may_share_memory(whole, view) else None


def _written(
    source: Source, code: Any, offset: int, primitive: Any, names: tuple[str, ...]
) -> tuple[Site | None, dict[int, str], Place]:
    """Return the expression in which the user wrote an operation, its variables by port, and its place."""
    site = source.site((code, offset))
    return site, site.variables(primitive, list(names)) if site else {}, _place(source, code, offset)


def _place(source: Source, code: Any, offset: int) -> Place:
    first, last, start, end = source.position((code, offset))
    return Place(file_of(code), first, code.co_name, (start, end) if first == last else None, code)
