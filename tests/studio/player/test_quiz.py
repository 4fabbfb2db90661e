"""The quiz: right answers are computed again from what is asked, and the page does not show them while it asks."""

import math
import re
import runpy
import warnings
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import studio
from autograd_cnn.engine.registry import registry
from studio.pages import facts_of
from studio.player.random_programs import program

DEMOS = Path(studio.__file__).parent / "player" / "demos"
NUMBER = r"−?\d[\d.,]*(?:e[+−]\d+)?"
CODE = re.compile(r"\b(ag|np)\.|\bg_\w+ [-+]?=|==|\*|\w=|\+=|\.T\b")


def demo(name):
    """The traced function of a demo, and its arguments."""
    with patch("autograd_cnn.studio.graph.show_page"):
        given = runpy.run_path(str(DEMOS / f"{name}.py"))
    if name == "chain_rule":
        return given["f"], (0.5, 1.2)
    if name == "spiral":
        return given["loss_of"], (given["x"], given["y"])
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32)
    return given["loss_of"], (given["parameters"](), images, np.eye(10, dtype=np.float32)[[0, 1, 2, 3]])


def quiz_of(graph):
    return facts_of(graph.page())["frames"][0]["quiz"]


def number(text):
    """The first number of a text."""
    return float(re.search(NUMBER, text)[0].replace("−", "-").replace(",", "").rstrip("."))


# How the right answer follows from the text and its numbers; words if it is words


def _slope(text, given):
    far = f"{0.01 * abs(given[0]):.3g}".replace("e-0", "e-").replace("-", "−")
    return f"goes {'down' if given[0] < 0 else 'up'} by about {far}"


RIGHT = {
    "−ln of this share": lambda text, given: -math.log(given[0]),
    "What does that say?": _slope,
    "times as much": lambda text, given: given[0] * given[1],
    "makes a product": lambda text, given: math.prod(
        int(n.replace(",", "")) for n in re.findall(r"[\d,]+", text.partition("makes a product")[2])
    ),
    "send back": lambda text, given: None if "…" in text else sum(given),
    "after a step": lambda text, given: given[0] - given[1] * given[2],
    "comes back": lambda text, given: 0,
    "not a mean?": lambda text, given: "Each way changes the loss",
    "not added?": lambda text, given: "Where g is above 0",
}


REASONS = {  # what a wrong number is, from the numbers of the question
    "send back": {"the last share alone": lambda g: g[-1], "the mean": np.mean, "the product": math.prod},
    "times as much": {"their sum": sum, "the local slope alone": lambda g: g[0]},
    "after a step": {"a step without lr": lambda g: g[0] - g[1], "the step alone": lambda g: g[1] * g[2]},
    "comes back": {"what a number gets that passes": lambda g: g[0], "the other sign": lambda g: -g[0]},
}


def check(asked):
    """Check the form of the questions and their right answers; return their kinds."""
    kinds, steps = set(), [question["step"] for question in asked]
    assert steps == sorted(steps) and len(steps) <= 10
    for question in asked:
        text, given = question["text"], question["given"]
        answers, reasons = (list(parts) for parts in zip(*question["answers"], strict=True))
        assert 2 <= len(answers) == len(set(answers)) <= 4, question
        assert not reasons[0] and all(reasons[1:]), question
        assert not any(map(CODE.search, [text, *answers, *reasons])), question
        (kind,) = (kind for kind in RIGHT if kind in text)
        assert all(f"{x:.4g}".replace("e-0", "e-").replace("-", "−") in text for x in given[:6]), question
        want = RIGHT[kind](text, given)
        if isinstance(want, str):
            assert want in answers[0], question
        elif want is not None:
            assert number(answers[0]) == pytest.approx(want, rel=5e-3, abs=1e-9), (want, question)
        for answer, reason in zip(answers, reasons, strict=True):
            if is_ := REASONS.get(kind, {}).get(reason[8:-1]):  # That is ...
                assert number(answer) == pytest.approx(float(is_(given)), rel=1e-3), question
        kinds.add(kind)
    return kinds


@pytest.mark.parametrize(("name", "count", "kinds"), [("chain_rule", 7, 6), ("spiral", 5, 5), ("cnn", 5, 5)])
def test_the_numbers_of_a_demos_questions_are_those_of_a_walk_back(name, count, kinds):
    f, arguments = demo(name)
    questions = quiz_of(ag.trace(f, *arguments))
    assert len(questions) >= count and len(check(questions)) >= kinds
    asked = {q["text"]: [answer for answer, _ in q["answers"]] for q in questions}
    if name == "chain_rule":
        x, y = (ag.Tensor(a, True) for a in arguments)
        f(x, y).backward()
        (gradient,) = (a for text, a in asked.items() if text.startswith("The ways of x send back"))
        assert gradient[0] == f"{x.grad:.4f}".replace("-", "−")
        (updated,) = (a for text, a in asked.items() if "lr, the learning rate or length of a step, 0.2." in text)
        rates = [0.5 - 0.2 * x.grad, 0.5 + 0.2 * x.grad, 0.5 - x.grad, 0.2 * x.grad]
        assert updated == [f"{n:.4g}".replace("-", "−") for n in rates]
    if name == "spiral":
        x, y = arguments
        (item,) = (a for text, a in asked.items() if "−ln of this share" in text)
        loss = ag.cross_entropy(f.__globals__["scores"](x)[:1], y[:1])
        assert number(item[0]) == pytest.approx(loss.data, rel=1e-3)


def some_programs(seeds):
    """Graphs of random programs that do not fail."""
    before = dict(registry)
    for seed in seeds:
        f, arguments, _ = program(seed)
        with warnings.catch_warnings(), np.errstate(all="ignore"), suppress(Exception):
            warnings.simplefilter("ignore")
            yield ag.trace(f, *arguments)
        registry.clear()
        registry.update(before)


def test_the_right_answers_of_random_programs_are_right():
    kinds = set()
    for graph in some_programs(range(60)):
        kinds |= check(quiz_of(graph))
    rare = {"−ln of this share", "comes back", "makes a product"}  # asked for below
    assert kinds >= RIGHT.keys() - rare


def test_a_relu_and_a_pool_are_asked_for(rng):
    x, w = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(1, 2, 2, 2))
    assert quiz_of(ag.trace(lambda x: ag.sum(ag.relu(x[:0])) + ag.sum(x), x))  # of no numbers, nothing
    for f in (lambda x: ag.sum(ag.max_pool2d(x, 2) * w), lambda x: ag.sum(ag.relu(x[:, :2, :2]) * w)):
        asked = quiz_of(ag.trace(f, x))
        check(asked)
        texts = " ".join(question["text"] for question in asked)
        assert re.search(r"did not let (a|the smaller) number.* through. g_\w+\[.*\] is .* What comes back\?", texts)


def test_of_a_network_with_both_a_relu_and_a_pool_are_asked_for(cnn_page):
    texts = " ".join(question["text"] for question in facts_of(cnn_page[2])["frames"][0]["quiz"])
    assert "relu did not let" in texts and "max_pool2d did not let" in texts


def test_of_more_than_ten_questions_each_kind_has_one_and_none_is_of_a_slope_that_bends(rng):
    w, v = (ag.Tensor(rng.normal(size=size), True) for size in ((3, 5), (5, 4)))

    def f(x):
        h = ag.relu(x @ w)
        z = (ag.tanh(h) + h) @ v
        return ag.cross_entropy(z, [0, 1, 2]) * ag.exp(ag.mean(ag.sin(z) * z))

    asked = quiz_of(ag.trace(f, rng.normal(size=(3, 3))))
    assert len(asked) == 10 and "comes back" in check(asked)
    for x, says in (0.5, True), (0.005, False):
        texts = [question["text"] for question in quiz_of(ag.trace(lambda x: ag.log(x * 1.0), x))]
        assert any("What does that say?" in text for text in texts) == says


# In a browser


def answers(page):
    """The right answer of the question that is open, and the index of its button."""
    right = page.evaluate("facts.quiz[due()].answers[0][0]")
    return right, page.locator("#ask button").all_inner_texts().index(right)


# Every visible text and every name and tooltip that can be reached, but for the question and its answers
SHOWN = """() => {
    const found = [document.title];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const element = node.data === undefined ? node : node.parentNode;
        if (element.closest("#ask, #sentence, script, style")) continue;
        const seen = element.checkVisibility({ visibilityProperty: true });
        if (node === element) {
            if (element.closest("[inert]") || !seen) continue;
            for (const name of ["aria-label", "title", "alt", "aria-valuetext"])
                found.push(element.getAttribute(name) || "");
        } else if (element.localName === "title" ? !element.closest("[inert]") : seen) found.push(node.data);
    }
    return found;
}"""
KNOWN = "[...document.querySelectorAll('#picture .number, #picture tspan')].map((text) => text.textContent)"


def leaks(page):
    """Walk a page with the quiz on, and return right answers that can be read while they are asked for."""
    found, known = [], set()
    page.evaluate("() => { show(0); quizzed(); show(0); }")
    while page.evaluate("quiz.on"):
        if page.evaluate("quiz.open"):
            right, i = answers(page)
            texts = page.evaluate(SHOWN)
            distinctive = re.search(r"\d\.\d\d", right) and not known & set(numbers_in(right))
            if distinctive and any(right in text for text in texts):
                found.append((right, [text for text in texts if right in text]))
            page.locator("#ask button").nth(i).click()
        else:
            known = set(numbers_in(" ".join(page.evaluate(KNOWN))))
            page.keyboard.press("ArrowRight")
    return found


def numbers_in(text):
    return re.findall(NUMBER, text)


@pytest.mark.slow
def test_no_page_tells_an_answer(opened, small, scalars, cnn_page):
    demos = (ag.trace(f, *arguments) for f, arguments in map(demo, ["chain_rule", "spiral", "cnn"]))
    pages = (graph.page() for graphs in (demos, some_programs(range(12))) for graph in graphs)
    for text in (small[0], scalars, cnn_page[-1], *pages):
        assert leaks(opened(text)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_quiz_asks_before_each_step(opened, barriers, small, width, scheme):
    page = opened(small[0], width=width, color_scheme=scheme, bypass_csp=True)
    page.click("#quiz")
    questions, places = page.evaluate("facts.quiz"), []
    assert len(questions) == 8
    for k, question in enumerate(questions, 1):
        while not page.evaluate("quiz.open"):
            assert int(page.input_value("#slider")) <= question["step"]
            page.keyboard.press("ArrowRight")
        assert page.input_value("#slider") == str(question["step"])
        assert page.inner_text("#where") == f"Question {k} of 8"
        assert page.is_hidden("#content") and page.evaluate("document.documentElement.scrollWidth") <= width
        right, i = answers(page)
        places.append(i)
        if k == 2:  # a wrong one
            i = (i + 1) % len(question["answers"])
            assert not barriers(page)
        chosen = page.locator("#ask button").nth(i).inner_text()
        for _ in range(i + 1):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        said = page.inner_text("#sentence")
        why = next(why for text, why in question["answers"] if text == chosen)
        assert (f" You chose “{chosen}”. {why} Right: {right}. " if k == 2 else f" Yes: {right}. ") in said
        score = f" The quiz is over: {k - 1} of {k} right." if k == 8 else f" So far {k - (k > 1)} of {k} right."
        assert said.startswith(question["text"]) and said.endswith(score)
        seen, panel = (page.locator(name).bounding_box() for name in ("#sentence", "#step"))
        assert width > 760 or panel["y"] - 1 <= seen["y"] <= panel["y"] + panel["height"] - seen["height"] + 1
        again = k < 8 and questions[k]["step"] == question["step"]
        assert page.is_hidden("#content") == again
    assert page.get_attribute("#quiz", "aria-pressed") == "false"
    assert max(places.count(i) for i in range(4)) <= len(places) / 2


@pytest.mark.slow
def test_the_quiz_counts_the_questions_that_are_left(opened, scalars):
    page = opened(scalars)
    page.keyboard.press("End")
    page.click("#quiz")
    assert page.inner_text("#where") == "Question 1 of 2" and page.is_visible("#ask")
    page.locator("#ask button").nth(answers(page)[1]).click()
    assert page.evaluate("facts.steps[at].kind") == "end"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#where") == "Question 2 of 2"
    page.locator("#ask button").nth(answers(page)[1]).click()
    assert page.inner_text("#sentence").endswith("The quiz is over: 2 of 2 right.")
    assert page.inner_text("#goal").count("Each number of x and y has its complete gradient") == 1
    page.click("#quiz")
    assert page.is_visible("#ask")
    page.keyboard.press("Escape")
    assert page.is_hidden("#ask") and page.is_visible("#content")


def test_no_wrong_sum_is_the_right_answer_where_a_rule_is_wrong():
    @ag.primitive
    def larger(x, y):
        return np.maximum(x, y)

    def sums(rule):
        larger.vjp(x=rule, y=lambda g, x, y: g * (y > x))
        page = ag.trace(lambda x: ag.sum(ag.square(larger(x, x) * x)), np.array([1.0, 2.0])).page()
        return [q for q in facts_of(page)["frames"][0]["quiz"] if "The ways of " in q["text"]]

    assert sums(lambda g, x, y: g * (x >= y)) and not sums(lambda g, x, y: 3 * g * (x >= y))


@pytest.mark.slow
def test_the_quiz_begins_where_the_reader_is_and_says_where_it_asks(opened, scalars):
    page = opened(scalars)
    page.click("#quiz")
    assert page.inner_text("#position") == "start" and page.is_hidden("#ask")
    place = page.inner_text("#told").partition("is asked at ")[2].rstrip(".")
    while page.is_hidden("#ask"):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#position") == place == "backward 2 of 6"


@pytest.mark.slow
def test_a_page_can_begin_with_the_quiz_and_a_question_can_be_skipped(opened):
    page = opened(ag.trace(lambda x: ag.sum(ag.tanh(x)), np.ones(3)).page(quiz=True))
    assert page.get_attribute("#quiz", "aria-pressed") == "true" and page.is_hidden("#ask")
    while page.is_hidden("#ask"):
        page.click("#next")
    step = page.input_value("#slider")
    page.click("#next")
    assert page.is_visible("#content") and "Skipped. Right: " in page.inner_text("#sentence")
    assert page.inner_text("#sentence").endswith("0 of 0 right, 1 skipped.")
    assert page.input_value("#slider") == step
    page.click("#next")
    assert page.input_value("#slider") == str(int(step) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_reason_stands_above_the_step_that_it_explains(opened, cnn_page, width):
    page = opened(cnn_page[2], width=width)
    page.click("#quiz")
    while page.evaluate("quiz.on"):
        if page.evaluate("quiz.open"):
            page.locator("#ask button").first.click()
            if not page.evaluate("document.body.classList.contains('asking')"):
                said, pane = page.locator("#sentence").bounding_box(), page.locator("#step").bounding_box()
                assert pane["y"] <= said["y"] < 400 and said["y"] + said["height"] < 700
                assert said["y"] < page.locator("#ask").bounding_box()["y"]
        page.keyboard.press("ArrowRight")
