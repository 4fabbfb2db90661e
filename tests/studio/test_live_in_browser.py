"""The live page in a browser, offline from one file: edit, run, step; and every primitive under WebAssembly."""

import os

import pytest

from autograd_cnn.studio.live import page as live

if "AUTOGRAD_CNN_PYODIDE" not in os.environ:
    pytest.skip(
        f"AUTOGRAD_CNN_PYODIDE names no folder with Pyodide {live.VERSION} and its NumPy", allow_module_level=True
    )
pytestmark = pytest.mark.slow


WRONG = """
import numpy as np
import autograd_cnn as ag

print("so far")
ag.Tensor(np.ones((2, 3))) @ np.ones((2, 3))
"""
REQUEST = """
import js

request = js.XMLHttpRequest.new()
request.open("GET", "https://example.org/", False)
request.send()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "live.html"
    live.write(path, offline=True)
    return path


@pytest.fixture(scope="module")
def opened(browser, file):
    """Open the page from the disk; afterwards, check that it requested nothing and logged no error."""
    contexts, requests, refused, logged = [], [], [], []

    def open_(fragment="", width=1280, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)  # other work may go on beside the tests
        contexts[-1].on("request", lambda request: requests.append(request.url))
        contexts[-1].on("requestfailed", lambda request: refused.append((request.url, request.failure)))
        contexts[-1].on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.goto(file.as_uri() + fragment)
        return page

    yield open_
    for context in contexts:
        context.close()
    outside = {url.partition("#")[0] for url in requests if not url.startswith(("data:image/png", "blob:"))}
    assert outside - {"https://example.org/"} == {file.as_uri()} and not logged
    assert set(refused) <= {("https://example.org/", "csp")}  # of the program that tries: the policy stopped it


@pytest.fixture(scope="module")
def page(opened):
    """The page, with Python started once for all tests that leave it running."""
    page = opened()
    page.wait_for_selector("[data-state=ready]:has(#player:not([hidden]))")
    return page


def run(page, source):
    """Run a program with the keyboard, and wait until it has ended."""
    page.fill("#code", source)
    page.press("#code", "Control+Enter")
    page.wait_for_selector("[data-state=ready]")


def player_with(page, text):
    """The player, once it shows `text`: the frame may have the one before for a moment."""
    player = page.frame_locator("#player iframe")
    player.locator("body.ready", has_text=text).wait_for()
    return player


def test_the_first_example_runs_by_itself_and_the_player_steps(page):
    page.select_option("#example", index=1)
    page.wait_for_selector("[data-state=ready]")
    page.select_option("#example", index=0)
    page.wait_for_selector("[data-state=ready]")
    assert page.inner_text("#status").startswith("Done after")
    player = player_with(page, "0.4428")
    before = player.locator("#where").inner_text()
    player.locator("#next").click()
    assert player.locator("#where").inner_text() != before


@pytest.mark.parametrize("i", range(len(live.EXAMPLES)))
def test_every_example_shows_its_player(page, i):
    page.select_option("#example", index=i)
    page.wait_for_selector("[data-state=ready]")
    assert page.is_hidden("#error") and page.is_visible("#player")
    player_with(page, "live.py")


def test_a_changed_program_has_another_loss(page):
    page.select_option("#example", index=0)
    page.wait_for_selector("[data-state=ready]")
    run(page, page.input_value("#code").replace("0.5, 1.2", "0.25, 1.2"))
    player_with(page, "0.6991")  # exp(-(sin(0.3) + 0.0625))


def test_an_error_has_our_message_and_marks_its_line(page):
    run(
        page,
        WRONG,
    )
    assert "matmul: (2, 3) @ (2, 3): 3 is not 2" in page.inner_text("#error") and "live.py:6" in page.inner_text(
        "#error"
    )
    assert page.inner_text("#numbers mark") == "6" and page.inner_text("#output pre") == "so far\n"
    assert page.evaluate("getComputedStyle(code).backgroundImage").startswith("linear-gradient")
    assert page.is_hidden("#player") and page.get_attribute("#code", "aria-invalid") == "true"
    page.click("#place")
    assert page.evaluate("code.value.slice(code.selectionStart, code.selectionEnd)").startswith("ag.Tensor(")
    page.keyboard.press("End")
    page.keyboard.type("#")
    assert page.is_hidden("#error") and not page.query_selector("#numbers mark")


def test_tab_indents_and_escape_leaves(page):
    page.fill("#code", "if 1:\nx")
    page.press("#code", "Tab")
    assert page.input_value("#code") == "if 1:\nx   "
    page.press("#code", "Control+a")
    page.press("#code", "Tab")
    assert page.input_value("#code") == "    if 1:\n    x   "
    page.press("#code", "Shift+Tab")
    assert page.input_value("#code") == "if 1:\nx   "
    page.press("#code", "Control+z")
    assert page.input_value("#code") == "    if 1:\n    x   "
    page.fill("#code", "def f():")
    page.keyboard.press("End")
    page.keyboard.type("\nreturn 1\n2")
    assert page.input_value("#code") == "def f():\n    return 1\n    2"
    assert page.inner_text("#numbers").split() == ["1", "2", "3"]
    page.press("#code", "Escape")
    page.press("#code", "Shift+Tab")
    assert page.evaluate("document.activeElement.id") != "code"
    assert page.input_value("#code") == "def f():\n    return 1\n    2"


def test_a_program_cannot_reach_the_network(page):
    run(
        page,
        REQUEST,
    )
    assert "NetworkError" in page.inner_text("#error")
    run(page, "import urllib.request\nurllib.request.urlopen('https://example.org/')")
    assert page.is_visible("#error")


def test_a_link_carries_a_program_which_waits_for_its_reader(opened, page):
    page.fill("#code", "print('Grüße ✓')\n")
    page.click("#link")
    page.wait_for_url(lambda url: "#code=" in url)  # a function that waits in the page would be refused by its policy
    other = opened(page.evaluate("location.hash"))
    other.wait_for_selector("[data-state=ready]")
    assert other.input_value("#code") == "print('Grüße ✓')\n" and other.is_hidden("#output")
    other.click("#run")
    other.wait_for_selector("#output:not([hidden])")
    assert other.inner_text("#output pre") == "Grüße ✓\n"


def test_a_loop_without_end_is_stopped(opened):
    page = opened("#code=nothing")
    assert "damaged" in page.inner_text("#error")
    page.fill("#code", "print('on')\nwhile True: pass")
    page.click("#run")  # while Python starts
    page.wait_for_selector("#output:not([hidden])")
    page.click("#stop")
    assert page.inner_text("#error pre") == "Stopped"
    page.wait_for_selector("[data-state=ready]")
    run(page, "print(6 * 7)")
    assert page.inner_text("#output pre") == "42\n"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (380, "dark")])
def test_the_page_fits_and_axe_finds_nothing(opened, barriers, scheme, width):
    page = opened("", width, color_scheme=scheme, bypass_csp=True)  # axe is a script that the policy forbids
    page.wait_for_selector("[data-state=ready]:has(#player:not([hidden]))")
    run(page, page.input_value("#code") + "\nprint(1)\n1 / 0")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert barriers(page) == []


CONFORMANCE = """
from autograd_cnn.calculus.check import conformance
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry

primitives = {p.name: p for p in registry.values() if isinstance(p, Primitive)}
failed, absent = [], 0
for name, primitive in primitives.items():
    try:
        conformance(primitive)
    except ImportError as error:
        absent += "scipy" in str(error) and (name.startswith("special.") or name == "sparse_matmul")
    except Exception as error:
        failed.append(f"{name}: {error}")
print(len(primitives) - len(failed) - absent, absent, len(primitives), *failed, sep="\\n")
"""


def test_every_primitive_conforms_under_webassembly(page):
    page.set_default_timeout(600_000)
    run(page, CONFORMANCE)
    assert page.is_hidden("#error")
    right, absent, total, *failed = page.inner_text("#output pre").strip().split("\n")
    print(right, absent, total)
    assert failed == [] and int(right) + int(absent) == int(total) and int(right) > 100  # SciPy is not in the page
