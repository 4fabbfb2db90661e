"""How a number came about: formulas with sums over its row, and sums of products."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from studio.player.test_numbers import checked, equations

pytestmark = pytest.mark.slow
SELECTED = """([name, d]) => {
  const id = Object.keys(facts.values).find((id) => value(id).name === name);
  chosen[id] = Math.min(d, mapped(id).numbers.length - 1);
  const steps = facts.steps.filter((step) => step.op >= 0 && [op(step).output, ...op(step).learns].includes(id));
  return steps.flatMap((step) => formulasOf(step)).filter(({ lines }) => lines.join(" ").includes(selected(id).label));
}"""


def attention(x, w):
    h = ag.layer_norm(x, (6,), np.full(6, 1.5), np.ones(6))
    q = (h @ w).reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    a = ag.softmax(q @ q.mT, axis=-1)
    r = a @ x.reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    return ag.sum(r.transpose(0, 2, 1, 3).reshape(2, 3, 6)[:, 0] ** 2)


def rows(rng, operation):
    """A page in which `operation` is applied to u, and gives v."""
    x, c = rng.normal(size=(2, 3, 4, 5)) + 1, rng.normal(size=(2, 3, 4, 5))

    def f(x):
        u = ag.tanh(x)
        v = operation(u)
        return ag.sum(v * v * c)

    return ag.trace(f, x).page()


@pytest.mark.parametrize(
    ("operation", "forward", "back"),
    [
        (lambda u: ag.softmax(u, axis=1), "exp(u) / sum(exp(u), axis=1)", "v × (g_v − sum(g_v × v, axis=1))"),
        (ag.log_softmax, "u − log(sum(exp(u), axis=-1))", "g_v − exp(v) × sum(g_v, axis=-1)"),
        (
            lambda u: ag.standardize(u, axis=(1, 3)),
            "(u − mean(u, axis=(1, 3))) / sqrt(var(u, axis=(1, 3)) + 1e-05)",
            "(g_v − mean(g_v, axis=(1, 3)) − v × mean(g_v × v, axis=(1, 3)))",
        ),
        (
            lambda u: ag.batch_norm(u, np.full(5, 1.5), np.ones(5)),
            "(u − mean(u, axis=(0, 1, 2))) / sqrt(var(u, axis=(0, 1, 2)) + 1e-05) × ",
            "",
        ),
    ],
)
def test_an_operation_on_rows_is_a_formula_with_the_numbers_of_any_element(opened, rng, operation, forward, back):
    page = opened(rows(rng, operation))
    for name, formula in ("v", forward), ("u", back):
        seen = set()
        for d in (0, 7, 13, 59) if formula else ():
            found = [f for f in page.evaluate(SELECTED, [name, d]) if formula in f["lines"][0]]
            (lines,) = (f["lines"] for f in found)
            assert lines[0].startswith(f"{'g_' * (name == 'u')}{name}[")
            assert "NaN" not in lines[1] and equations(lines[1].removeprefix("= ")) == 1, lines
            seen.add(lines[1])
        assert len(seen) == (4 if formula else 0), "each has its own numbers"


def test_given_statistics_of_batch_norm_make_no_formula_of_those_of_the_batch(taught, rng):
    mean, variance = rng.uniform(0.5, 2, size=(2, 5))
    html = rows(rng, lambda u: ag.batch_norm(u, np.ones(5), np.ones(5), mean=mean, variance=variance))
    assert "mean(u" not in str([step["formulas"] for step in taught(html)["steps"]])


def test_a_number_of_a_product_of_stacks_is_a_row_times_a_column(taught, rng):
    graph = ag.trace(attention, rng.normal(size=(2, 3, 6)), rng.normal(size=(6, 6)))
    assert sum(checked(taught, graph)) > 40
    facts = taught(graph.page())
    seen = set()
    for step in (s for s in facts["steps"] if s["kind"] == "forward"):
        op = facts["ops"][step["op"]]
        (formula, *_) = step["formulas"] or [{"lines": [""]}]
        if op["name"] == "matmul" and len(facts["values"][op["output"]]["shape"]) == 4:
            total = formula["lines"][1].partition(" = ")[2]
            assert total.count(" × ") == 3 and formula["note"].count("[") == 3 and equations(total) == 1, formula
        if op["name"] in ("reshape", "transpose", "getitem"):
            assert re.fullmatch(r"\S+\[[\d, ]+\] = \S+\[[\d, ]+\] = −?[\d.e−]+", formula["lines"][1]), formula
        seen.add(op["name"])
    assert {"matmul", "reshape", "transpose", "getitem"} <= seen


def test_each_term_of_a_gradient_says_of_which_number_it_is_and_they_add_up(taught, rng):
    arguments = rng.normal(size=(2, 3)), rng.normal(size=(3, 5))
    facts = taught(ag.trace(lambda x, w: ag.sum(ag.tanh(x @ w)), *arguments).page())
    texts = [f for step in facts["steps"] for f in step["formulas"] if "sum over" in f["lines"][0]]
    assert {len(re.findall(r"g_\w+\[", f["note"])) for f in texts} == {2}
    assert all("…" not in f["lines"][1] and equations(f["lines"][1].removeprefix("= ")) == 1 for f in texts)
    assert any(", and 3 more as one number" in f["note"] for f in texts)
