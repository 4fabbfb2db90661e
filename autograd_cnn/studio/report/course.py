"""Writes the sections of the page on the training itself: loss, accuracy, rate, time, and what became of each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from autograd_cnn.studio.report.charts import Axis, Clock, Line, axis_of, chart, spark
from autograd_cnn.studio.report.facts import Array, Facts, Table, count_of, digits, passes_table
from autograd_cnn.studio.report.markup import Html, details, quiet, table

if TYPE_CHECKING:
    from autograd_cnn.training import Epoch


def course(facts: Facts) -> str:
    """Return charts of loss, accuracy, rate and time against passes and minutes, and the table of passes."""
    epochs, ends = facts.epochs, facts.passes
    if not epochs:
        return "<p>No pass was completed.</p>\n"
    clock = Clock(np.append(0.0, ends), np.cumsum([0.0, *(epoch.seconds for epoch in epochs)]))

    def line(name: str, figure: Callable[[Epoch], float]) -> Line:
        return Line(name, ends, np.array([figure(epoch) for epoch in epochs]))

    losses = np.array(facts.history.losses)
    each = Line("each step", np.linspace(0, ends[-1], len(losses) + 1)[1:], losses, dotted=False)
    loss = [line("training", lambda e: e.loss), line("validation", lambda e: e.validation_loss), each]
    accuracy = [line("training", lambda e: e.accuracy), line("validation", lambda e: e.validation_accuracy)]
    rate = [line("rate", lambda e: e.rate)]
    whole = line("time of a whole pass", lambda e: e.seconds / e.part)
    waited = line("of it waited for data", lambda e: e.waited / e.part)
    charts = [
        chart("Loss", loss, clock, digits, log=True),
        chart("Accuracy", accuracy, clock, lambda x: f"{100 * x:.3g}%", end=1.0),
        chart("Learning rate", rate, clock, digits, zero=True),
        chart("Seconds of a pass", [whole, waited], clock, digits, zero=True),
    ]
    passes, best = passes_table(facts), facts.history.best
    summary = f"All {len(epochs)} passes as a table; the best one, whose weights are kept, is {passes.rows[best][0]}"
    return f'<div class="grid">{"".join(charts)}</div>\n{details(summary, table(passes, marked=best))}'


def layers(facts: Facts, weights: set[str]) -> str:
    """Return the gradient norms of weights, and the dead channels and silent units of rectifiers.

    `weights` are the names of the parameters that are matrices or filters.
    """
    gradients = _columns([epoch.gradients for epoch in facts.epochs])
    dead = _columns([epoch.dead for epoch in facts.epochs])
    silent = _columns([epoch.silent for epoch in facts.epochs])
    shown = {name: numbers for name, numbers in gradients.items() if name in weights} or gradients
    values = np.concatenate([*shown.values(), np.zeros(0)])
    axis, share = axis_of(values[values > 0], log=True), Axis(0, 1, False, [])
    scale = f"one {'log ' * axis.log}axis for all rows, {axis.low:.2g} to {axis.high:.2g}"
    left = _sparks("Norm of the gradient of each weight", "weight", shown, axis, digits)
    left += quiet(f"At the last step of each pass; {scale}.")
    right = _sparks("Share of dead channels of each rectifier", "rectifier", dead, share, _percent)
    right += quiet("Channels that are 0 for the whole first batch of each pass, 0 to 100%.")
    if silent:
        right += _sparks("Share of silent units of each rectifier", "rectifier", silent, share, _percent) + quiet(
            "Behind a dense layer, where a unit has one number per image. Units that answer to few images are among "
            "them: only a share that nears 100% is a worry."
        )
    rows = [[name, *map(digits, row)] for name, row in [*gradients.items(), *dead.items(), *silent.items()]]
    numbers = table(Table(["gradient norm, dead share", *map(count_of, facts.passes)], rows))
    grid = f'<div class="grid"><div>{left}</div>\n<div>{right}</div>\n</div>\n'
    return grid + details("All numbers, pass by pass, biases included", numbers)


def _columns(records: Sequence[Mapping[str, float]]) -> dict[str, Array]:
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


def _percent(share: float) -> str:
    return f"{share:.1%}"
