"""The report and its player in a browser: no text leaves its box, nothing is requested, and the player starts in it."""

import pytest

import autograd_cnn as ag
from studio.pages import CUT
from studio.training.reports import Run, figures

pytestmark = pytest.mark.slow

LOOKS = [(width, scheme) for width in (390, 900, 1280, 1920) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run, with `report.html`, and `net.html` of two moments."""
    run = Run(tmp_path_factory.mktemp("run"))
    moments = ag.report.Moments(run.folder.model(), ag.cross_entropy, run.images, run.labels)
    moments(figures(1))
    run.write(moments=moments)
    return run.folder.path


@pytest.fixture
def opened(browser, folder):
    """Open a page of the folder; afterwards, check that it requested nothing else and logged no error."""
    contexts, requests, logged, pages = [], [], [], []

    def open_(width=1280, name="report.html", **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options))
        pages.append((folder / name).as_uri())
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        contexts[-1].on("request", lambda request: requests.append(request.url))
        contexts[-1].on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(pages[-1])
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith(("data:image/", "blob:"))] == pages and not logged


def unfold(page):
    """Open all that is closed, and wait for the player."""
    page.evaluate("document.querySelectorAll('details').forEach((panel) => (panel.open = true))")
    page.frame_locator("#player iframe").locator("body.ready").wait_for()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_no_text_of_the_report_leaves_its_box(opened, width, scheme):
    page = opened(width, color_scheme=scheme)
    unfold(page)
    assert [frame.evaluate(CUT) for frame in page.frames] == [[], []]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate("(i => i.naturalWidth && i.width)(document.querySelector('.chart img'))")
    assert wide >= 600  # decoded, and wide enough to be read: a phone scrolls it


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_no_text_of_the_player_leaves_its_box(opened, width, scheme):
    page = opened(width, "net.html", color_scheme=scheme)
    page.wait_for_selector("body.ready")
    page.evaluate("document.querySelectorAll('main details').forEach((panel) => (panel.open = true))")
    found = page.evaluate(f"facts.steps.map((_, step) => [step, (show(step), ({CUT})())])")
    assert len(found) > 10 and not [(step, cut) for step, cut in found if cut]


def test_the_finder_sees_a_text_that_leaves_its_box(opened):
    """A style of the page that reaches into the ladder, and a word that is wider than its cell."""
    page = opened(bypass_csp=True)
    page.add_style_tag(content=".quiet { font-size: 0.87rem !important; }")
    page.evaluate("document.querySelector('dd').textContent = 'wide'.repeat(99)")
    found = page.evaluate(CUT)
    assert any(text.startswith("text quiet is cut: ") for text in found)
    assert any(text.startswith("DD null is cut: ") for text in found)


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
