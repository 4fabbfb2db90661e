"""Writes the derived program: forward lines with the user's names, and backward lines read from the rules.

A backward line consists of the operations of a rule, applied to the arguments of the call. If a rule cannot be read,
the line calls it by its name.

Each line runs as soon as it is written, on the arrays that a trace copied or the tape saved. The result determines the
next step of the walk: undo broadcasting, convert to a dtype, add in place or into a new array. So the program calls the
same functions on the same arrays in the same order as the walk, and gives the same bits.

Similar programs: Tangent (from source) and JAX's ``make_jaxpr`` (by tracing).
"""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from autograd_cnn.calculus.checkpoint import Checkpoint
from autograd_cnn.calculus.transforms import alias
from autograd_cnn.engine.arrays import unbroadcast
from autograd_cnn.studio.program.listing import Line, listing, rms
from autograd_cnn.studio.program.namespace import LOOP, Namespace
from autograd_cnn.studio.program.program import Program
from autograd_cnn.studio.program.read import read
from autograd_cnn.studio.program.syntax import NoSource, call, evaluate, form, index, literal, parsed, text_of
from autograd_cnn.studio.records import EARLIER, Graph, Op, Use, Value
from autograd_cnn.studio.text import clip

OPERATORS = ["+", "-", "*", "/", "@"]  # not **: NumPy's ** has faster paths for some exponents, and np.power has none

AGAIN = "ag.trace(f, ...) with yours writes another"
REQUIRE = f"""\
# Refuse numbers for which a derivative has another form.
def require(holds, value, condition):
    if not holds:
        raise ValueError(f"program: {{condition}} is false, so the derivative of {{value}} has another form. {AGAIN}")


"""


class Author(Namespace):
    """Writes a program by running it; afterwards `scope` maps identifiers to all values and gradients.

    Two functions may observe the run. ``ran(op, rule, again)`` is called after a run of `op`, of a `rule` of it, or of
    a part of either; `again` repeats it and changes nothing. ``contributed(op, value, tree, c)`` is called after a line
    has added the array `c` to the gradient of `value`; `tree` is its expression, or None if the line adds more or less.
    """

    def __init__(
        self,
        graph: Graph,
        ran: Callable[[Op, Any, Callable[[], Any]], None] | None = None,
        contributed: Callable[[Op, Value, Any, Any], None] | None = None,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.ran, self.contributed = ran or _ignore, contributed or _ignore
        self.observed = bool(ran or contributed)
        self.inputs: dict[str, str] = {}  # identifier -> name
        self.received: set[str] = set()  # gradients that have received a contribution
        self.lines: list[Line] = []
        self.forward_lines: list[str] = []  # one for each operation
        self.seed = ""
        self.backward_lines: list[list[Line]] = []  # for each operation, the last one first
        made = {op.output for op in graph.ops}
        self.initial = [graph.values[i] for i in dict.fromkeys([*graph.given, *graph.values]) if i not in made]

    def write(self) -> None:
        """Write both passes, line by line."""
        graph, result = self.graph, self.graph.values[self.graph.result]
        for primitive in dict.fromkeys(op.call.primitive for op in graph.ops):  # primitives choose names first
            if isinstance(primitive, Checkpoint):
                name = clip(primitive.name)
                raise ValueError(f"program: {name} keeps no operations. ag.trace(f, ...) runs it and records them")
            with suppress(NoSource):
                self.known(primitive, primitive.name)
        for value in self.initial:
            self.inputs[self.name(value)] = value.name
            if graph.arrays and value.id in graph.arrays:
                self.scope[self.name(value)] = graph.arrays[value.id]
        self.forward_lines = [self.forward(op) for op in graph.ops]
        copied = copy.copy if graph.arrays is None else lambda array: array  # the arrays of a trace are copies
        self.leaves = {name: copied(self.scope[i]) for i, name in self.inputs.items() if i in self.scope}
        self.scope[g := self.gradient(result)] = np.ones(result.shape, result.dtype)
        self.received.add(g)
        if graph.loss is None:
            self.inputs[g] = f"g_{result.name}"
            self.seed = f"{g} = {g}.conj()" if np.dtype(result.dtype).kind == "c" else ""
        else:
            self.seed = f"{g} = np.ones_like({self.name(result)})"
        self.backward_lines = [self.backward(op) for op in reversed(graph.ops)]

    def program(self) -> Program:
        self.write()
        graph, result = self.graph, self.graph.values[self.graph.result]
        given = {self.name(v): v for v in self.initial}
        given |= {self.gradient(result): result} if graph.loss is None else {}
        gradients = ", ".join(f"{_quoted(v.name)}: {self.returned(v)}" for v in self.learnt())
        backward = [
            _explained(text, self.name(graph.values[op.output]))
            for op, lines in zip(reversed(graph.ops), self.backward_lines, strict=True)
            for text, _ in lines
        ]
        body = [*self.opening(given), *self.forward_lines, "", self.seed, *backward]
        body.append(f"return {self.name(result)}, {{{gradients}}}")
        required = REQUIRE if any(text.startswith("require(") for text in backward) else ""
        constants = [f"# Constants, of the traced run: {clip(text, 120)}" for text in graph.constants]
        head = [f"# {', '.join(graph.summary())}", *constants, *self.head()]
        call = f"# {self.name(result)}, gradients = step(...)"
        head.append(f"{required}{call} takes arrays of these shapes, and returns the gradients by name")
        head += ['@np.errstate(all="ignore")', f"def step({', '.join(self.inputs)}):"]
        step = textwrap.indent("\n".join(body).replace("\n" * 3, "\n\n").lstrip(), "    ")
        return Program(
            "\n".join([*head, step, ""]),
            listing(graph, self.names, self.forward_lines, self.backward_lines[::-1], self.seed),
            list(self.inputs.values()),
            self.leaves,
            {self.inputs[name]: value.shape for name, value in given.items()},
        )

    def head(self) -> list[str]:
        """Return what stands above the function."""
        return ["import numpy as np", "", "import autograd_cnn as ag", *self.imports, "", ""]

    def opening(self, given: dict[str, Value]) -> list[str]:
        """Refuse other arrays: the program has the size of the batch, and has no checks of what its lines call."""
        rows = [f"({_quoted(clip(self.inputs[n]))}, {n}, {v.shape}, {_kind(v)})" for n, v in given.items()]
        found, wanted = "getattr(array, 'dtype', type(array))", "{kind.__name__} {shape}"  # a list has no dtype
        cure = f"The program is for these: convert with np.asarray or .astype, or {AGAIN}"
        return [
            f"for {', '.join(LOOP)} in [{', '.join(rows)}]:",
            f"    if np.shape(array) != shape or not np.issubdtype({found}, kind):",
            f'        raise ValueError(f"program: {{name}} is {{{found}}} {{np.shape(array)}}, want {wanted}. {cure}")',
        ]

    def learnt(self) -> list[Value]:
        """Return the values whose gradients the program returns."""
        return [v for v in self.initial if self.gradient(v) in self.received]

    def returned(self, value: Value) -> str:
        """Write a gradient as the walk returns it, in an array that nothing else uses."""
        own = "" if _ours(self.scope[name := self.gradient(value)]) else ".copy()"
        return name + (".conj()" if np.dtype(value.dtype).kind == "c" else own)

    # Names

    def name(self, value: Value) -> str:
        """Return the identifier of `value`; ``g_`` before it names the gradient."""
        return self.named(value.id, value.name, "g_")

    def gradient(self, value: Value) -> str:
        return f"g_{self.name(value)}"

    def expression(self, value: Any, hint: str) -> Any:
        """Write an argument as an expression; an object without an expression becomes an input of the program."""

        def other(part: Any) -> Any:
            if isinstance(part, Use):
                cast = ".item()" if part.cast == "item" else f".astype(np.{part.cast})" if part.cast else ""
                return parsed(self.name(part.value) + cast)
            with suppress(NoSource):
                return parsed(self.known(part, hint))
            clash = any(hint == value.name for value in self.initial)
            name = self.named(id(part), f"{hint}_" if clash else hint)
            self.inputs[name], self.scope[name] = name, part
            return parsed(name)

        return literal(value, other)

    # Forward

    def forward(self, op: Op) -> str:
        """Write the line of `op`, and run it."""
        name = self.name(self.graph.values[op.output])
        targets = [name, *(self.named((op.id, b), f"{b}_{name}") for b in op.byproducts if op.call.steps)]
        text = self.resolved(text_of(self.call(op)))
        parts = [p for a in op.call.arguments for p in (a if isinstance(a, tuple) else (a,))]  # of an index too
        if all(self.name(p.value) in self.scope for p in parts if isinstance(p, Use)):
            run = self.compiled([text])
            for target, array in zip(targets, run() if targets[1:] else [run()], strict=True):
                self.scope[target] = _frozen(array)
            self.ran(op, None, run)
        elif op.call.node is not None:
            self.recall(op, targets)
        return f"{', '.join(targets)} = {text}"

    def resolved(self, text: str) -> str:
        """Return a line as the program calls its functions."""
        return text

    def call(self, op: Op) -> Any:
        """Write the call as a user would: with operators, and with options by name if they differ from the default."""
        primitive, arguments = op.call.primitive, op.call.arguments
        trees = [self.expression(a, n) for a, n in zip(arguments, op.ports, strict=True)]
        if primitive.symbol in OPERATORS:
            return form(f"a {primitive.symbol} b" if trees[1:] else f"{primitive.symbol}a", *trees)
        if primitive.symbol == "[]":
            return form("a[b]", trees[0], index(arguments[1], lambda part: self.expression(part, "index")))
        if primitive is alias:
            return form("a.view()", *trees)
        raw = ".raw" if op.byproducts and op.call.steps else ""  # the function that returns by-products as well
        given = primitive.grouped(arguments)
        called = form(f"a{raw}", self.expression(primitive, f"{primitive.name}_op"))
        made = call(called, primitive.textbook, given, {}, Use, self.expression)
        if text_of(called) == "ag.bce_with_logits":  # it reduces the losses; the primitive of that name does not
            made.keywords.append(ast.keyword("reduction", literal("none")))
        return made

    def recall(self, op: Op, targets: list[str]) -> None:
        """Use the arrays that the tape saved, because the line of `op` cannot run."""
        node = op.call.node
        if node.saved is None:
            place = f"{op.place.file}:{op.place.line}"
            raise RuntimeError(f"program: the arrays of {op.name} ({place}) were freed by backward(). {EARLIER}")
        places = [*op.call.arguments, *targets]
        for p, value in node.saved_by_number().items():
            index = isinstance(places[p], tuple)
            pairs = zip(places[p], value, strict=True) if index else [(places[p], value)]
            for place, array in pairs:
                if p >= len(op.ports) or isinstance(place, Use):
                    self.scope[self.name(place.value) if isinstance(place, Use) else place] = array

    # Backward

    def backward(self, op: Op) -> list[Line]:
        """Write the lines of the rules of `op`, and run them."""
        start = len(self.lines)
        if op.call.steps:
            _frozen(self.scope[self.gradient(self.graph.values[op.output])])
        rule: Any
        for positions, rule in op.call.steps:
            parents: list[Any] = [None if p is None else op.call.arguments[p].value for p in positions]
            buffer = self.gradient(parents[0]) if rule.into and not rule.joint else ""
            if buffer in self.received and _ours(self.scope[buffer]):
                self.into(op, rule, parents[0], self.rule(op, rule, positions, buffer))
            else:
                texts = self.rule(op, rule, positions)
                self.lines += [(statement, None) for statement in texts[:-1]]
                run = self.compiled(texts)
                result = run()
                self.ran(op, rule, run)
                if rule.joint:
                    self.joint(op, rule, parents, texts[-1], result)
                else:
                    self.receive(op, rule, parents[0], texts[-1], result)
        return self.lines[start:]

    def rule(self, op: Op, rule: Any, positions: Any, *buffer: str) -> list[str]:
        """Return the statements of a rule for the arguments that the walk passes, and the expression of its result.

        A rule that may have other bits than its formula is called, below the formula as a comment.
        """
        port, g = next(p for p in positions if p is not None), self.gradient(self.graph.values[op.output])

        def local(name: str, identifier: str) -> str:
            return self.named((op.id, identifier), f"{name.lstrip('_')}_{op.id}")

        needs = rule.needs, rule.textbook.needs
        given, formula = ([*map(parsed, [*buffer, g]), *(self.asked(op, a, port) for a in names)] for names in needs)
        comments = [f"# {op.name}: the rule itself is called"]
        with suppress(NoSource):
            function = rule.into if buffer else rule.textbook.function
            texts = read(function, formula, self.scope, self.known, local, bool(buffer))
            if buffer or rule.is_formula(*(evaluate(argument, self.scope) for argument in given)):
                return texts
            comments = [f"# {text.removeprefix('# ')}" for text in texts if not text.startswith("require(")]
        called = form("a.into" if buffer else "a", self.itself(op, rule))
        return [*comments, text_of(ast.Call(called, given, []))]

    def itself(self, op: Op, rule: Any) -> Any:
        """Write a rule that is called, since its formula cannot take its place."""
        return form("a.rules[b]", self.expression(op.call.primitive, f"{op.name}_op"), literal(rule.inputs[0]))

    def asked(self, op: Op, ask: str, port: int) -> Any:
        """Return the expression for the parameter `ask` of a rule."""
        if ask == "position":
            return literal(port - op.ports.index(op.call.primitive.sequence))
        if ask in op.byproducts:
            return parsed(self.names[op.id, ask])
        return self.expression(asked(op, ask, self.graph.values[op.output]), ask)

    def receive(self, op: Op, rule: Any, value: Value, text: str, c: Any) -> None:
        """Fit the contribution `c`, which is written as `text`, to `value`, and add it as the walk does."""
        if np.shape(c) != value.shape:
            whole, extra = np.asarray(c), np.ndim(c) - len(value.shape)
            axes = tuple(i for i, n in enumerate(whole.shape) if i < extra or value.shape[i - extra] != n)
            text = written("a.sum(axis=b)", text, axes[0] if len(axes) == 1 else axes)
            text = written("a.reshape(b)", text, value.shape) if len(axes) != extra else text
            c = unbroadcast(whole, value.shape)
            self.ran(op, rule, lambda: unbroadcast(whole, value.shape))
        if np.iscomplexobj(c) and np.dtype(value.dtype).kind == "f":
            text, c = written("a.real", text), c.real
        if c.dtype != value.dtype:
            text, c = written(f"a.astype(np.{value.dtype})", text), c.astype(value.dtype)
        name, sign, right = self.gradient(value), "=", text
        if name not in self.received:
            self.received.add(name)
            self.scope[name] = c
        elif _ours(self.scope[name]):
            self.scope[name] += c
            sign = "+="
        else:
            self.scope[name] = self.scope[name] + c
            right = written(f"{name} + a", text)
        self.lines.append((f"{name} {sign} {right}", rms(c) if np.size(c) else None))
        self.contributed(op, value, parsed(text) if self.observed else None, c)

    def joint(self, op: Op, rule: Any, parents: list[Any], text: str, result: Any) -> None:
        """Write one tuple assignment, then add the contributions that do not fit `parents` or are not the first."""
        pairs, targets = [], []
        for value, name, c in zip(parents, rule.inputs, result, strict=True):
            target = "_" if value is None else self.gradient(value)
            if target in self.received or (value and (np.shape(c), c.dtype) != (value.shape, value.dtype)):
                target = self.named((op.id, "g", name), f"g_{name}_{op.id}")
            elif value:
                self.received.add(target)
            targets.append(target)
            pairs += [(value, target)] if value else []
            self.scope[target] = c
        self.lines.append((f"{', '.join(targets)} = {text}", None))
        if len(set(map(id, result))) < len(result):  # two inputs share an array
            for _, target in pairs:
                if isinstance(self.scope[target], np.ndarray):
                    self.line(f"{target} = {target}.copy()")
        for value, target in pairs:
            if target == self.gradient(value):
                self.contributed(op, value, None, self.scope[target])
        for value, target in pairs:
            if target != self.gradient(value):
                self.receive(op, rule, value, target, self.scope[target])

    def into(self, op: Op, rule: Any, value: Value, texts: list[str]) -> None:
        """Run the form of a rule that adds to the gradient of `value`."""
        name = self.gradient(value)
        if isinstance(self.scope[name], np.generic):
            self.line(f"{name} = np.asarray({name})")
        run, gradient = self.compiled(texts), self.scope[name]
        before = gradient.copy() if self.observed else None
        run()
        self.lines += [(text, None) for text in texts if text != "None"]
        if self.observed:
            self.contributed(op, value, None, gradient - before)
            self.scope[name] = before  # a repeated run adds to the copy
            self.ran(op, rule, run)
            self.scope[name] = gradient

    def line(self, text: str) -> None:
        exec(text, self.scope)
        self.lines.append((text, None))

    def compiled(self, texts: list[str]) -> Callable[[], Any]:
        """Return a function that runs the lines and returns the value of the last one."""
        code = compile("\n".join([*texts[:-1], f"_ = {texts[-1]}"]), "<program>", "exec")

        def run() -> Any:
            exec(code, self.scope)
            return self.scope.pop("_")

        return run


def _ignore(*_: Any) -> None:
    """Observe nothing."""


def asked(op: Op, ask: str, out: Value) -> Any:
    """Return the argument of `op` that `ask` names, or its shape; for a sequence of inputs, a list."""
    given = [*zip(op.ports, op.call.arguments, strict=True), ("out", Use(out, ""))]
    found = [a for name, a in given if name == ask] or [
        a.value.shape if isinstance(a, Use) else np.shape(a) for name, a in given if f"{name}_shape" == ask
    ]
    return found if ask.removesuffix("_shape") == op.call.primitive.sequence else found[0]


def _ours(array: Any) -> bool:
    """Return whether the walk would add into `array`; a NumPy scalar counts as a fresh array."""
    return isinstance(array, np.generic) or array.flags.writeable


def _frozen(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        array.flags.writeable = False
    return array


def written(pattern: str, text: str, value: Any = None) -> str:
    """Write an expression in the place of a, and a plain value in that of b: ``written("a.sum(axis=b)", "x", 0)``."""
    return text_of(form(pattern, parsed(text), literal(value)))


def _explained(text: str, value: str) -> str:
    """Add to a requirement what its error says: the `value` whose derivative it is for, and the condition."""
    if not text.startswith("require("):
        return text
    return f"{text[:-1]}, {_quoted(value)}, {_quoted(text[8:-1])})"


def _kind(value: Value) -> str:
    """Write the kind of the numbers in `value`; floating-point numbers have the precision of the arrays given."""
    kinds = {"f": "np.floating", "c": "np.complexfloating", "b": "np.bool_"}
    return kinds.get(np.dtype(value.dtype).kind, "np.integer")


def _quoted(name: str) -> str:
    return '"' + repr('"' + name)[2:-1].replace('"', '\\"') + '"'
