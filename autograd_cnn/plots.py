"""Draws pictures of a training run: the loss curve, predictions for single images, and the confusion matrix.

The object interface of matplotlib needs no display, and leaves the user's own figures and backend alone. Titles name
the data, so a picture of synthetic images says so. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from warnings import catch_warnings, filterwarnings

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.naming import publish
from autograd_cnn.environment import needs, plain
from autograd_cnn.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix", "influence", "loss_curve", "predictions"]


# Okabe and Ito's colours, distinguishable with all kinds of colour vision: https://jfly.uni-koeln.de/color/
BLUE, GREEN, RED = "#0072B2", "#007A5A", "#B45000"
SUFFIXES = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # no date, no version


class Course(Protocol):
    """The parts of a History that pictures need."""

    name: str
    ended: str
    losses: list[float]
    epochs: list[Any]


def loss_curve(history: Course, path: str | os.PathLike[str]) -> None:
    """Draw the loss of every step and, if there are any, the losses and accuracies of every epoch.

    The axis of the loss is logarithmic if the losses span more than a factor of ten.

    Parameters
    ----------
    history : History
        As `fit` returns it.
    path : path
        The picture, `.png`, `.svg` or `.pdf`.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `path` has another suffix.
    """
    _save(loss_figure(history), path)


def loss_curve_png(history: Course) -> bytes:
    """Return the picture of `loss_curve` as PNG, for a notebook."""
    data = io.BytesIO()
    loss_figure(history).savefig(data, format="png", dpi=100, metadata=SUFFIXES[".png"])
    return data.getvalue()


def loss_figure(history: Course) -> Figure:
    """Return the picture of `loss_curve` as a figure of matplotlib, for `History.plot`."""
    epochs, losses = history.epochs, np.array(history.losses)
    steps, ends = np.arange(1, losses.size + 1), [epoch.step for epoch in epochs]
    accuracies = [100 * epoch.accuracy for epoch in epochs]
    has_accuracy = not np.isnan(accuracies).all()
    figure = _figure(9.6 if has_accuracy else 6.4, 4.2)
    panels = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False)[0]
    _draw_losses(panels[0], steps, losses)
    if has_accuracy:
        panels[1].plot(ends, accuracies, "o-", color=BLUE, label="training, mean over the pass")
        panels[1].set(xlabel="step", ylabel="accuracy, %", ylim=(0, 102), xlim=panels[0].get_xlim())
    validation = [e.validation_loss for e in epochs], [100 * e.validation_accuracy for e in epochs]
    for panel, numbers in zip(panels, validation, strict=False):
        if not np.isnan(numbers).all():
            panel.plot(ends, numbers, "s--", color=RED, label="validation")
        panel.grid(color="#E5E5E5")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.xaxis.get_major_locator().set_params(integer=True)
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}  # above the panel, where no line is
        panel.legend(frameon=False, ncols=3, columnspacing=1.2, handlelength=1.6, **above)
    title = f"Training on {history.name}" if history.name else "Training"
    figure.suptitle(plain(", ".join(filter(None, [title, history.ended]))), parse_math=False)
    return figure


def _draw_losses(panel: Axes, steps: NDArray[Any], losses: NDArray[Any]) -> None:
    """Draw the loss of each step and, of many, their mean in a window."""
    window = max(1, losses.size // 50)
    style: dict[str, Any] = {"alpha": 0.3, "lw": 0.8} if window > 1 else {"marker": "o"}
    panel.plot(steps, losses, color=BLUE, label="each step", **style)
    if window > 1:
        smooth = np.convolve(losses, np.full(window, 1 / window), "valid")
        panel.plot(steps[window - 1 :], smooth, color=BLUE, lw=1.8, label=f"mean of {window} steps")
    panel.set(xlabel="step", ylabel="loss")
    panel.ticklabel_format(axis="y", useOffset=False)
    if losses.size and 0 < losses.min() < losses.max() / 10:  # a linear axis hides what the last passes gained
        panel.set(yscale="log", ylabel="loss, log axis")
    elif losses.size and 0 <= losses.min() < losses.max() / 2:
        panel.set_ylim(bottom=0)


def predictions(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    path: str | os.PathLike[str],
    name: str,
    count: int = 32,
    columns: int = 8,
) -> None:
    """Draw the worst mistakes: each image with its predicted class, the probability of that, and its true class.

    The mistakes that were made with most confidence come first. If there are fewer than `count`, the right predictions
    with least confidence follow.

    Parameters
    ----------
    images : array, (N, H, W, 3) or (N, H, W, 1), NHWC
        uint8, or floats in [0, 1].
    labels : array, (N,) integer
    probabilities : array, (N, K)
        One for each class; the largest of a row is the prediction.
    classes : sequence of str
        The name of each label.
    path : path
        The picture, `.png`, `.svg` or `.pdf`.
    name : str
        Name of the images, for the title.
    count : int
        Images in the picture, at most.
    columns : int
        Images in a row.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `path` has another suffix, or the numbers of images, labels and probabilities differ.
    """
    if not len(images) == len(labels) == len(probabilities):
        raise ValueError(
            f"predictions: {len(images)} images, {len(labels)} labels, {len(probabilities)} rows of probabilities"
        )
    predicted, confidence = probabilities.argmax(-1), probabilities.max(-1)
    right, names = predicted == labels, [plain(str(text)) for text in classes]
    order = np.lexsort([np.where(right, confidence, -confidence), right])[:count]
    rows = max(-(-len(order) // columns), 1)
    figure = _figure(1.25 * columns, 1.55 * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, i in zip(panels, order, strict=False):
        panel.imshow(images[i].squeeze(), cmap="gray", interpolation="nearest")
        mark = "✓" if right[i] else f"✗\nis {names[labels[i]]}"
        title, colour = f"{names[predicted[i]]} {confidence[i]:.0%} {mark}", GREEN if right[i] else RED
        panel.set_title(title, parse_math=False, color=colour, fontsize=8, pad=3)
    wrong = np.count_nonzero(~right)
    figure.suptitle(f"{plain(name)}: {wrong:,} of {len(labels):,} wrong, the surest first", parse_math=False)
    _save(figure, path)


def confusion_matrix(
    matrix: NDArray[np.integer[Any]], classes: Sequence[str], path: str | os.PathLike[str], name: str
) -> None:
    """Draw the number of images for each true class (row) and predicted class (column).

    Parameters
    ----------
    matrix : array, (K, K) integer
        As `Evaluation.confusion`.
    classes : sequence of str
        The name of each label.
    path : path
        The picture, `.png`, `.svg` or `.pdf`.
    name : str
        Name of the images, for the title.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `path` has another suffix.
    """
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = _figure(7, 6.6)
    panel = figure.subplots()
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks, names = range(len(classes)), [plain(str(text)) for text in classes]
    panel.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    panel.set_yticks(ticks, names, parse_math=False)
    panel.set(xlabel="the network says", ylabel="the image shows")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            weight = "bold" if row == column else "normal"
            panel.text(column, row, f"{count:,}", ha="center", va="center", fontsize=9, color=colour, weight=weight)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    figure.suptitle(f"{plain(name)}: {accuracy:.1%} of {matrix.sum():,} images right", parse_math=False)
    _save(figure, path)


def influence(image: NDArray[Any], found: NDArray[Any], path: str | os.PathLike[str], title: str) -> None:
    """Draw an image and, beside it, how much each of its pixels moves an output, with a legend.

    Parameters
    ----------
    image : array, (H, W, 3) or (H, W, 1)
        uint8, or floats in [0, 1].
    found : array, (H, W)
        In [0, 1], such as the size of a gradient.
    path : path
        The picture, `.png`, `.svg` or `.pdf`.
    title : str

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `path` has another suffix.
    """
    figure = _figure(7.4, 3.8)
    left, right = figure.subplots(1, 2)
    left.imshow(image.squeeze(), cmap="gray", interpolation="nearest")
    heat = right.imshow(found, cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
    for panel, text in ((left, "what the model got"), (right, "what moves its answer")):
        panel.set_title(text, fontsize=10)
        panel.axis("off")
    figure.colorbar(heat, ax=right, label="effect of a pixel; the largest is 1")
    figure.suptitle(f"{plain(title)}\nBright: the answer changes most if these pixels do", parse_math=False)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    with needs("matplotlib", "autograd_cnn.plots"):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: a picture is saved as {', '.join(SUFFIXES)}")
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "autograd_cnn"}), catch_warnings():  # identifiers in an SVG are random otherwise
        filterwarnings("ignore", "Glyph .* missing from")  # names of classes in scripts that no font here has
        write_atomically(path, lambda file: figure.savefig(file, format=suffix[1:], metadata=SUFFIXES[suffix]))


publish(globals())
