"""The player's page says whether a rule is right, and where its numbers come from."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import facts_of, numbers
from studio.programs import own


@pytest.mark.parametrize("name", ["cnn", "residual", "hub", "branches", "dense", "square", "matrix"])
def test_every_rule_agrees_with_differences(models, name):
    facts = facts_of(models[name].page())["frames"][0]
    tests = [op["test"] for op in facts["ops"] if "test" in op]
    assert tests and all(test["rows"] and test["good"] for test in tests)
    for row in (row for test in tests for row in test["rows"]):
        differences, rule = (float(text.replace("−", "-")) for text in row[1:3])
        assert row[3] and rule == pytest.approx(differences, rel=2e-4, abs=1e-9)


def test_a_wrong_rule_is_reported(rng):
    cube = own("cube", lambda x: x**3, x=lambda g, x: g * 2 * x**2)
    facts = facts_of(ag.trace(lambda x: ag.sum(ag.tanh(cube(x))), rng.normal(size=4)).page())["frames"][0]
    assert [op["test"]["good"] for op in facts["ops"]] == [False, True, True]
    for _, differences, rule, near in facts["ops"][0]["test"]["rows"]:
        assert float(rule) == pytest.approx(2 / 3 * float(differences), rel=1e-3) and not near


def test_a_number_that_is_wrong_before_a_step_says_so(taught, rng):
    middle = own("middle", lambda x: np.mean(x), x=lambda g, x: g * np.ones_like(x))

    twin = own("twin", lambda x: x + 0.0, x=lambda g: 2 * g)

    def f(x):
        return middle(ag.tanh(twin(ag.sin(x)))) + ag.sum(x) * 0.0

    facts = taught(ag.trace(f, rng.normal(size=4)).page())
    checks = {facts["ops"][s["op"]]["name"]: str(s) for s in facts["steps"] if s["kind"] == "backward"}
    assert "differ: finite differences do not agree with the rule of middle." in checks["tanh"]
    assert "do not agree with the rule of middle (here)." in checks["middle"]
    assert "do not agree with the rule of twin (here) and of middle." in checks["twin"]
    assert "do not agree with the rule of twin and of middle." in checks["sin"]
    assert "They differ" not in checks["sum"]


def test_a_kink_is_not_an_error():
    facts = facts_of(ag.trace(lambda x: ag.sum(ag.relu(x)), np.array([0.0, 1.0, -1.0])).page())["frames"][0]
    assert facts["ops"][0]["test"]["good"]


def test_a_tie_of_a_pool_is_no_row_of_the_table(rng):
    x = rng.uniform(size=(1, 4, 4, 1))
    x[0, :2, :2] = 0.5  # the four tie
    facts = facts_of(ag.trace(lambda x: ag.sum(9 * ag.max_pool2d(x, 2)), x).page())["frames"][0]
    rows = facts["ops"][0]["test"]["rows"]
    assert rows and all(near and differences == rule for _, differences, rule, near in rows)
    ties = {f"[0, {i}, {j}, 0]" for i in (0, 1) for j in (0, 1)}
    assert not ties & {element[element.index("[") :] for element, *_ in rows}


def test_every_formula_has_lines(taught):
    facts = taught(ag.trace(lambda x: ag.sum(ag.relu(x)), np.full(3, np.nan)).page())
    assert all(formula["lines"] for step in facts["steps"] for formula in step.get("formulas") or ())


def test_examples_follow_one_way_and_are_those_of_the_images(taught, standard_cnn, rng):
    facts = taught(ag.trace(standard_cnn, *standard_cnn.arguments(rng)).page())
    incoming = {}
    followed = 0
    for step in (s for s in facts["steps"] if s["kind"] == "backward"):
        formula, op = step["formulas"][0], facts["ops"][step["op"]]
        head, note = formula["lines"][0], formula["note"]
        name = head.partition(" = ")[0]
        used = re.search(r"(?<= = )g_\w+\[[^]]*\]", head) or re.search(r"(?<=slope, of )g_\w+\[[^]]*\]", note)
        if used and facts["values"][op["output"]]["name"] in incoming:
            followed += used[0] == incoming[facts["values"][op["output"]]["name"]]
        incoming[name[2:].partition("[")[0]] = name
    assert followed >= 12
    assert all("example" in v for v in facts["values"].values() if v["name"] in ("h1", "m1", "h2", "z"))


def test_a_local_slope_is_written_with_the_numbers_of_one_element_and_gives_its_gradient(taught, standard_cnn, rng):
    facts = taught(ag.trace(standard_cnn, *standard_cnn.arguments(rng)).page())
    found = {}
    for step in (s for s in facts["steps"] if s["kind"] == "backward"):
        lines, note = (step["formulas"][0][part] for part in ("lines", "note"))
        assert "incoming gradient × local slope" in note
        if slope := re.search("here it is ([^;]*)", note):
            incoming, local, gradient = numbers(lines[-1])
            assert incoming * local == pytest.approx(gradient, rel=1e-3)
            formula = slope[1].replace("×", "*").replace("−", "-")
            assert eval(formula, {"maximum": np.maximum}) == pytest.approx(local, rel=1e-2)
            found[facts["ops"][step["op"]]["name"]] = slope[1]
    assert found.keys() == {"bce", "sigmoid"}
    assert re.fullmatch(r"(\S+) × \(1 − \1\)", found["sigmoid"])


def test_a_failed_trace_ends_with_the_error(rng):
    w = ag.Tensor(rng.normal(size=(3, 4)), True, "w")

    def f(x):
        h = ag.tanh(x @ w)
        return h @ w

    with pytest.raises(ValueError, match="4 is not 3") as caught:
        ag.trace(f, np.ones((2, 3)))
    facts = facts_of(caught.value.graph.page())["frames"][0]
    assert [step["kind"] for step in facts["steps"]] == ["begin", "forward", "forward", "failed"]
    last = facts["steps"][-1]
    assert last["say"].startswith("matmul raises ValueError") and last["formulas"][0]["note"] == "ValueError"
    assert "\n".join(last["formulas"][0]["lines"]) == str(caught.value)
    (line,) = (parts for _, *parts in last["source"][0]["lines"] if parts[1])
    assert "".join(line).strip() == "return h @ w"
    assert [facts["values"][v]["name"] for v in last["inputs"]] == ["h", "w"]
