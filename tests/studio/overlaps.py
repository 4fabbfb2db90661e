"""Finds what overlaps in a ladder, from its SVG and the facts of its page."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

from autograd_cnn.studio.picture.layout import wide
from studio.pages import facts_of

SVG = "{http://www.w3.org/2000/svg}"
UP, DOWN = 8.5, 2.7  # of a text, from its baseline, at 11 points


def around(text, words):
    """The rectangle of a text that shows `words`."""
    x, y, width = float(text.get("x")), float(text.get("y")), wide(words)
    left = x - {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")] * width
    return left, y - UP, left + width, y + DOWN


def rectangle(rect):
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def meet(a, b, slack=0.05):
    return a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack


def overlaps(svg, wires=(), values=None):
    """Return what crosses a text, or a box, in an `svg`; a page adds numbers and images of `values` to its `wires`."""
    root = ET.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    boxes, lines, complaints, wires, shapes = [], [], [], iter(wires), {}
    texts = [(t.text, around(t, t.text)) for t in root.findall(f"{SVG}text")]
    for group in root.findall(f"{SVG}g"):
        own = [(t, "".join(t.itertext())) for t in group.findall(f"{SVG}text")]
        path = group.find(f"{SVG}path[@class]")
        rect = group.find(f"{SVG}rect")
        if rect is not None and "frame" not in rect.get("class").split():
            boxes.append((own[0][1], rectangle(rect)))
            for text, words in own:
                (left, top, right, bottom), (l2, t2, r2, b2) = around(text, words), boxes[-1][1]
                if left < l2 or right > r2 or top < t2 or bottom > b2:
                    complaints.append(f"{words} does not fit into its box")
            continue
        if rect is not None:
            left, top, right, bottom = rectangle(rect)
            corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            lines += [("frame", *ends) for ends in pairwise(corners)]
        elif path is not None and "wire" in path.get("class"):
            points = [tuple(map(float, p.split())) for p in re.split("[ML]", path.get("d"))[1:]]
            lines += [(path.get("class"), *ends) for ends in pairwise(points)]
            value = next(wires, ("", "", ""))[2]
            if value:
                back, facts = "backward" in path.get("class"), [v[value] for v in values]
                looks = [fact.get("gradient" if back else "array") or {} for fact in facts]
                numbers = [look["number"] for look in looks if "number" in look]
                text, name = own[0]
                longest = max(numbers, key=len, default="")
                own[0] = text, f"{name} = {longest}" if back and longest else max(name, longest, key=len)
                shapes.setdefault(value, own[1] if len(own) > 1 else None)
                if shapes[value] and not numbers:
                    x, y = (float(shapes[value][0].get(place)) for place in "xy")
                    far = 3.41 * len(shapes[value][1]) + 4
                    left = x + far if back else x - far - 18
                    boxes.append((f"image of {name}", (left, y - 13, left + 18, y + 5)))
        texts += [(words, around(text, words)) for text, words in own]
        marks = [[float(mark.get(place)) for place in ("cx", "cy")] for mark in group.findall(f".//{SVG}circle")]
        texts += [("mark", (x - 3, y - 3, x + 3, y + 3)) for x, y in marks]
    complaints += [f"{a} on {b}" for (a, one), (b, two) in combinations(texts, 2) if meet(one, two)]
    air = {name: -1.5 * (not name.startswith("image")) for name, _ in boxes}
    complaints += [f"{a} in or at the box {b}" for a, one in texts for b, two in boxes if meet(one, two, air[b])]
    complaints += [f"box {a} on box {b}" for (a, one), (b, two) in combinations(boxes, 2) if meet(one, two)]
    for kind, (x, y), (x2, y2) in lines:
        line = min(x, x2) - 0.6, min(y, y2) - 0.6, max(x, x2) + 0.6, max(y, y2) + 0.6
        inner = min(x, x2), min(y, y2), max(x, x2), max(y, y2)
        complaints += [f"{kind} crosses {words}" for words, text in texts if words != "mark" and meet(line, text)]
        if kind != "frame":
            complaints += [f"{kind} enters {name}" for name, box in boxes if meet(inner, box, 0.2)]
    for name, (left, top, right, bottom) in texts + boxes:
        if left < 0 or top < 0 or right > width or bottom > height:
            complaints.append(f"{name} is cut off")
    return complaints


def overlaps_of(page):
    """Return what overlaps in the drawings of a page at all depths, with its numbers and images at all moments."""
    data = facts_of(page)
    values = [frame["values"] for frame in data["frames"]]
    drawn = re.search(r'<div id="picture".*?>(<svg.*?)</div>', page, re.DOTALL)
    svgs = re.findall(r"<svg.*?</svg>", drawn[1], re.DOTALL) if drawn else []
    return [
        f"picture {k}: {complaint}"
        for k, (svg, picture) in enumerate(zip(svgs, data["pictures"], strict=True))
        for complaint in overlaps(svg, picture["wires"], values)
    ]
