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
from autograd_cnn.studio.player import quiz
from studio.pages import choose, facts_of
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


def levels(graph):
    return facts_of(graph.page())["frames"][0]["quiz"]


def number(text):
    """The first number of a text."""
    return float(re.search(NUMBER, text)[0].replace("−", "-").replace(",", "").rstrip("."))


def grids(question):
    """The pictures of a question as arrays, and the places that are marked."""
    parts = [part for part in question["picture"] if not isinstance(part, str)]
    arrays = [np.array([[number(cell) for cell in row] for row in part["rows"]]) for part in parts]
    return arrays, [tuple(*np.argwhere(part["marks"])) for part in parts if np.any(part["marks"])]


# How the right answer follows from the text, its numbers, and what is drawn; words if it is words


def _result(text, given, question):
    line = re.search(r", (?:here|at one place) (.*)\. What is that", text)[1]
    return eval(line.replace("−", "-").replace("×", "*"), vars(ag) | {"abs": abs})


def _products(text, given, question):
    (a, f, made), _ = grids(question)
    assert a * f == pytest.approx(made, rel=2e-3, abs=2e-4 * np.abs(made).max())
    count, drawn = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+(?= products| are)", text))
    assert drawn == a.size and (count == drawn or given[0] == pytest.approx(made.sum(), rel=5e-3, abs=1e-3))
    return made.sum() + sum(given[1:] if count > drawn else given)


def _loss_of_one(text, given, question):
    (shares,), (marked,) = grids(question)
    assert shares.sum() == pytest.approx(1, abs=1e-3) or (shares.size == quiz.DRAWN and shares.sum() < 1)  # cut off
    return -math.log(shares[marked])


def _slope(text, given, question):
    far = np.format_float_positional(float(f"{0.01 * abs(given[0]):.3g}"), trim="-")
    return f"goes {'down' if given[0] < 0 else 'up'} by about {far}"


def _place(text, given, question):
    (seen, g), (marked,) = grids(question)
    return seen[marked] * g.item()


def _shut(text, given, question):
    (window,), (marked,) = grids(question)
    assert window[marked] == window.min() and (window.size > 1 or window.max() <= 0)
    return 0


RIGHT = {
    "What is that?": _result,
    "is a sum of": _products,
    "−ln of its share": _loss_of_one,
    "What does that say?": _slope,
    "times as much": lambda text, given, question: given[0] * given[1],
    "makes a product": lambda text, given, question: math.prod(
        int(n.replace(",", "")) for n in re.findall(r"[\d,]+", text.partition("makes a product")[2])
    ),
    "What does this place add": _place,
    "send back": lambda text, given, question: None if "…" in text else sum(given),
    "after a step": lambda text, given, question: given[0] - given[1] * given[2],
    "comes back": _shut,
    "not a mean?": lambda text, given, question: "Each way changes the loss",
    "not added?": lambda text, given, question: "Where g is above 0",
}


REASONS = {  # what a wrong number is, from the numbers of the question
    "send back": {"the last share alone": lambda g: g[-1], "the mean": np.mean, "the product": math.prod},
    "times as much": {"their sum": sum, "the local slope alone": lambda g: g[0]},
    "after a step": {"a step without lr": lambda g: g[0] - g[1], "the step alone": lambda g: g[1] * g[2]},
    "comes back": {"what a number gets that passes": lambda g: g[0], "the other sign": lambda g: -g[0]},
}


def check(asked):
    """Check the form of all questions, and the right answers of the first level; return the kinds of these."""
    kinds = set()
    for level, questions in enumerate(asked):
        steps = [question["step"] for question in questions]
        assert steps == sorted(steps) and len(steps) <= 10
        for question in questions:
            text = question["text"]
            answers, reasons = (list(parts) for parts in zip(*question["answers"], strict=True))
            assert 2 <= len(answers) == len(set(answers)) <= 4, question
            assert not reasons[0] and all(reasons[1:]), question
            if text.startswith("Which line"):
                assert all(re.match(r"It gives \S+ for g_.*; differences give ", why) for why in reasons[1:])
                continue
            assert level == 0 and not any(map(CODE.search, [text, *answers, *reasons])), question
            (kind,) = (kind for kind in RIGHT if kind in text)
            given = question["given"]
            assert all(f"{x:.4g}".replace("-", "−") in text for x in given[:6]), question
            want = RIGHT[kind](text, given, question)
            if isinstance(want, str):
                assert want in answers[0], question
            elif want is not None:
                assert number(answers[0]) == pytest.approx(want, rel=5e-3, abs=1e-9), (want, question)
            for answer, reason in zip(answers, reasons, strict=True):
                if is_ := REASONS.get(kind, {}).get(reason[8:-1]):  # That is ...
                    assert number(answer) == pytest.approx(float(is_(given)), rel=1e-3), question
            kinds.add(kind)
    return kinds


@pytest.mark.parametrize("name", ["chain_rule", "spiral", "cnn"])
def test_a_demo_asks_ten_questions_in_numbers(name):
    f, arguments = demo(name)
    asked = levels(ag.trace(f, *arguments))
    assert len(asked) == 2 and len(asked[0]) == 10 and len(check(asked)) >= 7


def test_the_cnn_asks_for_its_kernel_its_window_and_the_loss_of_one_item():
    f, arguments = demo("cnn")
    p, x, _ = arguments
    asked = {q["text"]: q for q in levels(ag.trace(f, *arguments))[0]}
    h1 = ag.conv2d(x, p["conv1.w"], p["conv1.b"], padding=1)
    (conv,) = (q for text, q in asked.items() if " is a sum of 27 products" in text)
    assert np.abs(h1.data - number(conv["answers"][0][0])).min() < 1e-4
    (count,) = (q for text, q in asked.items() if "makes a product at 32 × 32 places of each of 4 items" in text)
    assert [answer for answer, _ in count["answers"]] == ["4,096", "131,072", "27", "1,024"]


def test_the_spiral_asks_for_the_loss_of_the_first_point():
    f, (x, y) = demo("spiral")
    scores = f.__globals__["scores"](x)
    (item,) = (q for q in levels(ag.trace(f, x, y))[0] if "−ln of its share" in q["text"])
    assert number(item["answers"][0][0]) == pytest.approx(ag.cross_entropy(scores[:1], y[:1]).data, rel=1e-3)


def test_the_quiz_of_the_chain_rule_has_the_gradients_of_a_walk_back():
    f, (x, y) = demo("chain_rule")
    asked = {q["text"]: [answer for answer, _ in q["answers"]] for q in levels(ag.trace(f, x, y))[0]}
    x, y = ag.Tensor(x, True), ag.Tensor(y, True)
    f(x, y).backward()
    (gradient,) = (a for text, a in asked.items() if text.startswith("The ways of x send back"))
    assert gradient[0] == f"{x.grad:.4f}".replace("-", "−")
    whys = [why for q in levels(ag.trace(f, 0.5, 1.2))[1] for _, why in q["answers"]]
    assert any("for g_x, this rule's part, with the other line as written; differ" in why for why in whys)
    (updated,) = (a for text, a in asked.items() if "lr, the learning rate or length of a step, 0.2." in text)
    rates = [0.5 - 0.2 * x.grad, 0.5 + 0.2 * x.grad, 0.5 - x.grad, 0.2 * x.grad]
    assert updated == [f"{n:.4g}".replace("-", "−") for n in rates]


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
        kinds |= check(levels(graph))
    rare = {"−ln of its share", "comes back", "makes a product"}  # asked for below
    assert kinds >= RIGHT.keys() - rare


def test_a_relu_and_a_pool_are_asked_for(rng):
    x, w = rng.normal(size=(1, 4, 4, 2)), rng.normal(size=(1, 2, 2, 2))
    for f in (lambda x: ag.sum(ag.max_pool2d(x, 2) * w), lambda x: ag.sum(ag.relu(x[:, :2, :2]) * w)):
        asked = levels(ag.trace(f, x))
        check(asked)
        texts = " ".join(question["text"] for question in asked[0])
        assert re.search(
            r"did not let (this|the marked) number through. g_\w+\[.*\] is .* What comes back to it", texts
        )
        assert "relu" not in texts or "lets numbers above 0 through" in texts


def test_a_bias_is_no_part_of_the_products(rng):
    x, w, b = rng.normal(size=(1, 4, 4, 3)), rng.normal(size=(3, 3, 3, 2)), ag.Tensor(rng.normal(size=2), True, "b")
    check(levels(ag.trace(lambda x: ag.sum(ag.conv2d(x, w, b)), x)))


def test_a_wrong_rule_is_no_right_answer():
    def tripled(x):
        return x * 3.0

    for rule, asked in (lambda g: g * 3.0, ["exp", "tripled"]), (lambda g: g * 6.0, ["exp"]):
        primitive = ag.primitive(tripled)
        primitive.vjp(x=rule)
        (_, code) = levels(ag.trace(lambda x, tripled=primitive: ag.exp(tripled(x)), 0.5))
        assert [question["text"] for question in code] == [f"Which line is the rule of {name}?" for name in asked]


def test_a_question_is_added_in_one_place_and_asked_so_often(monkeypatch):
    def results(t, op, fact):
        yield quiz.Draft(f"Has {op.name} a result?", "Yes", {"It has one.": "No"})

    monkeypatch.setattr(quiz, "ASKED", [])
    quiz.asked("forward")(results)
    graph = ag.trace(lambda x, y: ag.exp(ag.sin(x * y)), 0.5, 1.2)
    assert [q["text"] for q in levels(graph)[0]] == ["Has multiply a result?", "Has sin a result?"]
    monkeypatch.setattr(quiz, "ASKED", [])
    quiz.asked("forward", quiz.CODE, most=1)(results)
    assert levels(graph) == [
        [{"step": 1, "text": "Has multiply a result?", "given": [], "answers": [["Yes", ""], ["No", "It has one."]]}]
    ]


# In a browser


def answers(page):
    """The right answer of the question that is open, and the index of its button."""
    right = page.evaluate("asked()[due()].answers[0][0]")
    return right, page.locator("#ask button > :last-child").all_inner_texts().index(right)


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
    found = []
    for level in range(page.evaluate("facts.quiz.length")):
        page.evaluate("number => { show(0); quiz.on = false; level(number); show(0); }", level)
        known = set()
        while page.evaluate("quiz.on"):
            if page.evaluate("quiz.open"):
                right, i = answers(page)
                texts = page.evaluate(SHOWN)
                distinctive = re.search(r"\d\.\d\d", right) and not known & set(numbers_in(right))
                if distinctive and any(right in text for text in texts):
                    found.append((right, [text for text in texts if right in text]))
                page.keyboard.press("abcd"[i])
            else:
                known = set(numbers_in(" ".join(page.evaluate(KNOWN))))
                page.keyboard.press("ArrowRight")
    return found


def numbers_in(text):
    return re.findall(NUMBER, text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chain_rule", "spiral", "cnn"])
def test_a_demo_does_not_tell_an_answer(opened, name):
    f, arguments = demo(name)
    page = opened(ag.trace(f, *arguments).page())
    assert leaks(page) == []
    page.evaluate("overlay('gradient')")
    assert leaks(page) == []
    page.evaluate("list(true)")
    assert leaks(page) == []


@pytest.mark.slow
def test_other_pages_do_not_tell_an_answer(opened, small, scalars, cnn_page):
    for text in (small[0], scalars, cnn_page[-1], *(graph.page() for graph in some_programs(range(12)))):
        page = opened(text)
        page.evaluate("facts.overlays.gradient?.boxes && overlay('gradient')")
        assert leaks(page) == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_quiz_asks_before_each_step_and_goes_on_with_code(opened, barriers, small, width, scheme):
    page = opened(small[0], width=width, color_scheme=scheme, bypass_csp=True)
    page.keyboard.press("q")
    asked = page.evaluate("facts.quiz")
    assert len(asked[0]) == 10 and len(asked[1]) >= 2
    letters = []
    for level, questions in enumerate(asked):
        for k, question in enumerate(questions, 1):
            while not page.evaluate("quiz.open"):
                assert int(page.input_value("#slider")) <= question["step"]
                page.keyboard.press("ArrowRight")
            assert page.input_value("#slider") == str(question["step"])
            assert page.inner_text("#where") == f"Question {k} of {len(questions)}"
            assert page.is_hidden("#content") and page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("#ask table").count() == len(
                [p for p in question.get("picture", []) if not isinstance(p, str)]
            )
            right, i = answers(page)
            letters.append("abcd"[i])
            if k == 2:  # a wrong one
                i = (i + 1) % len(question["answers"])
            assert k != 2 or not barriers(page)
            chosen = page.locator("#ask button > :last-child").nth(i).inner_text()
            page.keyboard.press("abcd"[i])
            said = page.inner_text("#sentence")
            if k == 2:
                why = next(why for text, why in question["answers"] if text == chosen)
                assert f" You chose “{chosen}”. {why} Right: {right}. " in said
            assert k == 2 or f" Yes: {right}. " in said
            assert said.startswith(question["text"])
            over = (
                f" The quiz is over: {k - 1} of {k} right."
                if k == len(questions)
                else f" So far {k - (k > 1)} of {k} right."
            )
            assert said.endswith(over)
            again = k < len(questions) and questions[k]["step"] == question["step"]
            assert page.is_hidden("#content") == again
        assert page.get_attribute("#quiz", "aria-pressed") == "false"
        more = page.locator("#ask .more")
        assert more.count() == (level == 0)
        if level == 0:
            assert more.inner_text() == f"go on with lines of code: {len(asked[1])} questions"
            page.keyboard.press("Enter")  # it has the focus
            assert page.evaluate("quiz.on && quiz.level") == 1
    assert max(letters.count(letter) for letter in "abcd") < len(letters) / 2


@pytest.mark.slow
def test_the_quiz_counts_the_questions_that_are_left(opened, scalars):
    page = opened(scalars)
    page.keyboard.press("End")
    page.keyboard.press("q")
    assert page.inner_text("#where") == "Question 1 of 2" and page.is_visible("#ask")
    page.keyboard.press("abcd"[answers(page)[1]])
    page.keyboard.press("b")  # a key pressed twice leads nowhere
    assert page.evaluate("facts.steps[at].kind") == "end"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#where") == "Question 2 of 2"
    page.keyboard.press("abcd"[answers(page)[1]])
    assert page.inner_text("#sentence").endswith("The quiz is over: 2 of 2 right.")
    assert page.inner_text("#goal").count("Each number of x and y has its complete gradient") == 1
    choose(page, "#rules")
    assert page.inner_text("#where") == "Question 1 of 3" and page.evaluate("facts.steps[at].kind") == "backward"
    page.keyboard.press("Escape")
    assert page.is_hidden("#ask") and page.is_visible("#content")


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
