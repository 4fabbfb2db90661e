"""Writes the sections of the page: the course of the training and of its layers, and what the model does with images.

Each section shows charts or pictures, and the same facts as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from autograd_cnn.studio.report.charts import Axis, Line, axis_of, chart, spark
from autograd_cnn.studio.report.facts import Array, Facts, Table, count_of, digits
from autograd_cnn.studio.report.markup import Html, clean, details, quiet, table
from autograd_cnn.studio.report.network import Layer
from autograd_cnn.studio.report.pictures import filters, heat, maps, photo
from autograd_cnn.studio.text import shape_text

FILTERS, MAPS, MISTAKES, LISTED = 128, 16, 24, 200
CLASSES = 20  # classes of which a table has a column each
STEPS = 4  # of the ramp of errors


def course(facts: Facts) -> str:
    """Return charts of loss, accuracy, rate and time against passes and minutes, and the table of passes."""
    column, ends = facts.column, facts.passes
    if not facts.epochs:
        return "<p>No pass was completed.</p>\n"
    clock = Line("time", np.append(0.0, ends), np.cumsum([0.0, *column("seconds")]))
    losses = np.array(facts.history.losses)
    each = Line("each step", np.linspace(0, ends[-1], len(losses) + 1)[1:], losses, dotted=False)
    loss, accuracy = (
        [Line("training", ends, column(name)), Line("validation", ends, column(f"validation_{name}"))]
        for name in ("loss", "accuracy")
    )
    whole = Line("time of a whole pass", ends, column("seconds") / column("part"))
    waited = Line("of it waited for data", ends, column("waited") / column("part"))
    charts = [
        chart("Loss", [*loss, each], clock, digits, log=True),
        chart("Accuracy", accuracy, clock, lambda x: f"{100 * x:.3g}%", end=1.0),
        chart("Learning rate", [Line("rate", ends, column("rate"))], clock, digits, zero=True),
        chart("Seconds of a pass", [whole, waited], clock, digits, zero=True),
    ]
    passes, best = facts.passes_table(), facts.history.best
    summary = f"All {len(ends)} passes as a table; the best one, whose weights are kept, is {passes.rows[best][0]}"
    return f'<div class="grid">{"".join(charts)}</div>\n{details(summary, table(passes, marked=best))}'


def layers(facts: Facts, weights: set[str]) -> str:
    """Return the gradient norms of weights, and the dead channels and silent units of rectifiers.

    `weights` are the names of the parameters that are matrices or filters.
    """
    gradients, dead, silent = map(_of_each_name, map(facts.column, ("gradients", "dead", "silent")))
    shown = {name: numbers for name, numbers in gradients.items() if name in weights} or gradients
    values = np.concatenate([*shown.values(), np.zeros(0)])
    axis, share, percents = axis_of(values[values > 0], log=True), Axis(0, 1, False, []), "{:.1%}".format
    scale = f"one {'log ' * axis.log}axis for all rows, {axis.low:.2g} to {axis.high:.2g}"
    left = _sparks("Norm of the gradient of each weight", "weight", shown, axis, digits)
    left += quiet(f"At the last step of each pass; {scale}.")
    right = _sparks("Share of dead channels of each rectifier", "rectifier", dead, share, percents)
    right += quiet("Channels that are 0 for the whole first batch of each pass, 0 to 100%.")
    if silent:
        right += _sparks("Share of silent units of each rectifier", "rectifier", silent, share, percents) + quiet(
            "Behind a dense layer, where a unit has one number per image. Units that answer to few images are among "
            "them: only a share that nears 100% is a worry."
        )
    rows = [[name, *map(digits, row)] for name, row in [*gradients.items(), *dead.items(), *silent.items()]]
    numbers = table(Table(["gradient norm, dead share", *map(count_of, facts.passes)], rows))
    grid = f'<div class="grid"><div>{left}</div>\n<div>{right}</div>\n</div>\n'
    return grid + details("All numbers, pass by pass, biases included", numbers)


def _of_each_name(records: Array) -> dict[str, Array]:
    """Turn one record of numbers per pass into the numbers of each name, NaN where a pass has none."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([record.get(name, math.nan) for record in records]) for name in names}


def _sparks(title: str, head: str, numbers: Mapping[str, Array], axis: Axis, form: Callable[[float], str]) -> str:
    rows = []
    for name, row in numbers.items():
        first, last = (form(number) if math.isfinite(number) else "" for number in (row[0], row[-1]))
        rows.append([name, Html(spark(row, axis)), first, last])
    lines = table(Table([head, "over the passes", "first", "last"], rows), "sparks") if rows else "<p>None.</p>"
    return f"<h3>{title}</h3>{lines}"


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
    for title, array in (each for layer in layers for each in layer.maps):
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
        image = f'<img src="{photo(images[m.image])}" alt="test image {m.image}, {label}">'
        shots.append(f"<li>{image}<span><b>{guess}</b> {m.confidence:.1%}<br>is {label} {m.chance:.1%}</span></li>")
    listed = f"the first {LISTED}" if len(wrong) > LISTED else "all"
    return (
        f"<p>{len(wrong):,} of {total:,} test images are wrong. These are the ones of which the model was surest: what "
        "it says, what it is, and the probability that it gives to each.</p>\n"
        f'<ul class="shots">{"".join(shots)}</ul>\n'
        f"{details(f'As a table: {listed}', table(facts.mistakes_table(LISTED)))}"
    )


def confusions(facts: Facts) -> str:
    """Return the confusion matrix, the pairs of classes that are confused most, and the figures of each class."""
    count = len(facts.classes)
    pairs = facts.pairs_table(10 if count <= CLASSES else 24)
    return (
        f'<div class="grid"><div><h3>The image shows (row), the model says (column)</h3>{_matrix(facts)}</div>\n'
        f"<div><h3>Confused most</h3>{table(pairs) if pairs.rows else '<p>No image is wrong.</p>'}</div></div>\n"
        f"{details(f'Each of the {count} classes', table(_of_classes(facts)))}"
    )


def _of_classes(facts: Facts) -> Table:
    c, names = facts.result.confusion, facts.classes
    heads = ["class", "images", "right", "found (recall)", "right when it says so (precision)", "taken most for"]
    found = Table(heads, [])
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
