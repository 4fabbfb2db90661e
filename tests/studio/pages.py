"""Reads the facts that a page of the player contains, and finds its parts in a browser."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

CUT = (Path(__file__).parent / "cut.js").read_text(encoding="utf-8")  # finds texts outside of their boxes


class Page(HTMLParser):
    """The elements of HTML, which are nested rightly: tag, attributes and texts of each; texts by tag, id and class."""

    VOID = ("meta", "img", "br", "input", "link")

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.found = [], {}, []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes, ended=False):
        self.found.append((tag, dict(attributes), []))
        if tag not in self.VOID and not ended:
            self.open.append(self.found[-1])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes, ended=True)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, texts in self.open:
            texts.append(data)
        for place in {part for tag, a, _ in self.open for part in (tag, a.get("id"), a.get("class"))}:
            self.texts.setdefault(place, []).append(data)

    def all(self, tag):
        """The attributes and the text of each element of that kind."""
        return [(attributes, "".join(texts)) for t, attributes, texts in self.found if t == tag]

    @property
    def tags(self):
        return [tag for tag, *_ in self.found]

    @property
    def active(self):
        """The attributes that could run a script: (tag, name, value)."""
        pairs = [(tag, *pair) for tag, attributes, _ in self.found for pair in attributes.items()]
        return [each for each in pairs if each[1].startswith("on") or "script:" in (each[2] or "")]


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
    page.click("#more")
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
