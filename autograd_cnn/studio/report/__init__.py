"""Writes the report of a training run, one page and the same facts as text, and what `predict` shows of an image.

`facts` collects what is known of a run, `advice` says what to do next, `model` looks into the model, and `pictures`
draws. The templates `page.html` and `report.txt` show it all.
"""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.registry import kernels
from autograd_cnn.environment import needs, plain, program
from autograd_cnn.files import write_atomically
from autograd_cnn.studio import assets
from autograd_cnn.studio.player.page import page as player_page
from autograd_cnn.studio.player.page import refusal
from autograd_cnn.studio.report import pictures
from autograd_cnn.studio.report.advice import Step, next_steps
from autograd_cnn.studio.report.facts import Facts, collect, figures
from autograd_cnn.studio.report.model import BATCH, Loss, Moments, graph_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from autograd_cnn.training import Evaluation, RunFolder

__all__ = ["Moments", "write"]

WIDTH = 100
ROWS = 30  # passes in the text


def write(
    folder: RunFolder,
    images: NDArray[Any],
    labels: NDArray[Any],
    result: Evaluation,
    loss: Loss,
    moments: Moments | None = None,
    resume: str = "",
) -> str:
    """Write `report.html`, `report.txt` and `net.html` into the folder of a run.

    `net.html` is the player: it steps through the network at several moments of the training. If it is left out,
    because the network has too many operations or is another one at some moment, the report says so. The report
    contains it, and needs no other file and no network. It shows what to do next, the course of the training and of
    its layers, the worst mistakes and the confusions on the test images, and the network as ladder and player.

    Parameters
    ----------
    folder : RunFolder
    images : array, (N, H, W, C), NHWC
        The test images, uint8 or floats in [0, 1].
    labels : array, (N,) integer
    result : Evaluation
        What `evaluate` found on these images.
    loss : callable
        Outputs and labels to a Tensor of one number.
    moments : Moments, optional
        A callback that `fit` has called; the player then has a slider for the moments of the training.
    resume : str
        The command that goes on with the run, for a report of one that ended early.

    Returns
    -------
    str
        The content of `report.txt`, to be printed.

    Raises
    ------
    ValueError
        If the numbers of images, labels and results differ, if the results are not those of classes, or if the settings
        of the run do not name these classes.
    OSError
        If a file cannot be written.
    ImportError
        If Jinja2 or matplotlib is missing.
    """
    if not len(images) == len(labels) == len(result.outputs) > 0:
        raise ValueError(
            f"report: {len(images):,} images, {len(labels):,} labels, {len(result.outputs):,} results, want equally "
            "many, and at least one. Pass the images that evaluate had"
        )
    if not result.confusion.size:
        raise ValueError("report: the results have no classes: labels are (N,) integers, outputs (N, classes)")
    named, known = len(folder.settings.get("classes", ())), result.outputs.shape[1]
    if named != known:
        raise ValueError(
            f"report: the results have {known} classes, and settings.json names {named}: {{'classes': [...]}} belongs "
            "to the settings of a new RunFolder"
        )
    model, recipe = folder.model(), folder.module()
    note = recipe.note(recipe.Settings(**folder.settings.get("settings", {})))
    facts = collect(folder.settings, folder.history(), result, labels, recipe.probabilities(result.outputs))
    facts.folder, facts.resume, facts.note = str(folder.path), resume, note
    parameters = dict(model.named_parameters())
    facts.parameters = sum(p.size for p in parameters.values())
    facts.norms = {name: row for name, row in facts.gradients.items() if parameters[name].ndim > 1} or facts.gradients
    last = moments.graph(model) if moments else graph_of(model, loss, images[:BATCH], labels[:BATCH])
    graphs = [*(moments.graphs if moments else []), ("after the training", last)]
    facts.missing = refusal(graphs[0][1], graphs[1:])  # why there is no player
    facts.moments = [] if facts.missing else [label for label, _ in graphs]
    player = "" if facts.missing else player_page(graphs[0][1], graphs[1:], classes=facts.classes)
    html, text = _rendered(facts, images, last.svg(), player)
    write_atomically(folder.path / "report.html", html.encode())
    if player:
        write_atomically(folder.path / "net.html", player.encode())
    write_atomically(folder.path / "report.txt", text.encode())
    return text


def templates() -> Environment:
    """Return the templates of this folder, in which no name steers a terminal or a page."""
    with needs("jinja2", "a report"):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: str(name).endswith(".html"),
        finalize=lambda value: value if isinstance(value, Markup) else plain(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["form"] = lambda number, spec: "" if np.isnan(number) else format(number, spec)
    environment.filters["columns"] = lambda rows, left=False: Markup(_columns(rows, left))
    environment.filters["wrapped"] = lambda text, first, others: Markup(_wrapped(text, first, others))
    return environment


def sentence(environment: Environment, step: Step) -> str:
    """Return the text of a step, on one line."""
    return " ".join(getattr(environment.get_template("advice.txt").module, step.name)(**step.values).split())


def _rendered(facts: Facts, images: NDArray[Any], ladder: str, player: str) -> tuple[str, str]:
    """Return the page and the text."""
    environment = templates()
    environment.globals |= {
        "facts": facts,
        "figures": figures(facts),
        "steps": [(sentence(environment, step), step.command) for step in next_steps(facts)],
        "program": facts.settings.get("program") or program(),
    }
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, {kernels()} kernels"
    machine = {"made with": f"{versions}, {os.cpu_count()} cores, {platform.machine()}"}
    page = environment.get_template("page.html").render(
        pictures=pictures,
        images=images,
        ladder=ladder,
        player=assets.as_json(player),
        settings={**facts.settings, **facts.settings.get("settings", {}), **machine},
    )
    title = escape(plain(f"{facts.accuracy:.2%}: report of {facts.folder}"))
    style, script = assets.part("report/page.css"), assets.part("report/page.js")
    html = assets.page(title, page, style, script, drawings=ladder, frame=player)
    text = environment.get_template("report.txt").render(
        passes=_passes(facts), path=partial(os.path.join, facts.folder)
    )
    return html, text + "\n"


def _columns(rows: Iterable[Sequence[str]], left: bool) -> str:
    """Return rows as lines, with their columns aligned on the right, or `left`."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    align = str.ljust if left else str.rjust
    return "\n".join(f"  {'  '.join(map(align, row, widths))}".rstrip() for row in cells)


def _wrapped(text: str, first: str, others: str) -> str:
    return "\n".join(textwrap.wrap(plain(text), WIDTH, initial_indent=first, subsequent_indent=others))


def _passes(facts: Facts) -> list[list[str]]:
    """Return the rows of the passes; of a long run about `ROWS` of them, with the best and the last."""
    rows = [[f"best {row[0]}" if i == facts.best else row[0], *row[1:]] for i, row in enumerate(facts.passes.rows)]
    every = -(-len(rows) // ROWS)
    return [row for i, row in enumerate(rows, 1) if i % every == 0 or i - 1 == facts.best or i == len(rows)]


publish(globals())
