"""Photographs the player, a report and the live page in Chromium, into its folder: ``python docs/photograph.py``.

The live page needs Pyodide, in the folder that ``AUTOGRAD_CNN_PYODIDE`` names.
"""

import os
import shutil
import subprocess
import sys
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


def clip(browser: Browser, folder: Path) -> None:
    """The demo of the chain rule in some twelve seconds: walk to the last step back, drag an input, take steps."""
    page = browser.new_page(viewport={"width": 1100, "height": 720})
    page.goto((folder / "chain_rule.html").as_uri())
    page.wait_for_selector("body.ready")
    shots, times = [], []

    def shoot(milliseconds: int) -> None:
        page.wait_for_timeout(400)  # animations end
        shots.append(Image.open(BytesIO(page.screenshot())).convert("RGB"))
        times.append(milliseconds)

    shoot(1200)
    while page.inner_text("#where") != "How does the loss change with x and y?":
        page.keyboard.press("ArrowRight")
        shoot(400)
    plot = page.locator("#formulas svg").last
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for part in (0.5, 0.42, 0.34, 0.26, 0.34, 0.5, 0.62, 0.74, 0.86, 0.74, 0.6):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] / 2)
        shoot(150)
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    shoot(1000)
    for _ in range(4):
        page.click("#take")
        shoot(800)
    colours = shots[-6].quantize(128)  # of one picture for all: else they flicker
    first, *others = [shot.quantize(palette=colours, dither=Image.Dither.NONE) for shot in shots]
    first.save(HERE / "player.gif", save_all=True, append_images=others, duration=times, loop=0, optimize=True)


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


def report(browser: Browser, folder: Path) -> None:
    """The upper part of the report of the training with which the README begins."""
    script = HERE.parent / "examples" / "train_cifar10.py"
    run = folder / "runs" / "shapes-standard"
    subprocess.run([sys.executable, script, "--out", run], check=True)
    text = (run / "report.html").read_text("utf-8")
    for own, name in (sys.executable, "python"), (str(script), "examples/train_cifar10.py"), (f"{folder}/", ""):
        text = text.replace(own, name)  # as on any machine
    (run / "report.html").write_text(text, "utf-8")
    save(opened(browser, run / "report.html", 1280), "report.png", 1030)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
        chromium = playwright.chromium.launch(executable_path=path)
        player(chromium, Path(folder))
        clip(chromium, Path(folder))
        report(chromium, Path(folder))
        if "AUTOGRAD_CNN_PYODIDE" in os.environ:
            live_page(chromium, Path(folder))
