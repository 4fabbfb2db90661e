"""Compares the lines of every rule, and versions of them with one mistake, with central differences.

Examples of a mistake are a missing factor, swapped operands, a missing transpose, an inverted mask and a wrong sign. A
version is used only if its gradient is wrong. The lines come from the program, and run in float64 with the recorded
inputs and the recorded gradient.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain, islice
from typing import Any

import numpy as np

from autograd_cnn.studio.player.trials import LARGE, LARGEST, Trials, attempt, is_float, largest, learning, nudged
from autograd_cnn.studio.program.syntax import Replaced, names_in, parsed
from autograd_cnn.studio.records import Op
from autograd_cnn.studio.text import clip

ENTRIES, MISTAKES = 3, 4  # elements in a table, and broken lines of an operation
PART = ", this rule's part"  # of a gradient to which other rules add
Version = dict[str, Any]
CONFUSED = {"sum": "mean", "cos": "sin", "sin": "cos"}


def compare(t: Trials, op: Op, trees: list[Any]) -> list[Version] | None:
    """Test the statements of the rules of `op`, and broken ones, against differences; return None if impossible.

    A row has an element of a gradient, the number by differences and by the rule, and whether they are near. Gradients
    that disagree are noted in `t.wrong`.
    """
    values, output, forward = [t.values[v] for v in learning(op)], t.values[op.output], t.codes[op.id]
    if not trees or max(v.size for v in [output, *values]) > LARGEST or not all(v.size for v in values):
        return None
    names, result, scope = [t.author.name(v) for v in values], t.author.name(output), dict(t.scope)
    floats = [*names, f"g_{result}"]
    if not all(is_float(scope.get(name)) for name in floats):
        return None
    scope |= {name: np.array(scope[name], np.float64) for name in floats}
    parts = {n for n, v in zip(names, values, strict=True) if any(s.op is not op for s in t.shares[v.id])}

    def tests() -> list[_Test]:
        exec(forward, scope)
        right = _run(trees, scope, names)
        return [_Test(n, right[n], cache(partial(_slope, forward, scope, result, n)), n in parts) for n in names]

    if (found := attempt(tests)) is None:  # a user's rule may not work in float64
        return None

    def broken(k: int) -> Iterator[Version]:
        others = " The other lines are as written." * (len(trees) > 1)
        for tree, what in _mistakes(trees[k]):
            wrong = attempt(_run, [*trees[:k], tree, *trees[k + 1 :]], scope, names) or {}
            if test := next((t for t in found if wrong and t.differs(wrong[t.name])), None):
                rows, off = test.worst(wrong[test.name])
                if any(rule != differences for _, differences, rule, _ in rows):
                    says = f"Wrong: {what}{'' if off == what else f'; at these elements {off}'}.{others}"
                    yield _version(k, ast.unparse(tree), what, rows, False, says)

    each = {v.id: test.rows(test.elements, test.gradient) for v, test in zip(values, found, strict=True)}
    wrong = [v for v, rows in each.items() if not all(near for *_, near in rows)]
    t.wrong |= {(t.places[op.id], v): clip(op.name) for v in wrong}
    rows, good = list(chain(*each.values())), not wrong
    says = "They agree: the rule is right here." if good else "They do not agree: the rule is wrong."
    written = _version(-1, "as written", "", rows, good, says if rows else "Nothing to compare: only kinks.")
    most = MISTAKES - 1 if len(trees) == 1 else MISTAKES // 2
    mistakes = {m["text"]: m for k in range(len(trees)) for m in islice(broken(k), most)}
    return [written, *list(mistakes.values())[:MISTAKES]]


def _version(line: int, text: str, what: str, rows: list[Any], good: bool, says: str) -> Version:
    """Describe a rule, in which the text of one line may be another one with a mistake, `what`."""
    return {"line": line, "text": text, "what": what, "rows": rows, "good": good, "says": says}


def _run(trees: list[Any], scope: dict[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    """Run statements, and return what they contribute to the gradients of `names`.

    A broken line may bind a gradient to an input, and the next line add to it in place. So the arrays are copied.
    """
    body = [tree for tree in trees if tree is not None]
    used = set().union(*map(names_in, body))
    inner = {n: np.array(a) if n in used and isinstance(a, np.ndarray) else a for n, a in scope.items()}
    inner |= {f"g_{n}": np.zeros(scope[n].shape) for n in names}
    exec(compile(ast.fix_missing_locations(ast.Module(body, [])), "<rule>", "exec"), inner)
    return {n: np.asarray(inner[f"g_{n}"], np.float64) for n in names}


def _slope(forward: Any, scope: dict[str, Any], output: str, name: str, i: int) -> tuple[float, bool]:
    """Estimate the derivative for the i-th element of an input, and detect a kink there."""
    down, up, step = nudged(forward, scope, name, i, output)
    changes = scope[output] - down, up - scope[output], up - down
    left, right, both = (float(np.sum(scope[f"g_{output}"] * change)) / step for change in changes)
    return both / 2, abs(left - right) > 1e-2 * max(abs(left), abs(right))


class _Test:
    """Compares the gradient of one input with differences, at its largest element and two of middling size.

    At a kink, as in a tie of a pool, there is no slope to compare with: another element takes its place.
    """

    def __init__(self, name: str, gradient: np.ndarray, slope: Callable[[int], tuple[float, bool]], part: bool) -> None:
        self.name, self.gradient, self.slope, self.part = name, gradient, slope, part
        sizes = np.abs(gradient).reshape(-1)
        some = np.unique([*largest(sizes), *range(0, sizes.size, 1 + sizes.size // 1000)])  # to sort all takes long
        order = some[np.argsort(-sizes[some], kind="stable")]
        nonzero = max(1, int(np.count_nonzero(sizes[some])))
        starts = [nonzero * i // ENTRIES for i in range(ENTRIES)]
        self.elements = sorted({i for k in starts for i in self.smooth(order[k:])})

    def smooth(self, order: np.ndarray) -> list[int]:
        """Return the first element of `order` that does not lie at a kink; [] if there is none among the first."""
        return list(islice((int(i) for i in order[:LARGE] if not self.slope(int(i))[1]), 1))

    def differs(self, wrong: np.ndarray) -> bool:
        same = partial(np.allclose, rtol=1e-3, atol=1e-12, equal_nan=True)
        return wrong.shape == self.gradient.shape and not same(wrong, self.gradient)

    def worst(self, wrong: np.ndarray) -> tuple[list[Any], str]:
        """Return the rows of a wrong gradient, with its worst element first, and the size of the error."""
        worst = self.smooth(largest(np.abs(np.nan_to_num(wrong - self.gradient)).reshape(-1)))
        elements = list(dict.fromkeys([*worst, *self.elements]))[:ENTRIES]
        slopes = np.array([self.slope(i)[0] for i in elements])
        return self.rows(elements, wrong), _how_far(wrong.flat[elements], slopes)

    def rows(self, elements: list[int], gradient: np.ndarray) -> list[Any]:
        found = []
        for i in elements:
            place, d, r = np.unravel_index(i, gradient.shape), self.slope(i)[0], float(gradient.flat[i])
            name = f"g_{self.name}{list(map(int, place)) or ''}{PART * self.part}"
            found.append((name, f"{d:.6g}", f"{r:.6g}", abs(d - r) <= 1e-4 * max(abs(d), abs(r)) + 1e-9))
        return found


def _how_far(found: np.ndarray, want: np.ndarray) -> str:
    if not np.any(found):
        return "it is 0"
    ratio = found[want != 0] / want[want != 0]
    if len(ratio) == len(found) and np.ptp(ratio) < 1e-3 * abs(ratio[0]):
        return "the sign is wrong" if abs(ratio[0] + 1) < 1e-3 else f"off by a factor of {ratio[0]:.4g}"
    return f"off by up to {float(np.max(np.abs(found - want))):.2g}"


def _mistakes(tree: Any) -> Iterator[tuple[Any, str]]:
    """Yield versions of a statement with one mistake, and the mistake; subtle ones come first."""
    match tree:
        case ast.Assign([ast.Name(name)], ast.BinOp(ast.Name(left), ast.Add(), added)) if name == left:
            pass  # the sum until here is no part of the rule
        case ast.Assign(_, added) | ast.AugAssign(_, _, added):
            pass
        case _:
            return
    changes = [change for node in ast.walk(added) for change in _changes(node)]
    if not isinstance(added, ast.Tuple):
        changes.append((added, "the sign is wrong", ast.UnaryOp(ast.USub(), added)))
        changes.append((added, "counted twice", ast.BinOp(ast.Constant(2), ast.Mult(), added)))
    for part, what, new in changes:
        yield Replaced({part: new}.get).visit(tree), what


def _changes(node: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield a part of an expression, a mistake, and what the mistake puts in place of the part."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            yield node, "a factor is missing", left
            yield node, "a factor is missing", right
        case ast.BinOp(left, ast.Div()):
            yield node, "a factor is missing", left
        case ast.BinOp(left, ast.Sub() | ast.MatMult() as operator, right):
            yield node, "operands are swapped", ast.BinOp(right, operator, left)
        case ast.Compare():
            yield node, "the mask is inverted", ast.Call(parsed("np.logical_not"), [node], [])
        case ast.Attribute(value, "T"):
            yield node, "a transpose is missing", value
        case ast.Call(function, args, keywords):
            home, _, called = ast.unparse(function).rpartition(".")
            if called == "logical_not":
                yield node, "the mask is inverted", args[0]
            if called == "transpose" and len(args) == 1:
                yield node, "a transpose is missing", args[0]
            if called in ("conv2d", "conv_transpose2d"):
                turned = parsed(f"({ast.unparse(args[1])})[::-1, ::-1]")
                yield node, "the kernel is turned by 180°", ast.Call(function, [args[0], turned, *args[2:]], keywords)
            if other := CONFUSED.get(called):
                confused = parsed(f"{home}.{other}" if home else other)
                yield node, f"{other} in place of {called}", ast.Call(confused, args, keywords)
