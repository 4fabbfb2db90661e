"""Writes the sections of the page on the training itself: loss, accuracy, rate, time, and what became of each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from autograd_cnn.studio.report.charts import Array, Axis, Clock, Line, axis_of, chart, spark
from autograd_cnn.studio.report.facts import Facts, count_of, passes_table
from autograd_cnn.studio.report.sections import Html, details, table
from autograd_cnn.training import Epoch


def course(facts: Facts) -> str:
    """Return charts of loss, accuracy, rate and time against passes and minutes, and the table of passes."""
    epochs, ends = facts.epochs, facts.passes
    if not epochs:
        return "<p>No pass was completed.</p>\n"
    clock = Clock(np.append(0.0, ends), np.append(0.0, np.cumsum([epoch.seconds for epoch in epochs]) / 60))

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
        chart("Loss", loss, clock, _digits, log=True),
        chart("Accuracy", accuracy, clock, lambda x: f"{100 * x:.3g}%", end=1.0),
        chart("Learning rate", rate, clock, _digits, zero=True),
        chart("Seconds of a pass", [whole, waited], clock, _digits, zero=True),
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
    axis, share = axis_of(values[values > 0], log=True), Axis(0, 1, False, [])
    scale = f"one {'log ' * axis.log}axis for all rows, {axis.low:.2g} to {axis.high:.2g}"
    left = _sparks("Norm of the gradient of each weight", "weight", shown, axis, _digits)
    right = _sparks("Share of dead channels of each rectifier", "rectifier", dead, share, _percent)
    right += f"{_quiet('Channels that are 0 for the whole first batch of each pass, 0 to 100%.')}\n"
    if silent:
        right += _sparks("Share of silent units of each rectifier", "rectifier", silent, share, _percent)
        right += _quiet(
            "Behind a dense layer, where a unit has one number per image. Units that answer to few images are among "
            "them: only a share that nears 100% is a worry."
        )
    ends = [count_of(at) for at in facts.passes]
    numbers = [[name, *map(_digits, row)] for name, row in [*gradients.items(), *dead.items(), *silent.items()]]
    tables = details("All numbers, pass by pass, biases included", table(["gradient norm, dead share", *ends], numbers))
    at_the_last = _quiet(f"At the last step of each pass; {scale}.")
    return f'<div class="grid"><div>{left}{at_the_last}</div>\n<div>{right}</div>\n</div>\n{tables}'


def _columns(records: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Turn one record of numbers per pass into the numbers of each name, NaN where a pass has none."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([record.get(name, math.nan) for record in records]) for name in names}


def _sparks(title: str, head: str, numbers: Mapping[str, Array], axis: Axis, form: Callable[[float], str]) -> str:
    heads = [head, "over the passes", "first", "last"]
    rows = [
        [name, Html(spark(row, axis)), _shown(row[0], form), _shown(row[-1], form)] for name, row in numbers.items()
    ]
    return f"<h3>{title}</h3>{table(heads, rows, 'sparks') if rows else '<p>None.</p>'}"


def _shown(number: float, form: Callable[[float], str]) -> str:
    return form(number) if math.isfinite(number) else ""


def _quiet(text: str) -> str:
    return f'<p class="quiet">{text}</p>'


def _digits(number: float) -> str:
    return f"{number:.3g}"


def _percent(share: float) -> str:
    return f"{share:.1%}"
