"""Photographs the player and the live page, in Chromium, into its own folder: ``python docs/photograph.py``.

The live page needs Pyodide, in the folder that ``AUTOGRAD_CNN_PYODIDE`` names.
"""

import os
import shutil
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from autograd_cnn.__main__ import demo
from autograd_cnn.studio.live import page as live

HERE = Path(__file__).resolve().parent


def opened(browser: Browser, file: Path, width: int) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 1040})
    page.set_default_timeout(120_000)
    page.goto(file.as_uri())
    return page


def save(page: Page, name: str, height: int) -> None:
    """Write the upper part of what the window shows, in 256 colours: a third of the bytes."""
    page.wait_for_timeout(1000)  # animations end
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    image.crop((0, 0, image.width, height)).quantize(256).save(HERE / name, optimize=True)


def player(browser: Browser, folder: Path) -> None:
    """The last step back of the demo of a CNN; a narrower window would cut the graph off."""
    demo(folder, show=False)
    page = opened(browser, folder / "cnn.html", 1520)
    page.wait_for_selector("body.ready")
    page.goto(page.url + "#step=31")
    save(page, "player.png", 980)


def live_page(browser: Browser, folder: Path) -> None:
    """The live page's network for spirals, paused in its training."""
    live.write(folder / "live.html", offline=True)
    page = opened(browser, folder / "live.html", 1280)
    page.wait_for_selector("[data-state=ready]")
    page.select_option("#example", index=live.EXAMPLES.index("player/demos/spiral.py"))
    page.wait_for_selector("#curve circle")
    while int(page.inner_text("#count").split(",")[0].removeprefix("step ")) < 150:
        page.wait_for_timeout(100)
    page.click("#go")
    page.frame_locator("#player iframe").locator("body.ready").wait_for()
    page.evaluate("scrollTo(0, 0)")
    save(page, "live.png", 1030)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
        chromium = playwright.chromium.launch(executable_path=path)
        player(chromium, Path(folder))
        if "AUTOGRAD_CNN_PYODIDE" in os.environ:
            live_page(chromium, Path(folder))
