"""Draws what the page shows: charts by matplotlib, and images as small PNG files inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.environment import needs
from autograd_cnn.studio.png import url
from autograd_cnn.studio.report.facts import Array

SIDE = 64  # pixels of the longer side of an image; larger ones are averaged
BLUE: dict[str, Any] = {"color": "#0072b2", "marker": "o", "markersize": 3}
VERMILION = {"color": "#b45000", "marker": "s", "markersize": 3, "linestyle": "--"}
STYLES = {  # of lines, by name; the others are blue
    "validation": VERMILION,
    "of it waited for data": VERMILION,
    "each step": {"color": "#0072b2", "alpha": 0.45, "linewidth": 0.7, "zorder": 1.8},
}
GREY, GRID = "#55585e", "#d3d6db"
STYLE: dict[Any, Any] = {  # text stays text, and the same numbers give the same bytes
    "svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 8, "text.color": GREY, "axes.edgecolor": GRID,
    "xtick.color": GREY, "ytick.color": GREY, "grid.color": GRID, "axes.labelcolor": GREY,
    "axes.formatter.useoffset": False,
}  # fmt: skip


def chart(lines: Mapping[str, Array], passes: Array, log: bool = False, percent: bool = False) -> str:
    """Return a picture of lines against passes, the address of an SVG file for light ground, or "" without numbers.

    Parameters
    ----------
    lines : dict of str to array
        The numbers of each pass, or those of steps at equal distances.
    passes : array
        The number of passes at the end of each; the last one may be cut short.
    log : bool
        Whether the axis is logarithmic if the numbers span more than a factor of ten.
    percent : bool
        Whether the numbers are shares.
    """
    with needs("matplotlib", "a report"):
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
    data, numbers = io.BytesIO(), np.concatenate([y[np.isfinite(y)] for y in lines.values()])
    if not numbers.size:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.4, 2.2))
        panel = figure.add_axes((0.13, 0.17, 0.855, 0.7))
        for name, y in lines.items():
            x = passes if len(y) == len(passes) else np.linspace(0, passes[-1], len(y) + 1)[1:]
            panel.plot(x, y, label=name, **STYLES.get(name, BLUE))
        panel.set_xlabel("pass", loc="right", labelpad=-1)
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        if log and 0 < numbers.min() < numbers.max() / 10:
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if numbers.max() < 1000 * numbers.min() else (1,)))
            panel.yaxis.set_minor_formatter(NullFormatter())
        else:
            (low, high), least, most = panel.get_ylim(), numbers.min(), numbers.max()
            low = 0 if least >= 0 and (least < most / 2 or least == most) else low
            panel.set_ylim(low, min(high, 1.02) if percent else high)
        panel.set_xlim(0, 1.02 * max(1, passes[-1]))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.3g}%" if percent else f"{y:.3g}"))
        panel.grid()
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, ncols=3, frameon=False)
        figure.savefig(data, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(data.getvalue()).decode()}"


def ends(rows: Mapping[str, Array]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis for all positive numbers."""
    positive = [number for row in rows.values() for number in row if number > 0]
    return min(positive, default=1.0), max(positive, default=1.0)


def spark(numbers: Array, axis: tuple[float, float], log: bool = False) -> str:
    """Return the points of a line without axes, 100 wide and 24 high, for numbers between two ends."""
    with np.errstate(divide="ignore"):
        values, (low, high) = (np.log(numbers), np.log(axis)) if log else (numbers, axis)
    heights = np.repeat(22 - 20 * (values - low) / (high - low or 1), 2 if len(numbers) == 1 else 1)
    places = zip(np.linspace(0, 100, len(heights)), heights, strict=True)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places if np.isfinite(y))


def photo(image: Array) -> str:
    """Return an image (H, W, 3) or (H, W, 1), uint8 or floats in [0, 1], as the address of a PNG file."""
    pixels = image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1))
    block = -(-max(pixels.shape[:2]) // SIDE)
    if block > 1:
        height, width = (n // block * block for n in pixels.shape[:2])
        cut = pixels[:height, :width].reshape(height // block, block, width // block, block, -1)
        pixels = np.rint(cut.mean(axis=(1, 3)))
    return url(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.uint8))
