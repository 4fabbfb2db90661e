"""Reads the facts that a page of the player contains, and finds its parts in a browser."""

import base64
import json
import re
import zlib

import numpy as np


def facts_of(html):
    data = re.search(r'<script type="application/octet-stream" id="facts">(.*?)<', html, re.DOTALL)[1]
    return json.loads(zlib.decompress(base64.b64decode(data)))


def visible(text):
    """The text that a reader sees: numbers with four digits."""
    return "".join(
        piece if isinstance(piece, str) else piece[0] for piece in ([text] if isinstance(text, str) else text)
    )


def cards(page, name):
    """Figures whose caption begins with `name`."""
    return page.locator("figure").filter(has=page.locator("figcaption > b", has_text=name))


def card(page, name):
    (found,) = [f for f in cards(page, name).all() if f.locator("figcaption > b").inner_text() == name]
    return found


def exact_numbers(text):
    """All numbers of a text, with all their digits."""
    return [float(piece[-1].replace("−", "-")) for piece in text if isinstance(piece, list)]


def where(page):
    return page.evaluate("title(facts.steps[at])")


def choose(page, button):
    """Click a button of the menu."""
    page.click("#menu summary")
    page.click(button)


def elements(figure):
    return np.array(figure.locator(".numbers").text_content().split(), np.float32)
