"""Writes the sections of the page on what the model does with images: filters, maps, mistakes, confusions.

Each section shows pictures, and the same facts as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.studio.report.facts import Array, Facts
from autograd_cnn.studio.report.network import Layer, stages
from autograd_cnn.studio.report.pictures import filters, heat, maps, photo
from autograd_cnn.studio.text import plain, shape_text

FILTERS, MAPS, MISTAKES, LISTED = 128, 16, 24, 200
CLASSES = 20  # classes of which a table has a column each
STEPS = 4  # of the ramp of errors
LINE = "\n"


class Html(str):
    """A text that is HTML already."""


def clean(text: object) -> str:
    """Return a text of the user's as HTML."""
    return text if isinstance(text, Html) else escape(plain(str(text)))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "", marked: int | None = None) -> str:
    """Return a table whose first column has the heads of the rows; `marked` is the row of the best pass."""
    head = "".join(f'<th scope="col">{clean(text)}</th>' for text in heads)
    body = []
    for i, (first, *rest) in enumerate(rows):
        cells = "".join(f"<td>{clean(text)}</td>" for text in rest)
        best = ' class="best"' * (i == marked)
        body.append(f'<tr{best}><th scope="row">{clean(first)}</th>{cells}</tr>')
    kind = f' class="{kind}"' if kind else ""
    inner = f"<thead><tr>{head}</tr></thead>\n<tbody>{LINE.join(body)}</tbody>"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table{kind}>{inner}</table></div>'


def details(summary: str, content: str) -> str:
    return f"<details><summary>{clean(summary)}</summary>{content}</details>\n"


def _tiles(addresses: Sequence[str], label: str) -> str:
    images = "".join(f'<img src="{address}" alt="">' for address in addresses)
    return f'<div class="tiles" role="img" aria-label="{clean(label)}">{images}</div>\n'


def seen(layers: Sequence[Layer], image: Array, name: str) -> str:
    """Return the filters of the first convolution, and the maps of the first ones for an image with this name."""
    first = layers[0]
    height, width, colours, count = first.weights.shape
    parts = []
    if colours in (1, 3):
        shown = filters(first.weights[..., :FILTERS])
        words = f"{len(shown)} filters" if len(shown) == count else f"{len(shown)} of {count} filters"
        label = f"{words} of {first.name}, {height} × {width} pixels, {'colours' if colours == 3 else 'grey'}"
        parts += [f"<h3>{clean(label)}</h3>", _tiles(shown, label)]
        parts.append('<p class="quiet">Each filter on a scale of its own: grey is 0.</p>\n')
        strengths = np.sqrt((first.weights.astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
        rows = [
            [f"{i}", f"{strengths[i]:.3g}", *(f"{x:.3g}" for x in first.weights[..., i].mean(axis=(0, 1)))]
            for i in range(count)
        ]
        heads = ["filter", "norm", *(["red", "green", "blue"] if colours == 3 else ["grey"])]
        parts.append(details("Norm and mean weights of each filter", table(heads, rows)))
    parts.append(f"<h3>Feature maps of {clean(name)}</h3>\n")
    parts.append(f'<div class="maps"><img src="{photo(image)}" alt="{clean(name)}"><div>')
    rows = []
    for title, array in stages(list(layers)):
        pictures, channels = maps(array, MAPS)
        count = array.shape[-1]
        most = f"{len(channels)} of {count} channels" if len(channels) < count else f"{count} channels"
        label = f"{title}: {most}, {array.shape[0]} × {array.shape[1]}"
        parts += [f'<p class="quiet">{clean(label)}</p>', _tiles(pictures, label)]
        empty = int((np.abs(array).max(axis=(0, 1)) == 0).sum())
        numbers = [f"{x:.3g}" for x in (array.min(), array.mean(), array.max())]
        rows.append([title, shape_text(array.shape), *numbers, f"{np.mean(array == 0):.0%}", f"{empty} of {count}"])
    parts.append("</div></div>\n")
    parts.append(
        '<p class="quiet">The channels that vary most, each from its least value, black, to its greatest.</p>\n'
    )
    heads = ["maps", "shape", "least", "mean", "greatest", "zeros", "channels all 0"]
    return "".join(parts) + details("Numbers of these maps", table(heads, rows))


def mistakes(facts: Facts, images: Array) -> str:
    """Return the mistakes that the model made with most confidence, as pictures and as a table."""
    names, wrong, total = facts.classes, facts.mistakes, len(facts.labels)
    if not wrong:
        return f"<p>None of the {total:,} test images is wrong.</p>\n"
    shots = []
    for m in wrong[:MISTAKES]:
        label = f"test image {m.index}, {names[m.label]}"
        shots.append(
            f'<li><img src="{photo(images[m.index])}" alt="{clean(label)}"><span><b>{clean(names[m.guess])}</b> '
            f"{m.confidence:.1%}<br>is {clean(names[m.label])} {m.chance:.1%}</span></li>"
        )
    rows = [
        [f"{m.index}", names[m.guess], f"{m.confidence:.1%}", names[m.label], f"{m.chance:.1%}"] for m in wrong[:LISTED]
    ]
    heads = ["test image", "the model says", "confidence", "it is", "probability of that"]
    listed = f"the first {LISTED}" if len(wrong) > LISTED else "all"
    return (
        f"<p>{len(wrong):,} of {total:,} test images are wrong. These are the ones of which the model was surest: what "
        "it says, what it is, and the probability that it gives to each.</p>\n"
        f'<ul class="shots">{"".join(shots)}</ul>\n' + details(f"As a table: {listed}", table(heads, rows))
    )


def confusions(facts: Facts) -> str:
    """Return the confusion matrix, the pairs of classes that are confused most, and the figures of each class."""
    c, names = facts.result.confusion, facts.classes
    few = len(c) <= CLASSES
    matrix = _matrix(c, names) if few else _heat(c)
    pairs = [
        [f"{names[p.first]}, {names[p.second]}", f"{p.count:,}", f"{p.forth:,}", f"{p.back:,}"]
        for p in facts.pairs[: 10 if few else 24]
    ]
    heads = ["pair", "mistakes", "1st as 2nd", "2nd as 1st"]
    most = table(heads, pairs) if pairs else "<p>No image is wrong.</p>"
    each = table(*_of_classes(facts))
    return (
        f'<div class="grid"><div><h3>The image shows (row), the model says (column)</h3>{matrix}</div>\n'
        f"<div><h3>Confused most</h3>{most}</div></div>\n" + details(f"Each of the {len(c)} classes", each)
    )


def _of_classes(facts: Facts) -> tuple[list[str], list[list[str]]]:
    c, names = facts.result.confusion, facts.classes
    rows = []
    for i, name in enumerate(names):
        wrong = np.where(np.arange(len(c)) == i, 0, c[i])
        other = int(wrong.argmax())
        taken = f"{names[other]} ({wrong[other]:,})" if wrong[other] else ""
        shares = [f"{c[i, i] / n:.1%}" if (n := int(total)) else "" for total in (c[i].sum(), c[:, i].sum())]
        rows.append([name, f"{c[i].sum():,}", f"{c[i, i]:,}", *shares, taken])
    return ["class", "images", "right", "found (recall)", "right when it says so (precision)", "taken most for"], rows


def _matrix(c: NDArray[np.int64], names: Sequence[str]) -> str:
    shares = c / np.maximum(c.sum(axis=1, keepdims=True), 1)
    errors = shares * (1 - np.eye(len(c)))
    most = max(float(errors.max()), 1e-12)
    heads = "".join(f'<th scope="col"><span>{clean(name)}</span></th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, count in enumerate(c[i]):
            step = min(STEPS - 1, int(STEPS * errors[i, j] / most))
            kind = "right" if i == j else f"error{step}" if count else "none"
            cells.append(f'<td class="{kind}">{count or ""}</td>')
        rows.append(f'<tr><th scope="row">{clean(name)}</th>{"".join(cells)}</tr>')
    head = f'<thead><tr><th scope="col">is</th>{heads}</tr></thead>'
    return f'<table class="confusion">{head}\n<tbody>{LINE.join(rows)}</tbody></table>'


def _heat(c: NDArray[np.int64]) -> str:
    label = f"Confusion matrix of {len(c)} classes; numbers of each class in the table below"
    shares = c / np.maximum(c.sum(axis=1, keepdims=True), 1)
    return f'<img class="matrix" src="{heat(shares)}" alt="{label}">'
