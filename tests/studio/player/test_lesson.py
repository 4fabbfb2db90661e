"""The lesson in a browser: first screen, the chain rule with its numbers, the update, trials of a rule."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import facts_of, numbers, where

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (380, 760)])
def test_the_first_screen_has_source_result_and_goal_without_scrolling(opened, scalars, width, height):
    page = opened(scalars, width=width)
    page.set_viewport_size({"width": width, "height": height})
    shown = page.inner_text("body")
    small = width < 760  # a phone has the code behind a tab
    for words in (
        "What does chain(x, y) compute?" if small else "return ag.exp(-t)",
        "With x = 0.5 and y = 1.2 the result is 0.4428.",
        "Raise x by 0.01 and the loss falls by 0.008752.",
        "Go on with next: forward to the loss, and from there back.",
        "Gradient: how fast the loss changes",
    ):
        assert words in shown
    assert not re.search(r"\d k?B\b|rms", shown)
    end = page.locator("#transport").bounding_box()["y"] if width < 640 else height
    for part in ("#sentence", "#goal") if small else ("#sentence", "#goal", "#code", "#term"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= end
    controls = page.locator("header").locator("button, summary, input").filter(visible=True)
    assert [control.get_attribute("id") for control in controls.all()] == ["back", "next", "slider", "quiz", "more"]


def test_a_step_back_shows_the_chain_rule_the_derived_line_and_a_trial(opened, scalars):
    page = opened(scalars, "#step=12")
    assert (
        page.inner_text("#where") == "How does the loss change with h?"
        and page.inner_text("#position") == "backward 5 of 6"
    )
    assert page.text_content("#formulas pre").splitlines() == ["g_h = g_s × cos(h)", "= −0.4428 × 0.8253 = −0.3655"]
    assert page.inner_text("#formulas .try").startswith(
        "Check. Raise h by 0.01: the loss goes from 0.442798 to 0.439171,"
    )
    assert page.locator("#code mark").all_inner_texts() == ["ag.sin(h)", "g_h = g_s * ag.cos(h)"]
    assert page.is_hidden("#tensors")
    page.evaluate("show(2)")
    assert page.text_content("#formulas pre").splitlines() == ["s = sin(h)", "= sin(0.6) = 0.5646"]
    assert "g_h" not in page.inner_text("#content")


def test_the_update_chooses_a_learning_rate_on_its_plot(opened, scalars, chain):
    page = opened(scalars)
    page.keyboard.press("End")
    x, y = (ag.Tensor(v, True) for v in (0.5, 1.2))
    chain(x, y).backward()
    page.focus("#update input")
    page.keyboard.press("Home")
    for lr in page.evaluate("facts.update.rates"):
        after = float(chain(x.data - lr * x.grad, y.data - lr * y.grad))
        said = page.locator("#update .plot p")
        assert said.locator("b").inner_text() == f"lr = {lr:g}"
        assert numbers(said.inner_text())[2 if lr else 1] == pytest.approx(after, rel=6e-4, abs=6e-5)
        assert ("It falls" in said.inner_text()) == (after < float(chain(x.data, y.data)))
        assert "x ← x − lr × g_x\n" in page.inner_text("#update pre")
        page.keyboard.press("ArrowRight")
    assert lr > 0 and page.inner_text("#position") == "the update"


def test_the_formula_stands_above_the_images_and_the_window_of_a_kernel_above_the_formula(opened, cnn_page):
    page = opened(cnn_page[2])
    for step in page.evaluate("[...facts.steps.keys()].filter((i) => facts.steps[i].formulas?.length)"):
        page.evaluate("step => show(step)", step)
        kernel = page.evaluate("Boolean(places)")
        upper, lower = [("#formulas section", "#arrays"), ("#sum", "#formulas section")][kernel]
        box = page.locator(upper).first.bounding_box()
        assert box["y"] + box["height"] <= min(800, page.locator(lower).first.bounding_box()["y"])
        panels = ["#where", "#sentence", "#formulas", "#code", "#arrays"]  # in the same order at every step
        tops = [panel.bounding_box()["y"] for panel in map(page.locator, panels) if panel.first.is_visible()]
        assert len(tops) > 2 and tops == sorted(tops)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_sum_of_the_shares_of_a_shortcut_stands_above_the_images(opened, rng, width):
    w, x = ag.Tensor(rng.normal(size=(3, 3, 2, 2)), True, "w"), rng.normal(size=(2, 6, 6, 2))

    def f(x):
        h = ag.relu(ag.conv2d(x, w, padding=1))
        return ag.sum(ag.tanh(ag.conv2d(h, w, padding=1)) + h)

    page = opened(ag.trace(f, x).page(), width=width)
    page.evaluate("show(facts.steps.findLastIndex((s) => s.kind === 'backward' && op(s).name === 'conv2d') - 2)")
    shares = page.locator("#formulas section").first
    assert shares.inner_text().startswith("through add: ") and "through conv2d_2: " in shares.inner_text()
    assert shares.bounding_box()["y"] + shares.locator("pre").bounding_box()["height"] < (700 if width == 1280 else 760)
    assert width == 390 or shares.bounding_box()["y"] < page.locator("canvas").first.bounding_box()["y"]


def test_a_failed_trace_ends_with_its_message(opened):
    w = ag.Tensor(np.ones((3, 4)), True, "w")
    with pytest.raises(ValueError, match="4 is not 3") as caught:
        ag.trace(lambda x: ag.tanh(x @ w) @ w, np.ones((2, 3)))
    page = opened(caught.value.graph.page())
    assert (
        page.inner_text("#sentence") == "With x (2 items, 3 inputs) and 12 parameters it ends with an error in matmul."
    )
    assert page.inner_text("#goal") == "Go on with next: forward."
    page.keyboard.press("End")
    assert page.is_hidden("#quiz")
    assert page.inner_text("#where") == "Why does matmul fail?" and page.inner_text("#position") == "the error"
    assert page.text_content("#formulas pre").strip() == str(caught.value)
    assert page.inner_text("#code mark") == "ag.tanh(x @ w) @ w"
    lit = page.locator("#picture .now").all_text_contents()
    assert len(lit) == 2 and "ValueError" in lit[1] and page.locator("#picture .later").count() == 0
    page.keyboard.press("Home")
    assert page.locator("#picture .box.later", has_text="ValueError").count() == 1


def test_what_is_worth_a_look_is_said_at_its_step(opened, rng, scalars):
    w = ag.Tensor(rng.normal(size=(3, 3)), True, "w")
    w.data[:, 1] = -9
    page = opened(ag.trace(lambda x: ag.sum(ag.relu(x @ w)), np.ones((32, 3))).page())
    assert page.locator(".worth").count() == 0
    page.evaluate("show(2)")
    assert where(page) == "relu → relu"
    assert page.inner_text("#content .worth").startswith("Dead relu: ") and "(1" in page.inner_text("#content .worth")
    assert opened(scalars).locator(".worth").count() == 0


def test_a_term_is_explained_where_it_occurs_first(opened, scalars):
    page = opened(scalars)
    terms = {}
    for step in page.evaluate("facts.steps.keys().toArray()"):
        page.evaluate("step => show(step)", step)
        if page.inner_text("#term"):
            terms[page.inner_text("#position")] = page.inner_text("#term")
    assert list(terms) == ["start", "the loss", "backward 1 of 6", "the update"]
    for word, place in {
        "Loss:": "start",
        "g_h": "the loss",
        "Kept:": "backward 1 of 6",
        "learning rate": "the update",
    }.items():
        assert word in terms[place]


def test_arrays_that_both_spread_are_worth_a_look():
    graph = ag.trace(lambda x, y: ag.mean((x - y) ** 2), np.ones((4, 1)), np.zeros(4))
    assert "(4,1) and (4,) spread to (4,4), which is often a mistake" in str(facts_of(graph.page()))
    graph = ag.trace(lambda x, y: ag.mean((x - y) ** 2), np.ones((4, 3)), np.zeros(3))
    assert "often a mistake" not in str(facts_of(graph.page()))


def test_the_check_of_a_rule_shows_that_it_is_part_of_a_sum(opened, small):
    page = opened(small[0], "#step=10")  # the first of three that give to h
    page.click("#trial summary")
    elements = page.locator("#trial tbody th")
    page.set_viewport_size({"width": 380, "height": 800})
    page.click("#tabs button >> text=code")
    assert page.locator("#trial td").evaluate_all("""(all) => all.every((cell) => {
        const range = document.createRange(); range.selectNodeContents(cell);
        return range.getClientRects().length === 1; })""")  # no figure is broken
    names = elements.all_inner_texts()
    assert {text.partition("[")[0] for text in names} == {"g_h", "g_r"}
    assert all(text.endswith("], this rule's part") == text.startswith("g_h") for text in names)
    page.evaluate("show(14)")  # of w there is one
    assert elements.all_inner_texts() and "part" not in "".join(elements.all_inner_texts())
