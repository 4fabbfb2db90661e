"""The engine in a hundred lines has the gradients of the engine; `test_gallery` compares its losses."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_cnn as ag

SCRIPT = Path(__file__).parent.parent / "examples" / "hundred_lines.py"


@pytest.fixture(scope="module")
def small():
    spec = importlib.util.spec_from_file_location("hundred_lines", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ENGINE = SimpleNamespace(
    **{name: getattr(ag, name) for name in "add subtract multiply divide matmul exp log tanh relu".split()},
    total=lambda x, axis=None: ag.sum(x, axis, keepdims=True),
)
STEPS = {
    "add": lambda op, x, y: op.add(x, y), "subtract": lambda op, x, y: op.subtract(x, y),
    "multiply": lambda op, x, y: op.multiply(op.tanh(x), y),
    "divide": lambda op, x, y: op.divide(x, op.add(op.exp(op.tanh(y)), 1.0)),
    "log": lambda op, x, y: op.log(op.add(op.multiply(x, x), 1.5)), "relu": lambda op, x, y: op.relu(x),
    "total": lambda op, x, y: op.subtract(x, op.total(y, 1)),
    "constant": lambda op, x, y: op.multiply(0.5, op.divide(x, 3.0)),
}  # fmt: skip


def gradients(op, tensor, arrays, rng):
    """Return the loss of a random network of `op`'s operations, and the gradient of each array."""
    leaves = x, w, *others = [tensor(a) for a in arrays]
    pool = [op.matmul(x, w), *others]
    for _ in range(12):
        i, j = rng.integers(len(pool), size=2)
        pool.append(STEPS[rng.choice([*STEPS])](op, pool[i], pool[j]))
    loss = op.total(pool[0])
    for part in pool[1:]:
        loss = op.add(loss, op.total(part))
    loss.backward()
    return loss.data, [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("seed", range(20))
def test_gradients_of_random_networks_are_the_engines(small, seed):
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(1, 5, size=3)
    arrays = [rng.standard_normal(shape) for shape in [(n, k), (k, m), (n, m), (1, m), (n, 1)]]
    loss, ours = gradients(small, small.Tensor, arrays, np.random.default_rng(seed))
    want, theirs = gradients(ENGINE, lambda a: ag.Tensor(a, requires_grad=True), arrays, np.random.default_rng(seed))
    np.testing.assert_allclose(loss, want, rtol=1e-12)
    for c, d in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(c, d, rtol=1e-12, atol=1e-12 * np.abs(d).max())


def test_a_row_is_added_to_every_row_and_gradients_add_up(small):
    rows, bias = small.Tensor(np.ones((4, 3))), small.Tensor(np.zeros(3))
    for times in (1, 2):
        small.total(rows + bias).backward()
        assert bias.grad.tolist() == [4.0 * times] * 3 and rows.grad.tolist() == [[1.0 * times] * 3] * 4


def test_it_has_a_hundred_lines_ten_primitives_and_imports_numpy_only():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert len(re.findall(r"^\w+ = primitive\(", text, re.M)) == 10
    modules = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    modules |= {a.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for a in node.names}
    assert modules <= {"numpy", *sys.stdlib_module_names}
