"""The picture of the network in a browser: overlays, folding, rows, numbers on the edges, zoom."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.picture.overlays import OVERLAYS
from studio.pages import choose, where

pytestmark = pytest.mark.slow


def overlaid(page, name):
    page.click("#menu summary")
    page.select_option("#overlay", name)
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")


def test_overlays_show_the_numbers_of_the_static_picture(opened, blocks):
    page = opened(blocks.page())
    for name, readings in OVERLAYS.items():
        overlaid(page, name)
        want = readings(blocks, blocks.ops)
        assert page.input_value("#overlay") == name and page.inner_text("#caption") == want.caption
        page.wait_for_url(f"**&overlay={name}")
        boxes = {b["id"]: b for b in page.evaluate("""pictures[shown].boxes.map(({id, group, below, bar, shape}) =>
            ({id, text: below?.textContent, label: group.ariaLabel,
            long: bar?.getBBox().width, wide: shape.getBBox().width}))""")}  # fmt: skip
        page.keyboard.press("t")
        cells = page.evaluate("""listed.map((pair) => pair.map((c) => c &&
            [c.dataset.reading, c.style.getPropertyValue("--bar")]))""")  # fmt: skip
        page.keyboard.press("t")
        for side, way, found in (0, "n", want.forward), (1, "r", want.backward):
            for i, op in enumerate(blocks.ops):
                text, bar = found.get(op.id, (None, None))
                if text is None:
                    continue
                box = boxes[f"{way}{op.id[1:]}"]
                assert (
                    box["text"] in (text, text.split(":")[0]) and text == cells[i + 1][side][0] and text in box["label"]
                )
                assert float(cells[i + 1][side][1]) == pytest.approx(bar or 0, abs=1e-3)
                assert (box["long"] or 0) == pytest.approx((bar or 0) * (box["wide"] - 12), abs=0.2)
    page.evaluate("show(facts.steps.length - 2)")
    assert page.inner_text("#reading") == f"{name}: {want.backward['n1'][0]}"
    overlaid(page, "")
    assert page.inner_text("#reading") == page.inner_text("#caption") == ""
    assert page.locator("#picture .bar").count() == 0


def test_an_overlay_without_numbers_is_not_offered(opened, small):
    page = opened(small[0], "#step=1&overlay=time")
    assert page.locator("#overlay option:disabled").all_text_contents() == ["time (not at hand)"]
    assert page.input_value("#overlay") == ""


def test_modules_are_folded(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    assert page.evaluate("op(facts.steps[at]).scope").startswith("Block blocks.0")
    every = page.evaluate("pictures[shown].cells.length")
    choose(page, "#fold")
    assert page.evaluate("pictures[shown].cells.length") < every == len(blocks.ops)
    while page.get_attribute("#fold", "aria-disabled") != "true":
        page.keyboard.press("[")
    assert page.locator("#picture svg:not([hidden])").count() == 1
    page.wait_for_url("**&depth=0")
    page.keyboard.press("]")
    assert page.evaluate("pictures[shown].depth") == 1
    lit = []
    for step in (7, 12):  # of the second module, and of the third, which is not drawn
        page.evaluate("step => show(step)", step)
        lit.append(
            page.locator("#picture svg:not([hidden]) .now").evaluate(
                "(box) => [...box.parentNode.children].indexOf(box)"
            )
        )
    assert lit[0] == lit[1] and where(page).startswith("relu → ")


def test_rows_are_chosen_by_arrows(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    page.focus("#picture .now")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#slider") == "2"
    page.keyboard.press("Enter")
    assert page.input_value("#slider") == "4"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement === pictures[shown].cells[2][0]")


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


def test_edges_of_arrays_carry_images_once_they_are_known(opened, cnn_page):
    page = opened(cnn_page[2])
    chips = page.locator("#picture .chip:not([hidden])")
    assert chips.count() == 0
    page.evaluate("show(lossStep)")
    assert 5 <= chips.count() <= page.evaluate("lossStep")
    addresses = page.evaluate("Object.values(facts.values).map((v) => chipOf(v.array))")
    assert all(chip.get_attribute("href") in addresses for chip in chips.all())


def test_keys_and_the_wheel_zoom_and_the_current_step_stays_in_view(opened, cnn_page):
    page = opened(cnn_page[2], "#step=9")
    drawing, pane = page.locator("#picture svg:not([hidden])"), page.locator("#picture")
    fitted = drawing.bounding_box()["width"]
    for _ in range(4):
        page.keyboard.press("+")
    assert drawing.bounding_box()["width"] == pytest.approx(fitted * 1.25**4, rel=0.02)
    for step in 9, 1, 12:
        page.evaluate("step => show(step)", step)
        box, view = page.locator("#picture .now").bounding_box(), pane.bounding_box()
        assert view["y"] <= box["y"] + box["height"] / 2 <= view["y"] + view["height"]
        assert view["x"] <= box["x"] + box["width"] / 2 <= view["x"] + view["width"]
    page.keyboard.press("0")
    assert drawing.bounding_box()["width"] == fitted
    pane.evaluate(
        "(pane) => pane.dispatchEvent(new WheelEvent('wheel', { deltaY: -90, ctrlKey: true, cancelable: true }))"
    )
    assert drawing.bounding_box()["width"] == pytest.approx(fitted * np.exp(0.3), rel=0.02)


def test_a_sum_lights_up_with_its_last_share(opened, scalars):
    page = opened(scalars, "#step=12")
    box = page.locator("#picture g[role=button]", has_text="g_x")
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
    depth = page.evaluate("pictures[shown].depth")
    page.locator("#picture svg:not([hidden]) .frame-name").first.click()
    assert page.evaluate("pictures[shown].depth") == depth - 1
    while page.evaluate("shown"):
        page.keyboard.press("[")
    page.locator("#picture svg:not([hidden]) g[role=button]").filter(has_text="×").first.click()
    assert page.evaluate("pictures[shown].depth") == 1


def test_the_table_has_each_operation_beside_its_rule(opened, blocks):
    page = opened(blocks.page(), "#step=7")
    page.keyboard.press("t")
    rows = page.evaluate(
        "[...document.querySelectorAll('#rows li')].map((li) => [...li.children].map((b) => b.textContent))"
    )
    assert len(rows) == len(blocks.ops) + 2 and [len(row) for row in rows] == [2] * (len(rows) - 1) + [1]
    assert rows[7][0].splitlines() == ["7 relu → relu_2 (2,4) in Block blocks.1", page.evaluate("facts.ops[6].forward")]
    want = [
        f"{page.evaluate('moments.r[6]')} rule of relu → g_linear_3",
        *page.evaluate("facts.ops[6].rules"),
        "differences agree",
    ]
    assert rows[7][1].splitlines() == want
    assert page.locator("#rows .now").inner_text().startswith("7 relu")
    page.locator("#rows button", has_text="rule of relu").nth(1).click()
    assert where(page) == "rule of relu → g_linear_3"


def test_rows_have_two_equal_columns(opened, blocks):
    page = opened(blocks.page(), "#step=9", width=320)
    page.keyboard.press("t")
    cells = page.locator("#rows button")
    assert cells.count() == len(page.evaluate("facts.steps")) == 2 * len(blocks.ops) + 3
    boxes = [cell.bounding_box() for cell in cells.all()]
    assert len({round(box["width"]) for box in boxes}) == 1
