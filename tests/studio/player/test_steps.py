"""Stepping in a browser: every step by keyboard, numbers equal to `.grad`, links, the slider of training."""

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import card, elements, where
from studio.player.conftest import net

pytestmark = pytest.mark.slow


def test_the_numbers_at_the_end_equal_grad(opened, small):
    text, w, v = small
    page = opened(text)
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")  # nothing follows
    for p in (w, v):
        assert np.array_equal(elements(card(page, f"g_{p.name}")), p.grad.ravel())


def test_shares_are_shown_before_their_sum(opened, small):
    page = opened(small[0])
    step = page.evaluate("facts.steps.findIndex((step) => step.say.includes('adds share 3'))")
    page.evaluate("step => show(step)", step)
    looks = "value(op(facts.steps[at]).inputs[0]).parts.map(([, look]) => look.elements)"
    parts = np.array(page.evaluate(looks), np.float32)
    assert np.array_equal(parts[0] + parts[1] + parts[2], elements(card(page, "g_h")))
    assert "h is used 3 times" in page.inner_text("#sentence")
    lines = page.text_content("#formulas pre").splitlines()
    i = page.evaluate("value(op(facts.steps[at]).inputs[0]).example")  # of item 0, which is drawn
    shares = [f"{part[i]:.4g}".replace("-", "−") for part in parts]
    through = ["through s", "through r", "through h @ v"]
    for line, words, share in zip(lines, through, shares, strict=False):
        assert line.startswith(f"{words}: ") and line.endswith(f" {share}")
    assert lines[3].endswith(f" = {elements(card(page, 'g_h'))[i]:.4g}".replace("-", "−"))


def test_an_image_shows_the_colours_of_its_array(opened, cnn_page):
    p, loss_of, text = cnn_page
    p["w1"].grad = None
    loss_of().backward()
    page = opened(text)
    page.keyboard.press("End")
    most = np.abs(p["w1"].grad[:, :, :, :9]).max()
    for c in range(3):
        pixels = page.evaluate(
            """c => { const entry = scene.find((entry) => entry.name === "g_w1"); spot = null; channel.coarse = 0;
            return [...tile(entry, 4, c).getContext("2d").getImageData(0, 0, 3, 3).data]; }""",
            c,
        )
        numbers = p["w1"].grad[:, :, c, 4, None].astype(np.float64) / most
        hues = 255 - np.abs(numbers) ** 0.7 * (255 - np.where(numbers < 0, [0, 90, 160], [213, 94, 0]))
        shown = np.reshape(pixels, (3, 3, 4))
        assert (shown[..., 3] == 255).all()
        np.testing.assert_allclose(shown[..., :3], hues, atol=1)


def test_your_expression_is_marked_beside_the_derived_line(opened, small):
    page = opened(small[0], "#step=4")
    assert page.inner_text("#position") == "forward 4 of 7" and page.inner_text("#where") == "What is relu(h @ v)?"
    line = net.__code__.co_firstlineno + 2
    assert page.inner_text("#sentence") == (
        f"relu is the result of relu(h @ v) on line {line}. "
        "Keeps positive numbers and sets the rest to 0: max(matmul_2, 0)."
    )
    (yours,) = page.locator("#code > section").all()
    assert "    r = h + ag.relu(h @ v)" in yours.inner_text()
    assert yours.locator("mark").inner_text() in ("ag.relu(h @ v)", "    r = h + ag.relu(h @ v)")
    page.evaluate("show(moments.r[facts.steps[at].op])")
    assert page.locator("#code mark").last.inner_text() == "g_matmul_2 = ag.relu_gradient(g_relu, relu)"


def test_keys_links_slider_and_buttons_lead_to_the_same_steps(opened, small):
    page = opened(small[0], "#step=9")
    count = int(page.get_attribute("#slider", "max"))
    assert page.input_value("#slider") == "9"
    page.keyboard.press("Control+Home")  # the browser's
    assert page.input_value("#slider") == "9"
    page.keyboard.press("Home")
    assert where(page) == "Start" and page.get_attribute("#back", "aria-disabled") == "true"
    page.keyboard.press("End")
    assert where(page) == "Update" and page.get_attribute("#next", "aria-disabled") == "true"
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#slider") == str(count - 1)
    page.keyboard.press("ArrowRight")
    page.focus("#slider")
    page.keyboard.press("ArrowLeft")
    assert where(page).startswith("rule of matmul")
    page.wait_for_url(f"**#step={count - 1}")
    page.evaluate("location.hash = '#step=2'")
    page.wait_for_function("document.getElementById('slider').value === '2'")
    for key in "lq[]?ab1":  # letters and signs are no keys: a voice may speak them
        page.keyboard.press(key)
    assert page.evaluate("at === 2 && !quiz.on && !$('menu').matches(':popover-open')")
    page.click("#picture svg > g:last-of-type")
    assert where(page) in ("Loss", "Update") or where(page).startswith("rule of")


@pytest.mark.parametrize("step", ["abc", "1.5", "-3", ""])
def test_a_link_to_no_whole_number_is_ignored(opened, small, step):
    page = opened(small[0], f"#step={step}")
    assert where(page) == "Start"
    page.keyboard.press("End")
    page.evaluate(
        """step => new Promise((done) => {
        addEventListener("hashchange", () => done(), { once: true });
        location.hash = "#x&step=" + step; })""",
        step,
    )
    assert where(page) == "Update"


def test_the_link_is_updated_at_once_and_then_seldom_while_a_key_is_held(opened, small):
    page = opened(small[0], "#step=1")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.evaluate("() => { window.links = []; history.replaceState = (_, __, link) => window.links.push(link); }")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.clock.run_for(30)
    page.clock.run_for(1000)
    assert page.evaluate("window.links") == ["#step=2", "#step=4"]  # of the first step at once


def test_a_step_begins_at_its_title(opened, cnn_page):
    page = opened(cnn_page[2], "#step=9")
    page.evaluate("scrollTo(0, 2000)")
    page.keyboard.press("ArrowRight")
    assert 0 <= page.locator("#where").bounding_box()["y"] < 400


def test_the_menu_closes_by_escape_and_by_a_choice(opened, blocks):
    page = opened(blocks.page())
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.click("h1"), lambda: page.click("#unfold")):
        page.click("#more")
        assert page.is_visible("#menu table")
        close()
        assert page.is_hidden("#menu table")


def test_without_source_a_step_says_so_and_has_its_derived_line(opened, rng):
    page = opened(ag.trace(lambda x: ag.sum(ag.tanh(x)), rng.normal(size=3)).page(source=False), "#step=5")
    yours, derived = page.locator("#code > section").all()
    assert yours.inner_text().endswith("The code of this line is not in this page.")
    assert derived.locator("mark").inner_text() == "g_x = g_tanh * ((1 - tanh) * (1 + tanh))"


def test_a_slider_moves_through_training(opened, rng):
    w = ag.Tensor([1.0, 2.0], True, "w")
    graphs = []
    for scale in (1, 3):
        w.data[...] = [scale, 2.0]
        graphs.append(ag.trace(lambda x: ag.sum(x * w * w), np.ones(2)))
    page = opened(graphs[0].page([("later", graphs[1])]), "#step=8")
    first = elements(card(page, "g_w"))
    page.focus("#frame")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#moment") == "later" and where(page) == "Update"
    assert np.array_equal(first, [2, 4]) and np.array_equal(elements(card(page, "g_w")), [6, 4])
    assert page.inner_text("#summary") == "loss 13" and "complete" in page.inner_text("#sentence")
    shown = page.locator("#picture text").all_text_contents()
    assert any(text.endswith(" 13") for text in shown)
    assert not any(text.endswith((" 5", "loss 5")) for text in shown)


@pytest.mark.parametrize(("count", "told"), [(3, "and 1 more array"), (4, "and 2 more arrays")])
def test_the_update_counts_the_arrays_that_it_does_not_show(opened, count, told):
    weights = [ag.Tensor(np.ones(3), True, f"w{i}") for i in range(count)]
    page = opened(ag.trace(lambda *weights: ag.sum(ag.tanh(sum(weights))), *weights).page())
    page.keyboard.press("End")
    assert page.inner_text("#update small") == told


def test_five_thousand_operations_open_and_step(opened):
    def chain(x, w):
        for _ in range(2500):
            x = ag.tanh(x) * w
        return ag.sum(x)

    page = opened(ag.trace(chain, np.ones(3), ag.Tensor(np.ones(3), True, "w")).page())
    page.keyboard.press("End")
    assert where(page) == "Update"
    page.keyboard.press("ArrowLeft")
    assert page.locator("figure").count() < 20
    assert page.inner_text("#sentence").count("This step adds share 2,500.") == 1
