"""The picture of the network in a browser: folding, rows, numbers on the edges."""

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import choose, where

pytestmark = pytest.mark.slow
ROWS = "pictures[shown].boxes.filter(({ id }) => /^n\\d+$/.test(id)).length"


def test_modules_are_folded(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    choose(page, "#unfold")
    every = page.evaluate(ROWS)
    choose(page, "#fold")
    assert page.evaluate(ROWS) < every == len(blocks.ops)
    while page.get_attribute("#fold", "aria-disabled") != "true":
        choose(page, "#fold")
    assert page.locator("#picture svg:not([hidden])").count() == 1
    choose(page, "#unfold")
    assert page.evaluate("shown") == 1
    lit = []
    for step in (7, 12):  # of the second module, and of the third, which is not drawn
        page.evaluate("step => show(step)", step)
        lit.append(
            page.locator("#picture svg:not([hidden]) .now").evaluate(
                "(box) => [...box.parentNode.children].indexOf(box)"
            )
        )
    assert lit[0] == lit[1] and where(page).startswith("relu → ")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_operation_of_a_step_is_open_and_whole(opened, blocks, lstm, width):
    for text in blocks.page(), lstm:
        page = opened(text, width=width)
        assert page.evaluate("shown") == 0  # all is closed
        for step in page.evaluate("[...facts.steps.keys()].filter((k) => facts.steps[k].op >= 0)"):
            page.evaluate("step => show(step)", step)
            now, pane = page.locator("#picture svg:not([hidden]) .now"), page.locator("#picture").bounding_box()
            box = now.bounding_box()
            assert now.count() == 1 and "operations" not in now.text_content()
            assert pane["y"] <= box["y"] and box["y"] + box["height"] <= pane["y"] + pane["height"]
            assert pane["x"] <= box["x"] + box["width"] / 2 <= pane["x"] + pane["width"]


def test_times_and_gates_have_names_and_no_wire_is_cut(opened, lstm):
    page = opened(lstm)
    assert page.inner_text("#sentence").startswith("With x, h0 = 0, c0 = 0, y (2 items) and ")
    page.evaluate("show(moments.r[facts.ops.length - 30])")
    assert page.inner_text("#position").splitlines()[1] == "time 2"
    svg = page.locator("#picture svg:not([hidden])")
    assert svg.locator(".frame-name").all_text_contents() == ["time 0", "×3 time 1-3"]
    texts = svg.locator("text").all_text_contents()
    gates = {"i = sigmoid(zi)", "f = sigmoid(zf)", "g = tanh(zg)", "o = sigmoid(zo)"}
    assert {*gates, "c", "h", "h0 = 0", "c0 = 0"} <= set(texts)
    assert page.evaluate("$('picture').scrollWidth <= $('picture').clientWidth")


def test_a_step_says_which_round_the_picture_draws_for_its_own(opened, lstm):
    page = opened(lstm)
    drawn = "The picture draws time 1 for all that are alike."
    told = page.evaluate("""() => facts.steps.map((step, k) => {
        show(k);
        return [step.round || "", $("drawn").innerText];
    })""")
    assert all(text == (drawn if place in ("time 2", "time 3") else "") for place, text in told)
    assert {place for place, _ in told} == {"", *(f"time {t}" for t in range(4))}
    page.evaluate("show(moments.r[facts.ops.length - 30])")
    assert page.inner_text("#drawn") == drawn
    page.evaluate("fold(1)")  # every time is drawn
    assert page.inner_text("#drawn") == ""


def test_edges_carry_numbers_once_they_are_known(opened, scalars, chain):
    page = opened(scalars)
    x, y = (ag.Tensor(v, True, n) for v, n in ((0.5, "x"), (1.2, "y")))
    chain(x, y).backward()
    numbers = page.locator("#picture .number")
    assert numbers.count() == 0
    page.keyboard.press("ArrowRight")
    assert numbers.all_text_contents() == ["0.6"]
    page.evaluate("show(11)")  # two of the three shares of g_x are there
    assert "g_x =" not in page.text_content("#picture svg") and "g_s = −0.4428" in numbers.all_text_contents()
    page.keyboard.press("End")
    assert numbers.count() == 10
    for leaf in x, y:
        want = f"g_{leaf.name} = {leaf.grad:.4g}".replace("-", "−")
        assert any(want in text for text in page.locator("#picture text").all_text_contents())


def test_a_repeated_operation_has_one_name_in_picture_and_program(opened):
    page = opened(ag.trace(lambda x: ag.sum(ag.abs(ag.abs(x) - 1) * 2), np.array([0.5, -2.0])).page())
    page.evaluate("show(facts.steps.length - 2)")
    assert page.locator("#code mark").all_inner_texts()[-1].startswith("g_x = g_abs * ")
    page.evaluate("show(at - 2)")
    assert page.locator("#code mark").all_inner_texts()[-1].startswith("g_subtract = g_abs_2 * ")
    assert {"g_abs", "g_abs_2"} <= set(page.locator("#picture text").all_text_contents())


def test_edges_of_arrays_carry_images_once_they_are_known(opened, cnn_page):
    page = opened(cnn_page[2])
    chips = page.locator("#picture .chip:not([hidden])")
    assert chips.count() == 0
    page.evaluate("show(lossStep)")
    assert 5 <= chips.count() <= page.evaluate("lossStep")
    addresses = page.evaluate("Object.values(facts.values).map((v) => chipOf(v.array))")
    assert all(chip.get_attribute("href") in addresses for chip in chips.all())


def test_the_current_step_stays_in_view(opened, cnn_page):
    page = opened(cnn_page[2], "#step=9")
    page.set_viewport_size({"width": 1280, "height": 330})
    pane = page.locator("#picture")
    assert pane.evaluate("(pane) => pane.scrollHeight > 2 * pane.clientHeight")
    for step in 9, 1, 12:
        page.evaluate("step => show(step)", step)
        box, view = page.locator("#picture .now").bounding_box(), pane.bounding_box()
        assert view["y"] <= box["y"] + box["height"] / 2 <= view["y"] + view["height"]
        assert view["x"] <= box["x"] + box["width"] / 2 <= view["x"] + view["width"]


def test_a_sum_lights_up_with_its_last_share(opened, scalars):
    page = opened(scalars, "#step=12")
    box = page.locator("#picture .box", has_text="g_x")
    assert "later" in box.get_attribute("class")
    page.keyboard.press("ArrowRight")
    assert "later" not in box.get_attribute("class")


def test_a_label_appears_with_the_sentence_that_explains_it(opened, scalars):
    page = opened(scalars)
    first = {}
    for step in page.evaluate("facts.steps"):
        said = page.inner_text("#sentence") + page.inner_text("#term")
        for label, words in {"kept": "Kept: ", "shares add": "changes add up"}.items():
            seen = page.locator("#picture text:visible", has_text=label).count() > 0
            assert seen == (label in first or words in said), (step["ask"], label)
            if seen:
                first.setdefault(label, words)
        page.keyboard.press("ArrowRight")
    assert len(first) == 2


def test_a_click_folds_a_frame_and_opens_a_closed_row(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    depth = page.evaluate("shown")
    page.locator("#picture svg:not([hidden]) .frame-name").first.click()
    assert page.evaluate("shown") == depth - 1
    while page.evaluate("shown"):
        choose(page, "#fold")
    page.locator("#picture svg:not([hidden]) .box").filter(has_text="×").first.click()
    assert page.evaluate("shown") == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_the_update_is_of_the_number_that_the_page_follows(opened, rng, width):
    x, w = rng.normal(size=(4, 6, 6, 1)), ag.Tensor(rng.normal(size=(3, 3, 1, 2)), True, "w")
    page = opened(
        ag.trace(lambda w: ag.cross_entropy(ag.conv2d(x, w).sum((1, 2)), np.array([0, 1, 0, 1])), w).page(), width=width
    )
    page.evaluate("chosen[facts.update.learnt[0]] = 12; show(facts.steps.length - 2)")  # a number of the second filter
    name = page.evaluate("selected(facts.update.learnt[0]).label")
    assert name.endswith(", 1]") and name in page.text_content("#formulas")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#update pre").startswith(f"{name} ← {name}")
    assert page.locator("#formulas").bounding_box()["height"] < 30  # and nothing is kept free for a formula
    if width == 390:
        page.click("#tabs button:last-child")
        assert not page.is_visible("#trial")
