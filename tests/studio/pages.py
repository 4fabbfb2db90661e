"""Reads the facts that a page of the player contains, and finds its parts in a browser."""

import base64
import json
import re
import zlib

import numpy as np


def facts_of(html):
    data = re.search(r'<script type="application/octet-stream" id="facts">(.*?)<', html, re.DOTALL)[1]
    return json.loads(zlib.decompress(base64.b64decode(data)))


def numbers(text):
    """The numbers of a text, but for those of names and places."""
    words = re.sub(r"\[[^]]*\]|(?<!\w)[A-Za-z_]\w*", " ", text)
    found = re.findall(r"(?<![\w.])−?\d[\d,]*(?:\.\d+)?(?:e[+−]\d+)?", words)
    return [float(number.replace("−", "-").replace(",", "")) for number in found]


def cards(page, name):
    """Figures whose caption begins with `name`."""
    return page.locator("figure").filter(has=page.locator("figcaption > b", has_text=name))


def card(page, name):
    (found,) = [f for f in cards(page, name).all() if f.locator("figcaption > b").inner_text() == name]
    return found


def where(page):
    """The step that is shown: ``h → tanh``, or ``rule of tanh → g_h``."""
    return page.evaluate("""() => {
        const step = facts.steps[at];
        if (step.op < 0) return { begin: "Start", loss: "Loss", end: "Update", failed: "Error" }[step.kind];
        const { name, output, learns } = op(step);
        if (step.kind === "forward") return `${name} → ${value(output).name}`;
        return `rule of ${name} → ${learns.map(gradientOf).join(", ")}`;
    }""")


def choose(page, button):
    """Click a button of the menu."""
    page.click("#menu summary")
    page.click(button)


def elements(figure):
    return np.array(figure.locator(".numbers").text_content().split(), np.float32)


def load(context, path, text, fragment=""):
    """Write a page's text into a file, and open it in a context of a browser."""
    path.write_text(text, encoding="utf-8")
    page = context.new_page()
    page.set_default_timeout(60_000)  # other work may go on beside the tests
    page.goto(path.as_uri() + fragment)
    page.wait_for_selector("body.ready")
    return page
