"""Writes the report of a training run: one page, and its figures as text.

`facts` collects what is known of a run and says what to do next; the templates `page.html` and `report.txt` show it.
"""

from __future__ import annotations

import base64
import math
import os
import platform
import textwrap
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn import plots
from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.registry import kernels
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs, plain, program
from autograd_cnn.files import write_atomically
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.studio import assets
from autograd_cnn.studio.graph import Graph
from autograd_cnn.studio.player.page import page as player_page
from autograd_cnn.studio.player.page import refusal
from autograd_cnn.studio.png import url
from autograd_cnn.studio.report import facts as known
from autograd_cnn.studio.trace import trace

if TYPE_CHECKING:
    from autograd_cnn.training import Evaluation, History, RunFolder

__all__ = ["Moments", "write"]

Loss = Callable[[Tensor, Any], Tensor]

BATCH = 4  # images in the player
SIDE = 64  # pixels of the longer side of an image, about
WIDTH = 96


class Moments:
    """A callback of `fit` that traces the model on a few images: at the start, and after passes 1, 2, 4, 8, ...

    The player in the report has a slider for these moments. Make it before `fit` is called.

    Parameters
    ----------
    model : Module
    loss : callable
        Outputs and labels to a Tensor of one number.
    images : array, (N, H, W, C), NHWC
        The first four are traced.
    labels : array, (N,) integer
    """

    def __init__(self, model: Module, loss: Loss, images: NDArray[Any], labels: NDArray[Any]) -> None:
        self.model, self.loss = model, loss
        self.images, self.labels = images[:BATCH], labels[:BATCH]
        self.graphs = [("at the start", self.graph(model))]

    def __call__(self, history: History) -> None:
        done = len(history.epochs)
        if done & (done - 1) == 0:
            self.graphs.append((f"after pass {done}", self.graph(self.model)))

    def graph(self, model: Module) -> Graph:
        """Trace the loss of `model` on the images, in evaluation mode."""
        from autograd_cnn.training.evaluation import as_tensor

        with in_training_mode(model, training=False):
            return trace(lambda images: self.loss(model(images), self.labels), as_tensor(self.images))


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
        The command that goes on with the run. The report of a run that ended early shows it.

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
    if (named := len(folder.settings.get("classes", ()))) != (classes := result.outputs.shape[1]):
        raise ValueError(
            f"report: the results have {classes} classes, and settings.json names {named}: {{'classes': [...]}} "
            "belongs to the settings of a new RunFolder"
        )
    facts, model = known.collect(folder, labels, result, resume), folder.model()
    last = moments.graph(model) if moments else Moments(model, loss, images, labels).graphs[0][1]
    graphs = [*(moments.graphs if moments else []), ("after the training", last)]
    first, others = graphs[0][1], graphs[1:]
    facts.missing = refusal(first, others)  # why there is no player
    facts.moments = [] if facts.missing else [label for label, _ in graphs]
    player = "" if facts.missing else player_page(first, others, classes=facts.classes)
    html, text = _rendered(facts, images, last.svg(), player)
    for name, content in {"report.html": html, "net.html": player, "report.txt": text}.items():
        if content:
            write_atomically(folder.path / name, content.encode())
    return text


def _rendered(facts: known.Facts, images: NDArray[Any], ladder: str, player: str) -> tuple[str, str]:
    """Return the page and the text, in which no name steers a terminal or a page."""
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
    environment.filters["form"] = lambda number, spec: "" if math.isnan(number) else format(number, spec)
    environment.filters["wrapped"] = lambda text: Markup("\n    ".join(textwrap.wrap(plain(text), WIDTH)))
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, {kernels()} kernels"
    made = f"{versions}, {os.cpu_count()} cores, {platform.machine()}"
    environment.globals |= {
        "facts": facts,
        "figures": known.figures(facts),
        "steps": known.next_steps(facts),
        "headline": known.share(facts.accuracy, facts.images),
        "origin": [f"{name} {facts.settings[name]}" for name in ("data", "recipe", "seed") if name in facts.settings],
        "program": facts.settings.get("program") or program(),
    }
    chart = plots.content(plots.loss_curve(facts.history), ".svg", transparent=True)
    page = environment.get_template("page.html").render(
        chart=f"data:image/svg+xml;base64,{base64.b64encode(chart).decode()}",
        photo=lambda i: _photo(images[i]),
        share=known.share,
        ladder=Markup(ladder),
        player=Markup(assets.as_json(player)),
        settings={**facts.settings, **facts.values, "made with": made},
    )
    title = escape(plain(f"{environment.globals['headline']}: report of {facts.folder}"))
    style, script = assets.part("report/page.css"), assets.part("report/page.js")
    html = assets.page(title, page, style, script, drawings=ladder, frame=player)
    return html, environment.get_template("report.txt").render() + "\n"


def _photo(image: NDArray[Any]) -> str:
    """Return an image (H, W, 3) or (H, W, 1), uint8 or floats in [0, 1], as the address of a small PNG file."""
    every = -(-max(image.shape[:2]) // SIDE)
    pixels = image[::every, ::every]
    pixels = pixels if image.dtype == np.uint8 else np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    return url(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


publish(globals())
