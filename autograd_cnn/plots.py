"""Draws pictures of a training run: its loss curve, and the pixels that decide an answer of the model.

The object interface of matplotlib needs no display, and leaves the user's own figures and backend alone. Titles name
the data, so a picture of synthetic images says so. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from warnings import catch_warnings, filterwarnings

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.naming import publish
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import needs, plain
from autograd_cnn.files import AnyPath, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["influence", "loss_curve"]


# Okabe and Ito's colours, distinguishable with all kinds of colour vision: https://jfly.uni-koeln.de/color/
BLUE, RED = "#0072B2", "#B45000"
SUFFIXES = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # no date, no version
COPIES, NOISE = 16, 0.1  # of an image, whose gradients are averaged; standard deviation of what is added to each


class Course(Protocol):
    """The parts of a History that pictures need."""

    name: str
    ended: str
    losses: list[float]
    epochs: list[Any]


def loss_curve(history: Course, path: AnyPath | None = None) -> Figure:
    """Draw the loss of every step and, if there are any, the losses and accuracies of every epoch.

    The axis of the loss is logarithmic if the losses span more than a factor of ten.

    Parameters
    ----------
    history : History
        As `fit` returns it.
    path : path, optional
        Saves the picture, in the format of its suffix, such as `.png`, `.svg` or `.pdf`.

    Returns
    -------
    matplotlib.figure.Figure
        Its ``axes`` can be changed, and ``savefig`` saves it. It belongs to no window and to no `pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If matplotlib does not know the suffix of `path`.
    """
    classes = any(epoch.accuracy == epoch.accuracy for epoch in history.epochs)  # else NaN
    draws = [_draw_losses, *([_draw_accuracies] if classes else [])]
    figure = _figure(9.6 if classes else 6.4, 4.2)
    for panel, draw in zip(figure.subplots(1, len(draws), squeeze=False)[0], draws, strict=True):
        draw(panel, history)
    title = f"Training on {history.name}" if history.name else "Training"
    figure.suptitle(plain(", ".join(filter(None, [title, history.ended]))), parse_math=False)
    if path is not None:
        _save(figure, path)
    return figure


def _draw_losses(panel: Axes, history: Course) -> None:
    """Draw the loss of each step and, of many, their mean in a window."""
    losses = np.array(history.losses)
    steps, window = np.arange(1, losses.size + 1), max(1, losses.size // 50)
    style: dict[str, Any] = {"alpha": 0.3, "lw": 0.8} if window > 1 else {"marker": "o"}
    panel.plot(steps, losses, color=BLUE, label="each step", **style)
    if window > 1:
        smooth = np.convolve(losses, np.full(window, 1 / window), "valid")
        panel.plot(steps[window - 1 :], smooth, color=BLUE, lw=1.8, label=f"mean of {window} steps")
    panel.set(ylabel="loss")
    panel.ticklabel_format(axis="y", useOffset=False)
    if losses.size and 0 < losses.min() < losses.max() / 10:  # a linear axis hides what the last passes gained
        panel.set(yscale="log", ylabel="loss, log axis")
    _finish(panel, history, [epoch.validation_loss for epoch in history.epochs])


def _draw_accuracies(panel: Axes, history: Course) -> None:
    ends, accuracies = zip(*((epoch.step, 100 * epoch.accuracy) for epoch in history.epochs), strict=True)
    panel.plot(ends, accuracies, "o-", color=BLUE, label="training, mean over the pass")
    panel.set(ylabel="accuracy, %", ylim=(0, 102))
    _finish(panel, history, [100 * epoch.validation_accuracy for epoch in history.epochs])


def _finish(panel: Axes, history: Course, validation: list[float]) -> None:
    """Draw the figures of validation, the grid and the legend."""
    if not np.isnan(validation).all():
        panel.plot([epoch.step for epoch in history.epochs], validation, "s--", color=RED, label="validation")
    panel.set(xlabel="step", xlim=(0, 1.02 * max(1, len(history.losses))))
    panel.grid(color="#E5E5E5")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    locator: Any = panel.xaxis.get_major_locator()
    locator.set_params(integer=True)
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}  # where no line is
    panel.legend(frameon=False, ncols=3, columnspacing=1.2, handlelength=1.6, **above)


def influence(model: Callable[[Tensor], Tensor], image: NDArray[np.float32], path: AnyPath, title: str) -> None:
    """Draw an image and, beside it, how much each of its pixels moves the largest output of a model, with a legend.

    That is the absolute gradient of the output, the greatest of the colours, averaged over noisy copies of the image
    and over neighbours (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017).

    Parameters
    ----------
    model : callable
        Images (N, H, W, C) to outputs (N, K), such as a Module in evaluation mode.
    image : array, (H, W, 3) or (H, W, 1) float32
        In [0, 1].
    path : path
        The picture, such as `.png`, `.svg` or `.pdf`.
    title : str

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If matplotlib does not know the suffix of `path`, or image or outputs have other axes.
    """
    effects, figure = _effects(model, image), _figure(7.4, 3.8)
    left, right = figure.subplots(1, 2)
    left.imshow(image.squeeze(), cmap="gray", interpolation="nearest")
    heat = right.imshow(effects, cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
    for panel, text in ((left, "what the model got"), (right, "what moves its answer")):
        panel.set_title(text, fontsize=10)
        panel.axis("off")
    figure.colorbar(heat, ax=right, label="effect of a pixel; the largest is 1")
    figure.suptitle(f"{plain(title)}\nBright: the answer changes most if these pixels do", parse_math=False)
    _save(figure, path)


def _effects(model: Callable[[Tensor], Tensor], image: NDArray[np.float32]) -> NDArray[Any]:
    """Return how much each pixel moves the answer, (H, W) in [0, 1]; the largest is 1, unless no pixel matters."""
    if image.ndim != 3:
        raise ValueError(f"influence: image {image.shape}, want (H, W, C). Of one channel: image[..., None]")
    outputs = model(Tensor(image[None]))
    if outputs.ndim != 2:
        cure = "Of one number for each image: lambda x: model(x)[:, None]"
        raise ValueError(f"influence: the model returned {outputs.shape} for one image, want (1, K). {cure}")
    answer = int(outputs.data.argmax())
    noise = np.random.default_rng(0).normal(0, NOISE, (COPIES, *image.shape)).astype(np.float32)
    copies = Tensor(image + noise, requires_grad=True, name="images")
    gradient = np.asarray(model(copies)[:, answer].sum().gradient(copies))
    found = np.abs(gradient.mean(axis=0)).max(axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(found, 1, mode="edge"), (3, 3))
    blurred = windows.mean(axis=(2, 3))
    return np.asarray(blurred / (blurred.max() or 1))


def _figure(width: float, height: float) -> Figure:
    with needs("matplotlib", "autograd_cnn.plots"):
        from matplotlib.figure import Figure
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def _save(figure: Figure, path: AnyPath) -> None:
    write_atomically(path, content(figure, Path(path).suffix.lower()))


def content(figure: Figure, suffix: str, **options: Any) -> bytes:
    """Return the content of a file with the picture; `options` are those of ``savefig``."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "autograd_cnn"}), catch_warnings():  # identifiers in an SVG are random otherwise
        filterwarnings("ignore", "Glyph .* missing from")  # names of classes in scripts that no font here has
        figure.savefig(file, format=suffix[1:], metadata=SUFFIXES.get(suffix), **options)
    return file.getvalue()


publish(globals())
