"""The page for everyone: dark, small, by keyboard and by ear, without a network, with hostile names."""

import pytest

import autograd_cnn as ag
from studio.pages import card

pytestmark = pytest.mark.slow


def test_dark_and_light_follow_the_system(opened, small):
    colours = [
        opened(small[0], color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 24, 28)"]


@pytest.mark.parametrize("width", [320, 800, 1280])
def test_numbers_are_wrapped_and_not_cut(opened, small, width):
    page = opened(small[0], "#step=12", width=width)
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
    page.evaluate("tab('numbers'); document.querySelectorAll('figure details').forEach((d) => { d.open = true; })")
    for name, fits in ("x", width > 1000), ("w", True), ("u", True), ("v", False):
        box = card(page, name).locator(".numbers")
        line = box.evaluate("(box) => parseFloat(getComputedStyle(box).lineHeight)")
        heights = [row.bounding_box()["height"] for row in box.locator("div").all()]
        assert (max(heights) == line) == fits
        assert box.bounding_box()["height"] % line == 0
        assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
        lefts = [code.bounding_box()["x"] for code in box.locator("div").first.locator("code").all()]
        assert fits or (lefts.count(lefts[0]) == 1 and min(lefts) == lefts[0])  # wrapped lines are indented


def test_no_number_is_broken_at_its_minus(opened, rng):
    page = opened(ag.trace(lambda x: ag.sum(x * x[0]), 1e-7 * rng.normal(size=(9, 9))).page(), "#step=1")
    texts = page.locator("figure code")
    assert texts.count() > 9 and "e−8" in "".join(texts.all_inner_texts())
    for width in range(320, 440, 8):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("tab('numbers')")
        assert texts.evaluate_all("(all) => all.every((text) => text.getClientRects().length === 1)")


def test_a_wrapped_line_is_one_block(opened, cnn_page):
    page = opened(cnn_page[2], width=320)
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).name === 'conv2d'))")
    page.click("#tabs button >> text=code")
    lines = page.locator("#code .rule .line")
    assert lines.count() == page.evaluate("op(facts.steps[at]).rules.length")
    heights = [box["height"] for box in (line.bounding_box() for line in lines.all())]
    assert max(heights) > 30 and lines.first.evaluate("(line) => getComputedStyle(line).borderLeftStyle") == "dashed"
    assert page.evaluate("op(facts.steps[at]).rules") == page.locator(".rule mark").all_inner_texts()


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


def test_without_decompression_a_page_says_why_it_does_not_play(browser, tmp_path):
    (tmp_path / "page.html").write_text(ag.trace(lambda x: x * x, 3.0).page(), encoding="utf-8")
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("document.getElementById('sentence').textContent")
    assert page.inner_text("#sentence").startswith("This page is packed, and this browser cannot unpack it")
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


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (380, "dark")])
def test_axe_finds_nothing(opened, barriers, small, cnn_page, scheme, width):
    page = opened(small[0], "#step=11", width, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for step, before in (0, ""), (3, "$('menu').showPopover()"), (8, ""), (16, ""):
        page.evaluate(f"{before}; show({step})")
        assert not barriers(page)
    assert page.is_visible("#update input")
    page.evaluate("show(at - 1); quiz.on = true; show(at + 1)")
    assert page.is_visible("#ask") and not barriers(page)
    page = opened(cnn_page[2], "", width, color_scheme=scheme, bypass_csp=True)
    for kind, name in ("forward", "conv2d"), ("forward", "max_pool2d"), ("backward", "conv2d"), ("backward", "matmul"):
        page.evaluate(f"show(facts.steps.findIndex((s) => s.kind === '{kind}' && op(s).name === '{name}'))")
        assert not barriers(page)


def test_it_plays_in_the_sandbox_of_a_notebook(browser, small, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content('<iframe sandbox="allow-scripts" width="900" height="700"></iframe>')
    page.evaluate("text => { document.querySelector('iframe').srcdoc = text; }", small[0])
    frame = page.frame_locator("iframe")
    frame.locator("#next").click()
    assert frame.locator("#sentence").inner_text().startswith("matmul is the result of x @ w on line") and not errors
    context.close()
