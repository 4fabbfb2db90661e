"""Writes the report of a training run, one page and the same facts as text, and what `predict` shows of an image.

`facts` collects what is known of a run, `advice` says what to do next, and `network` looks into the model. `text`
writes the report as text, and `page` as HTML: `sections` writes its sections with the elements of `markup`, and
`charts` and `pictures` draw for them. `saliency` explains the answer to one image.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from autograd_cnn.engine.naming import publish
from autograd_cnn.files import write_atomically
from autograd_cnn.studio.player.page import page as player_page
from autograd_cnn.studio.player.page import refusal
from autograd_cnn.studio.report.advice import next_steps
from autograd_cnn.studio.report.facts import Facts
from autograd_cnn.studio.report.network import BATCH, Loss, Moments, convolutions, graph_of
from autograd_cnn.studio.report.page import page
from autograd_cnn.studio.report.text import text_of

if TYPE_CHECKING:
    from autograd_cnn.training import Evaluation, RunFolder

__all__ = ["Moments", "write"]


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
    contains it, and needs no other file and no network. It shows the course of the training, its layers, filters and
    feature maps, the worst mistakes and the confusions on the test images, the network as ladder and player, and what
    to do next.

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
        The content of `report.txt`, to be printed. It says how often the test images have been looked at: once for each
        step of the training at which a report was written.

    Raises
    ------
    ValueError
        If the numbers of images, labels and results differ, if the results are not those of classes, or if the settings
        of the run do not name these classes.
    OSError
        If a file cannot be written.
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
    model = folder.model()
    parameters, recipe = dict(model.named_parameters()), folder.module()
    facts = Facts(
        str(folder.path),
        folder.settings,
        folder.history(),
        result,
        labels,
        recipe.probabilities(result.outputs),
        sum(p.size for p in parameters.values()),
        resume=resume,
        note=recipe.note(recipe.Settings(**folder.settings.get("settings", {}))),
    )
    facts = replace(facts, looks=folder.count_look(result.accuracy, float(facts.confidences.mean())))
    steps = next_steps(facts)
    last = moments.graph(model) if moments else graph_of(model, loss, images[:BATCH], labels[:BATCH])
    graphs = [*(moments.graphs if moments else []), ("after the training", last)]
    weights = {name for name, p in parameters.items() if p.ndim > 1}
    missing = refusal(graphs[0][1], graphs[1:])
    player = "" if missing else player_page(graphs[0][1], graphs[1:], classes=facts.classes)
    html = page(facts, steps, images, convolutions(model, images[0]), weights, graphs, player, missing)
    text = text_of(facts, steps, len(graphs) if player else 0)
    write_atomically(folder.path / "report.html", html.encode())
    if player:
        write_atomically(folder.path / "net.html", player.encode())
    write_atomically(folder.path / "report.txt", text.encode())
    return text


publish(globals())
