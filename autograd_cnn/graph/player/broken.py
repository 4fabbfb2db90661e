"""Compares every rule, and lines that are nearly right, with central differences.

A nearly right line is a line of the rule with one slip: a factor lost, operands swapped, a transpose forgotten, a mask
inverted, a wrong sign. It is kept only if its gradient differs. The lines are those of the program; they run in
float64, at the recorded inputs and the recorded gradient.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_cnn.graph.program.expressions import Rewriter, parsed
from autograd_cnn.graph.program.write import Author
from autograd_cnn.graph.records import Op

ENTRIES, SLIPS, STEP = 3, 4, 1e-6
LARGEST = 300_000  # elements of an input or output, beyond which differences take too long


def trial(author: Author, op: Op, forward: str, lines: list[str]) -> dict[str, Any] | None:
    """Test the `lines` of the rules of `op`, and broken ones, against differences; None where that is not possible.

    `tried` has for each input its name, elements, differences, the gradient of the rule, and whether they agree.
    `slips` has for each broken line its number, its text, its mistake, and the same of the first input whose gradient
    is wrong.
    """
    values = [author.graph.values[v] for v in dict.fromkeys(v for p, v in op.inputs if p in op.rules)]
    output = author.graph.values[op.output]
    if not lines or max(v.size for v in [output, *values]) > LARGEST or not all(v.size for v in values):
        return None
    names, scope = [author.name(v) for v in values], dict(author.scope)
    for name in [*names, f"g_{author.name(output)}"]:
        if name not in scope or np.asarray(scope[name]).dtype.kind != "f":
            return None
        scope[name] = np.array(scope[name], np.float64)
    program = compile(forward, "<forward>", "exec")
    try:
        exec(program, scope)
        right = _run(lines, scope, names)
        tests = [_Test(scope, program, author.name(output), n, right[n]) for n in names]
    except Exception:  # a user's rule that does not work in float64
        return None
    slips: list[dict[str, Any]] = []
    for k, line in enumerate(lines):
        most = min(SLIPS, len(slips) + (SLIPS - 1 if len(lines) == 1 else SLIPS // 2))
        for text, what in _slips(line):
            if len(slips) == most:
                break
            try:
                wrong = _run([*lines[:k], text, *lines[k + 1 :]], scope, names)
            except Exception:  # it does not even run
                continue
            test = next((t for t in tests if t.differs(wrong[t.name])), None)
            if test and test.gradient.shape == wrong[test.name].shape and text not in [s["text"] for s in slips]:
                slips.append({"line": k, "text": text, "what": what, **test.slip(wrong[test.name])})
    tried = [{**t.table(t.flat, t.gradient), "ok": t.agrees()} for t in tests]
    return {"tried": tried, "slips": slips}


def _run(lines: list[str], scope: dict[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    """The gradients of `names` that `lines` contribute."""
    inner = {**scope, **{f"g_{n}": np.zeros(scope[n].shape) for n in names}}
    for line in lines:
        exec(line, inner)
    return {n: np.asarray(inner[f"g_{n}"], np.float64) for n in names}


class _Test:
    """Differences of one input: at the largest element of its gradient, and at two of middling size."""

    def __init__(self, scope: dict[str, Any], program: Any, output: str, name: str, gradient: np.ndarray) -> None:
        self.scope = scope
        self.program = program
        self.output = output
        self.name = name
        self.gradient = gradient
        order = np.argsort(-np.abs(gradient), axis=None, kind="stable")
        nonzero = max(1, int(np.count_nonzero(gradient)))
        self.flat = sorted({int(order[nonzero * i // ENTRIES]) for i in range(ENTRIES)})
        self.slopes: dict[int, tuple[float, bool]] = {}
        for i in self.flat:
            self.slope(i)

    def slope(self, i: int) -> tuple[float, bool]:
        """The derivative for element `i`, and whether there is a kink."""
        if i not in self.slopes:
            step = STEP * max(1.0, abs(float(self.scope[self.name].reshape(-1)[i])))
            up, here, down = self.at(i, step), self.scope[self.output], self.at(i, -step)
            g = self.scope[f"g_{self.output}"]
            left, right = float(np.sum(g * (here - down))) / step, float(np.sum(g * (up - here))) / step
            both = float(np.sum(g * (up - down))) / (2 * step)
            self.slopes[i] = both, abs(left - right) > 1e-2 * max(abs(left), abs(right))
        return self.slopes[i]

    def at(self, i: int, move: float) -> Any:
        """The output after a move of element `i`."""
        moved = self.scope[self.name].copy()
        moved.reshape(-1)[i] += move
        inner = {**self.scope, self.name: moved}
        exec(self.program, inner)
        return inner[self.output]

    def agrees(self) -> bool:
        """Whether the rule is right where there is no kink."""
        pairs = [(self.slope(i), float(self.gradient.reshape(-1)[i])) for i in self.flat]
        return all(kink or abs(d - r) <= 1e-4 * max(abs(d), abs(r)) + 1e-9 for (d, kink), r in pairs)

    def differs(self, wrong: np.ndarray) -> bool:
        right = self.gradient
        return wrong.shape != right.shape or not np.allclose(wrong, right, rtol=1e-3, atol=1e-12, equal_nan=True)

    def slip(self, wrong: np.ndarray) -> dict[str, Any]:
        """The table of a wrong gradient, its worst element first, and how far it is off."""
        worst = int(np.argmax(np.abs(np.nan_to_num(wrong - self.gradient))))
        flat = [worst, *(i for i in self.flat if i != worst)][:ENTRIES]
        slopes = np.array([self.slope(i)[0] for i in flat])
        return {**self.table(flat, wrong), "off": _how_far(wrong.reshape(-1)[flat], slopes)}

    def table(self, flat: list[int], gradient: np.ndarray) -> dict[str, Any]:
        """Indices of elements, their differences, and their gradient."""
        at = [str(list(map(int, np.unravel_index(i, gradient.shape)))) for i in flat]
        numbers = [self.slope(i)[0] for i in flat], gradient.reshape(-1)[flat]
        slopes, rule = ([f"{float(x):.6g}" for x in column] for column in numbers)
        return {"name": self.name, "at": at, "fd": slopes, "rule": rule}


def _how_far(found: np.ndarray, want: np.ndarray) -> str:
    if not np.any(found):
        return "it is 0"
    ratio = found[want != 0] / want[want != 0]
    if len(ratio) == len(found) and np.ptp(ratio) < 1e-3 * abs(ratio[0]):
        return "the sign is wrong" if abs(ratio[0] + 1) < 1e-3 else f"off by a factor of {ratio[0]:.4g}"
    return f"off by up to {float(np.max(np.abs(found - want))):.2g}"


def _slips(line: str) -> Iterator[tuple[str, str]]:
    """`line` with one thing wrong, the subtle ones first."""
    tree: Any = next(iter(ast.parse(line).body), None)
    if not isinstance(tree, (ast.Assign, ast.AugAssign)):  # a comment
        return
    # of ``g = g + ...`` the sum stays
    begun = isinstance(tree, ast.Assign) and line.startswith(f"{(name := ast.unparse(tree.targets[0]))} = {name} + ")
    value: Any = tree.value
    contribution = value.right if begun else value

    def changed(target: Any, new: Any) -> str:
        return ast.unparse(ast.fix_missing_locations(_Change(target, new).visit(tree)))

    for node in ast.walk(contribution):
        for what, new in _changes(node):
            yield changed(node, new), what
    if not isinstance(contribution, ast.Tuple):
        yield changed(contribution, ast.UnaryOp(ast.USub(), contribution)), "the sign is wrong"
        yield changed(contribution, ast.BinOp(ast.Constant(2), ast.Mult(), contribution)), "counted twice"


class _Change(Rewriter):
    """One node becomes another."""

    def __init__(self, target: Any, new: Any) -> None:
        self.target = target
        self.new = new

    def visit(self, node: Any) -> Any:
        return self.new if node is self.target else self.generic_visit(node)


def _changes(n: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(n, ast.BinOp):
        if isinstance(n.op, (ast.Mult, ast.Div)):
            yield "a factor is missing", n.left
        if isinstance(n.op, ast.Mult):
            yield "a factor is missing", n.right
        if isinstance(n.op, (ast.Sub, ast.MatMult)):
            yield "operands are swapped", ast.BinOp(n.right, n.op, n.left)
    if isinstance(n, ast.Compare):
        yield "the mask is inverted", ast.Call(parsed("np.logical_not"), [n], [])
    if isinstance(n, ast.Attribute) and n.attr == "T":
        yield "a transpose is missing", n.value
    if isinstance(n, ast.Call):
        function = ast.unparse(n.func)
        called = function.rpartition(".")[2]
        if called == "logical_not":
            yield "the mask is inverted", n.args[0]
        if called == "transpose" and len(n.args) == 1:
            yield "a transpose is missing", n.args[0]
        if called in ("conv2d", "conv_transpose2d"):
            turned = parsed(f"({ast.unparse(n.args[1])})[::-1, ::-1]")
            yield "the kernel is turned by 180°", ast.Call(n.func, [n.args[0], turned, *n.args[2:]], n.keywords)
        if called in ("sum", "cos", "sin"):
            other = {"sum": "mean", "cos": "sin", "sin": "cos"}[called]
            function = parsed(function[: -len(called)] + other)
            yield f"{other} in place of {called}", ast.Call(function, n.args, n.keywords)
