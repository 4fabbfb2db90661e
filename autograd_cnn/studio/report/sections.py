"""Writes the sections of the page on what the model does with images: filters, maps, mistakes, confusions.

Each section shows pictures, and the same facts as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autograd_cnn.studio.report.facts import Array, Facts, Table, digits, mistakes_table, pairs_table
from autograd_cnn.studio.report.markup import clean, details, quiet, table
from autograd_cnn.studio.report.network import Layer, stages
from autograd_cnn.studio.report.pictures import filters, heat, maps, photo
from autograd_cnn.studio.text import shape_text

FILTERS, MAPS, MISTAKES, LISTED = 128, 16, 24, 200
CLASSES = 20  # classes of which a table has a column each
STEPS = 4  # of the ramp of errors


def filters_and_maps(layers: Sequence[Layer], image: Array, name: str) -> str:
    """Return the filters of the first convolution, and the maps of the first ones for an image with this name."""
    return f"{_filters(layers[0])}<h3>Feature maps of {clean(name)}</h3>\n{_maps(layers, image, name)}"


def _filters(layer: Layer) -> str:
    height, width, colours, count = layer.weights.shape
    if colours not in (1, 3):
        return ""
    shown = filters(layer.weights[..., :FILTERS])
    words = f"{len(shown)} filters" if len(shown) == count else f"{len(shown)} of {count} filters"
    label = f"{words} of {layer.name}, {height} × {width} pixels, {'colours' if colours == 3 else 'grey'}"
    norms = np.sqrt((layer.weights.astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
    means = layer.weights.mean(axis=(0, 1))
    rows = [[f"{i}", digits(norms[i]), *map(digits, means[:, i])] for i in range(count)]
    numbers = Table(["filter", "norm", *(["red", "green", "blue"] if colours == 3 else ["grey"])], rows)
    return (
        f"<h3>{clean(label)}</h3>{_tiles(shown, label)}{quiet('Each filter on a scale of its own: grey is 0.')}"
        f"{details('Norm and mean weights of each filter', table(numbers))}"
    )


def _maps(layers: Sequence[Layer], image: Array, name: str) -> str:
    numbers = Table(["maps", "shape", "least", "mean", "greatest", "zeros", "channels all 0"], [])
    parts = []
    for title, array in stages(layers):
        height, width, count = array.shape
        pictures = maps(array, MAPS)
        most = f"{len(pictures)} of {count} channels" if len(pictures) < count else f"{count} channels"
        label = f"{title}: {most}, {height} × {width}"
        parts.append(f"{quiet(label)}{_tiles(pictures, label)}")
        empty = f"{np.count_nonzero((array == 0).all(axis=(0, 1)))} of {count}"
        row = [title, shape_text(array.shape), *map(digits, (array.min(), array.mean(), array.max()))]
        numbers.rows.append([*row, f"{np.mean(array == 0):.0%}", empty])
    return (
        f'<div class="maps"><img src="{photo(image)}" alt="{clean(name)}"><div>{"".join(parts)}</div></div>\n'
        f"{quiet('The channels that vary most, each from its least value, black, to its greatest.')}"
        f"{details('Numbers of these maps', table(numbers))}"
    )


def _tiles(addresses: Sequence[str], label: str) -> str:
    images = "".join(f'<img src="{address}" alt="">' for address in addresses)
    return f'<div class="tiles" role="img" aria-label="{clean(label)}">{images}</div>\n'


def mistakes(facts: Facts, images: Array) -> str:
    """Return the mistakes that the model made with most confidence, as pictures and as a table."""
    names, wrong, total = facts.classes, facts.mistakes, len(facts.labels)
    if not wrong:
        return f"<p>None of the {total:,} test images is wrong.</p>\n"
    shots = []
    for m in wrong[:MISTAKES]:
        guess, label = clean(names[m.guess]), clean(names[m.label])
        image = f'<img src="{photo(images[m.index])}" alt="test image {m.index}, {label}">'
        shots.append(f"<li>{image}<span><b>{guess}</b> {m.confidence:.1%}<br>is {label} {m.chance:.1%}</span></li>")
    listed = f"the first {LISTED}" if len(wrong) > LISTED else "all"
    return (
        f"<p>{len(wrong):,} of {total:,} test images are wrong. These are the ones of which the model was surest: what "
        "it says, what it is, and the probability that it gives to each.</p>\n"
        f'<ul class="shots">{"".join(shots)}</ul>\n'
        f"{details(f'As a table: {listed}', table(mistakes_table(facts, LISTED)))}"
    )


def confusions(facts: Facts) -> str:
    """Return the confusion matrix, the pairs of classes that are confused most, and the figures of each class."""
    count = len(facts.classes)
    pairs = pairs_table(facts, 10 if count <= CLASSES else 24)
    return (
        f'<div class="grid"><div><h3>The image shows (row), the model says (column)</h3>{_matrix(facts)}</div>\n'
        f"<div><h3>Confused most</h3>{table(pairs) if pairs.rows else '<p>No image is wrong.</p>'}</div></div>\n"
        f"{details(f'Each of the {count} classes', table(_of_classes(facts)))}"
    )


def _of_classes(facts: Facts) -> Table:
    c, names = facts.result.confusion, facts.classes
    found = Table(
        ["class", "images", "right", "found (recall)", "right when it says so (precision)", "taken most for"], []
    )
    for i, name in enumerate(names):
        wrong = np.where(np.arange(len(c)) == i, 0, c[i])
        other = int(wrong.argmax())
        taken = f"{names[other]} ({wrong[other]:,})" if wrong[other] else ""
        shares = [f"{c[i, i] / total:.1%}" if total else "" for total in (c[i].sum(), c[:, i].sum())]
        found.rows.append([name, f"{c[i].sum():,}", f"{c[i, i]:,}", *shares, taken])
    return found


def _matrix(facts: Facts) -> str:
    """Return the matrix as a table, or as a picture of many classes; the darker a cell, the more frequent the error."""
    c, names = facts.result.confusion, [clean(name) for name in facts.classes]
    shares = c / np.maximum(c.sum(axis=1, keepdims=True), 1)
    if len(c) > CLASSES:
        label = f"Confusion matrix of {len(c)} classes; numbers of each class in the table below"
        return f'<img class="matrix" src="{heat(shares)}" alt="{label}">'
    errors = shares * (1 - np.eye(len(c)))
    steps = np.minimum(STEPS * errors / max(float(errors.max()), 1e-12), STEPS - 1).astype(int)
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        kinds = ["right" if i == j else f"error{steps[i, j]}" if count else "none" for j, count in enumerate(c[i])]
        cells = [f'<td class="{kind}">{count or ""}</td>' for kind, count in zip(kinds, c[i], strict=True)]
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>\n')
    head = f'<thead><tr><th scope="col">is</th>{heads}</tr></thead>'
    return f'<table class="confusion">{head}\n<tbody>{"".join(rows)}</tbody></table>'
