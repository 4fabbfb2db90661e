"""The report in a browser: it fits wide and narrow windows, asks for nothing, and the player starts in it."""

import pytest

from studio.training.reports import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run"))
    run.write()
    return run.folder.path / "report.html"


@pytest.fixture
def opened(browser, report):
    """Open the report; afterwards, check that it requested nothing else and logged no error."""
    contexts, requests, logged = [], [], []

    def open_(width=1280, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        contexts[-1].on("request", lambda request: requests.append(request.url))
        contexts[-1].on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    outside = [url for url in requests if not url.startswith(("data:image/", "blob:"))]
    assert outside == [report.as_uri()] * len(contexts) and not logged


@pytest.mark.parametrize("width", [1280, 380, 320])
def test_the_page_scrolls_in_one_direction_only(opened, width):
    page = opened(width)
    for place in page.locator("summary").all():
        if place.is_visible():
            place.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate("[...document.querySelectorAll('.chart img')].map((i) => i.naturalWidth && i.width)")
    assert len(wide) == 2 and min(wide) >= min(width - 40, 500)  # decoded, and as wide as there is room
    sizes = "[...document.querySelectorAll('.ladder text, .ladder tspan')].map((t) => getComputedStyle(t).fontSize)"
    assert {*page.evaluate(sizes)} <= {"11px", "14px"}  # its own: the page's styles do not reach into the picture


def test_the_player_starts_when_its_place_is_opened(opened):
    page = opened()
    assert len(page.frames) == 2 and not page.frames[1].query_selector("body.ready")
    page.locator("#player > summary").click()
    player = page.frame_locator("#player iframe")
    player.locator("body.ready").wait_for()
    player.locator("#next").click()
    assert "Slides filters" in player.locator("#sentence").inner_text()


def test_the_player_opens_in_a_tab_of_its_own(opened):
    page = opened()
    page.locator("#player > summary").click()
    with page.expect_popup() as popup:
        page.locator("#alone").click()
    popup.value.wait_for_selector("body.ready")
    assert popup.value.locator("#next").is_enabled()


def test_charts_are_drawn_for_light_ground_and_turned_for_dark(opened):
    """Black on white becomes white on black, and blue stays blue."""
    for scheme, turned in ("light", "none"), ("dark", "invert(1) hue-rotate(180deg)"):
        page = opened(color_scheme=scheme)
        assert page.locator(".chart img").first.evaluate("(image) => getComputedStyle(image).filter") == turned


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (380, "dark")])
def test_axe_finds_nothing(opened, barriers, scheme, width):
    page = opened(width, color_scheme=scheme, bypass_csp=True)  # axe is a script that the policy forbids
    assert barriers(page) == []
