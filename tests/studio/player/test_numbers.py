"""Numbers in the texts of a page: equations hold, predictions are those of the gradient, ends are the page's arrays."""

import re
import warnings
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import numbers
from studio.player.test_quiz import demo, some_programs

FUNCTIONS = {**vars(np), **vars(ag), "abs": abs}  # of NumPy, those that `ag` lacks


def computed(text):
    """The number that an expression gives, and how far its own digits, of which four are shown, may move it."""
    found = re.sub(r"(?<=\d),(?=\d)", "", text.partition(": ")[0].replace("−", "-").replace("×", "*"))
    if "…" in text or ", " in found or "=" in found or "[" in found:
        return None
    places = [m.span() for m in re.finditer(r"(?<![\w.])\d[\d.]*(?:e[+-]\d+)?", found)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            here = float(eval(found, dict(FUNCTIONS)))
            moved = [f"{found[:a]}({found[a:b]} + {_digit(found[a:b])}){found[b:]}" for a, b in places]
            return here, sum(abs(float(eval(each, dict(FUNCTIONS))) - here) for each in moved)
        except (NameError, SyntaxError, TypeError, ValueError, ArithmeticError):
            return None  # names in it


def _digit(number):
    """Half a unit of the last digit, where four are shown or four stand behind the point."""
    decimals = len(number.partition("e")[0].partition(".")[2])
    return max(6e-4 * float(number), 0.6 * 10.0**-decimals if decimals >= 4 else 0)


def equations(line):
    """Check that all sides of an equation with a number are equal; return how many were compared."""
    sides = [side for side in map(computed, line.split(" = ")) if side and np.isfinite(side[0])]
    for (one, loose), (other, free) in pairwise(sides):
        assert abs(one - other) <= loose + free + 1e-12, line
    return max(0, len(sides) - 1)


def ends(line, arrays):
    """Check that the number at the end of a line is the element at its beginning; return whether that is known."""
    name, place = re.match(r"(.*?)(?:\[([\d, ]+)\])? = ", line + " = ").groups()
    last = line.rpartition(" = ")[2].partition(": ")[0]
    if name not in arrays or "…" in name or not re.fullmatch(r"−?[\d.]+(e[+−]\d+)?", last):
        return False
    shape, elements = arrays[name]
    i = np.ravel_multi_index(tuple(map(int, place.split(", "))), shape) if place else 0
    if i >= len(elements):
        return False
    assert numbers(last) == pytest.approx([float(elements[i])], rel=6e-4, abs=1e-300), line
    return True


def checked(taught, graph):
    """Check the numbers of all texts of a page; return how many equations, ends and predictions there were."""
    frame = taught(graph.page())
    arrays, names = {}, Counter(name for v in frame["values"].values() for name in {v["name"], v["code"]})
    for id_, value in frame["values"].items():
        for name in {value["name"], value["code"]}:
            if names[name] == 1:  # else it is also that of another value, in the program or on the page
                arrays[f"g_{name}"] = value["shape"], value.get("gradient", {"elements": []})["elements"]
                arrays[name] = value["shape"], np.ravel(graph.arrays.get(id_, []))
    count, goal = (
        np.zeros(3, int),
        re.search(r"Raise (.*) by 0.01 and the .* by (\S*)\.$", frame["steps"][0]["goal"][0]),
    )
    for step in frame["steps"]:
        if step["kind"] == "loss" and graph.loss is not None and np.isfinite(graph.loss):
            assert numbers(step["say"])[0] == pytest.approx(float(graph.loss), rel=6e-4)
    for formula in (f for step in frame["steps"] for f in step.get("formulas", [])):
        whole = " ".join(formula["lines"]) if formula["lines"][-1].startswith("= ") else ""
        count[0] += sum(map(equations, formula["lines"]))
        incoming = re.match(
            r"\S+(?:\[[\d, ]+\])? = (g_\S+?(?:\[[\d, ]+\])?) × .* = \(?(−?[\d.]+(?:e[+−]\d+)?)\)? × ", whole
        )
        known = [f"{incoming[1]} = {incoming[2]}"] if incoming else []
        count[1] += sum(ends(line, arrays) for line in [whole, *formula["lines"], *known] if " = " in line)
        check = formula.get("check", "").partition(" No plot")[0].partition(". They differ")[0].rstrip(".")
        if check and "not tried" not in check:
            *moves, _, g, predicted = numbers(check)[1:]
            if moves:
                before, after, far = moves
                assert far == pytest.approx(abs(after - before), rel=1e-3, abs=1e-9 * abs(after)), check
                assert ("down" in check) == (after < before) or before == after, check
                if goal and check.startswith(f"Raise {goal[1]} by"):
                    assert numbers(goal[2]) == [far], "the first screen says the same"
            assert bool(moves) != ("does not move" in check)
            assert predicted == pytest.approx(0.01 * g, rel=1e-3), check
            assert equations(check.partition("Predicted: ")[2]) == 1, check
            count[2] += 1
    update = frame["update"] or {"lines": [], "plot": {"says": []}}
    for lines, says in zip(update["lines"], update["plot"]["says"], strict=True):
        said = re.findall(r"a change by (.*?)\.(?: |$)", says)
        count[0] += sum(map(equations, [*(text.removeprefix("= ") for _, text in lines), *said]))
    return count


@pytest.mark.parametrize("name", ["chain_rule", "spiral", "cnn"])
def test_the_numbers_in_the_texts_of_a_demo_are_right(taught, name):
    f, arguments = demo(name)
    assert all(checked(taught, ag.trace(f, *arguments)) >= 5)


def test_the_numbers_in_the_texts_of_random_programs_are_right(taught):
    assert all(sum(checked(taught, graph) for graph in some_programs(range(40))) > 100)


def test_the_gradient_that_a_relu_blocks_is_that_of_its_place(taught, rng):
    x, w = rng.normal(size=(2, 2, 3))
    assert all(checked(taught, ag.trace(lambda x: ag.sum(ag.relu(x) * w), x)) > 0)
