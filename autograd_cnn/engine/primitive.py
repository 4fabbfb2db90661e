"""A primitive: a plain NumPy function, and beside it the formula of its derivative.

::

    @primitive
    def multiply(x, y):
        return x * y

    multiply.vjp(x=lambda g, y: g * y,
                 y=lambda g, x: g * x)

Called with arrays it is the plain function. Called with a Tensor it unwraps, computes, and leaves a node on the tape.
A rule (vjp, vector-Jacobian product) turns the incoming gradient `g` into the gradient of one input. The names of its
parameters say what the tape keeps: an input's name the input, ``x_shape`` its shape only, `out` the output, a
by-product's name the by-product, an option's name the option. They are read once, when the rule is registered; what
no rule asks for is not kept.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from functools import update_wrapper
from operator import itemgetter
from typing import Any

import numpy as np

from autograd_cnn.engine.guards import guard
from autograd_cnn.engine.messages import describe, explain, inside, warn
from autograd_cnn.engine.tape import Constant, Leaf, Node, mode, next_birth
from autograd_cnn.engine.tensor import Tensor, registry

ndarray = np.ndarray
float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
_new = object.__new__


class Rule:
    """One derivative rule: the function, the input (a joint rule: the inputs) it serves, what it asks for."""

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
    """

    def __init__(self, primitive: Primitive, wanted: int, elements: int) -> None:
        self.primitive = primitive
        self.names = primitive.flat_names(elements)
        self.places = {name: i for i, name in enumerate((*self.names, "out", *primitive.byproducts))}
        self.sources: dict[tuple[bool, int], int] = {}  # (shape only?, position) -> place in node.saved
        self.steps = []  # (positions or None, one an input of the rule; the rule; saved -> its arguments)
        done = set()
        for position, name in enumerate(self.names):
            if not wanted >> position & 1:
                continue
            rule = primitive.rules[name]
            if rule.joint and rule in done:
                continue
            done.add(rule)
            positions: tuple[int | None, ...] = (position,)
            if rule.joint:
                positions = tuple(p if wanted >> (p := self.names.index(n)) & 1 else None for n in rule.inputs)
            self.steps.append((positions, rule, self._picker(rule, position)))
        self.over = self.steps[0][1].over if len(self.steps) == 1 else None
        self.others = [p for p in range(len(self.names)) if not wanted >> p & 1]
        self.keep = self._keeper()
        self.guarded = [(i, p) for (shape, p), i in self.sources.items() if not shape and p <= len(self.names)]

    def _picker(self, rule: Rule, position: int) -> Callable[[Any], Any]:
        """saved -> the arguments `rule` asks for."""
        sequence = self.primitive.sequence
        wants: list[Any] = []
        for ask in rule.asks:
            shape = ask not in self.places and ask != sequence and ask.endswith("_shape")
            name = ask.removesuffix("_shape") if shape else ask
            if name == "position":
                wants.append([position - self.names.index(sequence)])
            elif name == sequence:
                wants.append([self._source(shape, p) for p, n in enumerate(self.names) if n == name])
            else:
                wants.append(self._source(shape, self.places[name]))
        if not any(isinstance(want, list) for want in wants):
            return _getter(wants)
        last = rule.asks.index("position") if "position" in rule.asks else None
        return lambda saved: [
            want[0] if i == last else [saved[p] for p in want] if isinstance(want, list) else saved[want]
            for i, want in enumerate(wants)
        ]

    def _source(self, shape: bool, position: int) -> int:
        return self.sources.setdefault((shape, position), len(self.sources))

    def _keeper(self) -> Callable[[list[Any]], Any]:
        """Values of a call -> what the node saves."""
        if not any(shape for shape, _ in self.sources):
            return _getter([p for _, p in self.sources])
        sources = tuple(self.sources)
        return lambda values: tuple([np.shape(values[p]) if shape else values[p] for shape, p in sources])

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


_plain = frozenset({int, float, bool, str, tuple, slice, type(None)})


class Primitive:
    """A recorded operation; made by `primitive`, given its derivative by `vjp`."""

    __name__: str

    def __init__(
        self,
        function: Callable[..., Any],
        byproducts: tuple[str, ...] = (),
        strict: bool = False,
        examples: Callable[[np.random.Generator], list[Any]] | None = None,
        symbol: str = "",
        moves: bool = False,
        rectifies: bool = False,
        flops: Callable[..., int] | None = None,
    ) -> None:
        update_wrapper(self, function)
        self.raw = function
        self.name = function.__name__
        self.byproducts = byproducts
        self.strict = strict
        self.examples = examples
        self.symbol = symbol
        self.moves = moves
        self.rectifies = rectifies
        self.flops = flops
        self.signature = inspect.signature(function)
        parameters = self.signature.parameters.values()
        self.parameters = tuple(p.name for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.sequence: str = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self.arity = -1 if self.sequence else len(self.parameters)
        self.rules: dict[str, Rule] = {}
        self.plans: dict[Any, Plan] = {}

    def __repr__(self) -> str:
        return f"<primitive {self.name}{self.signature}>"

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Register one rule per input, ``name=lambda g, ...: gradient``.

        A function given for several inputs is a joint rule: called once, it returns a gradient for each of them, in
        the order given here. A rule that asks for `position` makes its input a sequence of Tensors (`concatenate`).

        Raises
        ------
        TypeError
            Where a rule is for an unknown input, or asks for an unknown name.
        """
        for name, function in rules.items():
            if name not in self.parameters:
                raise TypeError(f"{self.name}.vjp: {name} is not an input. It has {', '.join(self.parameters)}")
            inputs = tuple(n for n, f in rules.items() if f is function)
            rule = next((self.rules[n] for n in inputs if n in self.rules and self.rules[n].function is function), None)
            self.rules[name] = rule or Rule(function, inputs)
            if "position" in self.rules[name].asks:
                self.sequence, self.arity = name, -1
        allowed = ["out", *self.parameters, *(f"{p}_shape" for p in self.rules), "out_shape", *self.byproducts]
        if self.sequence:
            allowed.append("position")
        for name in rules:
            for ask in self.rules[name].asks:
                if ask not in allowed:
                    close = difflib.get_close_matches(ask, allowed, 1)
                    raise TypeError(
                        f"{self.name}.vjp({name}): asks for {ask!r}. It can have g, {', '.join(allowed)}."
                        + (f" Did you mean {close[0]!r}?" if close else "")
                    )
        self.plans.clear()

    def into(self, **functions: Callable[..., None]) -> None:
        """Register in-place twins of rules, ``name=lambda buffer, g, ...``: add the gradient to `buffer`.

        The walk uses one where it owns a buffer already; same further parameters as the rule's.
        """
        for name, function in functions.items():
            self.rules[name].into = function

    def over(self, **functions: Callable[..., Any]) -> None:
        """Register twins of rules, ``name=lambda g, ...``, that may write the gradient into `g` where it is writable.

        The walk uses one where the node has no other rule; same parameters and results as the rule's.
        """
        for name, function in functions.items():
            self.rules[name].over = function
        self.plans.clear()

    def flat_names(self, elements: int) -> list[str]:
        """The parameters, the sequence input once an element."""
        return [n for p in self.parameters for n in [p] * (elements if p == self.sequence else 1)]

    def __call__(self, *args: Any, **options: Any) -> Any:
        elements = 0
        if options or len(args) != self.arity:
            args, elements = self._bind(args, options)
        values, inputs = [*args], [*args]
        position = wanted = 0
        tensors, loose = False, self.strict
        for a in args:
            kind = a.__class__
            if kind is Tensor:
                tensors = True
                values[position] = data = a._data
                if (node := a._node) is not None:
                    inputs[position] = node
                    wanted |= 1 << position
                elif ((dtype := data.dtype) is not float32 and dtype is not float64) or not data.shape:
                    loose = True
            elif kind is ndarray:
                if ((dtype := a.dtype) is not float32 and dtype is not float64) or not a.shape:
                    loose = True
            elif kind not in _plain:
                loose = True
            position += 1  # enumerate costs a tuple an argument
        try:
            if loose and (tensors or list in map(type, args)):
                self._settle(values, inputs, elements)
            out = self._grouped(values, elements) if self.sequence else self.raw(*values)
        except Exception as error:
            told = explain(error, self.name, zip(self.flat_names(elements), args, strict=False))
            if told is error:  # told already by an operation inside this one, or not about operands
                raise
            raise told from error
        if self.byproducts:
            out, *extra = out
        if not tensors:
            return out
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        tensor = _new(Tensor)
        tensor._data = out
        tensor._node = tensor._name = None
        if not wanted or not mode.recording:
            return tensor
        plan = self.plans.get((wanted, elements) if elements else wanted) or self._plan(wanted, elements, args)
        if out is values[0]:
            tensor._data = out = out.view()
        out.setflags(False)
        values.append(out)
        if self.byproducts:
            values += extra
            for array in extra:
                array.setflags(False)
        node = tensor._node = _new(Node)  # what Node's constructor does, without the cost of a call
        node.birth = next_birth()
        node.plan = plan
        node.inputs = inputs
        node.saved = saved = plan.keep(values)
        node.shape = out.shape
        node.dtype = out.dtype
        node.guards = node.name = node.walked = None
        node.scope = mode.scope
        for i, p in plan.guarded:
            a, source = saved[i], inputs[p] if p < position else node
            if a.__class__ is not ndarray or (a.base is None and source.__class__ is Node):
                continue  # a result has memory of its own, read-only for good
            if (held := guard(a)) is not None:
                node.guards = (held, node.guards)
                if source is a:
                    inputs[p] = held.constant
        for i in plan.others:
            a = inputs[i]
            if a.__class__ is Tensor or a.__class__ is ndarray:
                value = values[i]
                inputs[i] = Constant(getattr(a, "name", None), value) if value.__class__ is ndarray else value
            elif a.__class__ is tuple:  # an index: its arrays are let go of with what is saved
                inputs[i] = tuple([Constant(None, v) if v.__class__ is ndarray else v for v in a])
        frame: Any = sys._getframe(1)
        while inside[frame.f_code.co_filename]:
            frame = frame.f_back
        node.code = frame.f_code
        node.offset = frame.f_lasti
        return tensor

    def _bind(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, int]:
        """Flat arguments with defaults filled in, and the length of the sequence input."""
        fixed = list(args)
        if self.variadic:
            k = self.parameters.index(self.sequence)
            fixed = [*args[:k], args[k:]]
        for name in self.parameters[len(fixed) :]:
            if name not in options and name not in self.defaults:
                break
            fixed.append(options.pop(name) if name in options else self.defaults[name])
        if options or len(fixed) != len(self.parameters):
            self._reject(args, options)
        if not self.sequence:
            return fixed, 0
        k = self.parameters.index(self.sequence)
        if isinstance(fixed[k], (Tensor, str)) or not hasattr(fixed[k], "__len__"):
            raise TypeError(f"{self.name}: {self.sequence} is a list of tensors, not {describe(fixed[k])}")
        return [*fixed[:k], *fixed[k], *fixed[k + 1 :]], len(fixed[k])

    def _reject(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        for name in options:
            if name not in self.parameters:
                close = difflib.get_close_matches(name, self.parameters, 1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise TypeError(f"{self.name}: has no parameter {name!r}, only {self.signature}.{hint}")
        try:
            self.signature.bind(*args, **options)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}; its parameters are {self.signature}") from None
        raise TypeError(f"{self.name}: got too many or repeated arguments for {self.signature}")

    def _grouped(self, values: list[Any], elements: int) -> Any:
        k = self.parameters.index(self.sequence)
        middle = values[k : k + elements]
        return self.raw(*values[:k], *(middle if self.variadic else [middle]), *values[k + elements :])

    def _settle(self, values: list[Any], inputs: list[Any], elements: int) -> None:
        """A plain number is weak, whatever wraps it, and so is an integer array: float32 stays float32."""
        spots = [p for p, name in enumerate(self.flat_names(elements)) if name in self.rules]
        arrays = [(p, values[p]) for p in spots if isinstance(values[p], (ndarray, np.generic))]
        floats = [v.dtype for p, v in arrays if v.dtype.kind == "f" and (v.ndim or isinstance(inputs[p], (Node, Leaf)))]
        if self.strict:
            self._check_floats(values, inputs, spots, floats)
        anchor = np.result_type(*floats) if floats else None
        for p in spots:
            value = values[p]
            if isinstance(value, list):
                value = values[p] = np.asarray(value)
                if anchor and value.dtype.kind == "f":
                    values[p] = value.astype(anchor)
            if anchor is None or isinstance(inputs[p], (Node, Leaf)):
                continue
            if isinstance(value, (ndarray, np.generic)):
                if value.ndim == 0 and value.dtype.kind in "fiub":
                    values[p] = value.item()
                elif value.dtype.kind in "iub":
                    values[p] = value.astype(anchor)

    def _check_floats(self, values: list[Any], inputs: list[Any], spots: list[int], floats: list[np.dtype]) -> None:
        """For the heavy operations: integers are refused, float64 beside float32 is said."""
        for p in spots:
            if isinstance(values[p], ndarray) and values[p].dtype.kind in "iub":
                label = getattr(inputs[p], "name", None) or self.parameters[p]
                told = f"{label} is {values[p].dtype}\nConvert once: {label}.astype(np.float32)"
                if values[p].dtype == np.uint8:
                    told = told.replace("\n", " (0..255)\n") + f" / 255, or ag.data.as_float32({label})"
                raise TypeError(told)
        if len(set(floats)) > 1:
            double = next(p for p in spots if isinstance(values[p], ndarray) and values[p].dtype == np.float64)
            label = getattr(inputs[double], "name", None) or self.parameters[double]
            warn(
                f"{self.name}: {label} is float64 beside float32: computing in float64. "
                f"{label}.astype(np.float32) is twice as fast"
            )

    def _plan(self, wanted: int, elements: int, args: Any) -> Plan:
        for position, name in enumerate(self.flat_names(elements)):
            if wanted >> position & 1 and name not in self.rules:
                label = args[position].name or name
                raise TypeError(
                    f"{self.name}: no rule for {label}, which requires a gradient. "
                    f"{self.name}.vjp({name}=lambda g, ...: ...), or pass {label}.detach()"
                )
        plan = self.plans[(wanted, elements) if elements else wanted] = Plan(self, wanted, elements)
        return plan


def primitive(
    function: Callable[..., Any] | None = None,
    *,
    byproducts: tuple[str, ...] = (),
    strict: bool = False,
    examples: Callable[[np.random.Generator], list[Any]] | None = None,
    symbol: str = "",
    moves: bool = False,
    rectifies: bool = False,
    flops: Callable[..., int] | None = None,
) -> Any:
    """Make a plain NumPy function a recorded operation.

    Parameters
    ----------
    function : callable
        Arrays in, one array out; it must not write into its inputs, nor return one of them.
    byproducts : tuple of str
        Names of what the function returns beside its result, ``return out, argmax``, for its rules to ask for.
    strict : bool
        Refuse integer operands, and warn where float64 meets float32.
    examples : callable, optional
        ``rng -> [args, ...]`` where each `args` is a tuple of arguments, or a pair of it and a dict of options: inputs
        on which the conformance suite tries the primitive. Default: arrays of shape (2, 3), standard normal.
    symbol : str
        Python's operator for it, ``"+"``, or ``"[]"`` for an index: the derived program uses it.
    moves : bool
        Whether it only moves elements: it has no floating-point operations, and its result may be a view.
    rectifies : bool
        Whether it cuts numbers off at 0, so that a channel that is 0 everywhere is dead.
    flops : callable, optional
        ``(out_shape, w_shape, ...) -> int``: floating-point operations, from what its parameters name, as in a rule.
        Its rules count as many each. Default: one an element.

    Returns
    -------
    Primitive
        Callable like `function`; give it its derivative with ``.vjp(...)``.

    Raises
    ------
    ValueError
        Where the name belongs to one of the package's own operations.

    Examples
    --------
    >>> import numpy as np
    >>> import autograd_cnn as ag
    >>> @ag.primitive
    ... def cube(x):
    ...     return x**3
    >>> cube.vjp(x=lambda g, x: g * 3 * x**2)
    >>> x = ag.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    array(12.)
    """

    def register(f: Callable[..., Any]) -> Primitive:
        made = Primitive(f, byproducts, strict, examples, symbol, moves, rectifies, flops)
        known = registry.get(made.name)
        if known is not None and known.__module__.startswith("autograd_cnn.") and f.__module__ != known.__module__:
            raise ValueError(f"primitive: {made.name} is one of the package's own operations. Choose another name")
        registry[made.name] = made
        return made

    return register if function is None else register(function)
