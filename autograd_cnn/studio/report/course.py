"""Writes the sections of the page on the training itself: loss, accuracy, rate, time, and what became of each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from autograd_cnn.studio.report.charts import Array, Axis, Clock, Line, axis_of, chart, spark
from autograd_cnn.studio.report.facts import Facts, count_of, passes_table
from autograd_cnn.studio.report.sections import clean, details, table


def course(facts: Facts) -> str:
    """Return charts of loss, accuracy, rate and time against passes and minutes, and the table of passes."""
    epochs, ends = facts.epochs, facts.passes
    if not epochs:
        return "<p>No pass was completed.</p>\n"
    clock = Clock(np.append(0.0, ends), np.append(0.0, np.cumsum([epoch.seconds for epoch in epochs]) / 60))

    def line(name: str, attribute: str) -> Line:
        return Line(name, ends, np.array([getattr(epoch, attribute) for epoch in epochs], float))

    steps = np.arange(1, len(facts.history.losses) + 1) * (ends[-1] / max(len(facts.history.losses), 1))
    each = Line("each step", steps, np.array(facts.history.losses, float), dotted=False)
    losses = [line("training", "loss"), line("validation", "validation_loss"), each]
    shares = [line("training", "accuracy"), line("validation", "validation_accuracy")]
    times = [line("time of a whole pass", "seconds"), line("of it waited for data", "waited")]
    parts = np.array([epoch.part for epoch in epochs])
    times = [replace(line, y=line.y / parts) for line in times]
    charts = [
        chart("Loss", losses, clock, lambda x: f"{x:.3g}", log=True),
        chart("Accuracy", shares, clock, lambda x: f"{100 * x:.3g}%", most=1.0),
        chart("Learning rate", [line("rate", "rate")], clock, lambda x: f"{x:.3g}", zero=True),
        chart("Seconds of a pass", times, clock, lambda x: f"{x:.3g}", zero=True),
    ]
    heads, rows = passes_table(facts)
    best = f"the best one, whose weights are kept, is {rows[facts.history.best][0]}"
    passes = details(f"All {len(rows)} passes as a table; {best}", table(heads, rows, marked=facts.history.best))
    return f'<div class="grid">{"".join(charts)}</div>\n{passes}'


def layers(facts: Facts, kernels: set[str]) -> str:
    """Return the gradient norms of weights, and the dead channels and silent units of rectifiers.

    `kernels` are the names of matrices.
    """
    gradients = _columns([epoch.gradients for epoch in facts.epochs])
    dead = _columns([epoch.dead for epoch in facts.epochs])
    silent = _columns([epoch.silent for epoch in facts.epochs])
    shown = {name: numbers for name, numbers in gradients.items() if name in kernels} or gradients
    values = np.concatenate([*shown.values(), np.zeros(0)])
    axis = axis_of(values[values > 0], log=True)
    parts = [
        "<div><h3>Norm of the gradient of each weight</h3>",
        _sparks("weight", shown, axis, lambda x: f"{x:.3g}"),
        f'<p class="quiet">At the last step of each pass; {"one log axis" if axis.log else "one axis"} for all rows, '
        f"{axis.low:.2g} to {axis.high:.2g}.</p></div>\n",
        "<div><h3>Share of dead channels of each rectifier</h3>",
        _sparks("rectifier", dead, Axis(0, 1, False, []), lambda x: f"{x:.1%}"),
        '<p class="quiet">Channels that are 0 for the whole first batch of each pass, 0 to 100%.</p>\n',
    ]
    if silent:
        parts += [
            "<h3>Share of silent units of each rectifier</h3>",
            _sparks("rectifier", silent, Axis(0, 1, False, []), lambda x: f"{x:.1%}"),
            '<p class="quiet">Behind a dense layer, where a unit has one number per image. Units that answer to few '
            "images are among them: only a share that nears 100% is a worry.</p>",
        ]
    parts.append("</div>\n")
    ends = [count_of(at) for at in facts.passes]
    numbers = [[name, *(f"{x:.3g}" for x in row)] for name, row in [*gradients.items(), *dead.items(), *silent.items()]]
    tables = details("All numbers, pass by pass, biases included", table(["gradient norm, dead share", *ends], numbers))
    return f'<div class="grid">{"".join(parts)}</div>\n{tables}'


def _columns(records: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Turn one record of numbers per pass into the numbers of each name, NaN where a pass has none."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([record.get(name, math.nan) for record in records]) for name in names}


def _sparks(head: str, numbers: Mapping[str, Array], axis: Axis, form: Callable[[float], str]) -> str:
    if not numbers:
        return "<p>None.</p>"
    rows = []
    for name, row in numbers.items():
        first, last = (form(float(x)) if math.isfinite(x) else "" for x in (row[0], row[-1]))
        rows.append(
            f'<tr><th scope="row">{clean(name)}</th><td>{spark(row, axis)}</td><td>{first}</td><td>{last}</td></tr>'
        )
    heads = "".join(f'<th scope="col">{text}</th>' for text in (head, "over the passes", "first", "last"))
    inner = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table class="sparks">{inner}</table></div>'
    )
