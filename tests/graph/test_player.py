"""The player in a browser: every step by keyboard, numbers equal to `.grad`, and no network requests."""

import re
from itertools import pairwise

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.graph.picture.overlays import OVERLAYS
from autograd_cnn.graph.player.looks import SIGNED

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page's text from a file; afterwards, check that it requested nothing else and logged no error."""
    contexts, requests, logged = [], [], []

    def open_(text, fragment="", width=1280, **options):
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(text, encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)  # other work may go on beside the tests
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("body.ready")
        return page

    yield open_
    for context in contexts:
        context.close()
    requests = [url for url in requests if not url.startswith("data:image/png")]
    assert len(requests) == len(contexts) and all(url.startswith("file:") for url in requests) and not logged


def net(x, w, v, y):
    h = ag.tanh(x @ w)
    r = h + ag.relu(h @ v)
    s = r * h
    return ag.mse(s, y)


@pytest.fixture(scope="module")
def small():
    """A page of a network in which h is used three times, and the network's parameters with their gradients."""
    rng = np.random.default_rng(0)
    w, v = (ag.Tensor(rng.normal(size=s).astype(np.float32), True, n) for n, s in (("w", (3, 5)), ("v", (5, 5))))
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((4, 3), (4, 5)))
    net(x, w, v, y).backward()
    return ag.trace(net, x, w, v, y).page(), w, v


class Block(ag.nn.Module):
    def __init__(self, rng):
        self.a, self.b = ag.nn.Linear(4, 4, rng=rng), ag.nn.Linear(4, 4, rng=rng)

    def forward(self, x):
        return ag.tanh(self.b(ag.relu(self.a(x)))) + x


class Blocks(ag.nn.Module):
    def __init__(self, rng):
        self.blocks = [Block(rng) for _ in range(3)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return ag.sum(x * x)


@pytest.fixture(scope="module")
def blocks():
    """Three equal modules of five operations, traced, with times."""
    rng = np.random.default_rng(0)
    model = Blocks(rng)
    return ag.trace(lambda x: model(x), rng.normal(size=(2, 4)).astype(np.float32), repeat=1)


@pytest.fixture(scope="module")
def cnn_page():
    """The standard CNN with its arguments, and its page."""
    rng = np.random.default_rng(0)
    w = {
        "w1": (3, 3, 3, 32), "b1": (32,), "w2": (3, 3, 32, 64), "b2": (64,), "w3": (1024 * 4, 10),
    }  # fmt: skip
    p = {n: ag.Tensor((0.1 * rng.normal(size=s)).astype(np.float32), True, n) for n, s in w.items()}
    x, y = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32), np.arange(4)

    def loss_of(p, x, y):
        r1 = ag.relu(ag.conv2d(x, p["w1"], p["b1"], padding=1))
        r2 = ag.relu(ag.conv2d(ag.max_pool2d(r1, 2), p["w2"], p["b2"], padding=1))
        return ag.cross_entropy(ag.flatten(ag.max_pool2d(r2, 2), 1) @ p["w3"], y)

    return p, (lambda: loss_of(p, x, y)), ag.trace(loss_of, p, x, y).page()


def cards(page, name):
    """Figures whose caption begins with `name`."""
    return page.locator("figure").filter(has=page.locator("figcaption > b", has_text=name))


def card(page, name):
    (found,) = [f for f in cards(page, name).all() if f.locator("figcaption > b").inner_text() == name]
    return found


def where(page):
    return page.evaluate("title(facts.steps[at])")


def choose(page, button):
    """Click a button of the menu."""
    page.click("#menu summary")
    page.click(button)


def elements(figure):
    return np.array(figure.locator(".numbers").text_content().split(), np.float32)


def statistics(figure):
    return dict(zip(*(figure.locator(tag).all_text_contents() for tag in ("dt", "dd")), strict=True))


def test_every_step_by_keyboard_forward_and_back(opened, cnn_page):
    page = opened(cnn_page[2])
    steps = page.evaluate("facts.steps.map((step) => brief(step.say))")
    sentences = [page.inner_text("#sentence")]
    for _ in steps[1:]:
        page.keyboard.press("ArrowRight")
        sentences.append(page.inner_text("#sentence"))
        assert page.evaluate("[...document.images].every((image) => image.alt)")
    assert sentences == steps
    page.wait_for_url(f"**#step={len(steps) - 1}")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#sentence") == steps[-1]
    for sentence in steps[-2::-1]:
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#sentence") == sentence


def test_the_numbers_at_the_end_equal_grad(opened, small):
    text, w, v = small
    page = opened(text)
    page.keyboard.press("End")
    for p in (w, v):
        assert np.array_equal(elements(card(page, f"g_{p.name}")), p.grad.ravel())


def test_the_statistics_of_the_cnn_equal_those_of_grad(opened, cnn_page):
    p, loss_of, text = cnn_page
    for parameter in p.values():
        parameter.grad = None
    loss_of().backward()
    page = opened(text)
    page.keyboard.press("End")
    for name, parameter in p.items():
        rms = np.sqrt(np.mean(parameter.grad.astype(np.float64) ** 2))
        assert statistics(card(page, f"g_{name}"))["rms"] == f"{rms:.4g}"


def test_contributions_are_shown_before_their_sum(opened, small):
    page = opened(small[0])
    step = page.evaluate("facts.steps.findIndex((step) => step.say.includes('3 of 3'))")
    page.evaluate("step => show(step)", step)
    parts = [elements(cards(page, f"contribution {i} of 3").first) for i in (1, 2, 3)]
    assert np.array_equal(parts[0] + parts[1] + parts[2], elements(card(page, "g_h")))
    assert page.locator(".sign").all_inner_texts() == ["+", "+", "="]
    assert "h is used 3 times" in page.inner_text("#sentence")
    lines = page.text_content("#formulas pre").splitlines()
    i = page.evaluate("value(op(facts.steps[at]).in[0]).at")  # of item 0, which is drawn
    shares = [f"{part[i]:.4g}".replace("-", "−") for part in parts]
    through = ["through s", "through r", "through h @ v"]
    assert lines[:3] == [f"{words}: {share}" for words, share in zip(through, shares, strict=True)]
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
        level = 128 + 127 * p["w1"].grad[:, :, c, 4].astype(np.float64) / most
        shown = np.reshape(pixels, (3, 3, 4))
        assert (shown[..., 3] == 255).all()
        np.testing.assert_allclose(shown[..., :3], SIGNED[np.rint(level).astype(int)], atol=4)  # half a level


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
        page.keyboard.press("r")
        cells = page.evaluate("""listed.map((pair) => pair.map((c) => c &&
            [c.dataset.reading, c.style.getPropertyValue("--bar")]))""")  # fmt: skip
        page.keyboard.press("r")
        for side, way, found in (0, "n", want.forward), (1, "r", want.backward):
            for i, op in enumerate(blocks.ops):
                text, bar = found.get(op.id, (None, None))
                if text is None:
                    continue
                box = boxes[f"{way}{op.id[1:]}"]
                assert box["text"] in (text, text.split(":")[0]) and text == cells[i][side][0] and text in box["label"]
                assert float(cells[i][side][1]) == pytest.approx(bar or 0, abs=1e-3)
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


def test_modules_are_stepped_over_and_folded(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    assert page.evaluate("op(facts.steps[at]).scope").startswith("Block blocks.0")
    scopes = []
    for _ in range(30):
        page.keyboard.press("Shift+ArrowRight")
        scopes.append(page.evaluate("facts.steps[at].op < 0 ? facts.steps[at].kind : op(facts.steps[at]).scope"))
        if scopes[-1] == "end":
            break
    assert scopes.index("Block blocks.1/blocks.1.a") < scopes.index("loss") < len(scopes) - 1
    assert all(a != b for a, b in pairwise(scopes))
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate("op(facts.steps[at]).scope.startsWith('Block blocks.0')")
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


def test_a_module_that_is_drawn_closed_is_stepped_over_whole(opened, blocks):
    page = opened(blocks.page(), "#step=1&depth=0")  # drawn are the first block, the two like it, multiply, sum
    for key, steps in ("ArrowRight", ["6", "16", "18"]), ("ArrowLeft", ["17", "15", "5", "0"]):
        for step in steps:
            page.keyboard.press(f"Shift+{key}")
            assert page.input_value("#slider") == step
    choose(page, "#unfold")
    for step in "1", "2", "3", "4", "6":
        page.keyboard.press("Shift+ArrowRight")
        assert page.input_value("#slider") == step


def test_without_modules_steps_over_modules_are_not_offered(opened, small):
    page = opened(small[0], "#step=3")
    assert page.get_attribute("#after", "aria-disabled") == page.get_attribute("#before", "aria-disabled") == "true"
    page.keyboard.press("Shift+ArrowRight")
    page.click("#menu summary")
    page.click("#before", force=True)
    assert page.input_value("#slider") == "3"


def test_rows_are_chosen_by_arrows_and_found_by_search(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    page.focus("#picture .now")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#slider") == "2"
    page.keyboard.press("Enter")
    assert page.input_value("#slider") == "4"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement === pictures[shown].cells[2][0]")
    page.keyboard.press("/")
    page.keyboard.type("blocks.1 ")
    assert page.inner_text("#caption") == f"5 of {len(blocks.ops)} operations"
    page.fill("#search", "RELU")
    assert page.inner_text("#caption") == f"3 of {len(blocks.ops)} operations"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert where(page).startswith("relu →") and page.input_value("#slider") == "7"
    assert page.locator("#rows .now").inner_text().startswith("7 relu")
    page.keyboard.press("Escape")
    assert page.input_value("#search") == "" and page.locator("#rows li:visible").count() == len(blocks.ops)


def test_help_and_table_open_and_close_by_keys(opened, small):
    page = opened(small[0])
    for key, panel in (("?", "#help"), ("t", "#all")):
        page.keyboard.press(key)
        assert page.get_attribute(panel, "open") == ""
        page.keyboard.press("Escape")
        assert page.get_attribute(panel, "open") is None
    page.keyboard.press("?")
    page.uncheck("#letters")
    page.evaluate("document.activeElement.blur()")
    for key in "torq/[]":
        page.keyboard.press(key)
    assert page.get_attribute("#all", "open") is None and page.is_hidden("#rows") and page.input_value("#overlay") == ""
    assert page.evaluate("!quiz.on && document.activeElement === document.body")
    text = page.inner_text("#help")
    for button in page.locator("[aria-keyshortcuts]").all():
        key = button.get_attribute("aria-keyshortcuts").removeprefix("Shift+").removeprefix("Arrow")
        assert {"Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}.get(key, key) in text


def test_your_expression_is_marked_beside_the_derived_line(opened, small):
    page = opened(small[0], "#step=4")
    assert page.inner_text("#position") == "forward 4 of 7" and page.inner_text("#where") == "What is ag.relu(h @ v)?"
    assert page.inner_text("#sentence") == (
        "Your code gives ag.relu(h @ v) no name; here it is called relu. "
        "Keeps positive numbers and sets the rest to 0: max(matmul_2, 0)."
    )
    yours, derived = page.locator("#code > section").all()
    assert "    r = h + ag.relu(h @ v)" in yours.inner_text()
    assert yours.locator("mark").inner_text() in ("ag.relu(h @ v)", "    r = h + ag.relu(h @ v)")
    assert derived.is_hidden()
    page.keyboard.press("b")
    assert page.locator("#code mark").last.inner_text() == "g_matmul_2 = ag.where(relu <= 0, 0, g_relu)"


def test_keys_links_slider_and_buttons_lead_to_the_same_steps(opened, small):
    page = opened(small[0], "#step=9")
    count = int(page.get_attribute("#slider", "max"))
    assert page.input_value("#slider") == "9"
    page.keyboard.press("l")
    assert where(page) == "Loss"
    page.keyboard.press("Home")
    assert where(page) == "Start" and page.get_attribute("#back", "aria-disabled") == "true"
    choose(page, "#last")
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
    page.evaluate("document.activeElement.blur(); document.getElementById('letters').checked = false")
    page.keyboard.press("l")
    assert page.input_value("#slider") == "2"
    page.click("#picture svg > g:last-of-type")
    assert where(page) in ("Loss", "Update") or where(page).startswith("rule of")


@pytest.mark.parametrize("step", ["abc", "1.5", "-3", ""])
def test_a_link_to_no_whole_number_is_ignored(opened, small, step):
    page = opened(small[0], f"#step={step}")
    assert where(page) == "Start"
    page.keyboard.press("End")
    page.evaluate("step => { location.hash = '#overlay=zeros&step=' + step; }", step)
    page.wait_for_function("document.getElementById('overlay').value === 'zeros'")
    assert where(page) == "Update"


def test_the_link_is_updated_once_after_a_held_key(opened, small):
    page = opened(small[0], "#step=1")
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.evaluate("() => { window.links = []; history.replaceState = (_, __, link) => window.links.push(link); }")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.clock.run_for(30)
    page.clock.run_for(1000)
    assert page.evaluate("window.links") == ["#step=4"]


def test_playing_walks_to_the_end_in_silence(opened, small):
    page = opened(small[0], "#step=14")
    page.clock.install()
    choose(page, "#play")
    page.clock.run_for(1000)
    assert page.input_value("#slider") == "15"
    assert page.text_content("#play") == "pause"
    page.keyboard.press("ArrowLeft")  # stops it
    assert page.text_content("#play") == "play"
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "title") == "Pause (Space)"
    page.clock.run_for(1000)
    assert page.get_attribute("#sentence", "aria-live") == "off" and page.input_value("#slider") == "15"
    page.clock.run_for(5000)
    assert where(page) == "Update" and page.text_content("#play") == "play"


def chain(x, y):
    h = x * y
    s = ag.sin(h)
    t = s + x * x
    return ag.exp(-t)


@pytest.fixture(scope="module")
def scalars():
    return ag.trace(chain, 0.5, 1.2).page()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (380, 760)])
def test_the_first_screen_has_source_result_and_goal_without_scrolling(opened, scalars, width, height):
    page = opened(scalars, width=width)
    page.set_viewport_size({"width": width, "height": height})
    shown = page.inner_text("body")
    for words in (
        "return ag.exp(-t)",
        "With x = 0.5 and y = 1.2 the result is 0.4428.",
        "Raise x by 0.01 and the loss falls by 0.00875.",
        "Press → to walk forward; at the loss the way back begins.",
        "Gradient: how fast the loss changes",
    ):
        assert words in shown
    assert not re.search(r"\d k?B\b|rms", shown)
    end = page.locator("#transport").bounding_box()["y"] if width < 640 else height
    for part in "#sentence", "#goal", "#code", "#term":
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= end
    controls = page.locator("header").locator("button, summary, input").filter(visible=True)
    assert [control.get_attribute("id") for control in controls.all()] == ["back", "next", "slider", "quiz", None]


def test_a_step_back_shows_the_chain_rule_the_derived_line_and_a_trial(opened, scalars):
    page = opened(scalars, "#step=12")
    assert (
        page.inner_text("#where") == "How does the loss change with h?"
        and page.inner_text("#position") == "backward 5 of 6"
    )
    assert page.text_content("#formulas pre").splitlines() == ["g_h = g_s × cos(h)", "= −0.4428 × 0.8253 = −0.3655"]
    assert page.inner_text("#formulas .try").startswith(
        "Check. Raise h by 0.01: the loss goes from 0.44280 to 0.43917,"
    )
    assert page.locator("#code mark").all_inner_texts() == ["ag.sin(h)", "g_h = g_s * ag.cos(h)"]
    assert page.is_hidden("#tensors") and page.is_hidden("#costs p")
    page.keyboard.press("b")
    assert page.text_content("#formulas pre").splitlines() == ["s = sin(h)", "= sin(0.6) = 0.5646"]
    assert "g_h" not in page.inner_text("#content")


def test_edges_carry_numbers_once_they_are_known(opened, scalars):
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
    addresses = page.evaluate("Object.values(facts.values).map((v) => chipOf(v.v))")
    assert all(chip.get_attribute("href") in addresses for chip in chips.all())


def test_a_number_shows_and_copies_all_its_digits(opened, scalars):
    page = opened(scalars, "#step=2")
    number = page.locator("#formulas data").last
    exact = str(np.sin(0.6))
    assert number.inner_text() == "0.5646" and number.get_attribute("title") == exact
    copied = """(element) => {
        getSelection().selectAllChildren(element);
        const clipboardData = new DataTransfer();
        const event = new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true });
        element.dispatchEvent(event);
        return event.clipboardData.getData("text/plain"); }"""
    assert number.evaluate(copied) == exact
    assert page.locator("#formulas pre").evaluate(copied) == f"s = sin(h)\n= sin(0.6) = {exact}\n"


def test_the_update_has_a_slider_for_the_learning_rate(opened, scalars):
    page = opened(scalars)
    page.keyboard.press("End")
    x, y = (ag.Tensor(v, True) for v in (0.5, 1.2))
    chain(x, y).backward()
    page.focus("#rate")
    page.keyboard.press("Home")
    for choice in page.evaluate("facts.update.choices"):
        lr = choice["rate"]
        after = float(chain(x.data - lr * x.grad, y.data - lr * y.grad))
        assert choice["after"] == pytest.approx(after, rel=1e-12)
        assert f"lr = {lr:g}" in page.inner_text("#update label") and "x ← x − lr × g_x\n" in page.inner_text(
            "#update pre"
        )
        said = page.locator("#update .try")
        assert float(said.locator("data").nth(1).get_attribute("value")) == after
        assert said.inner_text().endswith("It falls.") == (after < 0.4428)
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#position") == "the update"


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


def test_a_step_begins_at_its_title(opened, cnn_page):
    page = opened(cnn_page[2], "#step=9")
    page.evaluate("scrollTo(0, 2000)")
    page.keyboard.press("ArrowRight")
    assert 0 <= page.locator("#where").bounding_box()["y"] < 400


def test_the_formula_stands_above_the_images(opened, cnn_page):
    page = opened(cnn_page[2])
    for step in page.evaluate("[...facts.steps.keys()].filter((i) => facts.steps[i].formulas?.length)"):
        page.evaluate("step => show(step)", step)
        box = page.locator("#formulas section").first.bounding_box()
        assert box["y"] + box["height"] <= page.locator("#arrays").bounding_box()["y"]
        assert box["y"] + box["height"] <= 800


def test_a_failed_trace_ends_with_its_message(opened):
    w = ag.Tensor(np.ones((3, 4)), True, "w")
    with pytest.raises(ValueError, match="4 is not 3") as caught:
        ag.trace(lambda x: ag.tanh(x @ w) @ w, np.ones((2, 3)))
    page = opened(caught.value.graph.page())
    page.keyboard.press("End")
    assert page.inner_text("#where") == "Why does matmul fail?" and page.inner_text("#position") == "the error"
    assert page.text_content("#formulas pre").strip() == str(caught.value)
    assert page.inner_text("#code mark") == "ag.tanh(x @ w) @ w"
    lit = page.locator("#picture .now").all_text_contents()
    assert len(lit) == 2 and "ValueError" in lit[1] and page.locator("#picture .later").count() == 0
    page.keyboard.press("Home")
    assert page.locator("#picture g[role=button].later", has_text="ValueError").count() == 1


def test_a_sum_lights_up_with_its_last_share(opened, scalars):
    page = opened(scalars, "#step=12")
    box = page.locator("#picture g[role=button]", has_text="g_x")
    assert "later" in box.get_attribute("class")
    page.keyboard.press("ArrowRight")
    assert "later" not in box.get_attribute("class")
    assert page.locator("#picture text", has_text="shares add").count() == 2


def test_two_fingers_zoom(opened, cnn_page):
    page = opened(cnn_page[2], "#step=9")
    drawing = page.locator("#picture svg:not([hidden])")
    fitted = drawing.bounding_box()["width"]
    page.evaluate("""() => { for (const [type, pointerId, x] of [["down", 1, 100], ["down", 2, 200], ["move", 2, 250]])
        $("picture").dispatchEvent(new PointerEvent("pointer" + type,
            { pointerType: "touch", pointerId, clientX: x, clientY: 9 })); }""")
    assert drawing.bounding_box()["width"] == pytest.approx(fitted * 1.5, rel=0.02)


def test_a_click_folds_a_frame_and_opens_a_closed_row(opened, blocks):
    page = opened(blocks.page(), "#step=2")
    depth = page.evaluate("pictures[shown].depth")
    page.locator("#picture svg:not([hidden]) .frame-name").first.click()
    assert page.evaluate("pictures[shown].depth") == depth - 1
    while page.evaluate("shown"):
        page.keyboard.press("[")
    page.locator("#picture svg:not([hidden]) g[role=button]").filter(has_text="×").first.click()
    assert page.evaluate("pictures[shown].depth") == 1


def test_what_is_worth_a_look_leads_to_its_step(opened, rng, scalars):
    w = ag.Tensor(rng.normal(size=(3, 3)), True, "w")
    w.data[:, 1] = -9
    page = opened(ag.trace(lambda x: ag.sum(ag.relu(x @ w)), np.ones((2, 3))).page())
    page.click(".worth a")
    page.wait_for_function("at === 2")
    assert "op" in page.evaluate("facts.steps[at]") and where(page) == "relu → relu"
    assert page.inner_text("#content .worth").startswith("Dead relu: ") and "(1" in page.inner_text("#content .worth")
    assert opened(scalars).locator(".worth").count() == 0


def test_a_term_is_explained_where_it_occurs_first(opened, scalars):
    page = opened(scalars)
    terms = {}
    for step in page.evaluate("facts.steps.keys().toArray()"):
        page.evaluate("step => show(step)", step)
        if page.inner_text("#term"):
            terms[page.inner_text("#position")] = page.inner_text("#term")
    assert list(terms) == ["start", "the loss", "backward 1 of 6"]
    for word, place in {"Loss:": "start", "g_h": "the loss", "Kept:": "backward 1 of 6"}.items():
        assert word in terms[place]


def test_the_menu_closes_by_escape_and_by_a_choice(opened, small):
    page = opened(small[0])
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.click("#loss"), lambda: page.click("h1")):
        page.click("#menu summary")
        assert page.is_visible("#search")
        close()
        assert page.is_hidden("#search")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"


def answers(page):
    """The right answer of the question that is open, and the index of its button."""
    right = page.evaluate("brief(facts.quiz[due()].answers[0][0])")
    return right, page.locator("#ask button code").all_inner_texts().index(right)


def test_the_quiz_asks_before_each_step_and_ends_with_a_score(opened, small):
    page = opened(small[0])
    page.keyboard.press("q")
    questions = page.evaluate("facts.quiz")
    assert 5 <= len(questions) <= 10
    for number, question in enumerate(questions, 1):
        while not page.evaluate("quiz.open"):
            assert int(page.input_value("#slider")) <= question["step"]
            page.keyboard.press("ArrowRight")
        assert page.input_value("#slider") == str(question["step"])
        assert page.inner_text("#where") == f"Question {number} of {len(questions)}"
        assert page.locator("#summary").evaluate("(e) => getComputedStyle(e).visibility") == "hidden"
        assert page.is_hidden("#content") and page.locator("#picture .number:visible").count() == 0
        texts = page.locator("#ask button code").all_inner_texts()
        assert len(set(texts)) == len(texts) == len(question["answers"]) >= 2
        right, i = answers(page)
        if number == 2:  # a wrong one
            i = (i + 1) % len(texts)
        page.keyboard.press("abcd"[i])
        score = number - (number > 1)
        said = page.inner_text("#sentence")
        if number == 2:
            why = next(
                why for text, why in question["answers"] if page.evaluate("text => brief(text)", text) == texts[i]
            )
            why = page.evaluate("text => brief(text)", why)
            assert f" You chose {texts[i]}. {why} Right: {right}. " in said
        else:
            assert f" Right: {right}. " in said
        assert said.startswith(page.evaluate("text => brief(text)", question["text"]))
        over = (
            f"The quiz is over: {score} of {number} right."
            if number == len(questions)
            else f"So far {score} of {number} right."
        )
        assert said.endswith(over) and page.is_visible("#content")
    assert page.evaluate("facts.steps[at].kind") == "end" and page.get_attribute("#next", "aria-disabled") == "true"
    assert page.get_attribute("#quiz", "aria-pressed") == "false"


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


def test_every_wrong_answer_of_a_rule_tells_what_it_would_give(opened, small):
    page = opened(small[0])
    asked = [q for q in page.evaluate("facts.quiz") if q["text"].startswith("Which line")]
    assert asked
    for question in asked:
        assert all("It gives g_" in why and "; differences give " in why for _, why in question["answers"][1:])


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


def test_the_quiz_asks_what_a_shut_relu_and_the_losers_of_a_pool_get(opened, cnn_page):
    quiz = opened(cnn_page[-1]).evaluate("facts.quiz.map((q) => [brief(q.text), brief(q.answers[0][0])])")
    assert any(re.search(r", so r\w*\[.*\] was 0\. g_r\w*\[.*\] is (?!0\. )", q) and a == "0" for q, a in quiz)
    assert [right for text, right in quiz if text.endswith("How much of the gradient does it get?")] == ["Nothing"]


def test_arrays_that_both_spread_are_worth_a_look():
    graph = ag.trace(lambda x, y: ag.mean((x - y) ** 2), np.ones((4, 1)), np.zeros(4))
    assert "(4,1) and (4,) spread to (4,4), which is often a mistake" in graph.page()
    graph = ag.trace(lambda x, y: ag.mean((x - y) ** 2), np.ones((4, 3)), np.zeros(3))
    assert "often a mistake" not in graph.page()


def test_without_source_a_step_says_so_and_has_its_derived_line(opened, rng):
    page = opened(ag.trace(lambda x: ag.sum(ag.tanh(x)), rng.normal(size=3)).page(source=False), "#step=5")
    yours, derived = page.locator("#code > section").all()
    assert yours.inner_text().endswith("The code of this line is not in this page.")
    assert derived.locator("mark").inner_text() == "g_x = g_tanh * (1 - tanh * tanh)"


def test_a_broken_rule_is_found_by_differences(opened, small):
    page = opened(small[0], "#step=10")
    page.click("#trial summary")
    assert page.inner_text("#trial [role=status]") == "They agree: the rule is right here."
    radios = page.locator("#trial input")
    assert radios.count() >= 3
    for i in range(1, radios.count()):
        radios.nth(i).check()
        assert page.inner_text("#trial [role=status]").startswith("Wrong: ")
        rows = page.locator("#trial tbody tr").all()
        assert any(np.diff([float(cell) for cell in row.locator("td").all_inner_texts()])[0] for row in rows)


def test_after_a_choice_by_mouse_arrows_step_again(opened, small):
    page = opened(small[0], "#step=10")
    page.click("#trial summary")
    for place in "#trial .slip code", "#trial input >> nth=0":  # a label, the radio itself
        page.locator(place).first.click()
        page.keyboard.press("ArrowLeft")
        assert page.input_value("#slider") == "9"
        page.keyboard.press("ArrowRight")
        assert page.input_value("#slider") == "10"
    page.focus("#trial summary")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.locator("#trial input").nth(2).is_checked() and page.input_value("#slider") == "10"


def test_the_check_of_a_rule_shows_that_it_is_part_of_a_sum(opened, small):
    page = opened(small[0], "#step=10")  # the first of three that give to h
    page.click("#trial summary")
    elements = page.locator("#trial tbody th")
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.locator("#trial td").evaluate_all("""(all) => all.every((cell) => {
        const range = document.createRange(); range.selectNodeContents(cell);
        return range.getClientRects().length === 1; })""")  # no figure is broken
    names = elements.all_inner_texts()
    assert {text.partition("[")[0] for text in names} == {"g_h", "g_r"}
    assert all(text.endswith("], this rule's part") == text.startswith("g_h") for text in names)
    page.evaluate("show(14)")  # of w there is one
    assert elements.all_inner_texts() and "part" not in "".join(elements.all_inner_texts())


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
    assert any(text.endswith(" · loss 13") for text in shown) and any(text.endswith(" 13") for text in shown[1:])
    assert not any(text.endswith((" 5", "loss 5")) for text in shown)


# For everyone


def test_dark_and_light_follow_the_system(opened, small):
    colours = [
        opened(small[0], color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 24, 28)"]


@pytest.mark.parametrize("width", [320, 390, 800])
def test_no_sideways_scroll(opened, cnn_page, width):
    page = opened(cnn_page[2], width=width)
    for step in page.evaluate("facts.steps.keys().toArray()"):
        page.evaluate("step => show(step)", step)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, step
    if width < 640:
        box = page.locator("#transport").bounding_box()
        assert box["y"] + box["height"] == 800
        assert (
            page.evaluate("getComputedStyle(document.getElementById('code')).gridTemplateColumns.split(' ').length")
            == 1
        )


@pytest.mark.parametrize("width", [320, 800, 1280])
def test_numbers_are_wrapped_and_not_cut(opened, small, width):
    page = opened(small[0], "#step=11", width=width)
    assert page.locator(".numbers").count() >= 4
    for numbers in page.locator(".numbers").all():
        assert numbers.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        rows = numbers.locator("div").all_inner_texts()
        assert len({len(row.split()) for row in rows}) == 1


@pytest.mark.parametrize("width", [380, 1280])
def test_a_row_of_a_matrix_is_one_line_where_it_fits(opened, rng, width):
    x = rng.normal(size=(4, 3))
    w = ag.Tensor(rng.normal(size=(3, 2)), True, "w")
    v = ag.Tensor(rng.normal(size=(2, 16)), True, "v")
    u = ag.Tensor(rng.normal(), True, "u")
    page = opened(ag.trace(lambda x: ag.sum(x @ w @ v * u), x).page(), width=width)
    page.evaluate("document.querySelectorAll('figure details').forEach((d) => { d.open = true; })")
    for name, fits in ("x", width > 1000), ("w", True), ("u", True), ("v", False):
        box = card(page, name).locator(".numbers")
        line = box.evaluate("(box) => parseFloat(getComputedStyle(box).lineHeight)")
        heights = [row.bounding_box()["height"] for row in box.locator("div").all()]
        assert (max(heights) == line) == fits
        assert box.bounding_box()["height"] % line == 0
        assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        lefts = [code.bounding_box()["x"] for code in box.locator("div").first.locator("code").all()]
        assert fits or (lefts.count(lefts[0]) == 1 and min(lefts) == lefts[0])  # wrapped lines are indented


def test_rows_have_two_equal_columns(opened, blocks):
    page = opened(blocks.page(), "#step=9", width=320)
    page.keyboard.press("r")
    cells = page.locator("#rows button")
    assert cells.count() == 2 * len(blocks.ops)
    boxes = [cell.bounding_box() for cell in cells.all()]
    assert len({round(box["width"]) for box in boxes}) == 1


def test_no_number_is_broken_at_its_minus(opened, rng):
    page = opened(ag.trace(lambda x: ag.sum(x * x[0]), 1e-7 * rng.normal(size=(9, 9))).page(), "#step=1")
    texts = page.locator("figure code")
    assert texts.count() > 9 and "e−8" in "".join(texts.all_inner_texts())
    for width in range(320, 440, 8):
        page.set_viewport_size({"width": width, "height": 800})
        assert texts.evaluate_all("(all) => all.every((text) => text.getClientRects().length === 1)")


def test_a_wrapped_line_is_one_block(opened, cnn_page):
    page = opened(cnn_page[2], width=320)
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'conv2d'))")
    lines = page.locator("#code .line.back")
    assert lines.count() == page.evaluate("op(facts.steps[at]).rules.length")
    heights = [box["height"] for box in (line.bounding_box() for line in lines.all())]
    assert max(heights) > 30 and lines.first.evaluate("(line) => getComputedStyle(line).borderLeftStyle") == "dashed"
    assert page.evaluate("op(facts.steps[at]).rules") == page.locator(".line.back mark").all_inner_texts()


def test_the_picture_stays_beside_its_step_and_covers_no_table(opened, small):
    page = opened(small[0], "#step=8")
    page.keyboard.press("t")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    edges = page.evaluate("['view', 'all'].map((id) => document.getElementById(id).getBoundingClientRect())")
    assert edges[0]["bottom"] <= edges[1]["top"]


def test_print_has_the_picture_and_the_table(opened, small):
    page = opened(small[0], "#step=3")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_hidden("#transport") and page.is_visible("#picture svg")
    rows = page.locator("#all tbody tr")
    assert rows.count() == page.evaluate("facts.steps.length")
    assert page.pdf()[:4] == b"%PDF"


def test_reduced_motion_stops_what_travels(opened, small):
    names = []
    for motion in ("no-preference", "reduce"):
        page = opened(small[0], "#step=3", reduced_motion=motion)
        names.append(
            page.evaluate("getComputedStyle(document.querySelector('#picture .lit path.forward')).animationName")
        )
    assert names == ["travel", "none"]


def test_forced_colours_keep_the_mark_and_the_dashes(opened, small):
    page = opened(small[0], "#step=11", forced_colors="active")
    ground, mark, border = page.evaluate("""[getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector("#code mark")).backgroundColor,
        getComputedStyle(document.querySelector("figure.gradient")).borderTopStyle]""")
    assert mark != ground and border == "dashed"
    page.keyboard.press("r")
    assert page.evaluate("getComputedStyle(document.querySelector('#rows .backward')).borderTopStyle") == "dashed"


def test_a_planted_image_is_refused(browser, small, tmp_path):
    (tmp_path / "page.html").write_text(small[0].replace("<main>", '<main><img src="http://example.invalid/x.png">'))
    context = browser.new_context(offline=True)
    page = context.new_page()
    logged = []
    page.on("console", lambda message: logged.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("body.ready")
    assert len(logged) == 1 and "violates the following Content Security Policy directive" in logged[0]
    context.close()


def test_without_decompression_a_plain_page_plays_and_a_packed_one_says_why_not(browser, tmp_path, monkeypatch):
    pages = []
    for limit in 10**9, 0:
        monkeypatch.setattr("autograd_cnn.graph.player.page.PLAIN", limit)
        pages.append(ag.trace(lambda x: x * x, 3.0).page())
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    for text, line in (
        (pages[0], "With x = 3 the result is 9."),
        (pages[1], "This page is packed, and this browser cannot"),
    ):
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("document.getElementById('sentence').textContent")
        assert page.inner_text("#sentence").startswith(line)
    context.close()


def test_every_control_has_a_name_and_is_large_enough_for_a_finger(opened, small):
    page = opened(small[0], "#step=11")
    assert page.get_attribute("html", "lang") == "en" and page.get_attribute("#sentence", "aria-live") == "polite"
    assert page.locator("h1").count() == 1
    for button in page.locator("button, select, summary, [type=search], [type=range]").all():
        if button.is_visible():
            box = button.bounding_box()
            assert min(box["width"], box["height"]) >= 24
            assert button.inner_text().strip() or button.get_attribute("aria-label") or button.get_attribute("id")
    for image in page.locator("figure img").all():
        assert image.get_attribute("alt")
    assert page.evaluate("[...document.querySelectorAll('input')].every(i => i.labels.length || i.ariaLabel)")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert page.evaluate("document.activeElement !== document.body") and outline == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1280])
def test_axe_finds_nothing(opened, barriers, small, scheme, width):
    page = opened(small[0], "#step=11", width, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_selector("#all table")
    for step in (0, 3, 8, 16):
        page.evaluate("step => show(step)", step)
        if step == 8:
            page.evaluate("overlay('zeros'); list(true)")
        if step == 3:
            page.evaluate("$('menu').open = true")
        if step == 16:
            assert page.is_visible("#rate")
            page.evaluate("list(false); show(at - 1); quiz.on = true; show(at + 1)")
            assert page.is_visible("#ask")
        assert not barriers(page)


def test_hostile_names_stay_text(opened):
    name = "</script><script>document.body.id='taken'</script><b>\"'\\u003c🦆" + "n" * 10_000
    w = ag.Tensor(np.ones((2, 2)), True, name)
    page = opened(ag.sum(w * w).graph().page(), width=390)
    for step in page.evaluate("facts.steps.keys().toArray()"):
        page.evaluate("step => show(step)", step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.body.id") == "" and page.locator("#content b b").count() == 0
    assert card(page, f"g_{name[:39]}…").locator("figcaption").get_attribute("title") == name


def test_it_plays_in_the_sandbox_of_a_notebook(browser, small, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content('<iframe sandbox="allow-scripts" width="900" height="700"></iframe>')
    page.evaluate("text => { document.querySelector('iframe').srcdoc = text; }", small[0])
    frame = page.frame_locator("iframe")
    frame.locator("#next").click()
    assert frame.locator("#sentence").inner_text().startswith("Your code gives x @ w no name") and not errors
    context.close()


def test_five_thousand_operations_open_and_step(opened):
    def chain(x, w):
        for _ in range(2500):
            x = ag.tanh(x) * w
        return ag.sum(x)

    page = opened(ag.trace(chain, np.ones(3), ag.Tensor(np.ones(3), True, "w")).page())
    page.keyboard.press("r")
    assert page.locator("#rows li").count() == 5001 and page.locator("*").count() < 16_000
    page.keyboard.press("End")
    assert where(page) == "Update"
    page.keyboard.press("ArrowLeft")
    assert page.locator("figure").count() < 20
    assert page.inner_text("#sentence").count("this is share 2,500 of 2,500.") == 1
