"""Is the rule right? Every derived line against central differences, and beside it lines that are nearly right.

A nearly right line is the rule's own with one slip: a factor lost, operands swapped, a transpose forgotten, a mask
inverted, a wrong sign. It is run first, and kept only if its gradient differs. All in float64, at the recorded inputs
and the recorded gradient; by running the lines of the program, so that nothing is said twice.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.graph.program import Author
from autograd_cnn.graph.records import Op

ENTRIES, SLIPS, STEP = 3, 3, 1e-6
LARGEST = 300_000  # elements that go in or come out: beyond, differences take too long


def trial(author: Author, op: Op, forward: str, lines: list[str]) -> dict[str, Any] | None:
    """The lines of `op`'s rules against differences, and broken ones; None where that cannot be tried.

    `tried`: per input its identifier, elements, differences, what the rule says, whether they agree. `slips`: which
    line, how it reads when broken, what is wrong with it, whose gradient it spoils, what it says, how far off it is.
    """
    values = [author.graph.values[v] for v in dict.fromkeys(v for p, v in op.inputs if p in op.rules)]
    output = author.graph.values[op.output]
    if not lines or max(v.size for v in [output, *values]) > LARGEST or not all(v.size for v in values):
        return None
    names = [author.name(v) for v in values]
    scope = dict(author.scope)
    for name in [*names, f"g_{author.name(output)}"]:
        if name not in scope or np.asarray(scope[name]).dtype.kind != "f":
            return None
        scope[name] = np.array(scope[name], np.float64)
    program = compile(forward, "<forward>", "exec")
    try:
        exec(program, scope)
        right = _run(lines, scope, names)
        tried = [_tried(scope, program, author.name(output), n, right[n]) for n in names]
    except Exception:  # a rule of the user's that cannot do with float64
        return None
    found: list[dict[str, Any]] = []
    for k, line in enumerate(lines):
        for text, what in _slips(line):
            if len(found) == SLIPS:
                break
            try:
                wrong = _run([*lines[:k], text, *lines[k + 1 :]], scope, names)
                spoilt = next(i for i, n in enumerate(names) if _differ(wrong[n], right[n]))
                said = wrong[names[spoilt]].reshape(-1)[tried[spoilt]["flat"]]
            except Exception:  # it does not even run, or differs nowhere
                continue
            if all(text != f["text"] for f in found) and wrong[names[spoilt]].shape == right[names[spoilt]].shape:
                off = _how_far(said, np.array(tried[spoilt]["fd"]))
                found.append({"line": k, "text": text, "what": what, "of": spoilt, "rule": _spelled(said), "off": off})
    for t in tried:
        t["fd"] = _spelled(t["fd"])
        del t["flat"]
    return {"tried": tried, "slips": found}


def _run(lines: list[str], scope: dict[str, Any], names: list[str]) -> dict[str, np.ndarray]:
    """What `lines` contribute to the gradients of `names`, by name."""
    inner = {**scope, **{f"g_{n}": np.zeros(scope[n].shape) for n in names}}
    for line in lines:
        exec(line, inner)
    return {n: np.asarray(inner[f"g_{n}"], np.float64) for n in names}


def _tried(scope: dict[str, Any], program: Any, output: str, name: str, gradient: np.ndarray) -> dict[str, Any]:
    """Differences at the largest element of the gradient and at two of middling size."""
    x, g = scope[name], scope[f"g_{output}"]
    order = np.argsort(-np.abs(gradient), axis=None, kind="stable")
    nonzero = max(1, np.count_nonzero(gradient))
    flat = sorted({int(order[nonzero * i // ENTRIES]) for i in range(ENTRIES)})
    slopes, ok = [], True
    for i in flat:
        step = STEP * max(1.0, abs(float(x.reshape(-1)[i])))

        def at(move: float, i: int = i) -> Any:
            moved = x.copy()
            moved.reshape(-1)[i] += move
            inner = {**scope, name: moved}
            exec(program, inner)
            return inner[output]

        up, here, down = at(step), at(0.0), at(-step)
        slope, left, right = (
            float(np.sum(g * d)) / w for d, w in ((up - down, 2 * step), (here - down, step), (up - here, step))
        )
        rule = gradient.reshape(-1)[i]
        kink = abs(left - right) > 1e-2 * max(abs(left), abs(right))
        slopes.append(slope)
        ok &= kink or abs(slope - rule) <= 1e-4 * max(abs(slope), abs(rule)) + 1e-9
    at_ = [str(list(map(int, np.unravel_index(i, x.shape)))) for i in flat]
    return {"name": name, "at": at_, "fd": slopes, "rule": _spelled(gradient.reshape(-1)[flat]), "ok": bool(ok), "flat": flat}


def _spelled(numbers: Any) -> list[str]:
    return [f"{float(x):.6g}" for x in numbers]


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-12, equal_nan=True)


def _how_far(said: np.ndarray, want: np.ndarray) -> str:
    if not np.any(said):
        return "it is 0"
    ratio = said / np.where(want == 0, np.nan, want)
    if np.nanmax(np.abs(ratio - np.nanmean(ratio)), initial=0) < 1e-3 * abs(np.nanmean(ratio)):
        r = float(np.nanmean(ratio))
        if abs(r - 1) < 1e-3:
            return "right at these three, wrong elsewhere"
        return "the sign is wrong" if abs(r + 1) < 1e-3 else f"off by a factor of {r:.4g}"
    return f"off by up to {float(np.max(np.abs(said - want))):.2g}"


def _slips(line: str) -> Iterator[tuple[str, str]]:
    """`line` with one thing wrong, the subtle ones first."""
    tree = ast.parse(line).body[0]
    if not isinstance(tree, (ast.Assign, ast.AugAssign)):
        return
    begun = isinstance(tree, ast.Assign) and isinstance(tree.value, ast.BinOp) and isinstance(tree.value.op, ast.Add)
    begun = begun and ast.unparse(tree.value.left) == ast.unparse(tree.targets[0])  # g = g + ...: the sum stays

    def contribution(root: Any) -> Any:
        return root.value.right if begun else root.value

    def changed(index: int, change: Callable[[Any], Any]) -> str:
        root = copy.deepcopy(tree)
        target = list(ast.walk(contribution(root)))[index]
        parent, field = next((p, f) for p in ast.walk(root) for f, c in ast.iter_fields(p) if c is target or _in(target, c))
        child = getattr(parent, field)
        if child is target:
            setattr(parent, field, change(target))
        else:
            child[next(k for k, c in enumerate(child) if c is target)] = change(target)
        return ast.unparse(ast.fix_missing_locations(root))

    for i, node in enumerate(ast.walk(contribution(tree))):
        for what, change in _changes(node):
            yield changed(i, change), what
    if not isinstance(contribution(tree), ast.Tuple):
        yield changed(0, lambda n: ast.UnaryOp(ast.USub(), n)), "the sign is wrong"
        yield changed(0, lambda n: ast.BinOp(ast.Constant(2), ast.Mult(), n)), "counted twice"


def _in(target: Any, children: Any) -> bool:
    return isinstance(children, list) and any(c is target for c in children)


def _changes(node: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, (ast.Mult, ast.Div)):
            yield "a factor is missing", lambda n: n.left
        if isinstance(node.op, ast.Mult):
            yield "a factor is missing", lambda n: n.right
        if isinstance(node.op, (ast.Sub, ast.MatMult)):
            yield "operands are swapped", lambda n: ast.BinOp(n.right, n.op, n.left)
    if isinstance(node, ast.Compare):
        yield "the mask is inverted", lambda n: ast.Call(ast.parse("np.logical_not", mode="eval").body, [n], [])
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        if called == "logical_not":
            yield "the mask is inverted", lambda n: n.args[0]
        if called == "transpose" and len(node.args) == 1:
            yield "a transpose is missing", lambda n: n.args[0]
        if called in ("sum", "cos", "sin"):
            other = {"sum": "mean", "cos": "sin", "sin": "cos"}[called]
            yield (
                f"{other} in place of {called}",
                lambda n: ast.Call(ast.parse(ast.unparse(n.func)[: -len(called)] + other, mode="eval").body, n.args, n.keywords),
            )
